"""Keycloak's groups, by its Admin API and by claims, against a double of both."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from traitlets import TraitError

from devplatform_hub.core.identity import Identity
from devplatform_hub.directory.keycloak import KeycloakGroupDirectory
from devplatform_hub.ports import DirectoryUnavailable
from tests.contracts.group_directories import Keycloak, KeycloakClaims, at_double
from tests.doubles.api_server import Fault
from tests.doubles.keycloak_server import CLIENT, REALM, SECRET, KeycloakServer, Person

TOKEN = f"/realms/{REALM}/protocol/openid-connect/token"


@pytest.fixture(params=[Keycloak, KeycloakClaims], ids=["admin", "userinfo"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with at_double(request.param, KeycloakServer) as made:
        yield made


@pytest.fixture
async def admin() -> AsyncIterator[Keycloak]:
    async with at_double(Keycloak, KeycloakServer) as made:
        yield made


@pytest.fixture
async def claims() -> AsyncIterator[KeycloakClaims]:
    async with at_double(KeycloakClaims, KeycloakServer) as made:
        yield made


async def test_a_disabled_account_is_in_no_group(admin: Keycloak) -> None:
    """It keeps its groups in Keycloak."""
    alice = admin.person(1, "alice")
    admin.put(alice, "data-team")
    assert await admin.directory.groups_of(alice) == admin.expected("data-team")
    admin.server.people[alice.subject].enabled = False
    admin.later()
    assert await admin.directory.groups_of(alice) == frozenset()


async def test_a_token_of_the_client_is_used_by_all_and_renewed(admin: Keycloak) -> None:
    """One for many people; one that Keycloak has forgotten is replaced."""
    for number in range(5):
        person = admin.person(number, f"person{number}")
        admin.put(person, "data-team")
        assert await admin.directory.groups_of(person) == admin.expected("data-team")
    assert admin.server.calls[TOKEN] == 1
    admin.server.tokens.clear()
    admin.server.people[admin.person(1, "person1").subject].paths = {"/ops"}
    admin._shift += 20
    assert await admin.directory.groups_of(admin.person(1, "person1")) == admin.expected("ops")
    assert admin.server.calls[TOKEN] == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"client_secret": "wrong"}, "a client with a service account, or its secret", id="secret"),
        pytest.param({"realm": "other"}, "status 404", id="realm"),
        pytest.param({"server_url": "http://127.0.0.1:9"}, "cannot be reached", id="address"),
    ],
)
async def test_a_wrong_setting_is_named(
    admin: Keycloak, change: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And the secret is in no message and no log."""
    caplog.set_level(logging.DEBUG)
    settings = {"server_url": admin.server.url, "realm": REALM, "client_id": CLIENT, "client_secret": SECRET}
    directory = KeycloakGroupDirectory(**(settings | change), tries=1)
    with pytest.raises(DirectoryUnavailable, match=words) as caught:
        await directory.groups_of(admin.person(1, "alice"))
    assert all(secret not in str(caught.value) + caplog.text for secret in (SECRET, "wrong"))
    await directory.close()


async def test_a_missing_right_is_named(admin: Keycloak) -> None:
    """The role that the client lacks."""
    admin.server.may_read = False
    with pytest.raises(DirectoryUnavailable, match="view-users of realm-management is missing"):
        await admin.directory.groups_of(admin.person(1, "alice"))


async def test_parents_can_be_left_out() -> None:
    """For realms where a subgroup is no part of the group above it."""
    async with KeycloakServer() as server:
        settings = {"server_url": server.url, "realm": REALM, "client_id": CLIENT, "client_secret": SECRET}
        directory = KeycloakGroupDirectory(**settings, group_domain="acme.example", include_parents=False)
        server.people["1"] = Person("1", {"/data/team"})
        assert await directory.groups_of(Identity("keycloak", "1", "alice")) == {"data+team@acme.example"}
        await directory.close()


async def test_what_has_no_name_is_told_once(source: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Such groups grant nothing, and take nothing from the others."""
    alice = source.person(1, "alice")
    source.server.people[alice.subject] = Person(alice.subject, {"/Data Team", "/a+b", "/ops"})
    for _ in range(2):
        assert await source.directory.groups_of(alice) == source.expected("ops")
        source.later()
    assert caplog.text.count("cannot be written as name@domain") == 2


@pytest.mark.parametrize(
    ("came_before", "missing_means_none", "answers"),
    [
        pytest.param(False, True, False, id="it never came: the mapper is missing"),
        pytest.param(True, True, True, id="it came for somebody: Keycloak leaves out an empty list"),
        pytest.param(False, False, False, id="a Keycloak before 22, never"),
        pytest.param(True, False, False, id="a Keycloak before 22, which gives an empty list"),
    ],
)
async def test_what_a_missing_claim_means(
    claims: KeycloakClaims, came_before: bool, missing_means_none: bool, answers: bool
) -> None:
    """No group where it is known that there is a mapper; an outage, never an empty list, where it may be missing."""
    claims.directory.missing_means_none = missing_means_none
    alice, bob = claims.person(1, "alice"), claims.person(2, "bob")
    claims.put(bob, "data-team")
    if came_before:
        assert await claims.directory.groups_of(bob) == claims.expected("data-team")
    claims.server.gives_empty_lists = False
    claims.put(alice)
    if answers:
        assert await claims.directory.groups_of(alice) == frozenset()
        return
    with pytest.raises(DirectoryUnavailable, match=r"the claims have no groups .* is the mapper there"):
        await claims.directory.groups_of(alice)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param("/data-team", id="a text"),
        pytest.param({"/data-team": True}, id="an object"),
        pytest.param(["data-team"], id="without full paths"),
        pytest.param(["/data-team", 5], id="a number among them"),
    ],
)
async def test_a_claim_of_another_shape_is_an_outage(claims: KeycloakClaims, value: Any) -> None:
    """And tells nothing about the mapper: who has no claim after that is still unknown."""
    alice, bob = claims.person(1, "alice"), claims.person(2, "bob")
    claims.server.faults.append(Fault(text=json.dumps({"sub": alice.subject, "groups": value}), times=1))
    with pytest.raises(DirectoryUnavailable, match="the claim groups"):
        await claims.directory.groups_of(alice)
    claims.server.gives_empty_lists = False
    claims.put(bob)
    with pytest.raises(DirectoryUnavailable, match="is the mapper there"):
        await claims.directory.groups_of(bob)


async def test_a_token_of_another_person_gives_nothing(claims: KeycloakClaims) -> None:
    """Whoever mixes up tokens learns of it."""
    alice, bob = claims.person(1, "alice"), claims.person(2, "bob")
    claims.put(bob, "admins")

    async def of_bob(_identity: Identity) -> str:
        return f"of-{bob.subject}"

    claims.directory.token_of = of_bob
    with pytest.raises(DirectoryUnavailable, match="belongs to another person"):
        await claims.directory.groups_of(alice)


async def test_without_tokens_of_people_there_is_no_answer() -> None:
    """Until a sign-in gives them."""
    directory = KeycloakGroupDirectory(server_url="https://sso.example.com", realm="acme", source="userinfo")
    with pytest.raises(DirectoryUnavailable, match="no token of this person is known"):
        await directory.groups_of(Identity("keycloak", "1", "alice"))
    await directory.close()


async def test_a_page_that_comes_again_is_an_outage(admin: Keycloak) -> None:
    """Groups that move between pages while they are read would hide one."""
    alice = admin.person(1, "alice")
    admin.put(alice, *(f"group-{number}" for number in range(100)))
    page = [{"id": f"id:{number}", "path": f"/group-{number}"} for number in range(100)]
    admin.server.faults.append(Fault(text=json.dumps(page), path="/groups"))
    with pytest.raises(DirectoryUnavailable, match="one group twice"):
        await admin.directory.groups_of(alice)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        pytest.param({}, "server_url is needed", id="nothing"),
        pytest.param({"server_url": "sso.example.com"}, "server_url has to be an address", id="no scheme"),
        pytest.param({"server_url": "https://sso.example.com", "realm": "a"}, "client_id is needed", id="no client"),
        pytest.param({"source": "token"}, "source", id="another source"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, Any], words: str) -> None:
    """An error at start, by the setting's name."""
    with pytest.raises(TraitError, match=words):
        KeycloakGroupDirectory(**settings)
