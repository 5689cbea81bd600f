"""Whether a server that was just started answers: one that only listens may still be about to end."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit


async def answers(url: str, *, within: float = 5.0) -> bool:
    """Whether anything comes back from this http URL. What it says is for the hub, which asks again itself."""
    parts = urlsplit(url)
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            try:
                writer.write(f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode("ascii"))
                return bool(await reader.readexactly(1))
            finally:
                writer.close()
    return False
