"""A small HTTP server for the doubles of directories: it counts calls, and is slow, busy, broken or gone on demand."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Fault:
    """An answer in place of the right one for calls whose path has `path` in it and not `but`: so many `times`
    (None: always), `after` so many right ones."""

    status: int = 200
    text: str = ""
    path: str = ""
    but: str = "(none)"
    times: int | None = None
    after: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    def strikes(self, request: web.Request) -> bool:
        if self.path not in request.path or self.but in request.path or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class ApiServer:
    """Base of the doubles. A subclass gives `routes`; `calls` counts by the path of the route."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.under_way = self.most_at_once = 0
        self.delay = 0.0
        self.faults: list[Fault] = []
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def is_listening(self) -> bool:
        return self._runner is not None

    async def __aenter__(self) -> Any:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(middlewares=[self._treated])
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        self._port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Be gone: connections are refused."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[None]:
        """Running in a thread of its own, for a hub that is another process."""
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        try:
            self._there(self.start())
            yield
        finally:
            self._there(self.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(10)
            self._loop.close()

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        """Stopped for as long as the block lasts; it has to be `in_thread`."""
        self._there(self.stop())
        try:
            yield
        finally:
            self._there(self.start())

    def _there(self, doing: Coroutine[Any, Any, None]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(10)

    def fail_after(self, calls: int) -> None:
        """Answer so many calls, then none."""
        self.faults.append(Fault(after=calls, status=503))

    def break_with(self, text: str) -> None:
        """Answer this in place of everything but tokens."""
        self.faults.append(Fault(text=text, but="token"))

    @web.middleware
    async def _treated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        self.calls[resource.canonical if resource else request.path] += 1
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            for fault in self.faults:
                if fault.strikes(request):
                    kind = fault.headers.get("Content-Type", "application/json")
                    return web.Response(
                        status=fault.status, text=fault.text, headers={**fault.headers, "Content-Type": kind}
                    )
            return await handler(request)
        finally:
            self.under_way -= 1


@contextlib.contextmanager
def faulty(server: ApiServer, *faults: Fault) -> Any:
    """These faults for as long as the block lasts."""
    server.faults[:] = faults
    try:
        yield
    finally:
        server.faults.clear()
