"""What to do when the workspace, what the agent knows and what the service has differ. Pure: states in, a step out.

The workspace is the truth, except for what a person asked back: then that is, once what was there is captured.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from ..model import Origin, Version


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a path. `generation`: the live one as far as known, 0 for none, None when an upload was
    begun and its end is not known. `sha256`: the content of that. `seen`: the file was in this workspace once."""

    generation: int | None
    sha256: str | None
    seen: bool


class Save(Enum):
    """What a look at a path asks for."""

    NOTHING = auto()
    REMEMBER = auto()  # the content is the live one: only the stamp is new
    FORGET = auto()
    UPLOAD = auto()
    DELETE = auto()


class Arrival(Enum):
    """What a restore that arrives asks for."""

    NOTHING = auto()
    ADOPT = auto()  # the workspace has that already
    WRITE = auto()
    CAPTURE_THEN_WRITE = auto()  # the workspace has changes that are no version yet
    CAPTURE = auto()  # somebody saved after the restore: that stays, on top of it


def decide_save(known: Known | None, local: str | None) -> Save:
    """The step for a path whose content has the SHA-256 `local` now (None: there is no file)."""
    if local is None:
        if known is None:
            return Save.NOTHING
        return Save.DELETE if known.seen and known.generation != 0 else Save.FORGET
    if known is not None and known.generation and known.sha256 == local:
        return Save.REMEMBER
    return Save.UPLOAD


def decide_arrival(known: Known | None, local: str | None, local_mtime: datetime | None, version: Version) -> Arrival:
    """The step for a restored version, or for the tombstone of a restored folder."""
    if version.origin is not Origin.RESTORE or (known is not None and (known.generation or 0) >= version.generation):
        return Arrival.NOTHING
    wanted = None if version.tombstone else version.sha256
    if local == wanted:
        return Arrival.ADOPT
    if local is None or (known is not None and local == known.sha256):
        return Arrival.WRITE
    if local_mtime is not None and local_mtime > version.created:
        return Arrival.CAPTURE
    return Arrival.CAPTURE_THEN_WRITE


def merge_live(known: Known | None, live: Version | None) -> Known | None:
    """What to remember when the service says which version is live (None: none is). None: nothing."""
    if live is None:
        return Known(0, None, known.seen) if known is not None else None
    return Known(live.generation, live.sha256, known.seen if known is not None else False)
