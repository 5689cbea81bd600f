"""A TCP link that can be made slow while it is used: between the API server and etcd, for tests of a slow store."""

import asyncio
import threading


class SlowLink:
    """Listens on a random loopback port and hands on to `target` after `delay` seconds for every piece, each way."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="slow-link", daemon=True)
        self._ready = threading.Event()

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._hand_on(reader, far_writer), self._hand_on(far_reader, writer))

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pieces keep their order, and each waits from its own arrival: a delay, not a narrow pipe."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, piece = await pieces.get()
                if not piece:
                    return
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                writer.write(piece)
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            while piece := await reader.read(65536):
                pieces.put_nowait((self._loop.time() + self.delay, piece))
            pieces.put_nowait((0.0, b""))
            await delivering
        except OSError:
            pass
        finally:
            delivering.cancel()
            writer.close()
