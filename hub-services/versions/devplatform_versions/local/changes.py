"""Every change of a store, as functions that run inside the writer's transaction. They check first, then write."""

# ruff: noqa: S608 - only constants of this package are put into SQL text; every value is bound.

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model import Origin, Version
from ..ports import PreconditionFailed, VersionNotFound
from .grants import Granted
from .rows import COLUMNS, FileState, moment, to_version
from .writer import Batch


@dataclass(frozen=True, slots=True)
class Content:
    """Verified bytes: `inline`, or durable in the file `incoming`."""

    sha256: bytes
    size: int
    inline: bytes | None = None
    incoming: Path | None = None


@dataclass(frozen=True, slots=True)
class _New:
    """A version about to be written; `blob` is None for a tombstone."""

    owner: int
    path: str
    author: str
    origin: Origin
    blob: int | None = None
    size: int = 0
    sha256: bytes | None = None
    mtime: int | None = None
    restored_from: int | None = None
    grant_id: int | None = None


def add(batch: Batch, granted: Granted, content: Content) -> Version:
    """The version that a granted upload makes, or made when it was sent before."""
    owner = _owner(batch.connection, granted.owner)
    state = file_state(batch.connection, owner, granted.path)
    made = made_by(batch.connection, state, granted)
    if made is not None:
        return to_version(made, granted.path, moment(batch.now()))
    _require(batch, state, granted.path, granted.if_generation_match)
    new = _New(
        owner,
        granted.path,
        granted.author,
        granted.origin,
        blob=_keep(batch, content),
        size=content.size,
        sha256=content.sha256,
        mtime=granted.mtime,
        grant_id=granted.id,
    )
    return _append(batch, state, new)


def restore(
    batch: Batch, slug: str, path: str, generation: int, author: str, if_generation_match: int | None
) -> Version:
    """A new live version with the content of an old one, without copying a byte."""
    owner = _owner(batch.connection, slug)
    state = file_state(batch.connection, owner, path)
    row = None
    if state is not None:
        row = batch.connection.execute(
            "SELECT blob, size, sha256, mtime FROM versions WHERE generation = ? AND file = ? AND blob IS NOT NULL",
            (generation, state.id),
        ).fetchone()
    if row is None:
        raise VersionNotFound(f"Version {generation} of {path}")
    _require(batch, state, path, if_generation_match)
    blob, size, sha256, mtime = row
    new = _New(owner, path, author, Origin.RESTORE, blob, size, sha256, mtime, restored_from=generation)
    return _append(batch, state, new)


def delete(
    batch: Batch, slug: str, path: str, author: str, if_generation_match: int | None, origin: Origin
) -> Version | None:
    """The tombstone that ends the live version, or None when there is none."""
    owner = _owner(batch.connection, slug)
    state = file_state(batch.connection, owner, path)
    _require(batch, state, path, if_generation_match)
    if state is None or not state.live:
        return None
    return _append(batch, state, _New(owner, path, author, origin))


def purge(batch: Batch, expired: Sequence[tuple[int, Sequence[int]]]) -> int:
    """Remove versions and tombstones of files, and what only they needed; how many versions went."""
    return sum(_purge_file(batch, file, generations) for file, generations in expired)


def file_state(connection: sqlite3.Connection, owner: int, path: str) -> FileState | None:
    """Where this file stands; None when nothing is known of it."""
    row = connection.execute(
        "SELECT id, newest, live FROM files WHERE owner = ? AND path = ?", (owner, path)
    ).fetchone()
    return None if row is None else FileState(*row)


def made_by(connection: sqlite3.Connection, state: FileState | None, granted: Granted) -> tuple[Any, ...] | None:
    """The row of the version that this very grant made before, if any."""
    if state is None or state.newest <= granted.base:
        return None
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {COLUMNS} FROM versions v WHERE v.file = ? AND v.generation > ? AND v.grant_id = ?",
        (state.id, granted.base, granted.id),
    ).fetchone()
    return row


def _owner(connection: sqlite3.Connection, slug: str) -> int:
    row = connection.execute("SELECT id FROM owners WHERE slug = ?", (slug,)).fetchone()
    if row is None:
        row = connection.execute("INSERT INTO owners (slug) VALUES (?) RETURNING id", (slug,)).fetchone()
    return int(row[0])


def _require(batch: Batch, state: FileState | None, path: str, if_generation_match: int | None) -> None:
    live = state.live if state else 0
    if if_generation_match is None or if_generation_match == live:
        return
    version = None
    if live:
        row = batch.connection.execute(f"SELECT {COLUMNS} FROM versions v WHERE v.generation = ?", (live,)).fetchone()
        version = to_version(row, path, moment(batch.now()))
    raise PreconditionFailed(path, version)


def _keep(batch: Batch, content: Content) -> int:
    """The id of this content, which is stored only if it is not there yet."""
    found = batch.connection.execute(
        "SELECT id, content IS NULL FROM blobs WHERE sha256 = ?", (content.sha256,)
    ).fetchone()
    if found is not None:
        blob, in_file = found
        if in_file and content.incoming is not None and not batch.blobs.path(content.sha256).exists():
            batch.place(content.incoming, content.sha256)  # it was lost: heal it
        return int(blob)
    if content.incoming is not None:
        batch.place(content.incoming, content.sha256)
    (blob,) = batch.connection.execute(
        "INSERT INTO blobs (sha256, size, content) VALUES (?, ?, ?) RETURNING id",
        (content.sha256, content.size, content.inline),
    ).fetchone()
    return int(blob)


def _append(batch: Batch, state: FileState | None, new: _New) -> Version:
    """Write a version or tombstone after the newest one."""
    connection = batch.connection
    now = batch.now()
    generation = batch.next_generation(now)
    live = generation if new.blob is not None else 0
    if state is None:
        file = _new_file(batch, new, generation)
    else:
        file = state.id
        if state.live:
            connection.execute("UPDATE versions SET noncurrent = ? WHERE generation = ?", (now, state.live))
        connection.execute(
            "UPDATE files SET newest = ?, live = ?, versions = versions + ? WHERE id = ?",
            (generation, live, 1 if live else 0, file),
        )
    step = bool(live) - bool(state and state.live)
    if step:
        folders = _ancestors(new.path)
        connection.execute(
            f"UPDATE folders SET live = live + ? WHERE owner = ? AND path IN ({','.join('?' * len(folders))})",
            (step, new.owner, *folders),
        )
    row: tuple[Any, ...] = connection.execute(
        "INSERT INTO versions (generation, owner, file, blob, size, sha256, created, mtime, author, origin,"
        f" restored_from, grant_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?) RETURNING {COLUMNS.replace('v.', '')}",
        (
            *(generation, new.owner, file, new.blob, new.size, new.sha256, now),
            *(new.mtime, new.author, new.origin.value, new.restored_from, new.grant_id),
        ),
    ).fetchone()
    return to_version(row, new.path, moment(now))


def _new_file(batch: Batch, new: _New, generation: int) -> int:
    folder, _, name = new.path.rpartition("/")
    (file,) = batch.connection.execute(
        "INSERT INTO files (owner, path, folder, name, newest, live, versions) VALUES (?,?,?,?,?,?,1) RETURNING id",
        (new.owner, new.path, _folder(batch.connection, new.owner, folder), name, generation, generation),
    ).fetchone()
    return int(file)


def _folder(connection: sqlite3.Connection, owner: int, path: str) -> int:
    """The id of a folder, made with all around it when it is new."""
    row = connection.execute("SELECT id FROM folders WHERE owner = ? AND path = ?", (owner, path)).fetchone()
    if row is None:
        above, _, name = path.rpartition("/")
        parent = _folder(connection, owner, above) if path else None
        row = connection.execute(
            "INSERT INTO folders (owner, path, parent, name, live) VALUES (?,?,?,?,0) RETURNING id",
            (owner, path, parent, name),
        ).fetchone()
    return int(row[0])


def _ancestors(path: str) -> list[str]:
    """Every folder around a file, the workspace ("") included."""
    folders = [""]
    for part in path.split("/")[:-1]:
        folders.append(f"{folders[-1]}/{part}" if folders[-1] else part)
    return folders


def _purge_file(batch: Batch, file: int, generations: Sequence[int]) -> int:
    connection = batch.connection
    removed = 0
    for generation in generations:
        row = connection.execute(
            "DELETE FROM versions WHERE generation = ? AND file = ? RETURNING blob", (generation, file)
        ).fetchone()
        if row is not None and row[0] is not None:
            removed += 1
            _release(batch, row[0])
    newest, count = connection.execute(
        "SELECT max(generation), count(blob) FROM versions WHERE file = ?", (file,)
    ).fetchone()
    if newest is not None:
        connection.execute("UPDATE files SET versions = ? WHERE id = ?", (count, file))
        return removed
    row = connection.execute("DELETE FROM files WHERE id = ? RETURNING folder", (file,)).fetchone()
    folder = row and row[0]
    while folder is not None:  # folders that are empty now, inside out
        row = connection.execute(
            "DELETE FROM folders WHERE id = :id AND NOT EXISTS (SELECT 1 FROM files WHERE folder = :id)"
            " AND NOT EXISTS (SELECT 1 FROM folders AS f WHERE f.parent = :id) RETURNING parent",
            {"id": folder},
        ).fetchone()
        folder = row and row[0]
    return removed


def _release(batch: Batch, blob: int) -> None:
    """Free content that no version has any longer; its file goes after the commit."""
    row = batch.connection.execute(
        "DELETE FROM blobs WHERE id = :id AND NOT EXISTS (SELECT 1 FROM versions WHERE blob = :id)"
        " RETURNING sha256, content IS NULL",
        {"id": blob},
    ).fetchone()
    if row is not None and row[1]:
        batch.freed.append(row[0])
