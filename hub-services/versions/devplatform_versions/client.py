"""The versions API (API.md) as Python calls, for programs inside a person's session: agent, mount and command.

Every failure is one of the errors below. The hub token goes to the API only, never to a granted upload address.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.names import slug

from .answers import parse_entry, parse_version
from .model import Change, FolderEntry, Version, Visit
from .wire import parse_visit, time_text

_API_TIMEOUT = 30.0
_STALL_TIMEOUT = 60.0
_CHUNK = 256 * 1024


class ServiceUnavailable(PublicError):
    """The service did not answer, or asked to be left alone for a while: try again later."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(
            f"The versions service cannot be reached: {reason}.",
            code="service-unavailable",
            hint="Your files are safe in the workspace. Try again in a minute.",
            status=503,
        )
        self.retry_after = retry_after


class NotAllowed(PublicError):
    """The token of this session is not accepted, 401 or 403: asking again soon does not help."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the service is and who asks."""

    url: str
    origin: str
    owner: str
    token: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """What the spawner put into the session's environment. `PublicError` when it is not there."""
        url, user = environment.get("DEVPLATFORM_VERSIONS_URL"), environment.get("JUPYTERHUB_USER")
        token = environment.get("JUPYTERHUB_API_TOKEN")
        if not (url and user and token):
            raise PublicError(
                "This is not a session of the platform.",
                code="no-session",
                hint="Run it in a terminal of JupyterLab or VS Code that the platform started.",
                status=400,
            )
        url = url if url.endswith("/") else f"{url}/"
        return cls(url, environment.get("DEVPLATFORM_HUB_ORIGIN") or urljoin(url, "/"), slug(user), token)


class VersionsClient:
    """One person's versions over keep-alive HTTP. Use it as an async context manager, or close it."""

    def __init__(self, endpoint: Endpoint, *, connections: int = 12, timeout: float = _API_TIMEOUT) -> None:
        self.endpoint = endpoint
        self._timeout = timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # Looking.

    async def folder(self, path: str, *, deleted: bool = False) -> list[FolderEntry]:
        """What is directly in a folder."""
        query = {"path": path, "deleted": "1" if deleted else "0", "limit": "1000"}
        return [parse_entry(item) async for item in self._pages("folder", query, "entries")]

    async def versions(self, path: str, *, most: int = 5000) -> list[Version]:
        """The newest `most` versions and tombstones of a file, newest first."""
        found: list[Version] = []
        async for item in self._pages("versions", {"path": path, "limit": str(min(most, 1000))}, "versions"):
            found.append(parse_version(item))
            if len(found) >= most:
                break
        return found

    async def notes(self, path: str) -> list[dict[str, Any]]:
        """What the service says of a file's versions, newest first; nothing where it is too old to say anything."""
        query = {"path": path, "limit": "1000", "notes": "1"}
        try:
            return [note async for note in self._pages("versions", query, "notes")]
        except KeyError:
            return []

    async def snapshot(self, folder: str, at: datetime | None = None) -> AsyncIterator[Version]:
        """What was live under a folder at a moment (None: now), by path."""
        query = {"path": folder, "limit": "1000"} | ({"at": time_text(at)} if at else {})
        async for item in self._pages("snapshot", query, "versions"):
            yield parse_version(item)

    async def changes(self, since: int, *, wait: float = 0) -> tuple[list[Change], int]:
        """What was written after the cursor `since`, and the cursor to go on from; waits for the first."""
        query = {"since": str(since), "wait": str(int(wait))}
        answer = await self._api("GET", "changes", query, timeout=self._timeout + wait)
        changes = [Change(int(item["cursor"]), parse_version(item["version"])) for item in answer["changes"]]
        return changes, int(answer["cursor"])

    async def content(
        self, path: str, generation: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes [start, end) of a version, in chunks."""
        query = {"path": path, "generation": str(generation)}
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=self._timeout)
        try:
            async with self._request(
                "GET", self._address("content"), params=query, headers=headers | self._authorization, timeout=timeout
            ) as answer:
                if answer.status == 416:
                    return
                await _check(answer)
                if start and answer.status != 206:
                    raise ServiceUnavailable("it ignored the range that was asked for")
                async for chunk in answer.content.iter_chunked(_CHUNK):
                    yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error

    async def diff(self, path: str, a: int, b: int) -> dict[str, Any]:
        """How version `b` differs from `a`: `kind`, and `unified` or `cells` with it."""
        return await self._api("GET", "diff", {"path": path, "a": str(a), "b": str(b)})

    async def visits(self) -> list[Visit]:
        """The visits of administrators to these versions, newest first."""
        return [parse_visit(item) for item in (await self._api("GET", "visits"))["visits"]]

    # Writing.

    async def request_uploads(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to at most 200 announced uploads, in their order."""
        answer = await self._api("POST", "uploads", json={"items": list(items)})
        return list(answer["results"])

    async def put(self, grant: Mapping[str, Any], size: int, body: bytes | AsyncIterator[bytes]) -> int:
        """Send granted bytes; the new generation. `PublicError` with status 400 (mismatch), 403 or 412."""
        # Exactly as it was signed: aiohttp would write some characters of a name in another way.
        url = URL(urljoin(self.endpoint.origin, str(grant["url"])), encoded=True)
        headers = {**grant["headers"], "Content-Length": str(size)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=_STALL_TIMEOUT)
        try:
            async with self._request("PUT", url, data=body, headers=headers, timeout=timeout) as answer:
                if answer.status in (408, 429) or answer.status >= 500:
                    raise ServiceUnavailable(f"it answered {answer.status}", _retry_after(answer))
                if answer.status not in (200, 201):
                    raise PublicError("The upload was refused.", code="upload-refused", status=answer.status)
                return int(answer.headers["x-goog-generation"])
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error

    async def delete(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to at most 200 deletions, in their order."""
        answer = await self._api("POST", "deletions", json={"items": list(items)})
        return list(answer["results"])

    async def restore(self, path: str, generation: int, *, if_generation_match: int | None = None) -> Version:
        """A new version with the bytes of an old one."""
        body: dict[str, Any] = {"path": path, "generation": str(generation)}
        if if_generation_match is not None:
            body["if_generation_match"] = str(if_generation_match)
        return parse_version((await self._api("POST", "restore", json=body))["version"])

    async def restore_folder(self, path: str, at: datetime, *, dry_run: bool) -> dict[str, Any]:
        """Bring a folder back to a moment, or only say what that would change."""
        body = {"path": path, "at": time_text(at), "dry_run": dry_run}
        return await self._api("POST", "restore-folder", json=body, timeout=300)

    # How.

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.endpoint.token}"}

    def _address(self, name: str) -> str:
        return f"{self.endpoint.url}api/v1/w/{self.endpoint.owner}/{name}"

    def _request(self, method: str, url: str | URL, **options: Any) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "devplatform-session"},
            )
        # A redirect would carry the token to wherever it points.
        return self._session.request(method, url, allow_redirects=False, **options)

    async def _api(
        self,
        method: str,
        name: str,
        query: Mapping[str, str] | None = None,
        *,
        json: object = None,
        timeout: float | None = None,  # noqa: ASYNC109 - handed to aiohttp
    ) -> dict[str, Any]:
        limit = aiohttp.ClientTimeout(total=timeout or self._timeout)
        options: dict[str, Any] = {"params": query, "headers": self._authorization, "timeout": limit}
        if json is not None:
            options["json"] = json
        try:
            async with self._request(method, self._address(name), **options) as answer:
                await _check(answer)
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(error) from error
        except ValueError as error:
            raise ServiceUnavailable("its answer is not JSON") from error
        if not isinstance(body, dict):
            raise ServiceUnavailable("its answer is not a JSON object")
        return body

    async def _pages(self, name: str, query: Mapping[str, str], key: str) -> AsyncIterator[dict[str, Any]]:
        token: str | None = None
        while True:
            page = await self._api("GET", name, {**query, **({"token": token} if token else {})})
            for item in page[key]:
                yield item
            token = page.get("next")
            if not token:
                return


async def _check(answer: aiohttp.ClientResponse) -> None:
    """Raise what a refusal means."""
    if answer.status < 300:
        return
    if answer.status in (408, 429) or answer.status >= 500 or answer.status < 400:
        raise ServiceUnavailable(f"it answered {answer.status}", _retry_after(answer))
    try:
        error = (await answer.json(content_type=None))["error"]
        told = {"message": str(error["message"]), "code": str(error["code"]), "hint": str(error.get("hint", ""))}
    except (ValueError, KeyError, TypeError):
        told = {"message": f"The versions service answered {answer.status}.", "code": "service-refused", "hint": ""}
    kind = NotAllowed if answer.status in (401, 403) else PublicError
    raise kind(told["message"], code=told["code"], hint=told["hint"], status=answer.status)


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() and len(value) < 5 else None


def _unreachable(error: Exception) -> ServiceUnavailable:
    # TimeoutError is an OSError; its text is empty.
    timed_out = isinstance(error, asyncio.TimeoutError)
    return ServiceUnavailable("it did not answer in time" if timed_out else str(error)[:200] or type(error).__name__)
