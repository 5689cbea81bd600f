"""The tracking server as the proxy sees it: a bounded pool of connections, with the secret and nothing of a person."""

import json
import logging
from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from devplatform_hub.core.errors import PublicError

from .supervisor import SECRET_HEADER, TrackingServer

_log = logging.getLogger("devplatform.mlflow")
# Characters that may stay as they are in a path (RFC 3986, pchar and "/").
_PATH_SAFE = "/!$&'()*+,;=:@"
_NATIVE_ARTIFACTS = "2.0/mlflow-artifacts/artifacts/"

Query = Mapping[str, Sequence[str]]


class UpstreamUnavailable(PublicError):
    """The tracking server did not answer, or not in a way that we understand; `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "MLflow does not answer right now.",
            code="mlflow-unavailable",
            hint="Try again in a few seconds; what was logged before is kept.",
            status=503,
        )
        _log.warning("MLflow does not answer: %s", reason)


class Upstream:
    """Requests to the tracking server. Paths are decoded and relative to its prefix."""

    def __init__(self, server: TrackingServer, prefix: str) -> None:
        self._server = server
        self._prefix = prefix.strip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=128, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # No total: a large artifact takes its time. Silence of five minutes is an end.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=300),
        )

    async def close(self) -> None:
        """End the connections."""
        await self._session.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | AsyncIterable[bytes] | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer with its body still to be read; use it as a context manager. Raises `UpstreamUnavailable`."""
        sent = {
            "Accept-Encoding": "identity",
            "User-Agent": "devplatform-mlflow-proxy",
            **(headers or {}),
            SECRET_HEADER: self._server.secret,
        }
        try:
            return await self._session.request(
                method, self._url(method, path, query or {}), headers=sent, data=data, allow_redirects=False
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UpstreamUnavailable(f"it cannot be reached ({type(error).__name__})") from error

    async def get_json(self, path: str, **query: str) -> dict[str, Any] | None:
        """The JSON object of a GET; None when there is no such thing. Raises `UpstreamUnavailable`."""
        try:
            async with await self.send("GET", path, query={key: [value] for key, value in query.items()}) as answer:
                if answer.status in (400, 404):
                    return None
                if answer.status != 200:
                    raise UpstreamUnavailable(f"it answered {answer.status} to a look-up")
                value = json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise UpstreamUnavailable(f"it broke off ({type(error).__name__})") from error
        return value if isinstance(value, dict) else None

    def _url(self, method: str, path: str, query: Query) -> URL:
        """The address, quoted here once. Built as text: a URL class would resolve dots and change escapes."""
        address = f"{self._server.url}/{self._prefix}/{quote(path, safe=_PATH_SAFE)}"
        _, _, rest = path.partition("/")
        if method in ("GET", "HEAD", "PUT") and rest.startswith(_NATIVE_ARTIFACTS):
            # The routes that stream have no prefix (mlflow/server/fastapi_app.py); with it, the same request would
            # reach the older ones, which hold a whole upload in memory.
            address = f"{self._server.url}/{quote(path, safe=_PATH_SAFE)}"
        if query:
            address += "?" + urlencode(query, doseq=True)
        return URL(address, encoded=True)
