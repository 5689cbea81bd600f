"""GitHub's organisations and teams, by people's tokens and by an app's, against a double of its REST API."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from traitlets import TraitError

from devplatform_hub.core.identity import Identity
from devplatform_hub.directory.github import GitHubGroupDirectory
from devplatform_hub.ports import DirectoryUnavailable
from tests.contracts.group_directories import GitHub, GitHubApp, at_double
from tests.doubles.api_server import Fault
from tests.doubles.github_server import APP_TOKEN, GitHubServer


@pytest.fixture
async def person() -> AsyncIterator[GitHub]:
    async with at_double(GitHub, GitHubServer) as made:
        yield made


@pytest.fixture
async def app() -> AsyncIterator[GitHubApp]:
    async with at_double(GitHubApp, GitHubServer) as made:
        yield made


async def test_pages_are_followed_by_links(person: GitHub) -> None:
    """Whatever size the pages have."""
    person.server.page_size = 7
    alice = person.person(1, "alice")
    groups = [f"team-{number}" for number in range(40)]
    person.put(alice, *groups)
    assert await person.directory.groups_of(alice) == person.expected(*groups)
    assert person.server.calls["/user/teams"] == 6


async def test_a_link_to_another_server_is_an_outage(person: GitHub) -> None:
    """The token would go there with the next question."""
    alice = person.person(1, "alice")
    person.put(alice, "data-team")
    link = {"Link": '<https://evil.example/user/teams?page=2>; rel="next"'}
    person.server.faults.append(Fault(200, "[]", path="/user/teams", headers=link))
    with pytest.raises(DirectoryUnavailable, match="on another server"):
        await person.directory.groups_of(alice)


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        pytest.param("headers", {"X-GitHub-SSO": "partial-results; organizations=1,2"}, "for their SSO", id="SSO"),
        pytest.param("scopes", "read:user", "the scope read:org is missing", id="scope"),
    ],
)
async def test_an_answer_that_leaves_something_out_is_an_outage(
    person: GitHub, attribute: str, value: Any, words: str
) -> None:
    """GitHub says in headers alone that a list is not the whole one."""
    alice = person.person(1, "alice")
    person.put(alice, "data-team")
    setattr(person.server, attribute, value)
    with pytest.raises(DirectoryUnavailable, match=words):
        await person.directory.groups_of(alice)


async def test_a_token_of_another_person_gives_nothing(person: GitHub) -> None:
    """Whoever mixes up tokens learns of it; a token that has ended is not an empty list."""
    alice, bob = person.person(1, "alice"), person.person(2, "bob")
    person.put(bob, "admins")

    async def of_bob(_identity: Identity) -> str:
        return f"gho_{bob.subject}"

    async def ended(_identity: Identity) -> str:
        return "gho_ended"

    for token_of, words in ((of_bob, "belongs to another person"), (ended, "the token has ended")):
        person.directory.token_of = token_of
        with pytest.raises(DirectoryUnavailable, match=words):
            await person.directory.groups_of(alice)


async def test_only_the_organizations_that_count(person: GitHub) -> None:
    """Teams of other organisations are left out where some are named: anybody can make an organisation."""
    alice = person.person(1, "alice")
    person.put(alice, "data-team", "elsewhere:data-team")
    person.directory.organizations = ["Partner"]
    assert await person.directory.groups_of(alice) == person.expected("elsewhere:data-team")


async def test_an_invitation_is_no_membership(app: GitHubApp) -> None:
    """Until it is accepted; members of child teams are members."""
    alice = app.person(1, "alice")
    app.put(alice, "child")
    app.nest("child", "parent")
    app.server.team("acme", "invited").invited.add(alice.subject)
    assert await app.directory.groups_of(alice) == app.expected("child", "parent")


async def test_a_renamed_login_is_found_by_its_id(app: GitHubApp) -> None:
    """And somebody who took the old login has nothing."""
    alice, other = app.person(1, "alice"), app.person(2, "alice")
    app.put(alice, "data-team")
    app.server.logins[other.subject], app.server.logins[alice.subject] = app.server.logins[alice.subject], "new-name"
    assert await app.directory.groups_of(alice) == app.expected("data-team")
    assert await app.directory.groups_of(other) == frozenset()


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-RateLimit-Remaining": "0"}, id="the hour's limit"),
        pytest.param({"Retry-After": "0"}, id="the secondary limit"),
    ],
)
async def test_rate_limits_are_not_refusals(app: GitHubApp, headers: dict[str, str]) -> None:
    """They have the status of one; they pass, or they are an outage."""
    alice = app.person(1, "alice")
    app.put(alice, "data-team")
    app.server.faults.append(Fault(403, "{}", times=1, headers=headers))
    assert await app.directory.groups_of(alice) == app.expected("data-team")
    app.server.faults[:] = [Fault(403, "{}", headers=headers)]
    app.later()
    with pytest.raises(DirectoryUnavailable, match="status 403"):
        await app.directory.groups_of(alice)


@pytest.mark.parametrize("subject", ["", "octocat", "1/../2", "٣"])
async def test_a_subject_that_is_no_id_is_nobody(app: GitHubApp, subject: str) -> None:
    """It never becomes part of an address."""
    assert await app.directory.groups_of(Identity("github", subject, "alice")) == frozenset()
    assert not app.server.calls


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({"app_token": APP_TOKEN}, "organizations is needed with app_token", id="no organisations"),
        pytest.param({"api_root": "api.github.com"}, "api_root has to be an address", id="no scheme"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], words: str) -> None:
    """An error at start, by the setting's name."""
    with pytest.raises(TraitError, match=words):
        GitHubGroupDirectory(**settings)
