"""Signing in at a real JupyterHub: who comes in, who is refused with which words, and who is put out again."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from devplatform_hub.core.identity import parse_group
from tests.integration.sign_in_hub import ADMINS, USERS, Browser, Hub, browser, sign_in_hub

pytestmark = [pytest.mark.lab("proxy")]
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    from devplatform_hub.directory.users_file import UsersFile

    UsersFile(folder / "users.yaml").change(lambda users: users)
    with sign_in_hub(folder) as hub:
        hub.person("root", ADMINS, password=PASSWORD)
        yield hub


@pytest.fixture
async def tab(hub: Hub) -> AsyncIterator[Browser]:
    async with browser(hub) as tab:
        yield tab


async def eventually(check: Callable[[], Any], seconds: float = 10) -> Any:
    """What `check` returns once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        result = await check()
        if result or time.monotonic() > deadline:
            return result
        await asyncio.sleep(0.2)


async def test_a_member_signs_in_with_a_password(hub: Hub, tab: Browser) -> None:
    """The hub user has the whole group names and is no administrator."""
    hub.person("alice", USERS, "data-team", password=PASSWORD)
    page = await tab.sign_in("alice", PASSWORD)
    assert (page.status, page.headers["Location"]) == (302, "/hub/spawn")
    me = await tab.me()
    assert me is not None
    assert (me["name"], me["admin"], sorted(me["groups"])) == (
        "alice",
        False,
        ["data-team@local", "developer-platform-users@local"],
    )
    event = hub.audit()[-1]
    del event["time"]
    assert event == {
        "action": "person.sign-in",
        "actor": "alice",
        "outcome": "allowed",
        "why": "is a member of developer-platform-users",
        "remote": "127.0.0.1",
    }


async def test_an_administrator_is_one_only_while_in_the_group(hub: Hub, tab: Browser) -> None:
    """Leaving the administrators takes the hub's admin role within one refresh, and the session stays."""
    hub.person("ada", USERS, ADMINS, password=PASSWORD)
    await tab.sign_in("ada", PASSWORD)
    me = await tab.me()
    assert me is not None
    assert me["admin"] is True
    assert (await tab.get("/hub/admin")).status == 200
    hub.change(lambda users: users.set_groups("ada", [parse_group(USERS)]))
    await asyncio.sleep(1.2)
    assert (await tab.get("/hub/admin")).status == 403
    me = await tab.me()
    assert me is not None
    assert (me["admin"], me["groups"], "admin" in me["roles"]) == (False, ["developer-platform-users@local"], False)


async def test_a_one_time_code_leads_to_a_password_of_ones_own(hub: Hub, tab: Browser) -> None:
    """The code opens the page to choose a password, which signs in; the code is spent."""
    hub.person("carol", USERS)
    code = hub.code("carol")
    page = await tab.post("/hub/login?next=/hub/token", {"username": "carol", "password": code.lower()}, follow=True)
    assert (page.status, page.path) == (200, "/hub/login/password?next=/hub/token")
    assert "Choose your password" in page.words
    assert code not in page.text
    assert (await tab.me()) is None
    short = await tab.post(page.path, {"password": "short", "again": "short"})
    assert short.status == 400
    assert "shorter than 10 characters" in short.words
    differ = await tab.post(page.path, {"password": PASSWORD, "again": PASSWORD + "."})
    assert "The two passwords differ" in differ.words
    done = await tab.post(page.path, {"password": PASSWORD, "again": PASSWORD}, follow=False)
    assert (done.status, done.headers["Location"]) == (302, "/hub/token")
    me = await tab.me()
    assert me is not None
    assert me["name"] == "carol"
    async with browser(hub) as other:
        assert (await other.sign_in("carol", code)).status == 403
        assert (await other.sign_in("carol", PASSWORD)).status == 302


async def test_two_people_cannot_spend_one_code(hub: Hub, tab: Browser) -> None:
    """Of two browsers that showed the same code, the second is told that it is spent."""
    hub.person("carlos", USERS)
    code = hub.code("carlos")
    async with browser(hub) as second:
        for one in (tab, second):
            assert (await one.sign_in("carlos", code)).headers["Location"] == "/hub/login/password"
        fields = {"password": PASSWORD, "again": PASSWORD}
        second_page = await second.get("/hub/login/password")
        token = second_page.text.split('name="_xsrf" value="')[1].split('"')[0]
        assert (await tab.post("/hub/login/password", fields, follow=False)).status == 302
        late = await second.post("/hub/login/password", fields | {"_xsrf": token}, xsrf=False)
        assert late.status == 403
        assert "This one-time code has been used or replaced" in late.words


async def test_the_password_page_needs_a_code(hub: Hub, tab: Browser) -> None:
    """Without a ticket, or with somebody else's invention of one, it leads to the sign-in page."""
    assert (await tab.get("/hub/login/password", follow=False)).headers["Location"] == "/hub/login"
    tab.session.cookie_jar.update_cookies({"devplatform-choose-password": json.dumps(["alice", "00"])})
    assert (await tab.get("/hub/login/password", follow=False)).headers["Location"] == "/hub/login"


async def test_outside_the_users_group_is_refused_by_name(hub: Hub, tab: Browser) -> None:
    """The page names the group that is missing, what to do, and a stable code."""
    hub.person("bob", "data-team", password=PASSWORD)
    page = await tab.sign_in("bob", PASSWORD)
    assert page.status == 403
    assert "bob is not a member of developer-platform-users." in page.words
    assert "Ask an administrator of this platform to add you to developer-platform-users" in page.words
    assert "Code: group-missing" in page.words
    assert (await tab.me()) is None
    assert hub.audit()[-1]["outcome"] == "refused"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        pytest.param("wrongpw", "not the password", id="wrong password"),
        pytest.param("nobody-of-this-name", PASSWORD, id="unknown name"),
        pytest.param("locked", PASSWORD, id="disabled"),
        pytest.param("codeless", "", id="empty password and none set"),
        pytest.param("<script>alert(1)</script>", PASSWORD, id="markup as a name"),
    ],
)
async def test_wrong_credentials_all_read_the_same(hub: Hub, tab: Browser, name: str, secret: str) -> None:
    """Nothing tells a wrong password from an unknown or a disabled person."""
    for made, groups, password in (("wrongpw", [USERS], PASSWORD), ("locked", [USERS], PASSWORD), ("codeless", [], "")):
        if made not in hub.users.read().users:
            hub.person(made, *groups, password=password)
    hub.change(lambda users: users.set_disabled("locked", True))
    page = await tab.sign_in(name, secret)
    assert page.status == 403
    assert "That user name and password do not belong together." in page.words
    assert "<script>alert" not in page.text
    assert (await tab.me()) is None


async def test_guessing_is_slowed_down(hub: Hub, tab: Browser) -> None:
    """After five wrong passwords the next try has to wait, also with the right one, and is told how long."""
    hub.person("target", USERS, password=PASSWORD)
    for _ in range(5):
        assert (await tab.sign_in("target", "guess")).status == 403
    page = await tab.sign_in("Target ", PASSWORD)
    assert page.status == 429
    assert 1 <= int(page.headers["Retry-After"]) <= 60
    assert "Too many tries" in page.words


@pytest.mark.parametrize(
    "following",
    [
        pytest.param("//evil.example", id="two slashes"),
        pytest.param("///evil.example", id="three slashes"),
        pytest.param("/\\evil.example", id="slash and backslash"),
        pytest.param("\\\\evil.example", id="backslashes"),
        pytest.param("https://evil.example/", id="absolute"),
        pytest.param("https:evil.example", id="scheme without slashes"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("/%09/evil.example", id="encoded tab"),
        pytest.param("\t//evil.example", id="tab"),
    ],
)
async def test_next_leads_nowhere_else(hub: Hub, tab: Browser, following: str) -> None:
    """A `next` of another site ends on this hub, after a sign-in and when signed in already."""
    if "eve" not in hub.users.read().users:
        hub.person("eve", USERS, password=PASSWORD)
    page = await tab.sign_in("eve", PASSWORD, quote(following, safe=""))
    again = await tab.get(f"/hub/login?next={quote(following, safe='')}", follow=False)
    for location in (page.headers["Location"], again.headers["Location"]):
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert location in ("/hub/spawn", "/hub/home") or location.startswith(("/%5C", "/%09"))


async def test_one_spelling_per_person(hub: Hub, tab: Browser) -> None:
    """CVE-2021-41194 (anchors, row 8): case, blanks and compatibility characters make no second account of a name."""
    hub.person("frida", USERS, password=PASSWORD)
    for spelling in ("FRIDA", " frida ", "\uff46\uff52\uff49\uff44\uff41"):
        async with browser(hub) as other:
            assert (await other.sign_in(spelling, PASSWORD)).status == 302
            me = await other.me()
            assert me is not None
            assert me["name"] == "frida"


async def test_hostile_names_do_not_flood_or_forge_the_log(hub: Hub, tab: Browser) -> None:
    """CVE-2026-54338 (anchors, row 12): half a megabyte, line breaks, and bytes that are no text leave no trace."""
    size = len(hub.log)
    answer = await tab.sign_in("x" * 2**19, "y")
    assert answer.status == 413
    assert (await tab.sign_in("x" * 8000, "y")).status == 403
    assert (await tab.sign_in('a\n{"action": "forged"}', "y")).status == 403
    page = await tab.get("/hub/login")
    token = page.text.split('name="_xsrf" value="')[1].split('"')[0].encode()
    body = b"username=alice&password=hunter2-%ff%fe&_xsrf=" + token
    async with tab.session.post(
        tab.origin + "/hub/login", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
    ) as answer:
        assert answer.status == 400
        assert "hunter2" not in await answer.text()
    new = hub.log[size:]
    assert len(new) < 4000, new
    assert "forged" not in new
    assert "hunter2" not in new
    assert all(len(json.dumps(event)) < 1000 for event in hub.audit())


async def test_no_secret_is_ever_written(hub: Hub) -> None:
    """Passwords and codes are in no log, no audit line, and not in the users file."""
    written = hub.log + json.dumps(hub.audit()) + (hub.folder / "users.yaml").read_text()
    assert PASSWORD not in written
    assert "not the password" not in written


async def test_a_form_without_its_token_is_refused(hub: Hub, tab: Browser) -> None:
    """A sign-in that another site posts does nothing."""
    page = await tab.post("/hub/login", {"username": "root", "password": PASSWORD}, xsrf=False)
    assert page.status == 403
    assert (await tab.me()) is None


async def test_sign_out_ends_the_session_and_its_tokens(hub: Hub, tab: Browser) -> None:
    """After /hub/logout the cookies are gone and the sign-in page is shown."""
    hub.person("gina", USERS, password=PASSWORD)
    await tab.sign_in("gina", PASSWORD)
    page = await tab.get("/hub/logout")
    assert "Password or one-time code" in page.words
    assert not [key for key in tab.cookies() if key.startswith("jupyterhub-")]
    assert (await tab.me()) is None


async def token_of(tab: Browser, name: str) -> str:
    page = await tab.get("/hub/token")
    xsrf = page.text.split('xsrf_token: "')[1].split('"')[0]
    async with tab.session.post(
        f"{tab.origin}/hub/api/users/{name}/tokens", json={"note": "test"}, headers={"X-XSRFToken": xsrf}
    ) as answer:
        assert answer.status == 201
        token: str = (await answer.json())["token"]
        return token


async def by_token(hub: Hub, token: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{hub.origin}/hub/api/user", headers={"Authorization": f"token {token}"}) as answer,
    ):
        return answer.status


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("lost-group", lambda name: lambda users: users.set_groups(name, []), id="left the group"),
        pytest.param("removed", lambda name: lambda users: users.remove(name), id="removed"),
        pytest.param("disabled", lambda name: lambda users: users.set_disabled(name, True), id="disabled"),
        pytest.param("new-password", lambda name: None, id="password reset"),
    ],
)
async def test_who_may_no_longer_come_in_loses_everything(hub: Hub, tab: Browser, name: str, change: Any) -> None:
    """CVE-2026-40934 (anchors, row 19): browser session, API tokens and the server end, although nobody asks."""
    hub.person(name, USERS, password=PASSWORD)
    await tab.sign_in(name, PASSWORD)
    token = await token_of(tab, name)
    assert await by_token(hub, token) == 200
    async with tab.session.post(
        f"{hub.origin}/hub/api/users/{name}/server", headers={"Authorization": f"token {token}"}
    ) as answer:
        assert answer.status in (201, 202)
    assert await eventually(lambda: server_state(hub, name)) == "ready"
    if name == "new-password":
        hub.code(name)
    else:
        hub.change(change(name))

    async def stopped() -> bool:
        return await server_state(hub, name) == "stopped"

    assert await eventually(stopped, 15)
    assert await by_token(hub, token) == 403
    assert (await tab.me()) is None
    revoked = [event for event in hub.audit() if event["action"] == "person.revoke" and event["target"] == name]
    assert len(revoked) == 1


async def server_state(hub: Hub, name: str) -> str:
    async with browser(hub) as admin:
        await admin.sign_in("root", PASSWORD)
        page = await admin.get("/hub/home")
        xsrf = page.text.split('xsrf_token: "')[1].split('"')[0]
        async with admin.session.get(f"{hub.origin}/hub/api/users/{name}", headers={"X-XSRFToken": xsrf}) as answer:
            server = (await answer.json())["servers"].get("")
    if not server:
        return "stopped"
    return "ready" if server["ready"] else ""


async def test_the_same_person_back_after_a_removal_has_no_old_session(hub: Hub, tab: Browser) -> None:
    """A removed person who is restored signs in anew: the old cookie stays dead, also when nobody used it between."""
    hub.person("heidi", USERS, password=PASSWORD)
    await tab.sign_in("heidi", PASSWORD)
    hub.change(lambda users: users.remove("heidi").restore("heidi", [parse_group(USERS)]))
    await asyncio.sleep(1.2)
    assert (await tab.me()) is None


async def test_another_person_does_not_get_a_used_name(hub: Hub, tab: Browser) -> None:
    """Whoever is given the name of somebody who was here before is refused, and sees nothing of theirs."""
    hub.person("ivan", USERS, password=PASSWORD)
    await tab.sign_in("ivan", PASSWORD)
    hub.change(lambda users: type(users)({k: v for k, v in users.users.items() if k != "ivan"}, users.former))
    hub.person("ivan", USERS, password=PASSWORD)
    async with browser(hub) as other:
        page = await other.sign_in("ivan", PASSWORD)
    assert page.status == 403
    assert "Code: name-taken" in page.words


async def test_unknown_is_never_empty(hub: Hub, tab: Browser) -> None:
    """While the users file is broken nobody new comes in; who is in stays for a while, and nothing is ended."""
    hub.person("judy", USERS, password=PASSWORD)
    await tab.sign_in("judy", PASSWORD)
    token = await token_of(tab, "judy")
    whole = hub.users.path.read_bytes()
    try:
        hub.users.path.write_bytes(whole[: len(whole) // 2] + b"\n  : [")
        await asyncio.sleep(1.2)
        me = await tab.me()
        assert me is not None
        assert (me["name"], me["groups"]) == ("judy", ["developer-platform-users@local"])
        async with browser(hub) as other:
            page = await other.sign_in("judy", PASSWORD)
            assert page.status == 503
            assert page.headers["Retry-After"] == "30"
            assert "Code: directory-unavailable" in page.words
        await asyncio.sleep(4.5)
        assert (await tab.me()) is None
        assert await by_token(hub, token) == 403
    finally:
        hub.users.path.write_bytes(whole)
    await asyncio.sleep(1.2)
    assert await by_token(hub, token) == 200
    me = await tab.me()
    assert me is not None


async def test_the_pages_cannot_be_framed_cached_or_kept(hub: Hub, tab: Browser) -> None:
    """Sign-in pages are not stored by a cache and pass no address on."""
    page = await tab.get("/hub/login?username=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert page.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors" in page.headers["Content-Security-Policy"]
    assert "<script>alert(1)" not in page.text
