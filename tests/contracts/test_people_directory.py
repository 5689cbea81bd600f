"""What every `PeopleDirectory` promises to an operator's questions, over the same sources as `GroupDirectory`."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devplatform_hub.core.claims import ClaimRules, identity_of
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import Identity
from devplatform_hub.ports import DirectoryUnavailable, PeopleDirectory

from .group_directories import ELSEWHERE, SOURCES

_NEED_A_TOKEN = ("claims of a provider", "keycloak, userinfo", "keycloak 22, userinfo", "github, person")
_BELIEVES = "google, accounts unread"
SEARCHABLE = [name for name in SOURCES if name not in (*_NEED_A_TOKEN, _BELIEVES)]


@pytest.fixture(params=SEARCHABLE)
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    async with SOURCES[request.param](tmp_path) as made:
        yield made


@pytest.fixture(params=_NEED_A_TOKEN)
async def closed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    async with SOURCES[request.param](tmp_path) as made:
        yield made


def typed(source: Any, identity: Identity) -> str:
    """What an operator would type for this person: their address, or their name where there is none."""
    if identity.provider == "github":
        return str(source.server.logins[identity.subject])
    return identity.email or identity.username


async def test_is_a_people_directory(source: Any) -> None:
    """It satisfies the port."""
    assert isinstance(source.directory, PeopleDirectory)


async def test_finds_whom_a_sign_in_would_bring(source: Any) -> None:
    """The claims make the same person, by the immutable subject, and their groups are the same."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    source.put(source.person(2, "alice.other"), "ops")
    found = await source.directory.find(typed(source, alice))
    assert found
    has_address = bool(alice.email)
    claim = "email" if has_address else "preferred_username"
    rules = ClaimRules(alice.provider, username_claim=claim, verified_email=has_address)
    same = identity_of(found.claims, rules)
    assert (same.subject, found.blocked) == (alice.subject, "")
    assert await source.directory.groups_of(same) == source.expected("data-team")
    assert await source.directory.find(typed(source, alice).upper()) == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("bob", id="another name"),
        pytest.param("alic", id="a part of a name"),
        pytest.param("alice@elsewhere.example", id="another domain"),
        pytest.param("../alice", id="a path"),
        pytest.param("alice?x=1&y", id="a query"),
        pytest.param("*", id="a wildcard"),
    ],
)
async def test_nobody_is_nobody(source: Any, text: str) -> None:
    """What is typed is a name and nothing else: never a path, a query or a pattern."""
    source.put(source.person(1, "alice"), "data-team")
    with suppress(PublicError):  # of a file of names: that is none
        assert await source.directory.find(text) is None


async def test_unknown_is_not_nobody(source: Any) -> None:
    """Without an answer it says so."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    text = typed(source, alice)
    source.fail()
    source.later()
    with pytest.raises(DirectoryUnavailable):
        await source.directory.find(text)
    findings = await source.directory.check(source.expected("data-team"))
    assert not all(finding.works for finding in findings)


async def test_a_check_tells_which_group_is_missing(source: Any) -> None:
    """Everything works, and of two groups the one that is not there is named."""
    source.put(source.person(1, "alice"), "data-team", "ops")
    source.put(source.person(2, "bob"), f"{ELSEWHERE}ops")
    there = await source.directory.check(source.expected("data-team", "ops"))
    assert [str(finding) for finding in there if finding.needed and not finding.works] == []
    gone = await source.directory.check(source.expected("data-team", "gone"))
    works = {finding.step.rpartition(" ")[2].partition("@")[0]: finding.works for finding in gone}
    assert (works["data-team"], works["gone"]) == (True, False)


async def test_who_needs_a_token_says_so(closed: Any) -> None:
    """Directories that only speak to the person themselves, with what an operator can do instead."""
    with pytest.raises(PublicError, match="only of people who are signed in") as caught:
        await closed.directory.find("alice")
    assert (caught.value.code, caught.value.hint) == (
        "directory-not-searchable",
        "Give the groups to try, each by --group.",
    )
    assert [(finding.mark, finding.step) for finding in await closed.directory.check(())] == [
        ("note", "reading groups")
    ]


async def test_without_leave_to_read_accounts_an_address_is_believed(tmp_path: Path) -> None:
    """Google with `check_accounts` off: the groups of the address are read."""
    async with SOURCES[_BELIEVES](tmp_path) as source:
        source.put(source.person(1, "alice"), "data-team")
        found = await source.directory.find("Alice@example.com")
        assert found.claims["sub"] == "alice@example.com"
        identity = identity_of(found.claims, ClaimRules("google"))
        assert await source.directory.groups_of(identity) == source.expected("data-team")
