"""What goes on over several calls: resumable uploads and rewrites of large objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .clock import DAY
from .generations import Generation
from .store import Place

QUANTUM = 256 * 1024
"""Chunks of a resumable upload are multiples of this, but for the last one."""
LIFETIME = 7 * DAY
"""https://cloud.google.com/storage/docs/resumable-uploads: a session ends after a week."""


@dataclass(slots=True, eq=False)
class Upload:
    """A resumable upload. `declared` are the sums that the client gave beforehand; `done` is what it became."""

    to: Place
    details: Mapping[str, Any]
    storage_class: str | None
    declared: dict[str, str]
    begun: int
    is_xml: bool = False
    total: int | None = None
    limits: tuple[int, int] | None = None
    received: bytearray = field(default_factory=bytearray)
    done: Generation | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewrite under way: what was asked for, which generation it reads, and how far it is."""

    asked: tuple[str, ...]
    generation: int
    position: int
