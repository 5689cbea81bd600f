"""The JSON API of Cloud Storage as far as versions need it: one connection pool, retries, and errors with a meaning.

https://cloud.google.com/storage/docs/json_api/v1, https://cloud.google.com/storage/docs/retry-strategy: what only reads
is repeated; what writes carries a precondition, by which a repetition cannot write twice.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from ..ports import StoreUnavailable

TokenOf = Callable[[], Awaitable[str]]
"""Gives a valid access token, or raises `StoreUnavailable`."""
ROOT = "https://storage.googleapis.com"
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_PASSES = frozenset({200, 204, 206, 304, 400, 403, 404, 412, 416})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 8.0
_CHUNK = 256 * 1024
_READ_TRIES = 5
_log = logging.getLogger("devplatform.versions.gcs")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where the bucket is and how it is asked: seconds for one call and for all its tries, calls at the same time."""

    bucket: str
    root: str = ROOT
    timeout: float = 20.0
    patience: float = 45.0
    at_once: int = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What Cloud Storage said for good: a status that another try would not change, and its JSON."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class _Multipart:
    """Metadata and content in one body."""

    content_type: str
    content: bytes


class GcsApi:
    """Objects of one bucket. Every failure is `StoreUnavailable`; refusals that mean something are answers."""

    def __init__(self, settings: ApiSettings, token_of: TokenOf) -> None:
        self._settings, self._token_of = settings, token_of
        self._at_once = asyncio.Semaphore(settings.at_once)
        self._base = f"{settings.root}/storage/v1/b/{quote(settings.bucket, safe='')}/o"
        self._session: aiohttp.ClientSession | None = None
        self.calls = 0

    async def close(self) -> None:
        """End the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def page(self, **query: str) -> Mapping[str, Any]:
        """One page of a listing. https://cloud.google.com/storage/docs/json_api/v1/objects/list"""
        answer = await self._call("GET", self._base, query)
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise StoreUnavailable(f"Cloud Storage refuses to list the bucket (status {answer.status})")
        return answer.body

    async def bucket(self, **query: str) -> Answer:
        """The bucket's own resource, or 403 or 404."""
        return await self._call("GET", self._base.removesuffix("/o"), query)

    async def get(self, name: str, **query: str) -> Answer:
        """The resource of an object, or 404 or 304."""
        return await self._call("GET", self._object(name), query)

    async def insert(self, name: str, metadata: Mapping[str, str], **query: str) -> Answer:
        """A new object without content. https://cloud.google.com/storage/docs/json_api/v1/objects/insert"""
        resource = {"name": name, "contentType": "application/json", "metadata": dict(metadata)}
        url = self._base.replace("/storage/v1/", "/upload/storage/v1/", 1)
        with aiohttp.MultipartWriter("related") as parts:
            parts.append_json(resource)
            parts.append(b"", {"Content-Type": "application/json"})
        body = _Multipart(parts.content_type, await parts.as_bytes())
        return await self._call("POST", url, {"uploadType": "multipart", **query}, body)

    async def patch(self, name: str, body: Mapping[str, Any], **query: str) -> Answer:
        """Change metadata; with preconditions."""
        return await self._call("PATCH", self._object(name), query, body)

    async def delete(self, name: str, **query: str) -> Answer:
        """Delete; without `generation` in a bucket with versions this makes the live one noncurrent."""
        return await self._call("DELETE", self._object(name), query)

    async def rewrite(self, name: str, target: str, body: Mapping[str, Any], **query: str) -> Answer:
        """Copy on the server, however long that takes, to another name of the bucket or the same."""
        url = f"{self._object(name)}/rewriteTo/b/{quote(self._settings.bucket, safe='')}/o/{quote(target, safe='')}"
        token: dict[str, str] = {}
        while True:
            answer = await self._call("POST", url, {**query, **token}, body)
            if answer.status != 200 or answer.body.get("done"):
                return answer
            token = {"rewriteToken": str(answer.body["rewriteToken"])}

    async def read(self, name: str, generation: int, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        """The bytes [start, end) of a generation. Raises `FileNotFoundError` when it is gone."""
        position = start
        for attempt in range(_READ_TRIES):
            if end is not None and position >= end:
                return
            try:
                async with self._media(name, generation, position, end) as response:
                    if response.status == 416:  # it is empty, or the range begins behind its end
                        return
                    async for chunk in response.content.iter_chunked(_CHUNK):
                        position += len(chunk)
                        yield chunk
                    return
            except FileNotFoundError:
                raise
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                # A generation never changes: reading goes on where it was cut off.
                if attempt == _READ_TRIES - 1:
                    raise StoreUnavailable(f"Cloud Storage broke off a download ({type(error).__name__})") from None
                await asyncio.sleep(_pause(attempt))

    @asynccontextmanager
    async def _media(
        self, name: str, generation: int, start: int, end: int | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = _url(self._object(name), {"alt": "media", "generation": str(generation)})
        last = "" if end is None else str(end - 1)
        headers = {"Range": f"bytes={start}-{last}", "Accept-Encoding": "identity", **await self._headers()}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self._settings.timeout)
        async with self._client().get(url, headers=headers, timeout=timeout) as response:
            if response.status == 404:
                raise FileNotFoundError(name)
            if response.status in _TRANSIENT:
                raise aiohttp.ClientPayloadError(f"status {response.status}")
            if response.status not in (200, 206, 416):
                raise StoreUnavailable(f"Cloud Storage refuses a download (status {response.status})")
            yield response

    async def _call(
        self, method: str, url: str, query: Mapping[str, str], body: "Mapping[str, Any] | _Multipart | None" = None
    ) -> Answer:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.patience
        attempt = 0
        while True:
            status, content, asked = await self._try(method, url, query, body)
            if status in _PASSES:
                return Answer(status, content)
            pause = max(_pause(attempt), asked)
            if status not in (*_TRANSIENT, 401, 0) or loop.time() + pause > until:
                raise StoreUnavailable(f"Cloud Storage does not answer: {content or f'status {status}'}")
            attempt += 1
            _log.debug("Cloud Storage: %s of %s, again in %.2f s", status or content, method, pause)
            await asyncio.sleep(pause)

    async def _try(
        self, method: str, url: str, query: Mapping[str, str], body: "Mapping[str, Any] | _Multipart | None"
    ) -> tuple[int, Any, float]:
        """Status 0 with what went wrong where there was no answer; seconds that it asks to wait."""
        headers = await self._headers()
        sent: dict[str, Any] = {"json": body}
        if isinstance(body, _Multipart):
            headers["Content-Type"], sent = body.content_type, {"data": body.content}
        async with self._at_once:
            self.calls += 1
            try:
                async with self._client().request(
                    method, _url(url, query), **sent, headers=headers, allow_redirects=False
                ) as response:
                    content = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                return 0, type(error).__name__, 0.0
        try:
            parsed = json.loads(content) if content else None
        except (ValueError, RecursionError):
            # Half a page is no page.
            return (0, "an answer that is not JSON", 0.0) if response.status == 200 else (response.status, None, 0.0)
        return response.status, parsed, _asked(response.headers)

    async def _headers(self) -> dict[str, str]:
        token = await self._token_of()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _object(self, name: str) -> str:
        return f"{self._base}/{quote(name, safe='')}"

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._settings.at_once * 2),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session


def _url(base: str, query: Mapping[str, str]) -> URL:
    # Not aiohttp's own quoting, which takes some of ours back.
    return URL(f"{base}?{urlencode(query, quote_via=quote)}" if query else base, encoded=True)


def _pause(attempt: int) -> float:
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**attempt) * (0.5 + random.random())  # noqa: S311 - spreads retries


def _asked(headers: Mapping[str, str]) -> float:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0
