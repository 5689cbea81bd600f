"""The one thread that changes a store: many changes in one transaction, answered when it is durable."""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from devplatform_hub.core.errors import PublicError

from ..ports import StoreUnavailable
from .blobs import BlobFolder, make_durable
from .failures import as_unavailable, unavailable

R = TypeVar("R")
_MOST_IN_A_BATCH = 256


@dataclass(slots=True)
class Batch:
    """What the changes of one transaction share: the connection, the generation counter, files placed and freed."""

    connection: sqlite3.Connection
    blobs: BlobFolder
    now: Callable[[], int]
    last_generation: int
    touched: set[Path] = field(default_factory=set)
    placed: list[bytes] = field(default_factory=list)
    freed: list[bytes] = field(default_factory=list)

    def next_generation(self, now: int) -> int:
        """A number above every one before, whatever the clock does; microseconds since 1970 when it behaves."""
        self.last_generation = max(now, self.last_generation + 1)
        return self.last_generation

    def place(self, incoming: Path, sha256: bytes) -> None:
        """Put large content at its name; it is made durable before the commit, and taken back if that fails."""
        self.touched.add(self.blobs.place(incoming, sha256))
        self.placed.append(sha256)


Change = Callable[[Batch], Any]


@dataclass(slots=True)
class _Waiting:
    change: Change
    answer: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None


class Writer:
    """Runs changes in order, each all or nothing. Made, used and closed on one event loop."""

    def __init__(
        self, connection: sqlite3.Connection, blobs: BlobFolder, now: Callable[[], int], log: logging.Logger
    ) -> None:
        self._connection = connection
        self._blobs = blobs
        self._now = now
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="versions-writer", daemon=True)
        self._thread.start()

    async def run(self, change: Callable[[Batch], R]) -> R:
        """What `change` returns, after it is durable. A `PublicError` from it leaves the other changes alone."""
        if self._closed:
            raise StoreUnavailable("The version store is closed.")
        waiting = _Waiting(change, self._loop.create_future())
        self._queue.put(waiting)
        result: R = await waiting.answer
        return result

    async def close(self) -> None:
        """Finish everything that was asked for, then close the connection."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        going_on = True
        while going_on:
            batch: list[_Waiting] = []
            item = self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) == _MOST_IN_A_BATCH:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            going_on = item is not None
            if batch:
                self._commit(batch)
                self._deliver(batch)
        self._connection.close()

    def _commit(self, waiting: list[_Waiting]) -> None:
        """Run the changes in one transaction; when it fails as a whole, all of them have that error."""
        connection = self._connection
        batch: Batch | None = None
        try:
            with as_unavailable("write"):
                connection.execute("BEGIN IMMEDIATE")
                (last,) = connection.execute("SELECT value FROM counters WHERE name = 'generation'").fetchone()
                batch = Batch(connection, self._blobs, self._now, last)
                for item in waiting:
                    _apply(item, batch)
                if batch.last_generation != last:
                    connection.execute(
                        "UPDATE counters SET value = ? WHERE name = 'generation'", (batch.last_generation,)
                    )
                make_durable(batch.touched)
                connection.execute("COMMIT")
        except StoreUnavailable as error:
            self._log.error("%s %d changes were not made.", error, len(waiting))
            self._roll_back(batch)
            for item in waiting:
                item.error = item.error or error
        except Exception as error:  # a defect: every caller gets it, and the log the trace
            self._log.exception("A change of the version store failed; %d changes were not made.", len(waiting))
            self._roll_back(batch)
            for item in waiting:
                item.error = item.error or error
        else:
            self._remove(batch.freed)

    def _roll_back(self, batch: Batch | None) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._log.exception("The version store could not undo a transaction; SQLite does it at the next start.")
        if batch is not None:
            self._remove(batch.placed)

    def _remove(self, contents: list[bytes]) -> None:
        """Remove the files of content that no row names now. What stays is an orphan, swept at the next start."""
        for sha256 in contents:
            try:
                named = self._connection.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (sha256,)).fetchone()
                if named is None:  # else it was added again in the same transaction, or that was undone
                    self._blobs.remove(sha256)
            except (OSError, sqlite3.Error) as error:
                self._log.warning("Content %s could not be removed: %s", sha256.hex(), error)

    def _deliver(self, batch: list[_Waiting]) -> None:
        try:
            self._loop.call_soon_threadsafe(_answer, batch)
        except RuntimeError:  # the loop is gone, and with it whoever waited
            self._log.warning("%d changes of the version store were made after their event loop ended.", len(batch))


def _apply(item: _Waiting, batch: Batch) -> None:
    """Run one change so that its failure undoes only itself; what SQLite cannot do ends the whole transaction."""
    connection = batch.connection
    connection.execute("SAVEPOINT change")
    placed = len(batch.placed)
    try:
        item.result = item.change(batch)
    except (PublicError, OSError) as error:
        connection.execute("ROLLBACK TO change")
        batch.freed.extend(batch.placed[placed:])
        item.error = unavailable("write", error) if isinstance(error, OSError) else error
    connection.execute("RELEASE change")


def _answer(batch: list[_Waiting]) -> None:
    for item in batch:
        if item.answer.done():  # cancelled
            continue
        if item.error is not None:
            item.answer.set_exception(item.error)
        else:
            item.answer.set_result(item.result)
