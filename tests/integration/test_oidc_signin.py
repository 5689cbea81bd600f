"""Signing in at a real OpenID Connect provider: who comes in, what is refused, and who is put out again."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from tests.integration.access_lost import last_sign_in, loses_everything
from tests.integration.oidc_hub import ADMINS, USERS, OidcBrowser, OidcHub, oidc_browser, oidc_hub
from tests.integration.test_signin import by_token, eventually, token_of

pytestmark = [pytest.mark.lab("proxy", "oidc-provider")]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcHub]:
    with oidc_hub(tmp_path_factory.mktemp("oidc")) as hub:
        hub.provider.person("root", groups=[ADMINS])
        yield hub


@pytest.fixture
async def tab(hub: OidcHub) -> AsyncIterator[OidcBrowser]:
    hub.provider.fault()
    async with oidc_browser(hub) as tab:
        yield tab
    hub.provider.fault()


async def test_a_member_signs_in(hub: OidcHub, tab: OidcBrowser) -> None:
    """Their name is the whole address, their groups have a domain, and they are no administrator."""
    hub.provider.person("alice", groups=[USERS, "data-team", "data-team@partner.com"])
    page = await tab.sign_in_at_provider("alice")
    assert (page.status, page.headers["Location"]) == (302, "/hub/spawn")
    me = await tab.me()
    assert me is not None
    assert (me["name"], me["admin"], sorted(me["groups"])) == (
        "alice@example.com",
        False,
        ["data-team@example.com", "data-team@partner.com", "developer-platform-users@example.com"],
    )
    assert last_sign_in(hub) == {
        "action": "person.sign-in",
        "actor": "alice@example.com",
        "outcome": "allowed",
        "why": "is a member of developer-platform-users@example.com",
        "remote": "127.0.0.1",
    }


async def test_an_administrator_is_one_only_while_in_the_group(hub: OidcHub, tab: OidcBrowser) -> None:
    """Leaving the administrators takes the hub's admin role within one refresh, and the session stays."""
    hub.provider.person("ada", groups=[USERS, ADMINS])
    await tab.sign_in_at_provider("ada")
    assert (await tab.get("/hub/admin")).status == 200
    hub.provider.person("ada", groups=[USERS])
    await asyncio.sleep(1.2)
    assert (await tab.get("/hub/admin")).status == 403
    me = await tab.me()
    assert me is not None
    assert (me["admin"], me["groups"], "admin" in me["roles"]) == (
        False,
        ["developer-platform-users@example.com"],
        False,
    )
    await asyncio.sleep(3.5)  # beyond the first access token: what was kept after that change renews it
    assert (await tab.me()) is not None


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"groups": ["data-team"]}, "group-missing", id="in no group of the platform"),
        pytest.param(
            {"groups": ["developer-platform-users@partner.com"]}, "group-missing", id="a group that looks alike"
        ),
        pytest.param({"groups": [USERS], "email_verified": False}, "email-unverified", id="unverified"),
        pytest.param({"groups": [USERS], "email_verified": "false"}, "email-unverified", id="the text false"),
        pytest.param({"groups": [USERS], "email_verified": None}, "email-unverified", id="null"),
        pytest.param({"groups": [USERS], "email": None}, "email-missing", id="no address"),
        pytest.param({"groups": None}, "directory-unavailable", id="no list of groups"),
        pytest.param({"groups": USERS}, "directory-unavailable", id="groups that are no list"),
    ],
)
async def test_who_is_not_let_in(hub: OidcHub, tab: OidcBrowser, claims: dict[str, Any], code: str) -> None:
    """CVE-2026-33175 (anchors, row 7): the page says why with a code, and nobody is signed in."""
    hub.provider.person("mallory", **claims)
    page = await tab.sign_in_at_provider("mallory")
    assert page.status == (503 if code == "directory-unavailable" else 403)
    assert f"Code: {code}" in page.words
    assert (await tab.me()) is None


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"claims": {"iss": "https://evil.example"}}, id="another issuer"),
        pytest.param({"claims": {"aud": "another-application"}}, id="another audience"),
        pytest.param({"claims": {"aud": ["devplatform", "other"]}}, id="several audiences"),
        pytest.param({"claims": {"nonce": "of-another-sign-in"}}, id="another nonce"),
        pytest.param({"claims": {"nonce": None}}, id="no nonce"),
        pytest.param({"claims": {"sub": "root"}}, id="another person than userinfo"),
        pytest.param({"claims": {"exp": 1}}, id="expired"),
        pytest.param({"signature": "other"}, id="another key"),
        pytest.param({"signature": "unknown"}, id="a key that is not published"),
        pytest.param({"signature": "none"}, id="no signature"),
        pytest.param({"signature": "secret"}, id="a shared secret"),
    ],
)
async def test_an_id_token_that_proves_nothing(hub: OidcHub, tab: OidcBrowser, fault: dict[str, Any]) -> None:
    """CVE-2022-31027 (anchors, row 4): it is the provider's own word that counts, or nobody is signed in."""
    hub.provider.person("alice", groups=[USERS])
    hub.provider.fault(id_token=fault)
    page = await tab.sign_in_at_provider("alice")
    assert page.status == 403
    assert "Code: sign-in-failed" in page.words
    assert (await tab.me()) is None
    assert (last_sign_in(hub)["outcome"], last_sign_in(hub)["why"]) == ("refused", "sign-in-failed")


def state(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"state": state({"state_id": "0" * 32})}, id="another state"),
        pytest.param({"state": state({})}, id="a state without id"),
        pytest.param({"state": state([])}, id="a state that is a list"),
        pytest.param({"state": state({"state_id": None})}, id="null"),
        pytest.param({"state": "\u00e4\u00f6"}, id="letters that are no ASCII"),
        pytest.param({"state": "%%%"}, id="no base64"),
        pytest.param({"state": ""}, id="empty"),
        pytest.param({"state": "A" * 10_000}, id="endless"),
        pytest.param({"code": ""}, id="no code"),
        pytest.param({"code": "of-nobody"}, id="an invented code"),
        pytest.param({"iss": "https://evil.example"}, id="another issuer"),
        pytest.param({"error": "server_error", "error_description": "<b>call 555</b>"}, id="an error"),
    ],
)
async def test_a_way_back_that_the_provider_did_not_send(
    hub: OidcHub, tab: OidcBrowser, change: dict[str, str]
) -> None:
    """Refused on a page of ours, without a word of what was sent, on the page or in the log."""
    hub.provider.person("alice", groups=[USERS])
    address = await tab.to_provider("alice")
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()} | change
    size = len(hub.log)
    page = await tab.get(f"/hub/oauth_callback?{urlencode(query)}")
    assert page.status == 403
    assert "Code: sign-in-failed" in page.words
    assert "555" not in page.text
    new = hub.log[size:]
    assert query["code"] not in new or not query["code"]
    assert "Traceback" not in new
    assert len(new) < 3000, new
    assert (await tab.me()) is None


async def test_a_way_back_is_for_the_browser_that_went_and_for_one_use(hub: OidcHub, tab: OidcBrowser) -> None:
    """Somebody who is sent another person's address back is not signed in as them; nor does it work twice."""
    hub.provider.person("alice", groups=[USERS])
    address = await tab.to_provider("alice")
    async with oidc_browser(hub) as victim:
        assert (await victim.back(address)).status == 403
        await victim.to_provider("root")
        assert (await victim.back(address)).status == 403
        assert (await victim.me()) is None
    assert (await tab.back(address)).status == 302
    assert "devplatform-sign-in" not in tab.cookies()
    assert (await tab.back(address)).status == 403


async def test_saying_no_at_the_provider(hub: OidcHub, tab: OidcBrowser) -> None:
    """The page says that it was their own choice."""
    query = {"state": parse_qs(urlsplit(await tab.to_provider("alice")).query)["state"][0], "error": "access_denied"}
    page = await tab.get(f"/hub/oauth_callback?{urlencode(query)}")
    assert (page.status, "Code: consent-missing" in page.words) == (403, True)


async def test_the_way_there_has_pkce_state_and_nonce(hub: OidcHub, tab: OidcBrowser) -> None:
    """S256, and nothing that is the same at two sign-ins."""
    seen = []
    for _ in range(2):
        page = await tab.get("/hub/oauth_login", follow=False)
        seen.append({name: values[0] for name, values in parse_qs(urlsplit(page.headers["Location"]).query).items()})
    assert {one["code_challenge_method"] for one in seen} == {"S256"}
    for name in ("state", "nonce", "code_challenge"):
        assert len({one[name] for one in seen}) == 2
    cookie = page.headers["Set-Cookie"]
    assert re.search(r"devplatform-sign-in=.*; HttpOnly; Path=/hub/; SameSite=Lax", cookie)


@pytest.mark.parametrize(
    "following",
    ["//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example/",
     "https:evil.example", "javascript:alert(1)", "/%09/evil.example", "\t//evil.example"],
)  # fmt: skip
async def test_next_leads_nowhere_else(hub: OidcHub, tab: OidcBrowser, following: str) -> None:
    """A `next` of another site ends on this hub."""
    hub.provider.person("alice", groups=[USERS])
    page = await tab.sign_in_at_provider("alice", quote(following, safe=""))
    location = page.headers["Location"]
    assert page.status == 302
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\", "/\t"))


async def test_nothing_secret_is_ever_written(hub: OidcHub, tab: OidcBrowser) -> None:
    """No code, state, nonce's verifier, token or secret is in the log or the audit, of good and of failed sign-ins."""
    hub.provider.person("alice", groups=[USERS])
    secrets = []
    for fault in ({}, {"token_error": {"status": 400, "error": "invalid_grant"}}, {"down": True}):
        hub.provider.fault()
        address = await tab.to_provider("alice")
        hub.provider.fault(**fault)
        await tab.back(address)
        query = parse_qs(urlsplit(address).query)
        secrets += [
            query["code"][0],
            query["state"][0],
            json.loads(base64.urlsafe_b64decode(query["state"][0]))["state_id"],
        ]
    written = hub.log + json.dumps(hub.audit())
    assert [secret for secret in secrets if secret in written] == []
    assert "a-secret-of-tests-alone" not in written
    assert re.findall(r"ey[\w-]{20,}\.[\w-]+", written) == []


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        pytest.param("lost-group", {"groups": []}, id="left the group"),
        pytest.param("unverified", {"groups": [USERS], "email_verified": False}, id="address no longer verified"),
        pytest.param("deleted", None, id="account deleted"),
    ],
)
async def test_who_may_no_longer_come_in_loses_everything(
    hub: OidcHub, tab: OidcBrowser, name: str, claims: dict[str, Any] | None
) -> None:
    """Browser session, API tokens and the running server end, although nobody asks the hub for anything."""
    hub.provider.person(name, groups=[USERS])
    await tab.sign_in_at_provider(name)
    change = partial(hub.provider.person, name, **claims) if claims is not None else partial(hub.provider.remove, name)
    await loses_everything(hub, tab, f"{name}@example.com", change)


async def test_a_group_is_lost_while_a_server_runs(hub: OidcHub, tab: OidcBrowser) -> None:
    """The review alone takes a hub group away, and keeps the tokens that it renewed meanwhile."""
    hub.provider.person("worker", groups=[USERS, "data-team"])
    await tab.sign_in_at_provider("worker")
    token = await token_of(tab, "worker@example.com")
    await asyncio.to_thread(hub.call, "POST", "/hub/api/users/worker@example.com/server", None, token)
    hub.provider.person("worker", groups=[USERS])

    async def groups() -> bool:
        _, user = await asyncio.to_thread(hub.call, "GET", "/hub/api/users/worker@example.com")
        return bool(user["groups"] == ["developer-platform-users@example.com"])

    assert await eventually(groups, 15)
    await asyncio.sleep(4)
    assert (await tab.me()) is not None
    await asyncio.to_thread(hub.stop_server, "worker@example.com")


async def test_many_requests_at_once_renew_a_token_once(hub: OidcHub, tab: OidcBrowser) -> None:
    """A provider that sees a refresh token twice takes it for stolen and ends everything."""
    hub.provider.person("busy", groups=[USERS])
    await tab.sign_in_at_provider("busy")
    for _ in range(3):
        await asyncio.sleep(3.2)
        pages = await asyncio.gather(*(tab.get("/hub/home") for _ in range(8)))
        assert {(page.status, page.path) for page in pages} == {(200, "/hub/home")}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"down": True}, id="down"),
        pytest.param({"userinfo": 429}, id="too many calls"),
        pytest.param({"userinfo": 403, "userinfo_error": "rate_limited"}, id="too many calls, as GitHub says it"),
        pytest.param({"userinfo": 401, "token_error": {"status": 401, "error": "invalid_client"}}, id="our secret"),
        pytest.param({"userinfo_claims": {"groups": None}}, id="no list of groups"),
    ],
)
async def test_unknown_is_never_empty(hub: OidcHub, tab: OidcBrowser, fault: dict[str, Any]) -> None:
    """While the provider gives no answer nobody new comes in; who is in stays for a while, and nothing is ended."""
    hub.provider.person("judy", groups=[USERS])
    await tab.sign_in_at_provider("judy")
    token = await token_of(tab, "judy@example.com")
    async with oidc_browser(hub) as other:
        address = await other.to_provider("judy")
        hub.provider.fault(**fault)
        page = await other.back(address)
        assert page.status == (403 if fault.get("userinfo") in (401, 403) else 503)
    await asyncio.sleep(1.2)
    assert (await tab.me()) is not None
    await asyncio.sleep(4.5)
    assert (await tab.me()) is None
    assert await by_token(hub, token) == 403
    hub.provider.fault()
    await asyncio.sleep(1.2)
    assert await by_token(hub, token) == 200
    assert (await tab.me()) is not None


async def test_a_spent_refresh_token_is_no_outage(hub: OidcHub, tab: OidcBrowser) -> None:
    """CVE-2026-40934 (anchors, row 19): the provider ended the session, and so does the hub; signing in again works."""
    hub.provider.person("kim", groups=[USERS])
    await tab.sign_in_at_provider("kim")
    hub.provider.fault(userinfo=401, token_error={"status": 400, "error": "invalid_grant"})
    await asyncio.sleep(1.2)
    assert (await tab.me()) is None
    hub.provider.fault()
    assert (await tab.sign_in_at_provider("kim")).status == 302


async def test_another_person_does_not_get_a_used_address(hub: OidcHub, tab: OidcBrowser) -> None:
    """CVE-2021-41194 (anchors, row 8): whoever is given somebody's former address is refused, whatever its spelling."""
    hub.provider.person("first-owner", email="shared@example.com", groups=[USERS])
    await tab.sign_in_at_provider("first-owner")
    for address in ("shared@example.com", "Shared@Example.com", "\uff33hared@example.com"):
        hub.provider.person("second-owner", email=address, groups=[USERS, ADMINS])
        async with oidc_browser(hub) as other:
            page = await other.sign_in_at_provider("second-owner")
            assert (page.status, "Code: name-taken" in page.words) == (403, True)
            assert (await other.me()) is None


async def test_a_changed_address_is_the_same_person(hub: OidcHub, tab: OidcBrowser) -> None:
    """It is the subject that counts: a person who marries stays who they are, when they sign in anew, too."""
    hub.provider.person("nora", groups=[USERS])
    await tab.sign_in_at_provider("nora")
    hub.provider.person("nora", email="nora.married@example.com", groups=[USERS])
    await asyncio.sleep(1.2)
    names = [(await tab.me() or {}).get("name")]
    async with oidc_browser(hub) as later:
        assert (await later.sign_in_at_provider("nora")).status == 302
        names.append((await later.me() or {}).get("name"))
    assert names == ["nora@example.com", "nora@example.com"]


async def test_sign_out_ends_every_browser_and_leads_to_the_provider(hub: OidcHub, tab: OidcBrowser) -> None:
    """A second browser is signed out too; tokens that people made themselves stay."""
    hub.provider.person("olga", groups=[USERS])
    await tab.sign_in_at_provider("olga")
    token = await token_of(tab, "olga@example.com")
    async with oidc_browser(hub) as second:
        await second.sign_in_at_provider("olga")
        page = await second.get("/hub/logout", follow=False)
        assert page.headers["Location"].startswith(
            f"{hub.provider.issuer}/session/end?client_id=devplatform&id_token_hint=ey"
        )
        assert (await second.me()) is None
        done = await second.get("/hub/logout")
        assert "You are signed out" in done.words
    assert (await tab.me()) is None
    assert await by_token(hub, token) == 200


async def test_the_sign_in_page(hub: OidcHub, tab: OidcBrowser) -> None:
    """One button, which keeps where somebody was going; the page cannot be cached or framed."""
    page = await tab.get("/hub/login?next=/hub/token")
    assert 'href="/hub/oauth_login?next=%2Fhub%2Ftoken"' in page.text
    assert "Sign in with 127.0.0.1" in page.words
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors" in page.headers["Content-Security-Policy"]
