"""What was found in this field, tried at our composition of the hub: forged posts, redirects, cookies, logs, shares."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config
from yarl import URL

from tests.integration.attacked_hub import SERVICE, SERVICE_MEMORY, asked, attacked_hub, raw
from tests.integration.browser_addresses import ELSEWHERE, as_user_name, host_of, in_query
from tests.integration.sign_in_hub import ADMINS, USERS, Browser, Hub, browser
from tests.integration.test_signin import PASSWORD, eventually, token_of

pytestmark = [pytest.mark.lab("proxy")]
_SECURITY = Path(__file__).resolve().parents[2] / "SECURITY.md"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with attacked_hub(tmp_path_factory.mktemp("attacked")) as hub:
        for name, group in (("root", ADMINS), ("alice", USERS), ("mallory", USERS)):
            hub.person(name, group, password=PASSWORD)
        yield hub


@pytest.fixture
async def tab(hub: Hub) -> AsyncIterator[Browser]:
    async with browser(hub) as tab:
        yield tab


async def signed_in(tab: Browser, name: str) -> Browser:
    assert (await tab.sign_in(name, PASSWORD)).status == 302
    return tab


async def in_the_service(tab: Browser) -> None:
    """With the service's cookie."""
    page = await tab.get(SERVICE, headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert (page.status, page.path.startswith(SERVICE)) == (200, True), page.words


def header_of(tab: Browser) -> str:
    """The cookies that this browser would send to the hub."""
    kept = tab.session.cookie_jar.filter_cookies(URL(tab.origin + "/hub/home"))
    return kept.output(attrs=[], header="", sep=";").strip()


# Posts that another page makes.

FORGED = [
    pytest.param({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"}, id="no-cors"),
    pytest.param({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "cross-site"}, id="no-cors, elsewhere"),
    pytest.param({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}, id="a form elsewhere"),
    pytest.param({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site"}, id="a script beside"),
    pytest.param({}, id="an old browser"),
]
POSTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/hub/login", {"data": {"username": "mallory", "password": PASSWORD}}),
    ("POST", "/hub/login/password", {"data": {"password": PASSWORD, "again": PASSWORD}}),
    ("POST", "/hub/spawn", {"data": {"profile": "standard"}}),
    ("POST", "/hub/accept-share?code=made-up", {}),
    ("POST", "/hub/api/users/alice/tokens", {"data": '{"note": "forged"}'}),
    ("POST", "/hub/api/users/alice/server", {"data": "{}"}),
    ("POST", f"{SERVICE}api/v1/w/alice/deletions", {"data": '{"items": []}'}),
]


@pytest.mark.parametrize("headers", FORGED)
async def test_a_forged_post_does_nothing(hub: Hub, tab: Browser, headers: dict[str, str]) -> None:
    """CVE-2026-40864 (anchors, row 13): with the cookies of somebody who is signed in, and without the page's token."""
    await signed_in(tab, "alice")
    await in_the_service(tab)
    for method, path, options in POSTS:
        page = await asked(tab, method, path, headers=headers, **options)
        assert page.status == 403, (path, page.status)
    me = await tab.me()
    assert me is not None
    assert (me["name"], me["servers"]) == ("alice", {})
    _, found = await asyncio.to_thread(hub.call, "GET", "/hub/api/users/alice/tokens")
    assert "forged" not in json.dumps(found)


@pytest.mark.parametrize("headers", FORGED)
async def test_the_admin_panel_is_not_driven_from_elsewhere(hub: Hub, tab: Browser, headers: dict[str, str]) -> None:
    """CVE-2020-36191 (anchors, row 16): what its page does, asked for by another with the administrator's cookies."""
    await signed_in(tab, "root")
    assert (await tab.get("/hub/admin")).status == 200
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/users", {"usernames": ["forged"], "admin": True}),
        ("POST", "/users/forged", {"admin": True}),
        ("PATCH", "/users/mallory", {"admin": True}),
        ("DELETE", "/users/alice", None),
        ("POST", "/users/alice/server", None),
        ("POST", "/users/mallory/tokens", {"note": "forged"}),
        ("POST", "/groups/forged", None),
        ("POST", "/shutdown", {"servers": True}),
    ]
    for method, path, body in calls:
        for kind in ("text/plain", "application/json"):
            options: dict[str, Any] = {"data": json.dumps(body)} if body else {}
            page = await asked(tab, method, f"/hub/api{path}", headers={**headers, "Content-Type": kind}, **options)
            assert page.status == 403, (path, kind, page.status)
    _, users = await asyncio.to_thread(hub.call, "GET", "/hub/api/users")
    assert {user["name"] for user in users} <= {"root", "alice", "mallory"}
    assert {user["name"] for user in users if user["admin"]} == {"root"}


@pytest.mark.parametrize("mode", ["no-cors", "navigate", "cors"])
async def test_another_site_signs_nobody_out(hub: Hub, tab: Browser, mode: str) -> None:
    """CVE-2026-40864 (anchors, row 13): an image or a link elsewhere ends no session; one's own click does."""
    await signed_in(tab, "alice")
    headers = {"Sec-Fetch-Mode": mode, "Sec-Fetch-Site": "cross-site"}
    page = await asked(tab, "GET", "/hub/logout", headers=headers)
    assert (page.status, page.headers["Location"]) == (302, "/hub/home")
    assert (await tab.me()) is not None
    await asked(tab, "GET", "/hub/logout", headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"})
    assert (await tab.me()) is None


# Redirects.


@pytest.mark.parametrize("kind", [*ELSEWHERE, *as_user_name("http://x")])
async def test_no_sign_in_leads_elsewhere(hub: Hub, tab: Browser, kind: str) -> None:
    """CVE-2026-33709 and CVE-2019-10255 (anchors, rows 14 and 15): before, at and after it, and at a sign-out."""
    following = in_query({**ELSEWHERE, **as_user_name(hub.origin)}[kind])
    seen = [await tab.get(f"/hub/logout?next={following}", follow=False)]
    seen.append(
        await tab.post(f"/hub/login?next={following}", {"username": "alice", "password": PASSWORD}, follow=False)
    )
    assert seen[-1].status == 302
    seen += [
        await tab.get(f"{path}?next={following}", follow=False)
        for path in ("/hub/login", "/hub/login/password", "/hub/", "/hub/oauth_login")
    ]
    seen.append(await tab.get(f"/hub/logout?next={following}", follow=False))
    ours = hub.origin.removeprefix("http://")
    for page in seen:
        for location in filter(None, [page.headers.get("Location")]):
            assert host_of(location, f"{hub.origin}/hub/login") == ours, (page.path, location)


@pytest.mark.parametrize("kind", [*ELSEWHERE, *as_user_name("http://x")])
async def test_no_service_leads_elsewhere(hub: Hub, tab: Browser, kind: str) -> None:
    """CVE-2026-33709 (anchors, row 14): neither the page that was asked for, nor what is added to the callback."""
    await signed_in(tab, "alice")
    text = {**ELSEWHERE, **as_user_name(hub.origin)}[kind]
    ours = hub.origin.removeprefix("http://")
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    starts = [f"{SERVICE}?next={in_query(text)}", f"{SERVICE}oauth_callback?code=x&state={in_query(text)}"]
    starts += [f"{SERVICE}{in_query(text)}", f"{SERVICE}w/alice/file?path={in_query(text)}"]
    for path in starts:
        for _ in range(8):
            page = await asked(tab, "GET", path, headers=headers)
            location = page.headers.get("Location", "")
            if not location:
                break
            assert host_of(location, hub.origin + path) == ours, (path, location)
            path = location.removeprefix(hub.origin)
        else:
            raise AssertionError(f"no end of redirects from {starts}")


async def test_the_hub_gives_codes_to_its_own_services_alone(hub: Hub, tab: Browser) -> None:
    """CVE-2026-33709 (anchors, row 14): a redirect_uri elsewhere is refused and not gone to."""
    await signed_in(tab, "alice")
    for kind, text in {**ELSEWHERE, **as_user_name(hub.origin)}.items():
        query = f"client_id=service-versions&response_type=code&state=x&redirect_uri={in_query(text)}"
        page = await tab.get(f"/hub/api/oauth2/authorize?{query}", follow=False)
        assert (page.status, page.headers.get("Location")) == (400, None), kind


# Cookies.


async def test_cookies_of_another_page_are_not_ours(hub: Hub, tab: Browser) -> None:
    """CVE-2024-28233 (anchors, row 17): another person's valid XSRF cookie, set for a longer path, forges no post."""
    await signed_in(tab, "alice")
    await tab.get("/hub/home")
    async with browser(hub) as other:
        await signed_in(other, "mallory")
        theirs = re.findall(r'xsrf_token: "([^"]+)"', (await other.get("/hub/home")).text)[0]
    for cookies in (f"_xsrf={theirs}; {header_of(tab)}", f"{header_of(tab)}; _xsrf={theirs}"):
        for path, body in (("/hub/api/users/alice/tokens", "{}"), ("/hub/spawn", "profile=standard")):
            query = f"?_xsrf={theirs}"
            page = await raw(hub.origin, "POST", path + query, cookies, data=body, headers={"X-XSRFToken": theirs})
            assert page.status == 403, path
    me = await tab.me()
    assert me is not None
    assert me["servers"] == {}


async def test_cookies_that_are_none_of_the_hubs_open_nothing(hub: Hub, tab: Browser) -> None:
    """CVE-2024-28233 (anchors, row 17): rubbish under the hub's names, before or after its own, is nobody."""
    await signed_in(tab, "alice")
    names = ("jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf", "devplatform-choose-password")
    rubbish = "; ".join(f'{name}="2|1:0|10:0|1:x|4:eA==|00"' for name in names)
    alone = await raw(hub.origin, "GET", "/hub/home", rubbish)
    assert (alone.status, alone.headers["Location"].startswith("/hub/login")) == (302, True)
    for cookies in (f"{rubbish}; {header_of(tab)}", f"{header_of(tab)}; {rubbish}"):
        page = await raw(hub.origin, "GET", "/hub/home", cookies)
        assert (page.status, page.headers.get("Location", "/hub/login").partition("?")[0]) in (
            (200, "/hub/login"),
            (302, "/hub/login"),
        )
        assert "mallory" not in page.text
    assert (await raw(hub.origin, "GET", "/hub/login/password", rubbish)).headers["Location"] == "/hub/login"


async def test_over_https_no_other_host_can_set_the_cookies_of_a_sign_in(hub: Hub, tab: Browser) -> None:
    """CVE-2024-28233 (anchors, row 17): the leave to choose a password is kept in a `__Host-` cookie."""
    hub.person("carla", USERS)
    page = await tab.get("/hub/login")
    fields = {
        "username": "carla",
        "password": hub.code("carla"),
        "_xsrf": re.findall(r'name="_xsrf" value="([^"]+)"', page.text)[0],
    }
    answer = await raw(hub.origin, "POST", "/hub/login", header_of(tab), data=fields, headers={"X-Scheme": "https"})
    assert answer.status == 302
    ticket = next(line for line in answer.headers["Set-Cookie"].splitlines() if "choose-password" in line)
    assert re.fullmatch(
        r"__Host-devplatform-choose-password=[^;]+; HttpOnly; Path=/; SameSite=Strict; Secure", ticket
    ), ticket
    assert "Domain" not in ticket


async def test_signing_out_ends_every_tab_and_every_token(hub: Hub, tab: Browser) -> None:
    """CVE-2021-41247 (anchors, row 18): the hub and the services, in this browser and in others, with their tokens."""
    await signed_in(tab, "alice")
    await in_the_service(tab)
    mine = await token_of(tab, "alice")
    async with browser(hub) as other:
        await signed_in(other, "alice")
        await in_the_service(other)
        before = header_of(tab)
        await tab.get("/hub/logout")
        for each in (tab, other):
            assert (await each.me()) is None
            page = await each.get(SERVICE, follow=False, headers={"Accept": "text/html"})
            assert page.status == 302 or await eventually(lambda each=each: _is_refused(each), SERVICE_MEMORY + 3)
    stolen = await raw(hub.origin, "GET", "/hub/home", before)
    assert (stolen.status, stolen.headers["Location"].startswith("/hub/login")) == (302, True)
    _, found = await asyncio.to_thread(hub.call, "GET", "/hub/api/users/alice/tokens")
    assert [token["note"] for token in found["api_tokens"]] == ["test"]
    status, _ = await asyncio.to_thread(hub.call, "GET", "/hub/api/user", None, mine)
    assert status == 200


async def _is_refused(tab: Browser) -> bool:
    page = await tab.get(SERVICE, follow=False, headers={"Accept": "text/html"})
    return page.status == 302


# Logs.


async def test_nothing_that_is_sent_floods_or_forges_the_log(hub: Hub, tab: Browser) -> None:
    """CVE-2026-54338 (anchors, row 12): names, states, errors, addresses and headers, of people and of strangers."""
    size, known = len(hub.log), len(hub.audit())
    long, forged = "A" * 60_000, in_query('x\r\n{"log": "devplatform.audit", "action": "forged"}\x1b[2J')
    paths = [
        f"/hub/login?next=/{long}",
        f"/hub/login?username={long}",
        f"/hub/logout?next=/{long}",
        f"/hub/login/password?next=/{long}",
        f"/hub/{long}",
        f"/user/{long}",
        f"/hub/api/users/{long}",
        f"{SERVICE}{long}",
        f"{SERVICE}api/v1/w/{long}/versions",
        f"{SERVICE}oauth_callback?code=x&state={long}",
        f"{SERVICE}oauth_callback?error={long}&error_description={long[:4000]}",
        f"/hub/login?next={forged}&username={forged}",
        f"{SERVICE}oauth_callback?code=x&state={forged}",
        f"{SERVICE}oauth_callback?error={forged}",
        f"{SERVICE}{forged}",
        f"/hub/{forged}",
    ]
    for path in paths:
        for headers in ({"Accept": "text/html"}, {"X-Anything": long[:30_000], "User-Agent": "A" * 10_000}):
            await raw(hub.origin, "GET", path[:60_000], headers=headers)
    for name in ("x" * 15_000, 'a\r\n{"action": "forged"}'):
        await tab.sign_in(name, "y")
    await signed_in(tab, "alice")
    for path in paths:
        await tab.get(path[:60_000], follow=False)
    new = hub.log[size:]
    assert max(map(len, new.splitlines())) < 4500
    assert not [line for line in new.splitlines() if line.startswith('{"')]
    assert "\x1b" not in new
    events = [json.dumps(event) for event in hub.audit()[known:]]
    found = [event for event in events if len(event) >= 2000 or "forged" in event]
    assert found == []


# Shares.


async def test_nobody_shares_a_server_unless_the_operator_lets_them(hub: Hub, tab: Browser) -> None:
    """GHSA-c4gm-pwx9-9w8j (anchors, row 11): no share, no code, by cookie or token; a made-up code opens nothing."""
    await signed_in(tab, "alice")
    await signed_in_once(hub, "mallory")
    token = await token_of(tab, "alice")
    _, me = await asyncio.to_thread(hub.call, "GET", "/hub/api/user", None, token)
    assert {scope for scope in me["scopes"] if "shares" in scope.partition("!")[0]} <= {
        "users:shares!user=alice", "read:users:shares!user=alice", "read:shares!user=alice",
    }  # fmt: skip
    xsrf = re.findall(r'xsrf_token: "([^"]+)"', (await tab.get("/hub/home")).text)[0]
    for path, body in (
        ("shares/alice/", {"user": "mallory"}),
        ("shares/alice/", {"group": f"{USERS}@local"}),
        ("shares/alice/", {"user": "mallory", "scopes": ["access:servers!server=alice/"]}),
        ("share-codes/alice/", {}),
        ("shares/mallory/", {"user": "alice"}),
    ):
        status, _ = await asyncio.to_thread(hub.call, "POST", f"/hub/api/{path}", body, token)
        page = await asked(tab, "POST", f"/hub/api/{path}", json=body, headers={"X-XSRFToken": xsrf})
        assert {status, page.status} <= {403, 404}, path
    assert (await tab.get("/hub/accept-share?code=made-up")).status == 404
    for scopes in (["shares"], ["shares!user"], ["shares!server=alice/"], ["access:servers"]):
        body = {"note": "more", "scopes": scopes}
        status, _ = await asyncio.to_thread(hub.call, "POST", "/hub/api/users/alice/tokens", body, token)
        assert status in (400, 403), scopes


async def test_sharing_is_opened_as_the_documentation_says(tmp_path: Path) -> None:
    """With the role of SECURITY.md, people share their own server, and nobody else's."""
    lines = re.findall(r"```python\n(c\.JupyterHub\.load_roles = .*?)```", _SECURITY.read_text("utf-8"), re.S)
    config: Any = Config()
    exec(lines[0], {"c": config})
    roles = json.loads(json.dumps(config.JupyterHub.load_roles).replace('"access:services!service=mlflow", ', ""))
    with attacked_hub(tmp_path, roles) as own:
        for name in ("alice", "mallory"):
            own.person(name, USERS, password=PASSWORD)
        await signed_in_once(own, "mallory")
        async with browser(own) as tab:
            token = await token_of(await signed_in(tab, "alice"), "alice")
        await asyncio.to_thread(own.start_server, "alice")
        shared = [
            (await asyncio.to_thread(own.call, "POST", f"/hub/api/shares/{whose}/", {"user": other}, token))[0]
            for whose, other in (("alice", "mallory"), ("mallory", "alice"))
        ]
        assert shared == [200, 404]


# Guesses.


async def test_nobody_guesses_from_addresses_that_they_make_up(tmp_path: Path) -> None:
    """However many names and `X-Real-Ip`, `X-Forwarded-For` or `Forwarded` a guesser sends, one address is counted."""
    with attacked_hub(tmp_path) as own:
        seen = []
        async with browser(own) as tab:
            for number in range(21):
                address = f"198.51.100.{number}"
                made_up = {"X-Real-Ip": address, "X-Forwarded-For": address, "Forwarded": f"for={address}"}
                page = await tab.get("/hub/login", headers=made_up)
                token = re.findall(r'name="_xsrf" value="([^"]+)"', page.text)[0]
                fields = {"username": f"name{number}", "password": "guess", "_xsrf": token}
                seen.append((await asked(tab, "POST", "/hub/login", data=fields, headers=made_up)).status)
        assert seen == [403] * 20 + [429]
        assert {event["remote"] for event in own.audit() if event["action"] == "person.sign-in"} == {"127.0.0.1"}


async def signed_in_once(hub: Hub, name: str) -> None:
    async with browser(hub) as other:
        await signed_in(other, name)
