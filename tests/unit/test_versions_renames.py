"""Which files were renamed: both sides, never a guess, and never a program's temporary file."""

from dataclasses import replace
from datetime import timedelta

import pytest

from devplatform_versions.model import Origin, Trace, Version
from devplatform_versions.renames import Rename, clues, find_rename
from tests.unit.version_histories import NOON, gone, history, save


def came(path: str, at: float, *, author: str = "alice", until: float | None = None) -> Trace:
    """The content came to a path, and maybe went again."""
    ended = None if until is None else NOON + timedelta(seconds=until)
    return Trace(Version(path, 7, 4, "sha", NOON + timedelta(seconds=at), author, noncurrent_since=ended))


def went(path: str, at: float, *, author: str = "alice", since: float = -600) -> Trace:
    """The content went from a path."""
    moment = NOON + timedelta(seconds=at)
    version = Version(path, 5, 4, "sha", NOON + timedelta(seconds=since), author, noncurrent_since=moment)
    return Trace(version, Version(path, 6, 0, "", moment, author, tombstone=True))


RESTORED = replace(came("new", 0).version, origin=Origin.RESTORE, restored_from=1)


@pytest.mark.parametrize(
    ("clue", "others", "found"),
    [
        pytest.param(went("old", 1), [came("new", 0)], Rename("new", 7, came_from=False), id="renamed to"),
        pytest.param(came("new", 0), [went("old", 1)], Rename("old", 5, came_from=True), id="renamed from"),
        pytest.param(went("a/old", 0), [came("b/new", 9)], Rename("b/new", 7, came_from=False), id="moved, slowly"),
        pytest.param(went("old", 0), [], None, id="deleted"),
        pytest.param(went("old", 0), [came("new", 11)], None, id="too late"),
        pytest.param(went("old", 0), [came("new", 0), came("other", 1)], None, id="two new names"),
        pytest.param(went("old", 0), [came("new", 0), went("twin", 1)], None, id="two that went"),
        pytest.param(came("new", 0), [went("old", 0), went("twin", 1)], None, id="two that it may come from"),
        pytest.param(went("old", 0), [came("new", 9), went("twin", 18)], None, id="the other side has two to choose"),
        pytest.param(went("old", 0), [came("old", 3)], None, id="under the same name"),
        pytest.param(went("old", 0), [came("new", 0, author="bob")], None, id="somebody else's"),
        pytest.param(went("old", 0), [Trace(RESTORED)], None, id="brought back under another name"),
        pytest.param(went("main.c", 0), [came("main.c~", 0)], None, id="an editor's copy"),
        pytest.param(came("n.ipynb", 0), [went(".~n.ipynb", 0)], None, id="Jupyter's file while it saves"),
        pytest.param(came("n.txt", 0.1), [came("sedX", 0, until=0.1), went("sedX", 0.1, since=0)], None, id="sed -i"),
        pytest.param(
            went("old", 0),
            [came("tmp", 0.1, until=0.5), went("tmp", 0.5, since=0.1), came("new", 0.5)],
            Rename("new", 7, came_from=False),
            id="by way of a passing name",
        ),
    ],
)
def test_says_a_rename_when_nothing_else_fits(clue: Trace, others: list[Trace], found: Rename | None) -> None:
    """The traces that a store gives hold the clue itself too, and come in any order."""
    assert find_rename(clue, [clue, *others]) == found
    assert find_rename(clue, [*reversed(others), clue]) == found


@pytest.mark.parametrize(
    ("events", "is_end", "generations"),
    [
        pytest.param([save(0, "x"), save(60, "y"), gone(120)], True, [3, 1], id="a life"),
        pytest.param([save(0, "x"), save(60, "y"), gone(120)], False, [3], id="its beginning is on another page"),
        pytest.param([save(0, "x"), gone(60), save(120, "y")], True, [3, 2, 1], id="deleted, and made again"),
        pytest.param([save(0, ""), gone(60)], True, [], id="empty files are all alike"),
        pytest.param([save(0, "x"), gone(1)], True, [], id="a passing file"),
        pytest.param([gone(0)], True, [], id="a deletion of nothing that is kept"),
        pytest.param([], True, [], id="nothing"),
    ],
)
def test_a_rename_begins_or_ends_a_life(events: list[object], is_end: bool, generations: list[int]) -> None:
    """Only a new name and a deletion can be its sides."""
    versions = history("f", events)  # type: ignore[arg-type]
    older = None if is_end or not versions else replace(versions[-1], generation=0)
    found = [(clue.tombstone or clue.version).generation for clue in clues(versions, older, is_end=is_end)]
    assert found == generations
