"""How long versions are kept, and in which storage class. Pure; `lifecycle` makes the rules of a bucket of it.

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
from dataclasses import dataclass
from datetime import datetime, timedelta

from .model import Version

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Retention:
    """The numbers of the policy, in whole days since a version became noncurrent."""

    kept_always_days: int = 30
    kept_versions: int = 10
    """Beyond those days a version goes that has so many newer ones, the live one counted."""
    kept_at_most_days: int = 365
    nearline_from: int = 31
    coldline_from: int = 91


RETENTION = Retention()


@dataclass(frozen=True, slots=True)
class Kept:
    """Until when a noncurrent version is kept: surely until `surely`, and until `at_most` while few are newer."""

    surely: datetime
    at_most: datetime


def expired(versions: Sequence[Version], now: datetime, retention: Retention = RETENTION) -> frozenset[int]:
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
        if _is_kept(version, newer, now, retention):
            ended.clear()
        else:
            gone.add(version.generation)
        newer += 1
    gone.update(tombstone.generation for tombstone in ended)
    return frozenset(gone)


def kept_until(version: Version, newer: int, retention: Retention = RETENTION) -> Kept | None:
    """When a version with so many newer ones is let go; None for one that is live, or a tombstone.

    More versions may come: `at_most` holds while fewer than `kept_versions` are newer, `surely` whatever happens.
    """
    since = version.noncurrent_since
    if since is None or version.tombstone:
        return None
    surely = since + retention.kept_always_days * _DAY
    last = since + (retention.kept_at_most_days + 1) * _DAY
    return Kept(surely, last if newer < retention.kept_versions else surely)


def storage_class(version: Version, now: datetime, retention: Retention = RETENTION) -> str:
    """The class that the policy keeps a version in: STANDARD, NEARLINE or COLDLINE."""
    days = days_noncurrent(version, now)
    if days is None or days < retention.nearline_from:
        return "STANDARD"
    return "NEARLINE" if days < retention.coldline_from else "COLDLINE"


def days_noncurrent(version: Version, now: datetime) -> int | None:
    """Whole days since the version became noncurrent; None while it is live (and for a tombstone)."""
    if version.noncurrent_since is None:
        return None
    return (now - version.noncurrent_since) // _DAY


def _is_kept(version: Version, newer: int, now: datetime, retention: Retention) -> bool:
    days = days_noncurrent(version, now)
    if days is None or days < retention.kept_always_days:
        return True
    return newer < retention.kept_versions and days <= retention.kept_at_most_days
