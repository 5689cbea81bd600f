"""How long versions are kept, in which storage class, and which of them a browser hides. Pure.

The rules are those that a bucket's lifecycle can say, so that one machine and a bucket keep the same versions:

| state | rule |
|---|---|
| live | kept for ever |
| noncurrent for less than 30 days | kept, however many there are |
| noncurrent for 30 days or more | kept while fewer than 10 versions of the file are newer |
| noncurrent for more than 365 days | not kept |

Days count from the moment a version became noncurrent, never from its age: a file that lay untouched for a year
keeps its old content for another 30 days after it is overwritten.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from .model import Version

KEPT_ALWAYS_DAYS = 30
KEPT_VERSIONS = 10
KEPT_AT_MOST_DAYS = 365
_NEARLINE_FROM = 31
_COLDLINE_FROM = 91

_NOISE_FOLDERS = frozenset({".git", ".ipynb_checkpoints"})
_NOISE_SUFFIXES = ("-journal", "-wal", "-shm", ".swp", ".swx", "~")
_LOCK_MARKER_BYTES = 64  # a process id and a host name; a lock file of dependencies is far longer
_SHORT_LIFE = timedelta(seconds=2)


def expired(versions: Sequence[Version], now: datetime) -> frozenset[int]:
    """The generations, of all versions and tombstones of one file in any order, that are not kept any longer.

    A tombstone is not counted, and goes when no version is left that it ended; a live version never goes.
    """
    gone: set[int] = set()
    newer = 0
    ended: list[Version] = []  # tombstones, newest first, that await an older version which is kept
    for version in sorted(versions, key=lambda v: v.generation, reverse=True):
        if version.tombstone:
            ended.append(version)
            continue
        if _is_kept(version, newer, now):
            ended.clear()
        else:
            gone.add(version.generation)
        newer += 1
    gone.update(tombstone.generation for tombstone in ended)
    return frozenset(gone)


def storage_class(version: Version, now: datetime) -> str:
    """The class that the policy keeps a version in: STANDARD, NEARLINE or COLDLINE."""
    days = days_noncurrent(version, now)
    if days is None or days < _NEARLINE_FROM:
        return "STANDARD"
    return "NEARLINE" if days < _COLDLINE_FROM else "COLDLINE"


def days_noncurrent(version: Version, now: datetime) -> int | None:
    """Whole days since the version became noncurrent; None while it is live (and for a tombstone)."""
    if version.noncurrent_since is None:
        return None
    return (now - version.noncurrent_since) // timedelta(days=1)


def is_noise(version: Version) -> bool:
    """Whether a browser hides this version unless asked: what programs leave behind while they save.

    Folders of git and of checkpoints, editors' and databases' side files, lock markers, and the empty version
    that a shell makes for a moment before it writes (`echo x > f` is two saves).
    """
    *folders, name = version.path.split("/")
    if not _NOISE_FOLDERS.isdisjoint(folders):
        return True
    if name.startswith((".~", ".nfs")) or name.endswith(_NOISE_SUFFIXES):
        return True
    if version.tombstone:
        return False
    if name.endswith(".lock") and version.size <= _LOCK_MARKER_BYTES:
        return True
    if version.size > 0 or version.noncurrent_since is None:
        return False
    return timedelta(0) <= version.noncurrent_since - version.created < _SHORT_LIFE


def is_noise_folder(name: str) -> bool:
    """Whether everything in a folder of this name is noise."""
    return name in _NOISE_FOLDERS


def _is_kept(version: Version, newer: int, now: datetime) -> bool:
    days = days_noncurrent(version, now)
    if days is None or days < KEPT_ALWAYS_DAYS:
        return True
    return newer < KEPT_VERSIONS and days <= KEPT_AT_MOST_DAYS
