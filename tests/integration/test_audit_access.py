"""What the audit of a real hub says of people who are signed in: refreshes, roles, an outage, who is blocked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.integration.sign_in_hub import ADMINS, USERS, Browser, Hub, browser, sign_in_hub
from tests.integration.test_signin import by_token, eventually, token_of

pytestmark = [pytest.mark.lab("proxy")]
PASSWORD = "correct horse battery staple"
_MORE = """
c.JupyterHub.load_roles.append({"name": "lead", "scopes": ["list:users"]})
c.LocalAuthenticator.group_roles = s.get("group_roles", {"data-leads": ["lead"]})
c.Authenticator.blocked_users = set(s.get("blocked", []))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with sign_in_hub(tmp_path_factory.mktemp("access"), _MORE) as hub:
        yield hub


@pytest.fixture
async def tab(hub: Hub) -> AsyncIterator[Browser]:
    async with browser(hub) as tab:
        yield tab


def told(hub: Hub, action: str, about: str = "") -> list[tuple[str, str]]:
    """Outcome and reason of each such event, of everybody's where nobody is named."""
    events = [event for event in hub.audit() if event["action"] == action]
    return [(event["outcome"], event["why"]) for event in events if about in ("", event.get("target"), event["actor"])]


def roles_told(hub: Hub) -> list[tuple[str, str]]:
    return [(event["target"], event["why"]) for event in hub.audit() if event["action"] == "role.change"]


async def look(tab: Browser, hub: Hub, action: str, about: str, found: int = 1) -> Any:
    """These events, once there are so many; the browser asks the hub for something meanwhile."""

    async def ask() -> Any:
        await tab.me()
        events = told(hub, action, about)
        return events if len(events) >= found else None

    return await eventually(ask)


async def test_a_refresh_that_changed_nothing_is_a_line(hub: Hub, tab: Browser) -> None:
    """With the reason of the decision; the first groups of somebody new are a change."""
    hub.person("alice", USERS, password=PASSWORD)
    await tab.sign_in("alice", PASSWORD)
    refreshed = await look(tab, hub, "person.refresh", "alice", 2)
    assert set(refreshed) == {("allowed", "is a member of developer-platform-users")}
    assert told(hub, "person.change", "alice") == [
        ("allowed", "has role jupyter-user, joined developer-platform-users@local")
    ]


async def test_roles_that_come_and_go_with_groups(hub: Hub, tab: Browser) -> None:
    """While somebody is signed in, and while they are not."""
    hub.person("lea", USERS, password=PASSWORD)
    await tab.sign_in("lea", PASSWORD)
    hub.change(lambda users: users.set_groups("lea", [f"{USERS}@local", "data-leads@local", f"{ADMINS}@local"]))
    both = await look(tab, hub, "person.change", "lea", 2)
    joined = "joined data-leads@local, joined developer-platform-admins@local"
    assert both[1] == ("allowed", f"is administrator, has role jupyter-admin, has role lead, {joined}")
    await tab.get("/hub/logout")
    hub.change(lambda users: users.set_groups("lea", [f"{USERS}@local"]))
    await tab.sign_in("lea", PASSWORD)
    left = "left data-leads@local, left developer-platform-admins@local"
    lost = "has role jupyter-admin no longer, has role lead no longer"
    assert told(hub, "person.change", "lea")[2:] == [("allowed", f"is no administrator, {lost}, {left}")]


async def test_signing_out_is_a_line(hub: Hub, tab: Browser) -> None:
    """Once, and none for a browser in which nobody was signed in."""
    hub.person("olga", USERS, password=PASSWORD)
    await tab.sign_in("olga", PASSWORD)
    for _ in range(2):
        await tab.get("/hub/logout")
    assert (await tab.me()) is None
    assert [e["remote"] for e in hub.audit() if e["action"] == "person.sign-out" and e["actor"] == "olga"] == [
        "127.0.0.1"
    ]


async def test_an_outage_is_told_when_it_begins_and_when_it_keeps_somebody_out(hub: Hub, tab: Browser) -> None:
    """Two lines, however often somebody who is kept out asks; afterwards they are decided about as ever."""
    hub.person("judy", USERS, password=PASSWORD)
    await tab.sign_in("judy", PASSWORD)
    token = await token_of(tab, "judy")
    whole = hub.users.path.read_bytes()
    try:
        hub.users.path.write_bytes(b"schema: 1\nusers: [")
        await look(tab, hub, "person.refresh", "judy")

        async def is_out() -> bool:
            return await by_token(hub, token) == 403

        assert await eventually(is_out)
        assert [await by_token(hub, token) for _ in range(10)] == [403] * 10
    finally:
        hub.users.path.write_bytes(whole)
    said = [(outcome, why) for outcome, why in told(hub, "person.refresh", "judy") if outcome != "allowed"]
    assert [outcome for outcome, _ in said] == ["failed", "refused"]
    assert said[0][1].startswith("directory-unavailable, keeps the answer of ")
    assert said[1][1].startswith("directory-unavailable, the answer of ")
    before = len(told(hub, "person.refresh", "judy"))
    assert (await look(tab, hub, "person.refresh", "judy", before + 1))[-1][0] == "allowed"


def test_roles_are_told_when_their_groups_differ_from_those_before_the_start(hub: Hub) -> None:
    """At the first start all of them; at a later one nothing, unless the configuration has changed."""
    first = [
        ("jupyter-admin", "given to developer-platform-admins@local"),
        ("jupyter-user", "given to developer-platform-users@local"),
        ("lead", "given to data-leads@local"),
    ]
    assert roles_told(hub) == first
    hub.stop()
    hub.start()
    assert roles_told(hub) == first
    hub.stop()
    hub.settings["group_roles"] = {"chiefs": ["lead"]}
    hub.start()
    assert roles_told(hub) == [*first, ("lead", "given to chiefs@local, no longer to data-leads@local")]


def test_who_is_blocked_is_refused_and_put_out(hub: Hub) -> None:
    """The hub blocks a sign-in only, and without a word in the audit: here a session ends too."""

    async def stay() -> None:
        async with browser(hub) as tab, browser(hub) as other:
            await tab.sign_in("eve", PASSWORD)
            hub.stop()
            hub.settings["blocked"] = ["eve"]
            hub.start()
            assert (await other.sign_in("eve", PASSWORD)).status == 403
            assert (await tab.me()) is None

    hub.person("eve", USERS, password=PASSWORD)
    asyncio.run(stay())
    assert told(hub, "person.sign-in", "eve")[1:] == [("refused", "is one of blocked_users")]
    assert told(hub, "person.revoke", "eve") == [("allowed", "is one of blocked_users")]
