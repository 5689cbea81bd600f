"""The SQLite file of a local store: its tables, opening it safely, and refusing what cannot be used."""

import fcntl
import os
import sqlite3
from pathlib import Path

from devplatform_hub.core.errors import PublicError

APPLICATION_ID = 0x64707673  # "dpvs"
FORMAT = 1
_OLDEST_SQLITE = (3, 35)  # RETURNING
INLINE_BYTES = 32 * 1024
"""Content up to this size lives in the database: one fsync for many small files instead of two for each."""

_TABLES = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('generation', 0);
CREATE TABLE owners (id INTEGER PRIMARY KEY, slug TEXT NOT NULL UNIQUE);
CREATE TABLE folders (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    path TEXT NOT NULL,
    parent INTEGER,              -- the id of the folder around it; NULL for the workspace itself
    name TEXT NOT NULL,
    live INTEGER NOT NULL        -- live files in it and below
);
CREATE UNIQUE INDEX folders_by_path ON folders (owner, path);
CREATE INDEX folders_by_parent ON folders (parent, name);
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    path TEXT NOT NULL,
    folder INTEGER NOT NULL,
    name TEXT NOT NULL,
    newest INTEGER NOT NULL,     -- generation of the newest version or tombstone
    live INTEGER NOT NULL,       -- the same, or 0 when the newest is a tombstone
    versions INTEGER NOT NULL    -- how many, tombstones not counted
);
CREATE UNIQUE INDEX files_by_path ON files (owner, path);
CREATE INDEX files_by_folder ON files (folder, name);
CREATE TABLE blobs (
    id INTEGER PRIMARY KEY,
    sha256 BLOB NOT NULL UNIQUE,
    size INTEGER NOT NULL,
    content BLOB                 -- NULL: in the file blobs/ab/ab12...
);
CREATE TABLE versions (
    generation INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    file INTEGER NOT NULL,
    blob INTEGER,                -- NULL for a tombstone
    size INTEGER NOT NULL,
    sha256 BLOB,
    created INTEGER NOT NULL,    -- microseconds since 1970, as are the other times
    noncurrent INTEGER,          -- when a version was replaced or deleted; NULL while live and for a tombstone
    mtime INTEGER,
    author TEXT NOT NULL,
    origin TEXT NOT NULL,
    restored_from INTEGER,
    grant_id INTEGER             -- of the upload address that made it: a PUT that is repeated adds nothing
);
CREATE INDEX versions_by_file ON versions (file, generation);
CREATE INDEX versions_by_owner ON versions (owner, generation);
CREATE INDEX versions_by_blob ON versions (blob) WHERE blob IS NOT NULL;
"""
_ADDED = """
CREATE TABLE IF NOT EXISTS visits (
    number INTEGER PRIMARY KEY,  -- in the order in which they were opened
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,         -- the slug: who has visits need not have versions any longer
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    opened INTEGER NOT NULL,
    until INTEGER NOT NULL,
    ended INTEGER,
    dismissed INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS visits_by_owner ON visits (owner, number);
"""
"""What came later. A release that does not know these tables leaves them alone, so the format is the same."""
_TABLE_NAMES = frozenset({"counters", "owners", "folders", "files", "blobs", "versions"})


def lock_folder(root: Path) -> int:
    """An open, locked file that keeps every other process out of the store; closing it or dying lets go."""
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise PublicError(
            f"The version store in {root} is in use by another process.",
            code="version-store-in-use",
            hint="Stop the other one first (make down), or choose another data folder.",
            status=503,
        ) from None
    return descriptor


def open_writer(root: Path) -> sqlite3.Connection:
    """The one connection that writes; the tables are made when the folder is new."""
    path = root / "store.sqlite"
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise _broken(root, f"this Python has SQLite {sqlite3.sqlite_version}, and 3.35 is the oldest that will do")
    if not path.exists() and next((root / "blobs").glob("*/*"), None) is not None:
        # Going on would take all content for orphans and sweep it away.
        raise _broken(root, "store.sqlite is missing although there is content")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would make it readable by all
    try:
        connection = _connect(path)
        try:
            _check_or_create(connection, root)
            # FULL: a commit is durable when it returns, also in WAL mode.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            connection.executescript(f"BEGIN; {_ADDED} COMMIT;")
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError:  # a disk that is full or refuses: nothing is wrong with the data
        raise
    except sqlite3.DatabaseError as error:
        raise _broken(root, str(error)) from error
    return connection


def open_reader(root: Path) -> sqlite3.Connection:
    """A connection that only reads; it may be used and closed by any one thread at a time."""
    connection = _connect(root / "store.sqlite")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    try:
        connection.execute("PRAGMA cache_size = -4096")
    except BaseException:  # the first look into a file that is no database
        connection.close()
        raise
    return connection


def _check_or_create(connection: sqlite3.Connection, root: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if (application, version) == (0, 0) and not tables:
        if next((root / "blobs").glob("*/*"), None) is not None:
            raise _broken(root, "store.sqlite is empty although there is content")
        # One transaction, the marks included: a crash leaves an empty file, which is made again.
        connection.executescript(
            f"BEGIN; {_TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
        )
    elif application != APPLICATION_ID:
        raise _broken(root, "store.sqlite belongs to another program")
    elif version > FORMAT:
        raise PublicError(
            f"The version store in {root} was written by a newer release (format {version}, this one reads {FORMAT}).",
            code="version-store-newer",
            hint="Install that release again. Nothing was changed.",
            status=503,
        )
    elif not tables >= _TABLE_NAMES:
        raise _broken(root, f"tables are missing in store.sqlite: {', '.join(sorted(_TABLE_NAMES - tables))}")


def _broken(root: Path, reason: str) -> PublicError:
    return PublicError(
        f"The version store in {root} cannot be used: {reason}.",
        code="version-store-broken",
        hint="Nothing was changed. Bring the folder back from a backup, or move it away to start with an empty one.",
        status=503,
    )
