"""The double beside a synchronous test: it serves in a thread of its own."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from .server import GcsServer


@contextmanager
def serving(server: GcsServer) -> Iterator[GcsServer]:
    """Serve for as long as the block lasts. Whoever changes the double's state does it between requests."""
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        ended = asyncio.Event()
        try:
            await server.start()
        except BaseException as error:
            ready.set_exception(error)
            return
        ready.set_result((asyncio.get_running_loop(), ended))
        await ended.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="gcs-double", daemon=True)
    thread.start()
    loop, ended = ready.result(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
