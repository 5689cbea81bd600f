"""What the agent remembers between its lives, in `<workspace>/.devplatform/capture.db` (SQLite, WAL).

A row is written before an upload begins (`generation` NULL) and again when it ended: a crash in between is seen.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .reconcile import Known
from .workspace import Stamp

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  path TEXT PRIMARY KEY, generation INTEGER, sha256 TEXT, seen INTEGER NOT NULL, mark INTEGER NOT NULL DEFAULT 0,
  size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, inode INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_VERSION = 1
_UPSERT = (
    "INSERT INTO files (path, generation, sha256, seen, mark, size, mtime_ns, ctime_ns, inode)"
    " VALUES (?,?,?,?,?,?,?,?,?)"
    " ON CONFLICT (path) DO UPDATE SET generation=excluded.generation, sha256=excluded.sha256, seen=excluded.seen,"
    " mark=max(mark, excluded.mark), size=excluded.size, mtime_ns=excluded.mtime_ns, ctime_ns=excluded.ctime_ns,"
    " inode=excluded.inode"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A path, what is known of it, and the stamp of the file that had exactly that content (None: look again)."""

    path: str
    known: Known
    stamp: Stamp | None


class CaptureState:
    """The table of paths and a few single values. One object for each thread; only one of them writes."""

    def __init__(self, file: Path, *, readonly: bool = False) -> None:
        self.fresh = False
        if readonly:
            self._db = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            return
        try:
            self._db = self._open(file)
        except sqlite3.DatabaseError:
            # Not a database any longer: it only remembers, so what it knew is asked of the service again.
            for leftover in (file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))):
                leftover.unlink(missing_ok=True)
            self._db = self._open(file)

    def _open(self, file: Path) -> sqlite3.Connection:
        # What is in it (names of files) is the person's own business.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(file, isolation_level=None, timeout=10)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            self.fresh = version != _VERSION
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            if version not in (0, _VERSION):
                db.executescript("DROP TABLE IF EXISTS files; DROP TABLE IF EXISTS meta;")
            db.executescript(_SCHEMA)
            db.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Write everything out."""
        self._db.close()

    def get(self, path: str) -> Row | None:
        """What is known of one path."""
        row = self._db.execute(
            "SELECT path, generation, sha256, seen, size, mtime_ns, ctime_ns, inode FROM files WHERE path = ?", (path,)
        ).fetchone()
        return _row(row) if row else None

    def below(self, folder: str) -> list[str]:
        """Every known path inside a folder."""
        found = self._db.execute(
            "SELECT path FROM files WHERE path > ? AND path < ?", (f"{folder}/", f"{folder}0")
        )  # "0" is the character after "/"
        return [path for (path,) in found]

    def paths(self) -> Iterator[str]:
        """Every known path, in portions, so that others may write meanwhile."""
        last = ""
        while True:
            portion = self._db.execute(
                "SELECT path FROM files WHERE path > ? ORDER BY path LIMIT 500", (last,)
            ).fetchall()
            if not portion:
                return
            for (path,) in portion:
                yield path
            last = portion[-1][0]

    def put(self, rows: Iterable[Row], mark: int = 0) -> None:
        """Remember these, all or none."""
        values = [
            (
                *(row.path, row.known.generation, row.known.sha256, row.known.seen, mark),
                *(
                    (row.stamp.size, row.stamp.mtime_ns, row.stamp.ctime_ns, row.stamp.inode)
                    if row.stamp
                    else [None] * 4
                ),
            )
            for row in rows
        ]
        if not values:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_UPSERT, values)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def forget(self, paths: Iterable[str]) -> None:
        """Nothing is known of these any longer."""
        self._db.executemany("DELETE FROM files WHERE path = ?", [(path,) for path in paths])

    def end_snapshot(self, mark: int) -> None:
        """What a complete snapshot did not mention is not live."""
        self._db.execute(
            "UPDATE files SET generation = 0, sha256 = NULL, size = NULL WHERE mark < ? AND generation IS NOT 0",
            (mark,),
        )

    def value(self, key: str) -> str | None:
        """One of the single values: `cursor`, `owner`, `mark`."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_value(self, key: str, value: str) -> None:
        """Remember a single value."""
        self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def _row(row: tuple[str, int | None, str | None, int, int | None, int, int, int]) -> Row:
    path, generation, sha256, seen, size, mtime_ns, ctime_ns, inode = row
    stamp = None if size is None else Stamp(size, mtime_ns, ctime_ns, inode)
    return Row(path, Known(generation, sha256, bool(seen)), stamp)
