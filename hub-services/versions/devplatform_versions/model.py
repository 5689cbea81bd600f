"""The vocabulary of file versions, pure. An object is (owner, path); a version of it is a generation.

Terms are those of Google Cloud Storage (Object Versioning): the newest version is *live* unless a *tombstone*
(a deletion) came after it; every other version is *noncurrent* since the moment it was replaced or deleted.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Origin(StrEnum):
    """How a version came to be."""

    CAPTURE = "capture"  # the agent saw a save
    RESTORE = "restore"  # a person brought an old version back
    UPLOAD = "upload"  # a person or program put it there through the API
    MOUNT = "mount"  # gcsfuse wrote it: the bucket is the workspace

    @property
    def is_a_save(self) -> bool:
        """Whether it came from the workspace by itself, and nobody asked for that very version."""
        return self in (Origin.CAPTURE, Origin.MOUNT)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one file. `generation` rises with every version of a store and is never used again."""

    path: str
    generation: int
    size: int
    sha256: str
    created: datetime
    author: str
    origin: Origin = Origin.CAPTURE
    noncurrent_since: datetime | None = None
    tombstone: bool = False
    mtime: datetime | None = None
    storage_class: str = "STANDARD"
    restored_from: int | None = None

    @property
    def live(self) -> bool:
        return self.noncurrent_since is None and not self.tombstone


@dataclass(frozen=True, slots=True)
class Trace:
    """A content that came to a path where there was none, or, with the tombstone, went from a path."""

    version: Version
    tombstone: Version | None = None

    @property
    def is_end(self) -> bool:
        return self.tombstone is not None

    @property
    def at(self) -> datetime:
        """When it came or went."""
        return (self.tombstone or self.version).created

    @property
    def author(self) -> str:
        """Who brought it or took it away."""
        return (self.tombstone or self.version).author


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file (with its newest version) or a folder directly inside the folder that was listed."""

    name: str
    is_folder: bool
    newest: Version | None = None
    versions: int = 0

    @property
    def deleted(self) -> bool:
        return self.newest is not None and not self.newest.live


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a listing; `next_token` is None on the last page, opaque otherwise."""

    items: tuple[T, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """A save to keep. `if_generation_match` is the live generation that it replaces: 0 for none, None for any."""

    path: str
    size: int
    sha256: str
    mtime: datetime | None = None
    if_generation_match: int | None = None
    origin: Origin = Origin.CAPTURE


@dataclass(frozen=True, slots=True)
class UploadGrant:
    """Where and how to put the bytes, for a short while: the agent sends exactly these headers with PUT.

    The answer to that PUT carries the new generation in `x-goog-generation`.
    """

    path: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The live version has these very bytes already; nothing was stored."""

    version: Version


@dataclass(frozen=True, slots=True)
class Change:
    """One event in an owner's stream of versions, in the order of `cursor`."""

    cursor: int
    version: Version


@dataclass(frozen=True, slots=True)
class Visit:
    """An administrator who may look into somebody's versions from `opened` to `until`, and the reason they gave.

    `ended` is when it ended before or at that time; None while it goes on, or when nothing was there to note it.
    `dismissed` is whether the owner has put the notice of it away: the visit stays in the list.
    """

    id: str
    actor: str
    reason: str
    opened: datetime
    until: datetime
    ended: datetime | None = None
    dismissed: bool = False

    @property
    def over(self) -> datetime:
        """When it ended, or will at the latest."""
        return self.ended or self.until
