"""Signing in at a realm of Keycloak: groups of the Admin API and of the person's claims, and what an outage is."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.doubles.api_server import Fault, faulty
from tests.doubles.keycloak_server import REALM
from tests.integration.access_lost import last_sign_in, loses_everything, nothing_ends
from tests.integration.keycloak_hub import DOMAIN, KeycloakHub, keycloak_hub
from tests.integration.oidc_hub import OidcBrowser, oidc_browser
from tests.integration.test_signin import by_token, eventually, token_of

pytestmark = [pytest.mark.lab("proxy", "oidc-provider")]
USERS, ADMINS = "/developer-platform-users", "/developer-platform-admins"
by_admin_api = pytest.mark.parametrize("both", ["admin"], indirect=True, scope="module")
by_claims = pytest.mark.parametrize("both", ["userinfo"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["admin", "userinfo"])
def both(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[KeycloakHub]:
    with keycloak_hub(tmp_path_factory.mktemp("keycloak"), {"source": request.param}) as hub:
        yield hub


@pytest.fixture
async def hub(both: KeycloakHub) -> AsyncIterator[KeycloakHub]:
    """Somebody who is in a group has been here."""
    both.provider.fault()
    both.person("root", ADMINS)
    async with oidc_browser(both) as tab:
        assert (await tab.sign_in_at_provider("root")).status == 302
    yield both
    both.provider.fault()


@pytest.fixture
async def tab(hub: KeycloakHub) -> AsyncIterator[OidcBrowser]:
    async with oidc_browser(hub) as tab:
        yield tab


async def test_a_member_signs_in(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """Their name is the address; groups are paths, of the host of Keycloak, with those above them."""
    hub.person("alice", USERS, "/data/team")
    page = await tab.sign_in_at_provider("alice")
    assert (page.status, page.headers["Location"]) == (302, "/hub/spawn")
    me = await tab.me()
    assert me is not None
    assert (me["name"], me["admin"], sorted(me["groups"])) == (
        "alice@example.com",
        False,
        [f"data+team@{DOMAIN}", f"data@{DOMAIN}", f"developer-platform-users@{DOMAIN}"],
    )
    assert last_sign_in(hub) == {
        "action": "person.sign-in",
        "actor": "alice@example.com",
        "outcome": "allowed",
        "why": f"is a member of developer-platform-users@{DOMAIN}",
        "remote": "127.0.0.1",
    }


async def test_the_way_there_and_out(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """To the realm's own endpoints, as its metadata names them, with no more scopes than Keycloak gives anybody."""
    hub.person("alice", USERS)
    there = (await tab.get("/hub/oauth_login", follow=False)).headers["Location"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()}
    assert there.startswith(f"{hub.provider.issuer}/protocol/openid-connect/auth?")
    assert (query["scope"], query["redirect_uri"]) == ("openid email profile", f"{hub.origin}/hub/oauth_callback")
    await tab.sign_in_at_provider("alice")
    out = (await tab.get("/hub/logout", follow=False)).headers["Location"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(out).query).items()}
    assert out.startswith(f"{hub.provider.issuer}/protocol/openid-connect/logout?")
    assert query["post_logout_redirect_uri"] == f"{hub.origin}/hub/logout"


async def test_the_sign_in_page_names_the_realm(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """One button."""
    assert f"Sign in with {REALM}" in (await tab.get("/hub/login")).words


async def test_an_administrator_is_one_only_while_in_the_group(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """Leaving it takes the role within one refresh, and the session stays, with tokens that are renewed."""
    hub.person("ada", USERS, ADMINS)
    await tab.sign_in_at_provider("ada")
    assert (await tab.get("/hub/admin")).status == 200
    hub.person("ada", USERS)

    async def no_admin() -> bool:
        return (await tab.get("/hub/admin")).status == 403

    assert await eventually(no_admin)
    await asyncio.sleep(3.5)  # beyond the first access token
    me = await tab.me()
    assert me is not None
    assert (me["admin"], me["groups"]) == (False, [f"developer-platform-users@{DOMAIN}"])


@pytest.mark.parametrize(
    "paths",
    [
        pytest.param((), id="in no group"),
        pytest.param(("/data/team",), id="in another group"),
        pytest.param(("/other/developer-platform-users",), id="a subgroup of the same name"),
        pytest.param(("/developer-platform-users ",), id="a name that looks alike"),
    ],
)
async def test_who_is_not_let_in(hub: KeycloakHub, tab: OidcBrowser, paths: tuple[str, ...]) -> None:
    """The page names the group, and nobody is signed in."""
    hub.person("mallory", *paths)
    page = await tab.sign_in_at_provider("mallory")
    assert page.status == 403
    assert f"mallory@example.com is not a member of developer-platform-users@{DOMAIN}." in page.words
    assert "Code: group-missing" in page.words
    assert (await tab.me()) is None


_NO_MEMBER = f"is not a member of developer-platform-users@{DOMAIN}"
_NO_ACCOUNT = "has no account any more, or it is disabled"


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        pytest.param("left-group", lambda hub, name: hub.person(name, "/data/team"), _NO_MEMBER, id="left the group"),
        pytest.param("left-last", lambda hub, name: hub.person(name), _NO_MEMBER, id="left their last group"),
        pytest.param(
            "disabled", lambda hub, name: hub.person(name, USERS, enabled=False), _NO_ACCOUNT, id="account disabled"
        ),
        pytest.param("deleted", lambda hub, name: hub.remove(name), _NO_ACCOUNT, id="account deleted"),
        pytest.param(
            "ended",
            lambda hub, _name: hub.provider.fault(userinfo=401, token_error={"status": 400, "error": "invalid_grant"}),
            _NO_ACCOUNT,
            id="session ended at Keycloak",
        ),
    ],
)
async def test_who_may_no_longer_come_in_loses_everything(
    hub: KeycloakHub, tab: OidcBrowser, name: str, change: Any, why: str
) -> None:
    """Browser session, API tokens and the running server, within one interval."""
    hub.person(name, USERS)
    await tab.sign_in_at_provider(name)
    assert await loses_everything(hub, tab, f"{name}@example.com", lambda: change(hub, name)) == why


@by_admin_api
async def test_an_account_that_only_the_admin_api_knows_as_disabled(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """Its access token is good for a while longer, and is not what counts."""
    hub.person("suspended", USERS)
    await tab.sign_in_at_provider("suspended")

    def suspend() -> None:
        hub.admin.people["suspended"].enabled = False

    assert await loses_everything(hub, tab, "suspended@example.com", suspend) == _NO_MEMBER


@contextmanager
def _slow(hub: KeycloakHub) -> Iterator[None]:
    hub.admin.delay = 1
    try:
        yield
    finally:
        hub.admin.delay = 0.0


@contextmanager
def _another_secret(hub: KeycloakHub) -> Iterator[None]:
    secret, hub.admin.secret = hub.admin.secret, "another"
    hub.admin.tokens.clear()
    try:
        yield
    finally:
        hub.admin.secret = secret


@contextmanager
def _may_not_read(hub: KeycloakHub) -> Iterator[None]:
    hub.admin.may_read = False
    try:
        yield
    finally:
        hub.admin.may_read = True


@contextmanager
def _fault(hub: KeycloakHub, **fault: Any) -> Iterator[None]:
    hub.provider.fault(**fault)
    try:
        yield
    finally:
        hub.provider.fault()


@by_admin_api
@pytest.mark.parametrize(
    ("name", "outage", "said"),
    [
        pytest.param("stopped", lambda hub: hub.admin.gone(), "it cannot be reached", id="the Admin API is down"),
        pytest.param("slow", _slow, "nothing within 0.5 s", id="slow"),
        pytest.param(
            "busy", lambda hub: faulty(hub.admin, Fault(503, path="/admin/")), "status 503", id="out of order"
        ),
        pytest.param(
            "secret", _another_secret, "a client with a service account, or its secret, is missing", id="its secret"
        ),
        pytest.param("role", _may_not_read, "view-users of realm-management is missing", id="its role"),
    ],
)
async def test_an_outage_of_the_admin_api(
    hub: KeycloakHub, tab: OidcBrowser, name: str, outage: Any, said: str
) -> None:
    """Nobody new comes in, and reads that it will pass; who is in stays for a while; nothing of theirs ends."""
    await _unknown_is_never_empty(hub, tab, name, outage(hub), "directory-unavailable")
    assert said in hub.log
    assert hub.admin.secret not in hub.log


@by_claims
@pytest.mark.parametrize(
    ("name", "fault", "code"),
    [
        pytest.param("down", {"down": True}, "provider-unavailable", id="down"),
        pytest.param("null", {"userinfo_claims": {"groups": None}}, "directory-unavailable", id="null for a list"),
        pytest.param("names", {"userinfo_claims": {"groups": ["users"]}}, "directory-unavailable", id="no full paths"),
    ],
)
async def test_an_outage_of_the_realm(
    hub: KeycloakHub, tab: OidcBrowser, name: str, fault: dict[str, Any], code: str
) -> None:
    """The same, where the person's own claims count."""
    await _unknown_is_never_empty(hub, tab, f"realm-{name}", _fault(hub, **fault), code)


async def _unknown_is_never_empty(
    hub: KeycloakHub, tab: OidcBrowser, name: str, outage: AbstractContextManager[object], code: str
) -> None:
    hub.person(name, USERS)
    await tab.sign_in_at_provider(name)
    async with oidc_browser(hub) as other:
        address = await other.to_provider(name)
        async with nothing_ends(hub, tab, f"{name}@example.com", outage):
            page = await other.back(address)
            assert (page.status, f"Code: {code}" in page.words) == (503, True), page.words
            assert int(page.headers["Retry-After"]) > 0


async def test_our_secret_is_wrong(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """Keycloak's word for it is in the log, the code and the secret are not; who is in stays in."""
    hub.person("carol", USERS)
    await tab.sign_in_at_provider("carol")
    token = await token_of(tab, "carol@example.com")
    size = len(hub.log)
    async with oidc_browser(hub) as other:
        address = await other.to_provider("carol")
        wrong = {"status": 401, "error": "unauthorized_client"}
        with _fault(hub, token_error=wrong, userinfo=401):
            page = await other.back(address)
            await asyncio.sleep(1.2)
            assert await by_token(hub, token) == 200
    assert (page.status, "Code: sign-in-failed" in page.words) == (403, True)
    new = hub.log[size:]
    assert "unauthorized_client" in new
    code = parse_qs(urlsplit(address).query)["code"][0]
    assert all(secret not in new for secret in (code, hub.admin.secret))


@by_claims
async def test_without_the_mapper_nobody_is_refused_by_name(hub: KeycloakHub, tab: OidcBrowser) -> None:
    """A hub that has not seen the claim yet takes it for an outage, tells why, and learns from the first who has it."""
    await asyncio.to_thread(hub.stop)
    await asyncio.to_thread(hub.start)
    hub.person("first")
    hub.person("second", USERS)
    seen = []
    for name in ("first", "second", "first"):
        async with oidc_browser(hub) as visitor:
            page = await visitor.sign_in_at_provider(name)
            seen.append((page.status, "Code: directory-unavailable" in page.words))
    assert seen == [(503, True), (302, False), (403, False)]
    assert "the claims have no groups (groups_claim): is the mapper there?" in hub.log
