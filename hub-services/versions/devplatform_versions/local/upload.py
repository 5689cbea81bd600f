"""One upload: bytes come in, are counted and hashed on the way, and become a version only when all is right."""

import asyncio
import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TypeVar

from ..model import Version
from ..ports import UploadMismatch
from .blobs import BlobFolder
from .changes import Content, add
from .database import INLINE_BYTES
from .failures import as_unavailable
from .grants import Granted
from .writer import Batch, Writer

R = TypeVar("R")
_FLUSH_BYTES = 1024 * 1024


class LocalUploadSink:
    """Takes the bytes of one grant. Small content stays in memory; large goes to a file of `incoming/`."""

    def __init__(self, granted: Granted, blobs: BlobFolder, writer: Writer, executor: Executor) -> None:
        self._granted = granted
        self._blobs = blobs
        self._writer = writer
        self._executor = executor
        self._hash = hashlib.sha256()
        self._received = 0
        self._buffer = bytearray()
        self._path: Path | None = None
        self._descriptor: int | None = None
        self._ended = False
        # A request that is cancelled does not stop its thread: files are touched, and dropped, one at a time.
        self._turn = threading.Lock()
        self._dropped = False

    @property
    def owner(self) -> str:
        """Whose file it will be."""
        return self._granted.owner

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes; more than were granted ends the upload."""
        if self._ended:
            raise UploadMismatch("it has ended already")
        self._received += len(chunk)
        if self._received > self._granted.size:
            await self.abort()
            raise UploadMismatch(f"it is longer than the {self._granted.size} bytes that were announced")
        self._buffer += chunk
        if len(self._buffer) >= _FLUSH_BYTES:
            try:
                await self._in_thread(self._flush)
            except BaseException:  # cancelled, or the disk is full: nothing more can come of it
                await self.abort()
                raise

    async def commit(self) -> Version:
        """The new version, durable, if the bytes are those of the grant and the precondition still holds."""
        if self._ended:
            raise UploadMismatch("it has ended already")
        try:
            content = await self._checked_content()
        except BaseException:
            await self.abort()
            raise
        # From here on the file is the writer's: whoever gives up waiting must not take it away under it.
        self._ended = self._dropped = True
        return await self._writer.run(partial(_add, granted=self._granted, content=content))

    async def abort(self) -> None:
        """Let go of everything that did not become a version."""
        self._ended = True
        if self._granted.size > INLINE_BYTES and not self._dropped:
            await asyncio.shield(self._in_thread(self._drop))

    async def _checked_content(self) -> Content:
        if self._received != self._granted.size:
            raise UploadMismatch(f"{self._received} of {self._granted.size} bytes arrived")
        if self._granted.size <= INLINE_BYTES:
            inline = bytes(self._buffer)
            self._hash.update(inline)
            return Content(self._verified(), self._received, inline=inline)
        await self._in_thread(self._finish)
        return Content(self._verified(), self._received, incoming=self._path)

    def _verified(self) -> bytes:
        digest = self._hash.digest()
        if not hmac.compare_digest(digest, bytes.fromhex(self._granted.sha256)):
            raise UploadMismatch("its SHA-256 is not the one that was announced")
        return digest

    def _flush(self) -> None:
        with self._turn:
            self._write_out()

    def _finish(self) -> None:
        with self._turn:
            descriptor = self._write_out()
            if descriptor is not None:
                os.fsync(descriptor)
                os.close(descriptor)
                self._descriptor = None

    def _drop(self) -> None:
        with self._turn:
            self._dropped = True
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                os.close(descriptor)
            path, self._path = self._path, None
            if path is not None:
                path.unlink(missing_ok=True)  # gone already when it became content

    def _write_out(self) -> int | None:
        if self._dropped:
            return None
        if self._descriptor is None:
            self._path = self._blobs.new_incoming()
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hash.update(self._buffer)
        with memoryview(self._buffer) as rest:
            written = 0
            while written < len(rest):
                written += os.write(self._descriptor, rest[written:])
        self._buffer.clear()
        return self._descriptor

    async def _in_thread(self, work: Callable[[], R]) -> R:
        with as_unavailable("keep an upload"):
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _add(batch: Batch, granted: Granted, content: Content) -> Version:
    try:
        return add(batch, granted, content)
    finally:
        if content.incoming is not None:
            content.incoming.unlink(missing_ok=True)  # when it was not needed, or not wanted
