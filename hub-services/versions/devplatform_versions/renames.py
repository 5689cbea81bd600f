"""Where a file was renamed from and to, as far as that can be known. Pure.

A rename leaves a deletion under one name and, within seconds, the same bytes under a name that had none. It is said
only when nothing else fits: one deletion and one new name with those bytes, both sides looked at. Left out are empty
files (too many are alike), and the temporary files of programs, which are written under one name to be renamed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from .model import Trace, Version
from .noise import SHORT_LIFE, named_reason

WITHIN = timedelta(seconds=10)
"""How far apart both sides are seen: the agent waits a second before it believes a deletion, longer when it is busy."""


@dataclass(frozen=True, slots=True)
class Rename:
    """The other side of a rename: the path that a file `came_from`, or else went to, and its version there."""

    path: str
    generation: int
    came_from: bool


def clues(versions: Sequence[Version], older: Version | None, *, is_end: bool) -> Iterator[Trace]:
    """What may be a side of a rename among versions of a file, newest first.

    `older` is the version after the last one; `is_end` says that there is none.
    """
    for version, below in zip(versions, [*versions[1:], older], strict=False):
        begins = below.tombstone if below is not None else is_end and version is versions[-1]
        if version.tombstone:
            if below is not None and not below.tombstone:
                clue = Trace(below, version)
            else:
                continue
        elif begins:
            clue = Trace(version)
        else:
            continue
        if clue.version.size > 0 and _is_captured(clue) and not _is_passing(clue):
            yield clue


def find_rename(clue: Trace, traces: Sequence[Trace]) -> Rename | None:
    """The other side, when exactly one fits. `traces` are all with this content within twice `WITHIN` of the clue."""
    lasting = [trace for trace in traces if not _is_passing(trace)]
    partners = [
        trace
        for trace in lasting
        if trace.is_end != clue.is_end
        and trace.version.path != clue.version.path
        and abs(trace.at - clue.at) <= WITHIN
        and named_reason(trace.version.path) is None
    ]
    if len(partners) != 1 or not _is_captured(partners[0]):
        return None
    partner = partners[0]
    rivals = [
        trace
        for trace in lasting
        if trace.is_end == clue.is_end
        and (trace.version.path, trace.at) != (clue.version.path, clue.at)
        and abs(trace.at - partner.at) <= WITHIN
    ]
    if rivals or partner.author != clue.author:
        return None
    return Rename(partner.version.path, partner.version.generation, came_from=partner.is_end)


def _is_captured(trace: Trace) -> bool:
    made_by = trace.tombstone or trace.version
    return made_by.origin.is_a_save and made_by.restored_from is None


def _is_passing(trace: Trace) -> bool:
    """Whether a program wrote this and took it away at once."""
    until = trace.version.noncurrent_since
    return until is not None and until - trace.version.created < SHORT_LIFE
