"""Rows as values, and values as rows: the only place that knows how a time or a hash is stored."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..model import Origin, Version
from ..policy import storage_class

COLUMNS = (
    "v.generation, v.size, v.sha256, v.created, v.noncurrent, v.mtime, v.author, v.origin, v.restored_from, v.blob"
)
"""What `to_version` takes, from `versions AS v`."""
WIDTH = 10

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FileState:
    """Where a file stands: `live` is 0 when its newest is a tombstone."""

    id: int
    newest: int
    live: int


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """The time that `micros` came from."""
    return _EPOCH + timedelta(microseconds=micros)


def to_version(row: tuple[Any, ...], path: str, now: datetime) -> Version:
    """One version or tombstone, in the storage class that the policy gives it at `now`."""
    generation, size, sha256, created, noncurrent, mtime, author, origin, restored_from, blob = row[:WIDTH]
    version = Version(
        path=path,
        generation=generation,
        size=size,
        sha256=sha256.hex() if sha256 else "",
        created=moment(created),
        author=author,
        origin=Origin(origin),
        noncurrent_since=None if noncurrent is None else moment(noncurrent),
        tombstone=blob is None,
        mtime=None if mtime is None else moment(mtime),
        restored_from=restored_from,
    )
    if noncurrent is None:
        return version
    return _in_class(version, now)


def _in_class(version: Version, now: datetime) -> Version:
    name = storage_class(version, now)
    return version if name == version.storage_class else replace(version, storage_class=name)
