"""The versions of one file as a person reads them: what is shown, what is folded together, what is hidden. Pure.

Every version of a page is in exactly one place: a row, a row inside a group, or hidden with a reason that is counted.

| what | rule |
|---|---|
| hidden: empty | 0 bytes, captured, and content came within 2 seconds |
| hidden: replaced | within 2 seconds the very same bytes came again, or content after a deletion |
| hidden by its name | of side files, journals, locks, checkpoints: deletions, and what stood less than a minute |
| never hidden | the newest content, what was restored or uploaded, what is pinned, whatever lived longer |
| group | five or more saves, each less than 3 minutes after the one before, of one author, in one half hour |
| never across | a restore, an upload, a deletion, another author, a clock that went back |

Pages: a version is judged by the one above it, so a page is given the last version of the page before (`newer`) and
the first of the next (`older`) as well, which are never shown. Where that is not enough, more is shown, never less:
the rest of a group is a group of its own on the next page, and says so.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .model import Version
from .noise import SHORT_LIFE, Reason, named_reason, reason_of
from .policy import Kept, kept_until

BURST_GAP = timedelta(minutes=3)
"""Saves closer than this are one burst: JupyterLab saves every two minutes by itself, and captures come late."""
BURST_WINDOW = timedelta(minutes=30)
"""A burst ends with each half hour of the clock, so that a day of autosaves leaves a row for each, and a group
is the same group whatever comes later and wherever a page begins."""
FEWEST_FOLDED = 4
"""Fewer are read at a glance, and the one that somebody looks for is in sight."""
_PASSING = timedelta(minutes=1)
"""What a version with the name of a side file must outlive to be shown on the page of that file."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """A version in a list, with the older one that it is compared with (None: there is none, or it is not known)."""

    version: Version
    previous: Version | None = None
    kept: Kept | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Saves of a burst but its newest, which is the row above: `head`, None when that is on the page before."""

    rows: tuple[Row, ...]
    head: Version | None
    continues: bool
    """Whether the burst goes on on the next page."""

    @property
    def newest(self) -> Version:
        return self.rows[0].version

    @property
    def oldest(self) -> Version:
        return self.rows[-1].version

    @property
    def span(self) -> timedelta:
        """How long the part of the burst on this page took, its newest save included."""
        return (self.head or self.newest).created - self.oldest.created


@dataclass(frozen=True, slots=True)
class History:
    """A page of versions, newest first."""

    items: tuple[Row | Group, ...]
    hidden: tuple[Row, ...]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row that can be seen, those inside groups included."""
        return tuple(row for item in self.items for row in (item.rows if isinstance(item, Group) else (item,)))

    @property
    def hidden_counts(self) -> Mapping[Reason, int]:
        """How many are hidden for which reason."""
        return Counter(row.reason for row in self.hidden if row.reason is not None)


def arrange(
    versions: Sequence[Version],
    *,
    newer: Version | None = None,
    older: Version | None = None,
    newer_count: int = 0,
    pinned: Collection[int] = (),
    reveal: bool = False,
    fewest: int = FEWEST_FOLDED,
) -> History:
    """A page of one file's versions and tombstones, newest first, as rows, groups and what is hidden.

    `newer` and `older` are the neighbours beyond the page, `newer_count` how many contents are on pages before (for
    what retention says of a row), `pinned` generations that must be rows of their own. With `reveal` every version
    is a row, and says why it would be hidden. A group has at least `fewest` rows.
    """
    line = [version for version in (newer, *versions, older) if version is not None]
    reasons = _reasons(line, pinned)
    beyond = {version.generation for version in (newer, older) if version is not None}
    rows = _rows(line, {} if reveal else reasons, reasons, newer_count - (newer is not None and not newer.tombstone))
    if reveal:
        return History(tuple(row for row in rows if row.version.generation not in beyond), ())
    hidden = tuple(row for row in rows if row.reason is not None and row.version.generation not in beyond)
    items: list[Row | Group] = []
    for burst in _bursts([row for row in rows if row.reason is None], pinned):
        items += _fold(burst, newer, older, fewest)
    return History(tuple(items), hidden)


def _fold(burst: Sequence[Row], newer: Version | None, older: Version | None, fewest: int) -> Iterator[Row | Group]:
    """The rows of a burst on this page: its newest, then the others as a group when they are enough for one."""
    begins_before = burst[0].version is newer
    continues = burst[-1].version is older
    on_page = burst[begins_before : len(burst) - continues]
    inside = on_page if begins_before else on_page[1:]
    if len(inside) < fewest:
        yield from on_page
        return
    if not begins_before:
        yield on_page[0]
    yield Group(tuple(inside), None if begins_before else on_page[0].version, continues)


def _reasons(line: Sequence[Version], pinned: Collection[int]) -> dict[int, Reason]:
    reasons: dict[int, Reason] = {}
    above: Version | None = None
    is_covered = False  # whether there is newer content, so that this is not the newest
    for version in line:
        if above is not None and is_covered and version.generation not in pinned:
            reason = _reason(version, above)
            if reason is not None:
                reasons[version.generation] = reason
        is_covered = is_covered or not version.tombstone
        above = version
    return reasons


def _reason(version: Version, above: Version) -> Reason | None:
    """Why a version that has newer content may be hidden; `above` came next."""
    if version.live or not _is_captured(version):
        return None
    life = (version.noncurrent_since or above.created) - version.created
    if life < timedelta(0):
        return None
    is_same = not version.tombstone and not above.tombstone and _content(version) == _content(above)
    named = named_reason(version.path) or (reason_of(version) if version.path.endswith(".lock") else None)
    if named is not None and (version.tombstone or life < _PASSING or is_same):
        return named
    if life >= SHORT_LIFE or above.tombstone:
        return None
    if version.tombstone:
        return Reason.REPLACED if _is_captured(above) and above.author == version.author else None
    if is_same:
        return Reason.REPLACED
    return Reason.EMPTY if version.size == 0 else None


def _rows(
    line: Sequence[Version], left_out: Mapping[int, Reason], reasons: Mapping[int, Reason], newer_count: int
) -> list[Row]:
    """A row for each version; what is left out is nothing to compare with."""
    rows: list[Row] = []
    previous: Version | None = None
    newer_count += sum(not version.tombstone for version in line)
    for version in reversed(line):
        newer_count -= not version.tombstone
        rows.append(Row(version, previous, kept_until(version, max(newer_count, 0)), reasons.get(version.generation)))
        if not version.tombstone and version.generation not in left_out:
            previous = version
    rows.reverse()
    return rows


def _bursts(rows: Sequence[Row], pinned: Collection[int]) -> Iterator[list[Row]]:
    burst: list[Row] = []
    for row in rows:
        if burst and not _is_one_burst(burst[-1].version, row.version, pinned):
            yield burst
            burst = []
        burst.append(row)
    if burst:
        yield burst


def _is_one_burst(newer: Version, older: Version, pinned: Collection[int]) -> bool:
    return (
        not newer.tombstone
        and not older.tombstone
        and _is_captured(newer)
        and _is_captured(older)
        and newer.author == older.author
        and timedelta(0) <= newer.created - older.created < BURST_GAP
        and (newer.created - _EPOCH) // BURST_WINDOW == (older.created - _EPOCH) // BURST_WINDOW
        and not {newer.generation, older.generation}.intersection(pinned)
    )


def _is_captured(version: Version) -> bool:
    return version.origin.is_a_save and version.restored_from is None


def _content(version: Version) -> tuple[str, int]:
    return version.sha256, version.size
