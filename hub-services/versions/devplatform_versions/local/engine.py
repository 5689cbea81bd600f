"""An open store: the lock, the writer, a few reading connections, and the sweep of what a crash left."""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from ..ports import StoreUnavailable
from . import database, queries
from .blobs import BlobFolder
from .failures import as_unavailable
from .grants import load_key
from .writer import Batch, Writer

P = ParamSpec("P")
R = TypeVar("R")
_THREADS = 3
_CHUNK = 256 * 1024


class Engine:
    """Everything that is open while a store is; made by `open`, ended by `close`."""

    def __init__(
        self, root: Path, opened: "tuple[int, sqlite3.Connection, bytes]", now: Callable[[], int], log: logging.Logger
    ) -> None:
        self._lock, connection, self.key = opened
        self._root = root
        self._log = log
        self._readers: list[sqlite3.Connection] = []
        self.blobs = BlobFolder(root)
        self.executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="versions-reader")
        self.writer = Writer(connection, self.blobs, now, log)
        self._sweeping = asyncio.create_task(self._sweep())

    @classmethod
    async def open(cls, root: Path, now: Callable[[], int], log: logging.Logger) -> "Engine":
        """The store in `root`. `PublicError` when it cannot be used, `StoreUnavailable` when the disk refuses."""
        root = await asyncio.to_thread(root.absolute)
        with as_unavailable(f"open {root}"):
            return cls(root, await asyncio.to_thread(_prepare, root), now, log)

    async def close(self) -> None:
        """Finish every change, then let go of everything."""
        self._sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sweeping
        await self.writer.close()
        await asyncio.to_thread(self.executor.shutdown)
        for connection in self._readers:
            connection.close()
        os.close(self._lock)

    async def swept(self) -> None:
        """Wait until what an earlier crash left is gone."""
        await asyncio.shield(self._sweeping)

    async def ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """The answer of a function of `queries`, from one consistent state of the store."""
        return await self._in_thread("be read", self._answer, question, args, kwargs)

    async def read_file(self, sha256: bytes, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes [start, end) of content in a file, a chunk at a time."""
        if start >= end:
            return
        descriptor = await self._in_thread("read content", os.open, self.blobs.path(sha256), os.O_RDONLY | os.O_CLOEXEC)
        reading: asyncio.Future[bytes] | None = None
        try:
            while start < end:
                reading = asyncio.get_running_loop().run_in_executor(
                    self.executor, os.pread, descriptor, min(_CHUNK, end - start), start
                )
                with as_unavailable("read content"):
                    chunk = await asyncio.shield(reading)
                if not chunk:
                    raise StoreUnavailable(f"Content {sha256.hex()} of the version store is shorter than it was.")
                start += len(chunk)
                yield chunk
        finally:
            if reading is None or reading.done():
                os.close(descriptor)
            else:  # cancelled: the thread still uses it
                reading.add_done_callback(lambda _: os.close(descriptor))

    async def drop_abandoned(self) -> None:
        """Remove uploads that nobody has written to for a day."""
        dropped = await self._in_thread("be swept", self.blobs.drop_abandoned)
        if dropped:
            self._log.info("Removed %d uploads that were never finished", dropped)

    async def _sweep(self) -> None:
        """Remove content that no row names: what a crash left between a file and its row."""
        shards = self.blobs.shards()
        try:
            while (contents := await self._in_thread("be swept", next, shards, None)) is not None:
                orphans = await self.ask(queries.missing, contents)
                if orphans:
                    await self.writer.run(partial(_free, contents=orphans))
                    self._log.info("Removed %d contents that an interrupted write left", len(orphans))
        except StoreUnavailable as error:
            self._log.warning("What an interrupted write left was not swept: %s", error)

    async def _in_thread(self, task: str, work: Callable[..., Any], *args: Any) -> Any:
        with as_unavailable(task):
            return await asyncio.get_running_loop().run_in_executor(self.executor, work, *args)

    def _answer(self, question: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = database.open_reader(self._root)
        try:
            connection.execute("BEGIN")
            answer = question(connection, *args, **kwargs)
        except sqlite3.Error:
            connection.close()
            raise
        except BaseException:
            self._put_back(connection)
            raise
        self._put_back(connection)
        return answer

    def _put_back(self, connection: sqlite3.Connection) -> None:
        connection.execute("ROLLBACK")
        self._readers.append(connection)


def _free(batch: Batch, contents: list[bytes]) -> None:
    """Have content removed after the transaction, if no row names it by then."""
    batch.freed.extend(contents)


def _prepare(root: Path) -> tuple[int, sqlite3.Connection, bytes]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = database.lock_folder(root)
    try:
        connection = database.open_writer(root)
        try:
            BlobFolder(root).prepare()
            return lock, connection, load_key(root / "key")
        except BaseException:
            connection.close()
            raise
    except BaseException:
        os.close(lock)
        raise
