"""A watch of the API server that goes on: pages, then one long stream, taken up where it broke.

KubeSpawner's own lists everything anew every ten seconds, gives up after half a minute of trouble, and with
`enable_user_namespaces` ends the hub. This one lists only when the API server has forgotten where it was (410).
"""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import aiohttp
from kubespawner.reflector import ResourceReflector
from traitlets import Int

from . import Json
from .outage import Outage

_FAIR = 100  # objects taken in a row before others get a turn
_SHORT = 1.0  # a stream that ends sooner and empty was no watch
_CONNECT = 10.0
_KEEP_ALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
_GONE = {"Expired", "Gone", "ResourceExpired"}


class Interrupted(Exception):
    """The API server cannot be watched now. `is_gone`: it does not know any more where we were."""

    def __init__(self, reason: str, *, retry_after: float = 0.0, is_gone: bool = False) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.is_gone = is_gone


class LongWatch(ResourceReflector):
    """Base of the watches: subclasses keep what `_take` gives them. `start` returns once everything is known.

    It never raises for an API server that is away or says no: JupyterHub takes a poll that fails for a server
    that is gone. It waits and says so in the log, and `stale_seconds` and `trouble` tell everybody else.
    """

    timeout_seconds = Int(
        2400, config=True, help="The API server ends one watch after about so long; it is taken up at once."
    )
    request_timeout = Int(60, config=True, help="Seconds that one page of a list may take.")
    page_size = Int(500, config=True, help="Objects in one page of a list.")
    idle_seconds = Int(
        0, config=True, help="A stream that is silent for so long is made anew; 0 where silence means nothing."
    )

    watch_task: "asyncio.Task[None] | None"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        super().__init__(*args, **kwargs)
        where = "all namespaces" if self.omit_namespace else f"namespace {self.namespace}"
        host = self.api.api_client.configuration.host
        self._outage = Outage(f"{self.kind} in {where} at {host}", lost_at=time.monotonic())
        self._version: str | None = None
        self._trouble = ""

    @property
    def first_load_future(self) -> "asyncio.Future[None]":
        """Done when everything was listed once. Each caller has its own, so that one who is cancelled ends no other."""
        return asyncio.shield(self._loaded)

    @first_load_future.setter
    def first_load_future(self, _: object) -> None:
        """KubeSpawner's class makes one; ours is there already."""

    @property
    def stale_seconds(self) -> float:
        """For how long what is known here may be out of date; 0 while the watch stands."""
        return self._outage.stale_seconds(time.monotonic())

    @property
    def trouble(self) -> str:
        """Why the watch does not stand; empty while it does."""
        return self._trouble

    async def start(self) -> None:
        """Watch from now on, and return when everything was listed once, however long that takes."""
        if self.watch_task and not self.watch_task.done():
            raise RuntimeError(f"Already watching {self._outage.what}")
        self.watch_task = asyncio.create_task(self._watch_and_update(), name=f"watch {self.kind}")
        await self.first_load_future

    async def stop(self) -> None:
        """End the watch. What is known stays."""
        task, self.watch_task = self.watch_task, None
        if task:
            task.cancel()
            await asyncio.wait([task])
        self._loaded.cancel()

    # What subclasses keep

    def _begin(self) -> None:
        """Everything is listed anew."""

    def _take(self, change: str, found: Json) -> None:
        """Keep an object: `LISTED`, `ADDED`, `MODIFIED` or `DELETED`."""
        raise NotImplementedError

    def _finish(self) -> None:
        """The list is complete."""

    # The loop

    async def _watch_and_update(self) -> None:
        while True:
            try:
                if self._version is None:
                    self._version = await self._list_and_update()
                await self._follow(self._version)
            except Interrupted as error:
                await self._rest(error)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                await self._rest(Interrupted(str(error) or type(error).__name__))
            except Exception as error:
                # A fault of ours, or an object of a shape that Kubernetes does not have. This watch ends here,
                # with its trace; a hub without any would keep every start waiting, so another one begins.
                self.log.exception("The watch of %s failed; it begins anew", self._outage.what)
                await self._rest(Interrupted(repr(error), is_gone=True))

    async def _rest(self, error: Interrupted) -> None:
        if error.is_gone:
            self._version = None
            self.log.info("Listing %s anew: %s", self._outage.what, error)
        self._trouble = str(error)
        if line := self._outage.failed(self._trouble, time.monotonic()):
            self.log.warning("%s", line)
        await asyncio.sleep(self._outage.pause(error.retry_after, random.random()))  # noqa: S311 - no secret

    def _stands(self) -> None:
        self._trouble = ""
        if line := self._outage.stands(time.monotonic()):
            self.log.info("%s", line)

    async def _list_and_update(self, resource_version: str | None = None) -> str:
        """List everything page by page; the resource version from which to watch.

        `resource_version` is KubeSpawner's; any would make the API server ignore the page size and send all at once.
        """
        del resource_version
        self._begin()
        options: Json = {"limit": self.page_size, "_request_timeout": self.request_timeout}
        while True:
            async with self._asking(**options) as response:
                page = json.loads(await response.read())
            for number, found in enumerate(page["items"], 1):
                self._take("LISTED", found)
                if not number % _FAIR:
                    await asyncio.sleep(0)
            version: str = page["metadata"]["resourceVersion"]
            if not (following := page["metadata"].get("continue")):
                break
            options["_continue"] = following
        self._finish()
        if not self._loaded.done():
            self._loaded.set_result(None)
        return version

    async def _follow(self, version: str) -> None:
        """Take every change since this version, until the API server ends the stream in its own time."""
        life = int(self.timeout_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - so that not all end at once
        silence = self.idle_seconds or life + 60
        begun, taken = time.monotonic(), 0
        async with self._asking(
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=life,
            _request_timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT, sock_read=silence),
        ) as response:
            _keep_alive(response)
            self._stands()
            settling = asyncio.get_running_loop().call_later(_SHORT, self._outage.settled)
            try:
                async for line in _lines(response):
                    self._read(json.loads(line))
                    taken += 1
                    if not taken % _FAIR:
                        await asyncio.sleep(0)
            except aiohttp.ServerTimeoutError:  # silent for too long: perhaps nobody is there any more
                self.log.debug("Nothing heard of %s for %s s; asking again", self._outage.what, silence)
            finally:
                settling.cancel()
        if not taken and time.monotonic() - begun < _SHORT:
            raise Interrupted("the stream ended at once")

    def _read(self, change: Json) -> None:
        kind, found = change["type"], change["object"]
        if kind == "ERROR":
            raise _refusal(found, 0.0)
        if kind != "BOOKMARK":
            self._take(kind, found)
        self._version = found["metadata"]["resourceVersion"]
        self._outage.settled()

    @contextlib.asynccontextmanager
    async def _asking(self, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        if not self.omit_namespace:
            options["namespace"] = self.namespace
        selectors = {"label_selector": self.label_selector, "field_selector": self.field_selector}
        options.update({name: value for name, value in selectors.items() if value})
        asked: Awaitable[aiohttp.ClientResponse]
        asked = getattr(self.api, self.list_method_name)(_preload_content=False, **options)
        response = await asked
        try:
            if response.status >= 400:
                raise _refusal(await _status_of(response), _seconds(response.headers.get("Retry-After")))
            yield response
        finally:
            response.close()


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Each line once it is whole. What a broken stream leaves behind is no line."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


async def _status_of(response: aiohttp.ClientResponse) -> Json:
    """The `Status` object of a refusal; a proxy in between answers in other words."""
    content = await response.read()
    try:
        status = json.loads(content)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        status = {"message": content[:200].decode("utf-8", "replace")}
    return {**status, "code": response.status}


def _refusal(status: Json, retry_after: float) -> Interrupted:
    code, reason, message = status.get("code"), status.get("reason") or "", str(status.get("message") or "")
    details = status.get("details") or {}
    # A server that was set back to an older state knows less than we do: that is as gone.
    is_ahead = any(cause.get("reason") == "ResourceVersionTooLarge" for cause in details.get("causes") or ())
    text = f"{code} {reason}: {message[:300]}".strip()
    if code in (401, 403):
        text += ". The hub's service account needs the rights to list and watch these; it goes on when it has them"
    return Interrupted(
        text,
        retry_after=max(retry_after, _seconds(details.get("retryAfterSeconds"))),
        is_gone=code == 410 or reason in _GONE or is_ahead,
    )


def _seconds(value: Any) -> float:
    try:
        return max(float(value or 0), 0.0)
    except ValueError:  # the form with a date, which no API server uses
        return 0.0


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    """Let the kernel find out within a minute when the other machine is gone without a word."""
    transport = response.connection.transport if response.connection else None
    sock = transport.get_extra_info("socket") if transport else None
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE.items():
            if number := getattr(socket, name, None):  # not every system has them
                sock.setsockopt(socket.IPPROTO_TCP, number, value)
