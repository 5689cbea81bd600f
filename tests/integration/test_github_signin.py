"""Signing in with GitHub: who comes in by their teams, who somebody is by their number, and what an outage is."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.doubles.api_server import Fault, faulty
from tests.integration.access_lost import last_sign_in, loses_everything, nothing_ends, revoked
from tests.integration.github_hub import WITH_APP_TOKEN, GitHubHub, github_hub
from tests.integration.oidc_hub import ADMINS, USERS, OidcBrowser, browser_at
from tests.integration.test_signin import eventually

pytestmark = [pytest.mark.lab("proxy")]


@pytest.fixture(scope="module", params=[{}, WITH_APP_TOKEN], ids=["people's own tokens", "app_token"])
def hub(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[GitHubHub]:
    with github_hub(tmp_path_factory.mktemp("github"), request.param) as hub:
        hub.github.team("acme", USERS)
        yield hub


@pytest.fixture
async def tab(hub: GitHubHub) -> AsyncIterator[OidcBrowser]:
    async with browser_at(hub.origin) as tab:
        yield tab
    hub.github.faults.clear()
    hub.github.lifetime = 0
    hub.github.headers.clear()


async def test_a_member_of_a_child_team_signs_in(hub: GitHubHub, tab: OidcBrowser) -> None:
    """Their name is the login, their groups are teams with those above and the organisation; they are no admin."""
    hub.github.team("acme", "painters").parent = USERS
    hub.github.person(101, "Alice", "painters")
    page = await tab.sign_in_at_provider("alice")
    assert (page.status, page.headers["Location"]) == (302, "/hub/spawn")
    me = await tab.me()
    assert me is not None
    assert (me["name"], me["admin"], sorted(me["groups"])) == (
        "alice",
        False,
        ["all.members@acme", "developer-platform-users@acme", "painters@acme"],
    )
    assert last_sign_in(hub) == {
        "action": "person.sign-in",
        "actor": "alice",
        "outcome": "allowed",
        "why": "is a member of developer-platform-users@acme",
        "remote": "127.0.0.1",
    }


async def test_what_github_is_asked_for(hub: GitHubHub, tab: OidcBrowser) -> None:
    """One scope, a state, and PKCE with S256, without which GitHub's double gives no token."""
    hub.github.person(102, "asking", USERS)
    assert (await tab.sign_in_at_provider("asking")).status == 302
    asked = hub.github.asked[-1]
    assert (asked["scope"], asked["code_challenge_method"], asked["redirect_uri"]) == (
        "read:org",
        "S256",
        f"{hub.origin}/hub/oauth_callback",
    )
    assert re.fullmatch(r"[\w-]{43}", asked["code_challenge"])


async def test_an_administrator_is_one_only_while_in_the_team(hub: GitHubHub, tab: OidcBrowser) -> None:
    """Leaving it takes the role within one refresh, and the session stays."""
    hub.github.person(103, "ada", USERS, ADMINS)
    await tab.sign_in_at_provider("ada")
    assert (await tab.get("/hub/admin")).status == 200
    hub.github.person(103, "ada", USERS)

    async def no_admin() -> bool:
        return (await tab.get("/hub/admin")).status == 403

    assert await eventually(no_admin)
    me = await tab.me()
    assert me is not None
    assert (me["admin"], sorted(me["groups"])) == (False, ["all.members@acme", "developer-platform-users@acme"])


def _of_another_organization(hub: GitHubHub) -> None:
    hub.github.person(104, "mallory", USERS, organization="evil")


def _invited(hub: GitHubHub) -> None:
    hub.github.person(104, "mallory")
    hub.github.team("acme", USERS).invited.add("104")


def _above(hub: GitHubHub) -> None:
    hub.github.team("acme", USERS).parent = "everybody"
    hub.github.person(104, "mallory", "everybody")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda hub: hub.github.person(104, "mallory", "data-team"), id="in another team"),
        pytest.param(_of_another_organization, id="in a team of the same name of another organisation"),
        pytest.param(_invited, id="invited"),
        pytest.param(_above, id="in the team above"),
    ],
)
async def test_who_is_not_let_in(hub: GitHubHub, tab: OidcBrowser, make: Any) -> None:
    """The page names the team, and nobody is signed in."""
    make(hub)
    page = await tab.sign_in_at_provider("mallory")
    assert page.status == 403
    assert "mallory is not a member of developer-platform-users@acme." in page.words
    assert "Code: group-missing" in page.words
    assert (await tab.me()) is None
    hub.github.team("acme", USERS).invited.clear()
    hub.github.team("acme", USERS).parent = None


async def test_a_renamed_login_is_the_same_person(hub: GitHubHub, tab: OidcBrowser) -> None:
    """They stay in, and when they sign in anew they find what is theirs, under the name that they came with."""
    hub.github.person(105, "nora", USERS)
    await tab.sign_in_at_provider("nora")
    hub.github.person(105, "nora-married", USERS)
    await asyncio.sleep(1.2)
    names = [(await tab.me() or {}).get("name")]
    async with browser_at(hub.origin) as later:
        assert (await later.sign_in_at_provider("nora-married")).status == 302
        names.append((await later.me() or {}).get("name"))
    assert names == ["nora", "nora"]


async def test_a_login_that_is_given_to_another_person(hub: GitHubHub, tab: OidcBrowser) -> None:
    """They are refused while the former one's account is here, wherever that one is now; the former one stays."""
    hub.github.person(106, "shared", USERS)
    await tab.sign_in_at_provider("shared")
    hub.github.person(106, "moved-on", USERS)
    hub.github.person(107, "Shared", USERS, ADMINS)
    async with browser_at(hub.origin) as other:
        page = await other.sign_in_at_provider("shared")
        assert (page.status, "Code: name-taken" in page.words) == (403, True)
        assert (await other.me()) is None
    await asyncio.sleep(1.2)
    assert (await tab.me()) is not None


@pytest.mark.parametrize(
    ("number", "login", "change", "why"),
    [
        pytest.param(
            108,
            "left-team",
            lambda github: github.person(108, "left-team", "data-team"),
            "is not a member of developer-platform-users@acme",
            id="left the team",
        ),
        pytest.param(
            109,
            "left-acme",
            lambda github: (github.person(109, "left-acme"), github.organizations["acme"].discard("109")),
            "is not a member of developer-platform-users@acme",
            id="left the organisation",
        ),
        pytest.param(
            110,
            "revoked",
            lambda github: github.revoke(110),
            "has no account any more, or it is disabled",
            id="revoked the app",
        ),
    ],
)
async def test_who_may_no_longer_come_in_loses_everything(
    hub: GitHubHub, tab: OidcBrowser, number: int, login: str, change: Any, why: str
) -> None:
    """Browser session, API tokens and the running server, within one interval."""
    hub.github.person(number, login, USERS)
    await tab.sign_in_at_provider(login)
    assert await loses_everything(hub, tab, login, lambda: change(hub.github)) == why


async def test_who_revoked_the_app_agrees_and_signs_in_anew(hub: GitHubHub, tab: OidcBrowser) -> None:
    """It was their own choice, and can be another one."""
    hub.github.person(111, "kim", USERS)
    await tab.sign_in_at_provider("kim")
    hub.github.revoke(111)
    await asyncio.sleep(1.2)
    assert (await tab.me()) is None
    assert (await tab.sign_in_at_provider("kim")).status == 302
    assert (await tab.me()) is not None


def _down(hub: GitHubHub) -> AbstractContextManager[object]:
    return hub.github.gone()


@contextmanager
def _slow(hub: GitHubHub) -> Iterator[None]:
    hub.github.delay = 0.7
    try:
        yield
    finally:
        hub.github.delay = 0.0


def _answers(status: int, **headers: str) -> Any:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda hub: faulty(hub.github, Fault(status, '{"message": "no"}', path="/api/v3", headers=given))


@pytest.mark.parametrize(
    ("number", "outage", "code"),
    [
        pytest.param(120, _down, "provider-unavailable", id="down"),
        pytest.param(121, _slow, "directory-unavailable", id="slow"),
        pytest.param(122, _answers(502), "provider-unavailable", id="a gateway's error"),
        pytest.param(123, _answers(429, Retry_After="60"), "provider-unavailable", id="429"),
        pytest.param(124, _answers(403, Retry_After="60"), "provider-unavailable", id="the secondary rate limit"),
        pytest.param(125, _answers(403, X_RateLimit_Remaining="0"), "provider-unavailable", id="the hour's rate limit"),
    ],
)
async def test_an_outage_is_no_refusal(hub: GitHubHub, tab: OidcBrowser, number: int, outage: Any, code: str) -> None:
    """Nobody new comes in, and reads that it will pass; who is in stays for a while; nothing of theirs ends."""
    login = f"judy-{number}"
    hub.github.person(number, login, USERS)
    await tab.sign_in_at_provider(login)
    async with browser_at(hub.origin) as other:
        address = await other.to_provider(login)
        async with nothing_ends(hub, tab, login, outage(hub)):
            page = await other.back(address)
            assert (page.status, f"Code: {code}" in page.words) == (503, True), page.words
            assert int(page.headers["Retry-After"]) > 0


async def test_a_list_that_leaves_an_organisation_out_is_an_outage(hub: GitHubHub, tab: OidcBrowser) -> None:
    """With people's own tokens: their token is not authorised for the organisation's SSO."""
    hub.github.person(130, "sso", USERS)
    hub.github.headers["X-GitHub-SSO"] = "partial-results; organizations=1"
    page = await tab.sign_in_at_provider("sso")
    assert (page.status, "Code: directory-unavailable" in page.words) == (503, True)
    assert "for their SSO" in hub.log


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"code": "of-nobody"}, "bad_verification_code", id="an invented code"),
        pytest.param({}, "incorrect_client_credentials", id="our secret is wrong"),
    ],
)
async def test_a_token_is_refused_with_status_200(
    hub: GitHubHub, tab: OidcBrowser, change: dict[str, str], error: str
) -> None:
    """As GitHub does it. The log names GitHub's own word for it, and has neither the code nor the secret."""
    hub.github.person(131, "carol", USERS)
    query = {key: values[0] for key, values in parse_qs(urlsplit(await tab.to_provider("carol")).query).items()}
    query |= change
    size, client = len(hub.log), hub.github.client
    if not change:
        hub.github.client = (client[0], "another-secret")
    try:
        page = await tab.get(f"/hub/oauth_callback?{urlencode(query)}")
    finally:
        hub.github.client = client
    assert (page.status, "Code: sign-in-failed" in page.words) == (403, True)
    new = hub.log[size:]
    assert error in new
    assert all(secret not in new for secret in (query["code"], query["state"], client[1]))


async def test_our_secret_is_wrong_while_somebody_is_in(hub: GitHubHub, tab: OidcBrowser) -> None:
    """Tokens of a GitHub App end, and cannot be renewed: that is the platform's fault and ends nothing."""
    hub.github.lifetime = 28800
    hub.github.person(132, "lena", USERS)
    await tab.sign_in_at_provider("lena")
    client = hub.github.client

    @contextmanager
    def another_secret() -> Iterator[None]:
        hub.github.client = (client[0], "another-secret")
        hub.github.end_tokens(132)
        try:
            yield
        finally:
            hub.github.client = client

    async with nothing_ends(hub, tab, "lena", another_secret()):
        pass


async def test_tokens_of_a_github_app_are_renewed(hub: GitHubHub, tab: OidcBrowser) -> None:
    """Again and again, each refresh token once; they have no scopes, and need none."""
    hub.github.lifetime = 28800
    hub.github.person(133, "omar", USERS)
    await tab.sign_in_at_provider("omar")
    for _ in range(2):
        hub.github.end_tokens(133)
        await asyncio.sleep(1.2)
        pages = await asyncio.gather(*(tab.get("/hub/home") for _ in range(4)))
        assert {(page.status, page.path) for page in pages} == {(200, "/hub/home")}


async def test_a_refresh_token_that_has_ended_is_no_outage(hub: GitHubHub, tab: OidcBrowser) -> None:
    """GitHub's own name for it (`bad_refresh_token`): the person signs in anew, and nothing waits for GitHub."""
    hub.github.lifetime = 28800
    hub.github.person(134, "pia", USERS)
    await tab.sign_in_at_provider("pia")
    why = await loses_everything(hub, tab, "pia", lambda: hub.github.revoke(134))
    assert why == "has no account any more, or it is disabled"
    assert (await tab.sign_in_at_provider("pia")).status == 302


async def test_saying_no_at_github(hub: GitHubHub, tab: OidcBrowser) -> None:
    """The page says that it was their own choice."""
    query = {"state": parse_qs(urlsplit(await _asked(hub, tab)).query)["state"][0], "error": "access_denied"}
    page = await tab.get(f"/hub/oauth_callback?{urlencode(query)}")
    assert (page.status, "Code: consent-missing" in page.words) == (403, True)
    assert revoked(hub, "rita") == []


async def _asked(hub: GitHubHub, tab: OidcBrowser) -> str:
    hub.github.person(135, "rita", USERS)
    return await tab.to_provider("rita")


async def test_the_address_is_not_the_registered_one(hub: GitHubHub, tab: OidcBrowser) -> None:
    """GitHub sends the browser to the registered one with an error, which is told to the administrator."""
    callback = hub.github.callback
    hub.github.callback = f"{hub.origin}/hub/oauth_callback/elsewhere"
    try:
        page = await tab.get("/hub/oauth_login", follow=False)
        async with tab.session.get(page.headers["Location"], allow_redirects=False) as answer:
            back = answer.headers["Location"]
    finally:
        hub.github.callback = callback
    page = await tab.get(f"/hub/oauth_callback?{urlsplit(back).query}")
    assert (page.status, "Code: sign-in-failed" in page.words) == (403, True)
    assert "redirect_uri_mismatch" in hub.log


async def test_the_sign_in_page_names_github(hub: GitHubHub, tab: OidcBrowser) -> None:
    """One button."""
    assert "Sign in with GitHub" in (await tab.get("/hub/login")).words
