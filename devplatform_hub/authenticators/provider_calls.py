"""Calls to an identity provider: an outage is told apart from a refusal, and nothing secret reaches the log."""

import json
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from ..ports import DirectoryUnavailable

_CONNECT_WITHIN = 5.0
_ANSWER_WITHIN = 10.0
_LONGEST_ERROR = 40
_FORBIDDEN = 403
_BUSY = 429


class ProviderRefused(Exception):
    """The provider answered, and said no. `error` is OAuth's name of the reason, such as `invalid_grant`."""

    def __init__(self, status: int, error: str = "") -> None:
        super().__init__(f"status {status}{f', {error}' if error else ''}")
        self.status = status
        self.error = error


async def ask(client: AsyncHTTPClient, url: str, **request: Any) -> Any:
    """The JSON of one answer. Raises `ProviderRefused` for a refusal, `DirectoryUnavailable` for everything else.

    Tokens travel in these requests: a redirect is not followed, and no body is ever put into a message.
    """
    host = urlsplit(url).netloc
    limits = {"connect_timeout": _CONNECT_WITHIN, "request_timeout": _ANSWER_WITHIN, "follow_redirects": False}
    try:
        answer = await client.fetch(HTTPRequest(url, **{**limits, **request}), raise_error=False)
    except (HTTPClientError, OSError) as error:
        raise DirectoryUnavailable(f"{host} does not answer ({type(error).__name__})") from None
    content = _json(answer.body)
    if answer.code >= 500 or _says_later(answer) or 300 <= answer.code < 400:
        raise DirectoryUnavailable(f"{host} answered with status {answer.code}")
    if answer.code >= 400 or (isinstance(content, dict) and "error" in content):  # GitHub refuses with status 200
        raise ProviderRefused(answer.code, error_name(content.get("error") if isinstance(content, dict) else None))
    if not isinstance(content, dict):
        raise DirectoryUnavailable(f"{host} answered with something other than a JSON object")
    return content


def _says_later(answer: HTTPResponse) -> bool:
    """Too many calls. GitHub says so with 403 as well, and one of these headers ("Rate limits for the REST API")."""
    told = answer.headers
    limited = answer.code == _FORBIDDEN and ("Retry-After" in told or told.get("X-RateLimit-Remaining") == "0")
    return answer.code == _BUSY or limited


def error_name(value: Any) -> str:
    """OAuth's name of an error, if it is one: anything else is not repeated."""
    known = isinstance(value, str) and value.isascii() and value.replace("_", "").isalnum()
    return value[:_LONGEST_ERROR] if known else ""


def _json(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"")
    except ValueError:
        return None
