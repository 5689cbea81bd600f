"""What the audit is told of refreshes and outages, and in which words of changes."""

import json
from pathlib import Path

import pytest

from devplatform_hub.authenticators import access_notes
from devplatform_hub.authenticators.access_notes import AccessNotes
from devplatform_hub.core.group_roles import change_in_words, regrouping_in_words
from devplatform_hub.core.identity import parse_group
from tests.lab.audit_events import valid_events

USERS, LEADS, OTHERS = (parse_group(name, "a.example") for name in ("users", "leads", "others"))
ROLES = {USERS: ["jupyter-user"], LEADS: ["lead", "watch"], OTHERS: ["watch"]}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "audit.jsonl"
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(path))
    path.touch()
    return path


def written(file: Path) -> list[tuple[str, str, str, str]]:
    events = valid_events(file.read_text())
    assert {event["actor"] for event in events} <= {"platform"}
    return [(event["action"], event["target"], event["outcome"], event["why"]) for event in events]


@pytest.mark.parametrize("wanted", [True, False], ids=["audit_refreshes", "without"])
def test_refreshes_that_changed_nothing(file: Path, wanted: bool) -> None:
    """Each is a line unless it was turned off; changes are lines in either case."""
    notes = AccessNotes(refreshes=wanted)
    for _ in range(2):
        notes.refreshed("alice", "is a member of users")
    notes.changed("alice", "joined leads")
    refresh = [("person.refresh", "alice", "allowed", "is a member of users")] * 2 if wanted else []
    assert written(file) == [*refresh, ("person.change", "alice", "allowed", "joined leads")]


def test_an_outage_is_told_when_it_begins_and_when_it_keeps_somebody_out(file: Path) -> None:
    """Not at each request of somebody who is kept out; a later outage is told again; lines need no audit_refreshes."""
    notes = AccessNotes(refreshes=False)
    stays = ("person.refresh", "alice", "failed", "directory-unavailable, keeps the answer of 300 s ago")
    out = ("person.refresh", "alice", "refused", "directory-unavailable, the answer of 901 s ago is too old")
    never = ("person.refresh", "bob", "refused", "directory-unavailable, has no answer yet")
    for _ in range(2):
        for age in (300, 600, 900):
            notes.unanswered("alice", age, stays=True)
        for age in range(901, 1000):
            notes.unanswered("alice", age, stays=False)
            notes.unanswered("bob", None, stays=False)
        notes.answered("alice")
        notes.answered("bob")
        notes.answered("nobody")
    assert written(file) == [stays, out, never] * 2


def test_what_is_remembered_is_bounded(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first, and told again."""
    monkeypatch.setattr(access_notes, "_OUTAGES_AT_MOST", 3)
    notes = AccessNotes(refreshes=True)
    for name in ("a", "b", "c", "d", "d", "c", "b", "a"):
        notes.unanswered(name, None, stays=False)
    assert [json.loads(line)["target"] for line in file.read_text().splitlines()] == ["a", "b", "c", "d", "a"]
    assert len(notes._without_answer) == 3


@pytest.mark.parametrize(
    ("held", "given", "admin", "said"),
    [
        pytest.param([USERS], [USERS], None, "", id="nothing"),
        pytest.param([], [USERS], None, "has role jupyter-user, joined users@a.example", id="the first sign-in"),
        pytest.param(
            [USERS, LEADS],
            [USERS, OTHERS],
            True,
            "is administrator, has role lead no longer, joined others@a.example, left leads@a.example",
            id="a role that both groups bring stays",
        ),
        pytest.param(
            [LEADS],
            ["free"],
            False,
            "is no administrator, has role lead no longer, has role watch no longer, joined free, left leads@a.example",
            id="a group made by hand",
        ),
        pytest.param([USERS], [USERS], False, "is no administrator", id="the flag alone"),
    ],
)
def test_a_change_in_words(held: list[str], given: list[str], admin: bool | None, said: str) -> None:
    """What weighs most comes first, as the end of a long text is cut."""
    assert change_in_words(held, given, admin, ROLES) == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        pytest.param({"a", "b"}, {"b", "a"}, "", id="the same"),
        pytest.param(set(), {"b", "a"}, "given to a, given to b", id="new"),
        pytest.param({"a", "c"}, {"a", "b"}, "given to b, no longer to c", id="other"),
        pytest.param({"a"}, set(), "no longer to a", id="gone"),
    ],
)
def test_the_groups_of_a_role_in_words(before: set[str], after: set[str], said: str) -> None:
    assert regrouping_in_words(before, after) == said
