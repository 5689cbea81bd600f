"""An HTTP proxy in front of a real API server that can be told to fail, to be slow, and to cut what flows.

    with Faults(cluster.api_url, cluster.ca) as faults:
        config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), folder)     # the same rights, through it
        faults.answer(429, times=3, path="/events", headers={"Retry-After": "1"})        # the next three such requests
        faults.answer(503, path="/pods", method="POST")                                  # one
        faults.answer(410, path="/pods", watch=True)                                     # an ERROR in the stream
        faults.delay(0.5, path="/pods")                                                  # until faults.clear()
        faults.cut(path="/pods")                                                         # streams that are open now
        faults.away = True                                                               # connections are refused
        faults.seen(method="GET", path="/events", watch=False)                           # requests that came

It runs in a thread of its own: for tests that block, and for those with an event loop.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web

_DROPPED = {"host", "content-length", "transfer-encoding", "connection", "keep-alive"}


@dataclass(slots=True)
class Match:
    """Which requests are meant: by method, by a part of the path, and whether they are watches. None: all."""

    method: str | None = None
    path: str = ""
    watch: bool | None = None

    def fits(self, request: "Seen") -> bool:
        return (
            (self.method is None or self.method == request.method)
            and self.path in request.path
            and (self.watch is None or self.watch == request.watch)
        )


@dataclass(slots=True)
class Seen:
    """A request that came, and what it was answered; 0 while it is being answered."""

    method: str
    path: str
    query: Mapping[str, str]
    status: int = 0

    @property
    def watch(self) -> bool:
        return self.query.get("watch", "").lower() in ("true", "1")


@dataclass(slots=True)
class _Answer:
    match: Match
    status: int
    left: int
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(slots=True)
class _Stream:
    request: Seen
    transport: asyncio.Transport = field(repr=False)


class Faults:
    """Start it, point a client at `url`, and tell it what to do wrong. Everything else passes as it is."""

    def __init__(self, target: str, ca: Path) -> None:
        self.target, self._ca = target, ca
        self.url = ""
        self.requests: list[Seen] = []
        self._answers: list[_Answer] = []
        self._delays: list[tuple[Match, float]] = []
        self._streams: list[_Stream] = []
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._site: web.TCPSite | None = None

    # What goes wrong

    def answer(
        self,
        status: int,
        *,
        times: int = 1,
        method: str | None = None,
        path: str = "",
        watch: bool | None = None,
        headers: Mapping[str, str] | None = None,
        reason: str = "",
        message: str = "injected",
    ) -> None:
        """Answer the next requests of this kind with this status. 410 on a watch comes in its stream, as it does."""
        code = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
        body = {**code, "reason": reason or ("Expired" if status == 410 else ""), "message": message}
        self._answers.append(_Answer(Match(method, path, watch), status, times, dict(headers or {}), body))

    def delay(self, seconds: float, *, method: str | None = None, path: str = "", watch: bool | None = None) -> None:
        """Let requests of this kind wait before they are passed on."""
        self._delays.append((Match(method, path, watch), seconds))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._answers.clear()
        self._delays.clear()

    def cut(self, *, path: str = "", watch: bool | None = True) -> int:
        """Break the connections of answers that are flowing now, without an end; how many."""
        match = Match(None, path, watch)
        found = [stream for stream in self._streams if match.fits(stream.request)]
        for stream in found:
            self._loop.call_soon_threadsafe(stream.transport.abort)
        return len(found)

    @property
    def away(self) -> bool:
        """Whether connections are refused, as by a machine on which nothing listens."""
        return self._site is None

    @away.setter
    def away(self, is_away: bool) -> None:
        if is_away != self.away:
            self._call(self._close() if is_away else self._listen())

    def seen(self, *, method: str | None = None, path: str = "", watch: bool | None = None) -> list[Seen]:
        """The requests of this kind that came so far."""
        match = Match(method, path, watch)
        return [request for request in list(self.requests) if match.fits(request)]

    def kubeconfig(self, config: Path, folder: Path) -> Path:
        """A copy of this kubeconfig (with a token, not a certificate) that comes through here."""
        content = json.loads(config.read_text("utf-8"))
        content["clusters"][0]["cluster"] = {"server": self.url}
        assert "token" in content["users"][0]["user"], "only a token passes through a proxy"
        path = folder / f"faulty-{config.name}"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), "utf-8")
        return path

    # Its life

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self) -> None:
        context = ssl.create_default_context(cafile=str(self._ca))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "Content-Type", "User-Agent"),
        )
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()

    async def _stop(self) -> None:
        await self._close()
        await self._runner.cleanup()
        await self._session.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()
        server = self._site._server
        assert isinstance(server, asyncio.Server)
        self._port = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def _close(self) -> None:
        site, self._site = self._site, None
        if site is not None:
            await site.stop()
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    # What passes

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = Seen(request.method, request.path, dict(request.query))
        self.requests.append(seen)
        for match, seconds in list(self._delays):
            if match.fits(seen):
                await asyncio.sleep(seconds)
        for answer in self._answers:
            if answer.left and answer.match.fits(seen):
                answer.left -= 1
                return self._fail(answer, seen)
        return await self._pass(request, seen)

    def _fail(self, answer: _Answer, seen: Seen) -> web.Response:
        if answer.status == 410 and seen.watch:
            seen.status = 200
            return web.json_response(text=json.dumps({"type": "ERROR", "object": answer.body}) + "\n")
        seen.status = answer.status
        return web.json_response(dict(answer.body), status=answer.status, headers=answer.headers)

    async def _pass(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        body = await request.read()
        try:
            far = await self._session.request(
                request.method, f"{self.target}{request.path_qs}", headers=headers, data=body, allow_redirects=False
            )
        except aiohttp.ClientError as error:  # as a load balancer says it
            seen.status = 502
            return web.Response(status=502, text=f"no answer: {error}")
        async with far:
            seen.status = far.status
            kept = {name: value for name, value in far.headers.items() if name.lower() not in _DROPPED}
            response = web.StreamResponse(status=far.status, headers=kept)
            await response.prepare(request)
            assert isinstance(request.transport, asyncio.Transport)
            stream = _Stream(seen, request.transport)
            self._streams.append(stream)
            try:
                async for chunk in far.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            except aiohttp.ClientError:
                stream.transport.abort()  # broken behind us, so broken here
            except OSError:
                pass  # whoever asked is gone
            finally:
                self._streams.remove(stream)
        return response
