"""What the page of a file shows, folds and hides: each way of saving, bursts, and what must never be hidden."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devplatform_versions import history as arranging
from devplatform_versions.history import BURST_GAP, BURST_WINDOW, FEWEST_FOLDED, Group, History, Row
from devplatform_versions.model import Origin, Version
from devplatform_versions.noise import SHORT_LIFE, Reason, named_reason, words
from tests.unit.version_histories import NOON, Event, gone, history, save

MINUTE = 60.0
arrange = partial(arranging.arrange, fewest=2)
"""Two rows are enough for a group here, so that the tables stay short."""
Shape = list[int | list[int]]


def shape(found: History) -> Shape:
    """The generations of rows, and those of a group as a list."""
    return [
        [row.version.generation for row in item.rows] if isinstance(item, Group) else item.version.generation
        for item in found.items
    ]


def test_a_few_saves_stay_in_sight() -> None:
    """Whoever saved a few times in a row finds each of them without unfolding anything."""
    for saves in range(1, 9):
        found = arranging.arrange(history("f", [save(10.0 * number, str(number)) for number in range(saves)]))
        folded = [item for item in found.items if isinstance(item, Group)]
        assert bool(folded) == (saves > FEWEST_FOLDED), saves


# Each way of saving through gcsfuse, and what it leaves (generations count from 1).
WAYS = [
    pytest.param("f", [save(0, ""), save(0.02, "x")], [2], {Reason.EMPTY: 1}, id="echo x > f"),
    pytest.param(
        "f",
        [save(0, ""), save(0.02, "x"), save(300, ""), save(300.02, "y")],
        [4, 2],
        {Reason.EMPTY: 2},
        id="echo > f, and again",
    ),
    pytest.param("f", [save(0, "x")], [1], {}, id="open, write, close"),
    pytest.param("f", [save(0, "x"), save(300, "y")], [2, 1], {}, id="cp over a file"),
    pytest.param("f", [save(0, "x"), save(300, "y"), save(600, "z")], [3, 2, 1], {}, id="saves by rename"),
    pytest.param("f", [save(0, "x"), save(300, "x")], [2, 1], {}, id="the same again, later: somebody's save"),
    pytest.param("f", [save(0, "x"), save(1, "x")], [2], {Reason.REPLACED: 1}, id="the same again at once"),
    pytest.param("f", [save(0, "x"), save(1, "y")], [2, 1], {}, id="something else at once: nothing is lost"),
    pytest.param(
        "f",
        [save(0, "x"), gone(300), save(300.5, "y")],
        [3, 1],
        {Reason.REPLACED: 1},
        id="moved away and written anew",
    ),
    pytest.param(
        "f",
        [save(0, "x"), gone(300), save(300.1, ""), save(300.2, "y")],
        [4, 1],
        {Reason.REPLACED: 1, Reason.EMPTY: 1},
        id="moved away, made, and written",
    ),
    pytest.param(
        "f", [save(0, "x"), gone(300), save(301, "y", author="bob")], [3, 2, 1], {}, id="somebody else's anew"
    ),
    pytest.param(
        "f",
        [save(0, "x"), gone(300), Event(301, "x", origin=Origin.RESTORE)],
        [3, 2, 1],
        {},
        id="deleted, and brought back at once",
    ),
    pytest.param(
        "f",
        [save(0, "x"), save(60, ""), gone(61), save(300, "y")],
        [4, 3, 2, 1],
        {},
        id="emptied and deleted, and made again later",
    ),
    pytest.param("f", [save(0, "x"), gone(300)], [2, 1], {}, id="rm, or mv to another name"),
    pytest.param("f", [save(0, "x"), gone(300), save(303, "y")], [3, 2, 1], {}, id="deleted, and made again later"),
    pytest.param("sedXQ1z8", [save(0, "x"), gone(0.1)], [2, 1], {}, id="sed -i's file: its only content"),
    pytest.param(
        "a/.~n.ipynb",
        [save(0, "x"), gone(0.2), save(120, "y"), gone(120.2)],
        [4, 3],
        {Reason.SIDE_FILE: 2},
        id="Jupyter's copy while it saves",
    ),
    pytest.param(
        ".ipynb_checkpoints/n-checkpoint.ipynb",
        [save(0, "x"), save(30, "y"), save(300, "z")],
        [3, 2],
        {Reason.CHECKPOINT: 1},
        id="checkpoints: those that stood a while are shown",
    ),
    pytest.param(
        "db.sqlite-journal",
        [event for n in range(4) for event in (save(n, f"j{n}"), gone(n + 0.1))],
        [8, 7],
        {Reason.JOURNAL: 6},
        id="a journal of SQLite",
    ),
    pytest.param(
        "repo/.git/index",
        [save(0, "a"), save(1, "b"), save(3600, "c")],
        [3, 2],
        {Reason.REPOSITORY: 1},
        id="git's index",
    ),
    pytest.param("d.lock", [save(0, "12"), save(9, "13")], [2], {Reason.LOCK: 1}, id="a lock that was taken twice"),
    pytest.param("f", [save(0, ""), gone(1)], [2, 1], {}, id="touch, rm: the only content"),
    pytest.param("f", [save(0, "x"), save(60, ""), gone(61)], [3, 2, 1], {}, id="emptied and deleted: nobody saved"),
    pytest.param("f", [save(0, "x"), save(60, ""), save(63, "y")], [3, [2, 1]], {}, id="empty for 3 seconds"),
    pytest.param("f", [save(5, ""), save(0, "y")], [2, 1], {}, id="a clock that went back"),
]


@pytest.mark.parametrize(("path", "events", "shown", "hidden"), WAYS)
def test_what_each_way_of_saving_leaves(
    path: str, events: list[Event], shown: Shape, hidden: dict[Reason, int]
) -> None:
    """What programs leave is hidden and counted; what differs, stood for a while, or is all there is, is shown."""
    found = arrange(history(path, events))
    assert (shape(found), dict(found.hidden_counts)) == (shown, hidden)
    everything = arrange(history(path, events), reveal=True)
    assert shape(everything) == list(range(len(events), 0, -1))
    assert Counter(row.reason for row in everything.rows if row.reason) == hidden


def autosaves(count: int, every: float, begin: float = 0, **options: str) -> list[Event]:
    return [save(begin + n * every, f"{begin} {n}", **options) for n in range(count)]


RESTORED = Event(360, "0 0", origin=Origin.RESTORE)
UPLOADED = Event(360, "up", origin=Origin.UPLOAD)


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        pytest.param(autosaves(14, 92), [14, list(range(13, 0, -1))], id="fourteen within 20 minutes"),
        pytest.param(autosaves(2, 60), [2, 1], id="two are no group"),
        pytest.param(autosaves(3, 60), [3, [2, 1]], id="three are"),
        pytest.param(autosaves(4, 180), [4, 3, 2, 1], id="three minutes apart: each by itself"),
        pytest.param(autosaves(4, 179), [4, [3, 2, 1]], id="a little less"),
        pytest.param([*autosaves(3, 60), *autosaves(3, 60, 600)], [6, [5, 4], 3, [2, 1]], id="a pause between"),
        pytest.param(autosaves(16, 120, 1200), [16, list(range(15, 5, -1)), 5, [4, 3, 2, 1]], id="a half hour between"),
        pytest.param(
            [*autosaves(3, 60), *autosaves(3, 60, 180, author="bob")], [6, [5, 4], 3, [2, 1]], id="another author"
        ),
        pytest.param(
            [*autosaves(3, 120), RESTORED, *autosaves(3, 60, 420)], [7, [6, 5], 4, 3, [2, 1]], id="a restore between"
        ),
        pytest.param(
            [*autosaves(3, 120), UPLOADED, *autosaves(3, 60, 420)], [7, [6, 5], 4, 3, [2, 1]], id="an upload between"
        ),
        pytest.param(
            [*autosaves(3, 120), gone(360), *autosaves(3, 60, 420)], [7, [6, 5], 4, 3, [2, 1]], id="a deletion between"
        ),
        pytest.param(
            [event for n in range(5) for event in (save(n * 60, ""), save(n * 60 + 0.1, f"{n}"))],
            [10, [8, 6, 4, 2]],
            id="what is hidden between does not end a burst",
        ),
    ],
)
def test_folds_bursts(events: list[Event], shown: Shape) -> None:
    """The newest of a burst is a row, the others are in the group below it."""
    assert shape(arrange(history("f", events))) == shown


def test_a_group_says_what_is_in_it() -> None:
    """First, last, and how long it took with the save above it."""
    versions = history("f", autosaves(14, 92))
    _, group = arrange(versions).items
    assert isinstance(group, Group)
    assert (group.newest, group.oldest, group.head) == (versions[1], versions[-1], versions[0])
    assert (group.span, group.continues) == (timedelta(seconds=13 * 92), False)


def test_what_tells_of_a_rename_is_a_row() -> None:
    """Neither hidden nor folded."""
    versions = history("f", [*autosaves(4, 60), gone(300), save(300.5, "new")])
    assert shape(arrange(versions)) == [6, [4, 3, 2, 1]]
    assert shape(arrange(versions, pinned={5, 1})) == [6, 5, 4, [3, 2], 1]


def test_compares_with_what_is_shown() -> None:
    """A save is compared with the content before it, not with the empty file that came in between."""
    two, _, one = history("f", [save(0, "one"), save(300, ""), save(300.1, "two")])
    assert [(row.version, row.previous) for row in arrange([two, _, one]).rows] == [(two, one), (one, None)]
    assert [row.previous for row in arrange([two, _, one], reveal=True).rows] == [_, one, None]


def test_words() -> None:
    """Each reason with its count, in a fixed order."""
    assert words({Reason.LOCK: 2, Reason.EMPTY: 1, Reason.JOURNAL: 0}) == (
        "1 empty version that a program wrote before the content, 2 lock markers"
    )
    assert all(words({reason: number}) for reason in Reason for number in (1, 2))
    assert words({}) == ""


# Any history.

PATHS = st.sampled_from(["f", "a/.~n.ipynb", "db-journal", ".git/index", ".ipynb_checkpoints/n.ipynb", "x.lock", "b~"])
STEPS = st.sampled_from([-5.0, 0.0, 0.1, 1.9, 2.0, 30.0, 61.0, 179.0, 181.0, 4000.0])
EVENTS = st.lists(
    st.tuples(
        STEPS,
        st.sampled_from([None, "", "", "x", "y", "z" * 100]),
        st.sampled_from(["alice", "alice", "alice", "bob"]),
        st.sampled_from([Origin.CAPTURE] * 5 + [Origin.RESTORE, Origin.UPLOAD]),
    ),
    max_size=25,
)


@st.composite
def histories(draw: st.DrawFn) -> list[Version]:
    """Any versions of any file, newest first."""
    now = 0.0
    events = []
    for step, content, author, origin in draw(EVENTS):
        now += step
        events.append(Event(now, content, author, origin))
    return history(draw(PATHS), events)


def placed(found: History) -> list[int]:
    return [row.version.generation for row in (*found.rows, *found.hidden)]


@given(histories())
@settings(max_examples=150, deadline=None)
def test_every_version_is_in_one_place_and_can_be_shown(versions: list[Version]) -> None:
    """Shown, in a group, or hidden and counted; asked for, all are shown, in their order."""
    found = arrange(versions)
    assert sorted(placed(found), reverse=True) == [version.generation for version in versions]
    assert sum(found.hidden_counts.values()) == len(found.hidden)
    shown = [row.version.generation for row in found.rows]
    assert shown == sorted(shown, reverse=True)
    assert [row.version for row in arrange(versions, reveal=True).rows] == versions


@given(histories())
@settings(max_examples=150, deadline=None)
def test_never_hides_what_only_a_person_can_have_made(versions: list[Version]) -> None:
    """Newest and only content, restores, uploads, and what differs from its neighbours for long enough."""
    contents = [version for version in versions if not version.tombstone]
    for row in arrange(versions).hidden:
        version = row.version
        assert version != contents[0]
        assert (version.origin, version.restored_from, version.live) == (Origin.CAPTURE, None, False)
        above = versions[versions.index(version) - 1]
        life = above.created - version.created
        assert life >= timedelta(0)
        is_repeated = not version.tombstone and (above.sha256, above.size) == (version.sha256, version.size)
        if named_reason(version.path) is None and not version.path.endswith(".lock"):
            assert life < SHORT_LIFE
            assert version.size == 0 or is_repeated
        else:
            assert version.tombstone or life < timedelta(minutes=1) or is_repeated


@given(histories())
@settings(max_examples=150, deadline=None)
def test_groups_are_bursts_below_their_newest(versions: list[Version]) -> None:
    """One author, captured, close together, in one half hour, nothing else in between, and the newest is a row."""
    found = arrange(versions)
    hidden = {row.version.generation for row in found.hidden}
    for place, item in enumerate(found.items):
        if isinstance(item, Row):
            continue
        above = found.items[place - 1]
        assert place > 0
        assert isinstance(above, Row)
        assert item.head == above.version
        burst = [above.version, *(row.version for row in item.rows)]
        assert len(burst) >= 3
        assert {(v.author, v.origin, v.tombstone) for v in burst} == {(burst[0].author, Origin.CAPTURE, False)}
        assert len({(v.created - NOON) // BURST_WINDOW for v in burst}) == 1
        assert all(timedelta(0) <= a.created - b.created < BURST_GAP for a, b in pairwise(burst))
        between = range(burst[-1].generation, burst[0].generation + 1)
        assert {*between} - {v.generation for v in burst} <= hidden


@given(histories(), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_pages_agree_with_the_whole(versions: list[Version], size: int) -> None:
    """Page by page nothing is lost or doubled, nothing more is hidden, and what hides by its life is the same."""
    whole = {row.version.generation: row.reason for row in arrange(versions).hidden}
    pages = [arrange(versions[a : a + size], **beyond(versions, a, size)) for a in range(0, len(versions), size)]
    assert [g for page in pages for g in sorted(placed(page), reverse=True)] == [v.generation for v in versions]
    paged = {row.version.generation: row.reason for page in pages for row in page.hidden}
    assert paged.items() <= whole.items()
    by_life = (Reason.EMPTY, Reason.REPLACED)
    missing = {g for g, reason in whole.items() if reason in by_life and g not in paged}
    # Only where a page cannot know that there is newer content: below a deletion at its border.
    assert all(_is_below_a_tombstone_at_a_border(versions, g, size) for g in missing)
    if paged == whole:
        compared = {row.version.generation: row.previous for row in arrange(versions).rows}
        for row in (row for page in pages for row in page.rows):
            assert row.previous in (None, compared[row.version.generation])


def beyond(versions: Sequence[Version], begin: int, size: int) -> dict[str, Version]:
    """The neighbours of a page."""
    found = {"newer": versions[begin - 1]} if begin else {}
    return found | ({"older": versions[begin + size]} if begin + size < len(versions) else {})


def _is_below_a_tombstone_at_a_border(versions: Sequence[Version], generation: int, size: int) -> bool:
    place = next(place for place, version in enumerate(versions) if version.generation == generation)
    border = place - place % size
    return border > 0 and all(version.tombstone for version in versions[border - 1 : place])


def test_a_burst_across_pages_is_told_as_one() -> None:
    """Five autosaves on pages of three: the newest is a row once; the rest says where its beginning is."""
    versions = history("f", autosaves(6, 60))
    first = arrange(versions[:3], older=versions[3])
    second = arrange(versions[3:], newer=versions[2])
    assert (shape(first), shape(second)) == ([6, [5, 4]], [[3, 2, 1]])
    (_, begun), (rest,) = first.items, second.items
    assert isinstance(begun, Group)
    assert isinstance(rest, Group)
    assert (begun.head, begun.continues, rest.head, rest.continues) == (versions[0], True, None, False)
