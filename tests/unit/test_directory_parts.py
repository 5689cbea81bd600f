"""The parts that every directory behind an API shares: patience, budget, kept answers, tokens, shapes, names, walks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.directory.answers import Answers
from devplatform_hub.directory.call_budget import CallBudget
from devplatform_hub.directory.group_names import (
    group_of_address,
    group_of_organization,
    group_of_path,
    group_of_team,
    parents_of_path,
)
from devplatform_hub.directory.held_token import AccessToken, HeldToken
from devplatform_hub.directory.json_shapes import MalformedAnswer, Pages, flag_of, text_of
from devplatform_hub.directory.retrying import Patience, retry_after
from devplatform_hub.directory.walking import WalkLimits, walk
from devplatform_hub.ports import DirectoryUnavailable

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
LOG = logging.getLogger(__name__)


class Clock:
    """A time that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


# How long to go on.


@pytest.mark.parametrize(
    ("failures", "spent", "asked", "share", "pause"),
    [
        pytest.param(1, 0.0, 0.0, 0.0, 0.125, id="at once after the first, at least half of the pause"),
        pytest.param(1, 0.0, 0.0, 0.5, 0.1875, id="people do not come back together"),
        pytest.param(3, 0.0, 0.0, 0.0, 0.5, id="longer each time"),
        pytest.param(1, 0.0, 3.0, 0.0, 3.0, id="never sooner than asked"),
        pytest.param(1, 0.0, 30.0, 0.0, None, id="not for longer than anybody waits"),
        pytest.param(1, 11.9, 0.0, 0.0, None, id="not beyond the whole patience"),
        pytest.param(4, 0.0, 0.0, 0.0, None, id="not more often than allowed"),
    ],
)
def test_patience(failures: int, spent: float, asked: float, share: float, pause: float | None) -> None:
    """A pause before the next try, or the end of patience."""
    assert Patience().pause(failures, spent=spent, asked=asked, share=share) == pause


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("Wed, 25 Nov 2026 12:00:09 GMT", 9.0, id="a date"),
        pytest.param("Wed, 25 Nov 2026 11:00:00 GMT", 0.0, id="a date that has passed"),
        pytest.param("-5", 0.0, id="less than nothing"),
        pytest.param("soon", 0.0, id="a word"),
        pytest.param("٣", 0.0, id="a digit of another script"),
        pytest.param("Wed, 25 Nov 2026 12:00:09", 0.0, id="a date without a zone"),
        pytest.param("9" * 400, 999999999.0, id="a number without end"),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    """Both forms of the header; anything else asks for nothing."""
    assert retry_after({"Retry-After": value}, NOW) == seconds


# How often to ask.


@given(st.lists(st.floats(0, 5), min_size=1, max_size=400), st.integers(10, 120))
def test_no_minute_has_more_calls_than_the_budget(pauses: list[float], per_minute: int) -> None:
    """Whenever callers come: in any minute there are at most so many calls."""

    async def run() -> list[float]:
        clock, moments = Clock(), []
        budget = CallBudget(per_minute, longest_wait=1e9, clock=clock, sleep=clock.sleep)
        for pause in pauses:
            clock.now += pause if pause > 4 else 0.0  # mostly as fast as they can
            await budget.take()
            moments.append(clock.now)
        return moments

    moments = asyncio.run(run())
    for index, start in enumerate(moments):
        assert sum(1 for moment in moments[index:] if moment < start + 59.999) <= per_minute


async def test_a_budget_without_room_refuses() -> None:
    """Nobody waits longer than they would wait for an answer, and a refusal takes nobody's turn."""
    clock = Clock()
    budget = CallBudget(60, longest_wait=0.5, clock=clock)
    for _ in range(30):
        await budget.take()
    with pytest.raises(DirectoryUnavailable, match="would wait 2 s"):
        await budget.take()
    clock.now += 2
    await budget.take()


# What is kept.


async def test_answers_end_and_are_bounded() -> None:
    """CVE-2026-34052 (anchors, row 21): what strangers can make the hub remember has a bound, and an end."""
    clock, asked = Clock(), []

    def ask(key: int) -> Callable[[], Awaitable[int]]:
        async def answer() -> int:
            asked.append(key)
            return key * 2

        return answer

    answers: Answers[int, int] = Answers(lifetime=10, size=3, clock=clock)
    assert [await answers.get(key, ask(key)) for key in (1, 1, 2, 3, 4)] == [2, 2, 4, 6, 8]
    assert (asked, len(answers)) == ([1, 2, 3, 4], 3)
    await answers.get(1, ask(1))
    assert asked == [1, 2, 3, 4, 1]  # the oldest went first
    clock.now = 10
    await answers.get(4, ask(4))
    assert asked == [1, 2, 3, 4, 1, 4]  # and the others by age
    for key in range(5000):
        await answers.get(key, ask(key))
    assert len(answers) == 3


async def test_failures_are_not_kept() -> None:
    """A question that failed is asked again, and all who waited learn of the failure."""
    answers: Answers[str, int] = Answers(lifetime=10, size=3, clock=Clock())
    outcomes = [DirectoryUnavailable("out"), 5]

    async def ask() -> int:
        await asyncio.sleep(0)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    failed = await asyncio.gather(*(answers.get("a", ask) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in failed] == ["out"] * 3
    assert await answers.get("a", ask) == 5
    await answers.close()
    assert len(answers) == 0


# Tokens.


class Tokens:
    """Gives tokens that end after 100 s, or fails."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.given, self.fails = clock, 0, False

    async def fetch(self) -> AccessToken:
        await asyncio.sleep(0)
        if self.fails:
            raise DirectoryUnavailable("no token")
        self.given += 1
        return AccessToken(f"token-{self.given}", self.clock.now + 100)


async def test_a_token_is_fetched_once_and_renewed_ahead() -> None:
    """Twenty who need it wait for one; before it ends it is renewed while the old one is used."""
    clock = Clock()
    tokens = Tokens(clock)
    held = HeldToken(tokens.fetch, ahead=20, clock=clock, log=LOG)
    assert set(await asyncio.gather(*(held.token() for _ in range(20)))) == {"token-1"}
    clock.now = 85
    assert await held.token() == "token-1"
    await asyncio.sleep(0.01)
    assert await held.token() == "token-2"
    held.forget("token-1")  # an old refusal says nothing of the new one
    assert await held.token() == "token-2"
    held.forget("token-2")
    assert (await held.token(), tokens.given) == ("token-3", 3)
    await held.close()


async def test_a_failed_renewal_leaves_the_token(caplog: pytest.LogCaptureFixture) -> None:
    """It is told, tried again after a pause, and an outage only once the token has ended. Tokens are in no log."""
    clock = Clock()
    tokens = Tokens(clock)
    held = HeldToken(tokens.fetch, ahead=20, clock=clock, log=LOG)
    await held.token()
    tokens.fails, clock.now = True, 85
    assert [await held.token() for _ in range(5)] == ["token-1"] * 5
    await asyncio.sleep(0.01)
    assert caplog.text.count("could not be renewed") == 1
    assert "token-1" not in caplog.text + repr(AccessToken("token-1", 0.0))
    clock.now = 101
    with pytest.raises(DirectoryUnavailable, match="no token"):
        await held.token()
    tokens.fails = False
    assert await held.token() == "token-2"
    await held.close()


# Shapes and names.


def test_pages_end() -> None:
    """The same page twice, a page that is no text, pages without end: all are malformed."""
    pages = Pages("groups.list", at_most=3)
    assert (pages.next("a"), pages.next(None), pages.next("")) == ("a", None, None)
    for token in ("a", 5, {"a": 1}):
        with pytest.raises(MalformedAnswer):
            pages.next(token)
    pages.next("b")
    with pytest.raises(MalformedAnswer, match="more than 3 pages"):
        pages.next("c")


@pytest.mark.parametrize("value", [None, "", 5, True, [], {}])
def test_a_text_is_a_text(value: Any) -> None:
    """A field that is missing, empty or of another type names its place and not its content."""
    with pytest.raises(MalformedAnswer, match=r"a group has .* as email"):
        text_of({"email": value}, "email", "a group")


@pytest.mark.parametrize("value", [None, "false", 0])
def test_a_flag_is_true_or_false(value: Any) -> None:
    """The text "false" is not false."""
    with pytest.raises(MalformedAnswer, match="enabled where true or false belongs"):
        flag_of({"enabled": value}, "enabled", "an account", default=True)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        pytest.param(group_of_address("Data-Team@Example.com"), "data-team@example.com", id="google"),
        pytest.param(group_of_address("o'brien@example.com"), None, id="google, with a quote"),
        pytest.param(group_of_address("a@b@example.com"), None, id="google, two domains"),
        pytest.param(group_of_path("/data/Team", "acme.example"), "data+team@acme.example", id="keycloak"),
        pytest.param(group_of_path("/data+team", "acme.example"), None, id="keycloak, as if it were nested"),
        pytest.param(group_of_path("/data@evil.example", "acme.example"), None, id="keycloak, as if of a domain"),
        pytest.param(group_of_path("/data//team", "acme.example"), None, id="keycloak, an empty part"),
        pytest.param(group_of_path("/Data Team", "acme.example"), None, id="keycloak, a space"),
        pytest.param(group_of_path("/" + "a" * 65, "acme.example"), None, id="keycloak, too long"),
        pytest.param(group_of_path("/ admins", "acme.example"), None, id="keycloak, a space before it"),
        pytest.param(group_of_path("/\uff41dmins", "acme.example"), None, id="keycloak, a wide letter"),
        pytest.param(group_of_address("admins@acme.example "), None, id="google, a space after it"),
        pytest.param(group_of_team("platform", "Acme"), "platform@acme", id="github"),
        pytest.param(group_of_team("all.members", "acme"), None, id="github, as if it were everybody"),
        pytest.param(group_of_organization("Acme"), "all.members@acme", id="github, everybody"),
    ],
)
def test_names(made: str | None, name: str | None) -> None:
    """Each group has one name, and no other group has it."""
    assert made == name


@given(st.lists(st.lists(st.text("ab+./@ A", min_size=1, max_size=4), min_size=1, max_size=3), max_size=8))
def test_paths_never_share_a_name(paths: list[list[str]]) -> None:
    """Two groups of a realm have one name only if their paths are the same but for case."""
    whole = {"/" + "/".join(path) for path in paths}
    names: dict[str, set[str]] = {}
    for path in whole:
        if name := group_of_path(path, "acme.example"):
            names.setdefault(name, set()).add(path.lower())
    assert all(len(same) == 1 for same in names.values())


def test_paths_have_parents() -> None:
    """Everything above, nearest first."""
    assert parents_of_path("/a/b/c") == ("/a/b", "/a")
    assert parents_of_path("/a") == ()


# Walks.


def _above(edges: dict[str, list[str]], asked: list[str]) -> Callable[[str], Awaitable[Collection[str]]]:
    async def parents(group: str) -> Collection[str]:
        asked.append(group)
        await asyncio.sleep(0)
        return edges.get(group, [])

    return parents


async def test_a_walk_ends_in_loops() -> None:
    """Groups that contain each other, and themselves, are each asked once."""
    asked: list[str] = []
    edges = {"a": ["b", "a"], "b": ["c"], "c": ["a", "b", "d"]}
    assert await walk(["a"], _above(edges, asked), WalkLimits(100, 100)) == {"a", "b", "c", "d"}
    assert asked == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        pytest.param(WalkLimits(groups=5, depth=100), "more than 5 groups", id="groups"),
        pytest.param(WalkLimits(groups=100, depth=5), "more than 5 deep", id="depth"),
    ],
)
async def test_a_walk_beyond_its_limits_is_an_outage(limits: WalkLimits, words: str) -> None:
    """Never the part that was seen."""
    edges = {str(number): [str(number + 1)] for number in range(6)}
    with pytest.raises(DirectoryUnavailable, match=words):
        await walk(["0"], _above(edges, []), limits)


async def test_a_walk_ends_with_its_first_failure() -> None:
    """Nothing goes on being asked for an answer that nobody gets."""
    ended = []

    async def parents(group: str) -> Collection[str]:
        if group == "bad":
            raise DirectoryUnavailable("out")
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(group)
        return []

    with pytest.raises(DirectoryUnavailable, match="out"):
        await walk(["bad", "slow", "slower"], parents, WalkLimits(10, 10))
    assert sorted(ended) == ["slow", "slower"]
