"""Histories of one file for tests: what happened, oldest first, as the versions that a store would give."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from devplatform_versions.model import Origin, Version

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """Something that happened to a file, so many seconds after noon; `content` None is a deletion."""

    at: float
    content: str | None
    author: str = "alice"
    origin: Origin = Origin.CAPTURE


def save(at: float, content: str, **options: str) -> Event:
    """The agent, or gcsfuse, saw a save."""
    return Event(at, content, options.get("author", "alice"))


def gone(at: float, **options: str) -> Event:
    """The agent, or gcsfuse, saw a deletion."""
    return Event(at, None, options.get("author", "alice"))


def history(path: str, events: Sequence[Event], first: int = 1) -> list[Version]:
    """The versions and tombstones of a file, newest first; generations count from `first`."""
    versions: list[Version] = []
    following: datetime | None = None
    for place, event in reversed(list(enumerate(events))):
        created = NOON + timedelta(seconds=event.at)
        dead = event.content is None
        versions.append(
            Version(
                path,
                first + place,
                len(event.content or ""),
                "" if event.content is None else f"sha of {event.content}",
                created,
                event.author,
                event.origin,
                noncurrent_since=None if dead else following,
                tombstone=dead,
                restored_from=first if event.origin is Origin.RESTORE and not dead else None,
            )
        )
        following = created
    return versions
