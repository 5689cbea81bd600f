"""What every `GroupDirectory` promises. A directory joins by an entry in `group_directories.SOURCES`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from devplatform_hub.core.identity import Identity
from devplatform_hub.ports import DirectoryUnavailable, GroupDirectory

from .group_directories import ELSEWHERE, REMOTE, SOURCES, Source


@pytest.fixture(params=SOURCES)
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Source]:
    async with SOURCES[request.param](tmp_path) as made:
        yield made


@pytest.fixture(params=REMOTE)
async def remote(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    async with SOURCES[request.param](tmp_path) as made:
        yield made


async def test_is_a_group_directory(source: Source) -> None:
    """It satisfies the port, which is how a setting is checked."""
    assert isinstance(source.directory, GroupDirectory)


async def test_gives_every_group_whole(source: Source) -> None:
    """All groups, each with its domain: equal names of two domains stay two groups."""
    alice = source.person(1, "alice")
    groups = ("data-team", "ops", f"{ELSEWHERE}data-team")
    source.put(alice, *groups)
    assert await source.directory.groups_of(alice) == source.expected(*groups)


async def test_nobody_has_no_groups(source: Source) -> None:
    """Somebody whom the directory does not know is in no group; that is an answer and no error."""
    assert await source.directory.groups_of(source.person(1, "alice")) == frozenset()


async def test_somebody_may_be_in_no_group(source: Source) -> None:
    """Somebody whom it knows, too."""
    alice = source.person(1, "alice")
    source.put(alice)
    assert await source.directory.groups_of(alice) == frozenset()


async def test_finds_people_by_subject(source: Source) -> None:
    """A name proves nothing: another subject of the same name gets nothing, a renamed person keeps their groups."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    same_name = Identity(alice.provider, source.person(2, "alice").subject, alice.username, alice.email)
    renamed = Identity(alice.provider, alice.subject, "alice.married", alice.email and "alice.married@example.com")
    assert await source.directory.groups_of(same_name) == frozenset()
    assert await source.directory.groups_of(renamed) == source.expected("data-team")
    # And once more, now that everything about the directory itself is known.
    source.later()
    assert await source.directory.groups_of(same_name) == frozenset()
    assert await source.directory.groups_of(renamed) == source.expected("data-team")


async def test_knows_only_people_of_its_provider(source: Source) -> None:
    """The same subject of another provider is another person."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    stranger = Identity("elsewhere", alice.subject, alice.username, alice.email)
    assert await source.directory.groups_of(stranger) == frozenset()


async def test_folds_case(source: Source) -> None:
    """A group has one spelling, and so has a person's address."""
    alice = source.person(1, "Alice")
    source.put(alice, "Data-Team")
    assert await source.directory.groups_of(alice) == source.expected("data-team")
    source.later()
    assert await source.directory.groups_of(alice) == source.expected("data-team")


async def test_gives_many_groups(source: Source) -> None:
    """However many pages they fill, to the last one: 200 are exactly two of 100, 437 end within a page."""
    for number, size in enumerate((200, 437)):
        person = source.person(number, f"person{number}")
        groups = [f"group-{number}-{index}" for index in range(size)]
        source.put(person, *groups)
        source.later()
        assert await source.directory.groups_of(person) == source.expected(*groups)


async def test_changes_are_seen(source: Source) -> None:
    """A group that was left, and a person who was removed, count as soon as an answer is not kept any more."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team", "ops")
    assert await source.directory.groups_of(alice) == source.expected("data-team", "ops")
    source.put(alice, "ops")
    source.later()
    assert await source.directory.groups_of(alice) == source.expected("ops")
    source.remove(alice)
    source.later()
    assert await source.directory.groups_of(alice) == frozenset()


async def test_unknown_is_never_empty(source: Source) -> None:
    """Without a complete answer it says so, for people it knows and for others; then it recovers."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    assert await source.directory.groups_of(alice) == source.expected("data-team")
    source.fail()
    source.later()
    for identity in (alice, source.person(2, "bob")):
        with pytest.raises(DirectoryUnavailable):
            await source.directory.groups_of(identity)
    source.heal()
    assert await source.directory.groups_of(alice) == source.expected("data-team")


async def test_gives_nested_groups(remote: Any) -> None:
    """What a group is in, its members are in, however deep."""
    alice = remote.person(1, "alice")
    for inner, outer in (("a", "b"), ("b", "c"), ("c", "d"), ("x", "y")):
        remote.nest(inner, outer)
    remote.put(alice, "a", "z")
    assert await remote.directory.groups_of(alice) == remote.expected("a", "b", "c", "d", "z")


async def test_an_outage_half_way_is_no_answer(remote: Any) -> None:
    """Pages that came before a failure are thrown away: every call of a look-up fails once, and none gives a part."""
    alice = remote.person(1, "alice")
    remote.put(alice, *(f"group-{index}" for index in range(250)))
    remote.nest("group-1", "above")
    whole = await remote.directory.groups_of(alice)
    assert whole == remote.expected(*(f"group-{index}" for index in range(250)), "above")
    remote.later()
    before = remote.server.calls.total()
    assert await remote.directory.groups_of(alice) == whole
    calls = remote.server.calls.total() - before
    for fails_at in (1, max(2, calls // 2), calls) if calls > 1 else (1,):
        remote.later()
        remote.server.fail_after(fails_at - 1)
        with pytest.raises(DirectoryUnavailable):
            await remote.directory.groups_of(alice)
        remote.heal()


@pytest.mark.parametrize("subject", ["", ".", ".."])
async def test_a_subject_that_is_a_step_of_a_path_is_nobody(remote: Any, subject: str) -> None:
    """It never makes the question another one."""
    assert await remote.directory.groups_of(Identity(remote.directory.provider, subject, "alice")) == frozenset()
    assert not remote.server.calls


async def test_two_at_once_are_one_look_up(remote: Any) -> None:
    """People who ask at the same time share one look-up, and one who leaves takes nothing from the others."""
    alice = remote.person(1, "alice")
    remote.put(alice, "data-team")
    await remote.directory.groups_of(alice)
    remote.later()
    before = remote.server.calls.total()
    await remote.directory.groups_of(alice)
    one = remote.server.calls.total() - before
    remote.later()
    asking = [asyncio.ensure_future(remote.directory.groups_of(alice)) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    answers = await asyncio.gather(*asking[1:])
    assert set(answers) == {remote.expected("data-team")}
    assert remote.server.calls.total() - before == 2 * one


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("<html>Sign in</html>", id="a page"),
        pytest.param('{"kind": "admin#directory#groups", "groups": [{"email"', id="half an answer"),
        pytest.param("null", id="null"),
        pytest.param('"groups"', id="a text"),
        pytest.param('{"groups": null, "memberships": null, "enabled": true}', id="null in place of a list"),
        pytest.param('{"groups": {"email": "a@b"}, "memberships": {}, "sub": 1}', id="an object in place of a list"),
        pytest.param('[{"email": 5, "login": 5, "id": 5, "path": 5}]', id="wrong types"),
        pytest.param("[" * 100_000, id="nested without end"),
    ],
)
async def test_a_malformed_answer_is_an_outage(remote: Any, text: str) -> None:
    """Not JSON, of another shape, with fields that are missing: that is never an empty list, and the error is short."""
    alice = remote.person(1, "alice")
    remote.put(alice, "data-team")
    await remote.directory.groups_of(alice)
    remote.later()
    remote.server.break_with(text)
    with pytest.raises(DirectoryUnavailable) as caught:
        await remote.directory.groups_of(alice)
    assert 10 < len(str(caught.value)) < 300
