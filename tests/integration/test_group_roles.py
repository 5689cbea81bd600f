"""Roles of groups at a real hub: they come and go with the group, and nobody promotes themselves by one."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.oidc_hub import ADMINS, USERS, OidcBrowser, OidcHub, oidc_browser, oidc_hub
from tests.integration.test_signin import token_of

pytestmark = [pytest.mark.lab("proxy", "oidc-provider")]
LEADS = "data-leads"
_LEAD = {"name": "lead", "scopes": ["list:users", "read:users", "servers!group=data-team@example.com"]}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcHub]:
    with oidc_hub(tmp_path_factory.mktemp("roles"), {"group_roles": {LEADS: ["lead"]}}, roles=[_LEAD]) as hub:
        yield hub


async def scopes(hub: OidcHub, token: str) -> set[str]:
    status, me = await asyncio.to_thread(hub.call, "GET", "/hub/api/user", None, token)
    assert status == 200, me
    return set(me["scopes"])


async def test_a_role_comes_and_goes_with_the_group(hub: OidcHub) -> None:
    """A token that was made while somebody was in the group loses its scopes within one refresh."""
    hub.provider.person("lea", groups=[USERS, LEADS])
    async with oidc_browser(hub) as tab:
        await tab.sign_in_at_provider("lea")
        token = await token_of(tab, "lea@example.com")
        assert "list:users" in await scopes(hub, token)
        hub.provider.person("lea", groups=[USERS])
        await asyncio.sleep(1.2)
        await tab.me()
        assert "list:users" not in await scopes(hub, token)
        status, _ = await asyncio.to_thread(hub.call, "GET", "/hub/api/users", None, token)
        assert status == 403


async def test_roles_of_the_two_groups(hub: OidcHub) -> None:
    """Members of the users group have jupyter-user alone; of the administrators, jupyter-admin."""
    hub.provider.person("ursula", groups=[USERS])
    hub.provider.person("ada", groups=[ADMINS])
    for subject, admin in (("ursula", False), ("ada", True)):
        async with oidc_browser(hub) as tab:
            await tab.sign_in_at_provider(subject)
            found = await scopes(hub, await token_of(tab, f"{subject}@example.com"))
            assert ("admin-ui" in found, "self" in found) == (admin, False)


def attempts(me: str, victim: str) -> list[tuple[str, str, Any]]:
    """What somebody would try in order to become more than they are."""
    return [
        ("PATCH", f"/users/{me}", {"admin": True}),
        ("PATCH", f"/users/{victim}", {"admin": True}),
        ("POST", "/users", {"usernames": ["new@example.com"], "admin": True}),
        ("POST", "/users/new@example.com", {"admin": True}),
        ("DELETE", f"/users/{victim}", None),
        ("POST", f"/users/{victim}/tokens", {"note": "mine now"}),
        ("POST", f"/users/{me}/tokens", {"scopes": ["admin:users"]}),
        ("POST", f"/users/{me}/tokens", {"roles": ["admin"]}),
        ("POST", f"/groups/{ADMINS}@example.com/users", {"users": [me]}),
        ("POST", "/groups/mine", {"users": [me]}),
        ("DELETE", f"/groups/{ADMINS}@example.com", None),
    ]


@pytest.mark.parametrize("groups", [[USERS], [USERS, LEADS]], ids=["jupyter-user", "a mapped role"])
async def test_no_role_lets_its_holder_promote_anybody(hub: OidcHub, groups: list[str]) -> None:
    """CVE-2024-41942 and GHSA-69wv-m5fw-2fhp: refused one by one, and nothing has changed afterwards."""
    hub.provider.person("victim", groups=[ADMINS])
    hub.provider.person("climber", groups=groups)
    async with oidc_browser(hub) as other, oidc_browser(hub) as tab:
        await other.sign_in_at_provider("victim")
        await tab.sign_in_at_provider("climber")
        token = await token_of(tab, "climber@example.com")
        for method, path, body in attempts("climber@example.com", "victim@example.com"):
            status, answer = await asyncio.to_thread(hub.call, method, f"/hub/api{path}", body, token)
            assert 400 <= status < 500, (method, path, status, answer)
        await check_nothing_changed(hub, tab, other)


async def test_groups_that_are_changed_by_hand_do_not_stay(hub: OidcHub) -> None:
    """They come from the directory: at the next refresh the hub has its groups again, and roles with them."""
    hub.provider.person("boss", groups=[ADMINS])
    async with oidc_browser(hub) as tab:
        await tab.sign_in_at_provider("boss")
        token = await token_of(tab, "boss@example.com")
        path, users = f"/hub/api/groups/{LEADS}@example.com/users", {"users": ["boss@example.com"]}
        await asyncio.to_thread(hub.call, "POST", path, users, token)
        await asyncio.sleep(1.2)
        me = await tab.me()
        assert me is not None
        assert me["groups"] == [f"{ADMINS}@example.com"]


async def check_nothing_changed(hub: OidcHub, climber: OidcBrowser, victim: OidcBrowser) -> None:
    mine, theirs = await climber.me(), await victim.me()
    assert mine is not None
    assert theirs is not None
    assert (mine["admin"], f"{ADMINS}@example.com" in mine["groups"], theirs["admin"]) == (False, False, True)


def test_roles_outlive_a_restart_and_a_changed_mapping_counts(hub: OidcHub) -> None:
    """After a restart without the mapping nobody has the role any more."""
    hub.stop()
    hub.settings["traits"]["OidcAuthenticator"]["group_roles"] = {}
    hub.start()

    async def look() -> None:
        hub.provider.person("lea", groups=[USERS, LEADS])
        async with oidc_browser(hub) as tab:
            await tab.sign_in_at_provider("lea")
            assert "list:users" not in await scopes(hub, await token_of(tab, "lea@example.com"))

    asyncio.run(look())
