"""Every question to a store, as functions on a connection that only reads."""

# ruff: noqa: S608 - only constants of this package are put into SQL text; every value is bound.

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from .. import policy
from ..listing_tokens import after, token_of
from ..model import Change, FolderEntry, Page, Trace, Version
from ..ports import PreconditionFailed, VersionNotFound
from .changes import file_state, made_by
from .grants import Granted
from .rows import COLUMNS, WIDTH, FileState, micros, to_version

T = TypeVar("T")
_FOLDER, _FILE = 0, 1
_TOO_COMMON = 1000
"""A content with so many versions is not traced: looking at 100,000 took 0.1 s."""


def list_folder(
    connection: sqlite3.Connection,
    slug: str,
    folder: str,
    now: datetime,
    *,
    deleted: bool,
    token: str | None,
    limit: int,
) -> Page[FolderEntry]:
    """One page of folders and files directly in a folder, by name; a folder before a file of the same name."""
    name, kind = after("folder", token, (str, int)) or ("", _FILE)
    row = connection.execute(
        "SELECT f.id FROM folders f JOIN owners o ON o.id = f.owner WHERE o.slug = ? AND f.path = ?", (slug, folder)
    ).fetchone()
    if row is None:
        return Page(())
    (parent,) = row
    folders = connection.execute(
        "SELECT name FROM folders WHERE parent = ? AND name > ? AND (live > 0 OR ?) ORDER BY name LIMIT ?",
        (parent, name, deleted, limit + 1),
    ).fetchall()
    files = connection.execute(
        f"SELECT {COLUMNS}, f.name, f.versions FROM files f JOIN versions v ON v.generation = f.newest"
        f" WHERE f.folder = ? AND f.name {'>' if kind == _FILE else '>='} ? AND (f.live > 0 OR ?)"
        " ORDER BY f.name LIMIT ?",
        (parent, name, deleted, limit + 1),
    ).fetchall()
    prefix = f"{folder}/" if folder else ""
    entries = [FolderEntry(name, is_folder=True) for (name,) in folders]
    for *version, name, count in files:
        newest = to_version(tuple(version), prefix + name, now)
        entries.append(FolderEntry(name, is_folder=False, newest=newest, versions=count))
    entries.sort(key=lambda entry: (entry.name, not entry.is_folder))
    return _page(entries, limit, lambda e: token_of("folder", e.name, _FOLDER if e.is_folder else _FILE))


def list_versions(
    connection: sqlite3.Connection, slug: str, path: str, now: datetime, *, token: str | None, limit: int
) -> Page[Version]:
    """One page of the versions and tombstones of a file, newest first."""
    (before,) = after("versions", token, (int,)) or (2**63 - 1,)
    file = _file(connection, slug, path)
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM versions v WHERE v.file = ? AND v.generation < ? ORDER BY v.generation DESC LIMIT ?",
        (file.id, before, limit + 1),
    ).fetchall()
    versions = [to_version(row, path, now) for row in rows]
    return _page(versions, limit, lambda v: token_of("versions", v.generation))


def get_version(connection: sqlite3.Connection, slug: str, path: str, generation: int | None, now: datetime) -> Version:
    """One version, or the live one."""
    file = _file(connection, slug, path)
    row = connection.execute(
        f"SELECT {COLUMNS} FROM versions v WHERE v.generation = ? AND v.file = ? AND v.blob IS NOT NULL",
        (file.live if generation is None else generation, file.id),
    ).fetchone()
    if row is None:
        raise VersionNotFound(path if generation is None else f"Version {generation} of {path}")
    return to_version(row, path, now)


def standing(connection: sqlite3.Connection, slug: str, path: str, now: datetime) -> tuple[Version | None, int]:
    """The live version, if any, and the newest generation of a file (0: there never was one)."""
    try:
        file = _file(connection, slug, path)
    except VersionNotFound:
        return None, 0
    live = get_version(connection, slug, path, None, now) if file.live else None
    return live, file.newest


def check_grant(connection: sqlite3.Connection, granted: Granted, now: datetime) -> None:
    """`PreconditionFailed` when a granted upload can only fail, so that its bytes need not be sent."""
    live, _ = standing(connection, granted.owner, granted.path, now)
    if granted.if_generation_match in (None, live.generation if live else 0):
        return
    owner = connection.execute("SELECT id FROM owners WHERE slug = ?", (granted.owner,)).fetchone()
    state = file_state(connection, owner[0], granted.path) if owner else None
    if made_by(connection, state, granted) is None:
        raise PreconditionFailed(granted.path, live)


def locate(connection: sqlite3.Connection, slug: str, path: str, generation: int) -> tuple[bytes, int, bytes | None]:
    """SHA-256 and size of a version's content, and the content itself when it is in the database."""
    file = _file(connection, slug, path)
    row = connection.execute(
        "SELECT b.sha256, b.size, b.content FROM versions v JOIN blobs b ON b.id = v.blob"
        " WHERE v.generation = ? AND v.file = ?",
        (generation, file.id),
    ).fetchone()
    if row is None:
        raise VersionNotFound(f"Version {generation} of {path}")
    sha256, size, inline = row
    return sha256, size, inline


def snapshot(
    connection: sqlite3.Connection,
    slug: str,
    folder: str,
    at: datetime | None,
    now: datetime,
    *,
    token: str | None,
    limit: int,
) -> Page[Version]:
    """One page of what was live under a folder at a moment, by path."""
    # "0" is the character after "/"; SQLite sorts every text before every blob, so the empty one is above all paths.
    low, high = (f"{folder}/", f"{folder}0") if folder else ("", b"")
    (last,) = after("snapshot", token, (str,)) or ("",)
    generation = (
        "f.live"
        if at is None
        else "(SELECT max(w.generation) FROM versions w WHERE w.file = f.id AND w.created <= :at)"
    )
    rows = connection.execute(
        f"SELECT {COLUMNS}, f.path FROM owners o JOIN files f ON f.owner = o.id"
        f" JOIN versions v ON v.generation = {generation}"
        " WHERE o.slug = :slug AND f.path > :low AND f.path < :high AND v.blob IS NOT NULL"
        " ORDER BY f.path LIMIT :limit",
        {"slug": slug, "low": max(low, last), "high": high, "limit": limit + 1}
        | ({} if at is None else {"at": micros(at)}),
    ).fetchall()
    versions = [to_version(row, row[WIDTH], now) for row in rows]
    return _page(versions, limit, lambda v: token_of("snapshot", v.path))


def changes(connection: sqlite3.Connection, slug: str, since: int, now: datetime, *, limit: int) -> tuple[Change, ...]:
    """What was written after a cursor, oldest first. The cursor is the generation: both rise together."""
    rows = connection.execute(
        f"SELECT {COLUMNS}, f.path FROM owners o JOIN versions v ON v.owner = o.id JOIN files f ON f.id = v.file"
        " WHERE o.slug = ? AND v.generation > ? ORDER BY v.generation LIMIT ?",
        (slug, since, limit),
    ).fetchall()
    return tuple(Change(row[0], to_version(row, row[WIDTH], now)) for row in rows)


def traces(
    connection: sqlite3.Connection, slug: str, content: Version, since: datetime, until: datetime, now: datetime
) -> tuple[Trace, ...] | None:
    """Where this content came to a path without a live version, or went by a deletion, in that time; by time."""
    values = {
        "slug": slug,
        "sha256": bytes.fromhex(content.sha256),
        "size": content.size,
        "since": micros(since),
        "until": micros(until),
        "common": _TOO_COMMON,
    }
    common = connection.execute(
        "SELECT 1 FROM blobs b JOIN versions v ON v.blob = b.id WHERE b.sha256 = :sha256 LIMIT 1 OFFSET :common", values
    ).fetchone()
    if common is not None:
        return None
    same = (
        f"SELECT {COLUMNS}, f.path, %s FROM owners o JOIN blobs b ON b.sha256 = :sha256 AND b.size = :size"
        " JOIN versions v ON v.blob = b.id AND v.owner = o.id JOIN files f ON f.id = v.file"
    )
    # A generation is never below the time of its version: the index of a content's versions begins where it may match.
    came = connection.execute(
        same % "NULL" + " WHERE o.slug = :slug AND v.generation >= :since AND v.created BETWEEN :since AND :until"
        " AND (SELECT w.blob FROM versions w WHERE w.file = v.file AND w.generation < v.generation"
        " ORDER BY w.generation DESC LIMIT 1) IS NULL",
        values,
    ).fetchall()
    went = connection.execute(
        same % "t.generation" + " JOIN versions t ON t.generation = (SELECT min(w.generation) FROM versions w"
        " WHERE w.file = v.file AND w.generation > v.generation)"
        " WHERE o.slug = :slug AND v.noncurrent BETWEEN :since AND :until AND t.blob IS NULL",
        values,
    ).fetchall()
    found: list[Trace] = []
    for row in [*came, *went]:
        path, ended = row[WIDTH], row[WIDTH + 1]
        tombstone = None
        if ended is not None:
            end = connection.execute(f"SELECT {COLUMNS} FROM versions v WHERE v.generation = ?", (ended,)).fetchone()
            tombstone = to_version(end, path, now)
        found.append(Trace(to_version(row, path, now), tombstone))
    return tuple(sorted(found, key=lambda trace: (trace.at, trace.version.generation)))


def expired(
    connection: sqlite3.Connection, slug: str, now: datetime, last: int, limit: int
) -> tuple[list[tuple[int, list[int]]], int | None]:
    """What the policy lets go in the next `limit` files after file `last`; and where to go on, None at the end."""
    files = connection.execute(
        "SELECT f.id, f.path FROM files f JOIN owners o ON o.id = f.owner WHERE o.slug = ? AND f.id > ?"
        " ORDER BY f.id LIMIT ?",
        (slug, last, limit),
    ).fetchall()
    oldest_kept = micros(now - timedelta(days=policy.RETENTION.kept_always_days))
    found: list[tuple[int, list[int]]] = []
    for file, path in files:
        # Most files have nothing that old: the policy is asked only about those that have.
        due = connection.execute(
            "SELECT 1 FROM versions WHERE file = ? AND (noncurrent <= ? OR blob IS NULL) LIMIT 1", (file, oldest_kept)
        ).fetchone()
        if due is None:
            continue
        rows = connection.execute(f"SELECT {COLUMNS} FROM versions v WHERE v.file = ?", (file,)).fetchall()
        gone = policy.expired([to_version(row, path, now) for row in rows], now)
        if gone:
            found.append((file, sorted(gone)))
    return found, files[-1][0] if len(files) == limit else None


def missing(connection: sqlite3.Connection, contents: Sequence[bytes]) -> list[bytes]:
    """Which of these contents no row names."""
    return [
        sha256
        for sha256 in contents
        if connection.execute("SELECT 1 FROM blobs WHERE sha256 = ?", (sha256,)).fetchone() is None
    ]


def owners(connection: sqlite3.Connection) -> list[str]:
    """Everybody who has versions here."""
    return [slug for (slug,) in connection.execute("SELECT slug FROM owners ORDER BY slug")]


def _file(connection: sqlite3.Connection, slug: str, path: str) -> FileState:
    owner = connection.execute("SELECT id FROM owners WHERE slug = ?", (slug,)).fetchone()
    state = file_state(connection, owner[0], path) if owner else None
    if state is None:
        raise VersionNotFound(path)
    return state


def _page(items: list[T], limit: int, token: Callable[[T], str]) -> Page[T]:
    if len(items) <= limit:
        return Page(tuple(items))
    return Page(tuple(items[:limit]), token(items[limit - 1]))
