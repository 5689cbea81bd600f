"""A request body on its way through: chunks in from the browser's side, out to the tracking server, few in between."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp

from .upstream import Query, Upstream

_CHUNKS_HELD = 8  # of tornado's 64 KiB each


class Upload:
    """One streamed request. `feed` waits while the tracking server is slower than the client: that is back-pressure."""

    def __init__(self, upstream: Upstream, method: str, path: str, query: Query, headers: dict[str, str]) -> None:
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_CHUNKS_HELD)
        self._answer = asyncio.create_task(
            upstream.send(method, path, query=query, headers=headers, data=self._stream())
        )

    async def feed(self, chunk: bytes | None) -> None:
        """Pass `chunk` on (None is the end). Returns at once when the server has answered already."""
        if self._answer.done():
            return
        if not self._chunks.full():
            self._chunks.put_nowait(chunk)
            return
        put = asyncio.create_task(self._chunks.put(chunk))
        await asyncio.wait({put, self._answer}, return_when=asyncio.FIRST_COMPLETED)
        put.cancel()

    async def answer(self) -> aiohttp.ClientResponse:
        """The server's answer after the last chunk. Raises `UpstreamUnavailable`."""
        await self.feed(None)
        return await self._answer

    def abort(self) -> None:
        """Break off, so that the server drops what it has."""
        self._answer.cancel()

    async def _stream(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            yield chunk
