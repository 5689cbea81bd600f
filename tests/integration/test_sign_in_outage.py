"""Google's directory is gone, slow, broken or refuses: nobody new comes in, nobody loses anything, nothing is missed.

The hub, its sign-in and the adapter are real; the double is Google's side of the HTTP.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.doubles.api_server import Fault
from tests.doubles.google_server import quota_error
from tests.integration.google_hub import LIFETIME, USERS, GoogleHub, google_hub
from tests.integration.oidc_hub import OidcBrowser, oidc_browser
from tests.integration.test_signin import by_token, eventually, token_of

pytestmark = [pytest.mark.lab("proxy", "oidc-provider")]
_BACK_WITHIN = 8.0
"""The adapter lets a server that could not be reached rest for 5 s."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleHub]:
    with google_hub(tmp_path_factory.mktemp("outage")) as hub:
        yield hub


@pytest.fixture
async def tab(hub: GoogleHub) -> AsyncIterator[OidcBrowser]:
    hub.heal_directory()
    async with oidc_browser(hub) as tab:
        yield tab
    hub.heal_directory()


def closed(hub: GoogleHub) -> None:
    hub.close_directory()


def slow(hub: GoogleHub) -> None:
    hub.directory.delay = 3.0


def broken(text: str, path: str = "") -> Callable[[GoogleHub], None]:
    return lambda hub: hub.directory.faults.append(Fault(text=text, path=path, but="token"))


def refused(status: int, text: str) -> Callable[[GoogleHub], None]:
    return lambda hub: hub.directory.faults.append(Fault(status, text, but="token"))


_FORBIDDEN = '{"error": {"code": 403, "message": "Not Authorized", "errors": [{"reason": "forbidden"}]}}'
OUTAGES = [
    pytest.param(closed, id="port closed"),
    pytest.param(slow, id="slower than the patience"),
    pytest.param(broken("<!doctype html><title>Sign in to the proxy</title>"), id="a page"),
    pytest.param(broken('{"memberships": [{"groupKey": {"id": "developer-pl'), id="half an answer"),
    pytest.param(broken("[]"), id="a list"),
    pytest.param(broken("null"), id="null"),
    pytest.param(broken('{"memberships": [], "nextPageToken": "again"}', "memberships"), id="pages in a loop"),
    pytest.param(refused(403, _FORBIDDEN), id="403"),
    pytest.param(refused(403, quota_error(403, "quotaExceeded")), id="403, quota"),
    pytest.param(refused(429, quota_error(429, "rateLimitExceeded")), id="429"),
    pytest.param(refused(500, "{}"), id="500"),
    pytest.param(refused(503, "the backend is out of order"), id="503"),
]
KINDS = [OUTAGES[0], OUTAGES[1], OUTAGES[3], OUTAGES[7]]


async def server(hub: GoogleHub, user: str) -> dict[str, Any]:
    return await asyncio.to_thread(hub.server, user)


async def call(hub: GoogleHub, method: str, path: str, token: str, body: Any = None) -> int:
    status, _ = await asyncio.to_thread(hub.call, method, f"/hub/api{path}", body, token)
    return status


async def started(hub: GoogleHub, user: str, token: str) -> dict[str, Any]:
    """Their server, when it is ready."""
    assert await call(hub, "POST", f"/users/{user}/server", token) in (201, 202)

    async def ready() -> dict[str, Any]:
        found = await server(hub, user)
        return found if found.get("ready") else {}

    found = await eventually(ready, 30)
    assert found
    return found


@pytest.mark.parametrize("outage", OUTAGES)
async def test_nobody_comes_in(hub: GoogleHub, tab: OidcBrowser, outage: Callable[[GoogleHub], None]) -> None:
    """A sign-in ends with 503, the page and its code; nobody is made, and it works as soon as the directory does."""
    user = hub.member("newcomer", USERS)
    outage(hub)
    page = await tab.sign_in_at_provider("of-newcomer")
    assert (page.status, page.headers["Retry-After"]) == (503, "30")
    assert "Nobody can sign in right now: it cannot be found out who belongs to which group." in page.words
    assert "Code: directory-unavailable" in page.words
    assert (await tab.me()) is None
    status, _ = await asyncio.to_thread(hub.call, "GET", f"/hub/api/users/{user}")
    assert status == 404
    event = hub.audit()[-1]
    assert (event["action"], event["actor"], event["outcome"], event["why"]) == (
        "person.sign-in", user, "failed", "directory-unavailable",
    )  # fmt: skip
    hub.heal_directory()

    async def in_again() -> bool:
        return (await tab.sign_in_at_provider("of-newcomer")).status == 302

    assert await eventually(in_again, _BACK_WITHIN)
    await asyncio.to_thread(hub.call, "DELETE", f"/hub/api/users/{user}")


@pytest.mark.parametrize("outage", KINDS)
async def test_who_is_in_stays_for_a_while_and_comes_back(
    hub: GoogleHub, tab: OidcBrowser, outage: Callable[[GoogleHub], None]
) -> None:
    """They work and start servers on the last answer; then wait before a page that says so, with nothing ended."""
    user = hub.member("alice", USERS)
    assert (await tab.sign_in_at_provider("of-alice")).status == 302
    token = await token_of(tab, user)
    outage(hub)
    begun = time.monotonic()
    before = await started(hub, user, token)
    assert (await tab.me()) is not None
    assert await by_token(hub, token) == 200
    assert time.monotonic() - begun < LIFETIME, "too slow a machine to tell"

    async def waits() -> Any:
        page = await tab.get("/hub/home")
        return page if page.status == 503 else None

    page = await eventually(waits, 20)
    assert page, "nobody was kept out"
    assert time.monotonic() - begun >= LIFETIME - 1.0
    assert page.headers["Retry-After"] == "30"
    assert "It cannot be found out right now whether you still belong to this platform's users." in page.words
    assert "Nothing of yours is ended: your files and servers wait for you." in page.words
    assert "Code: directory-unavailable" in page.words
    assert await by_token(hub, token) == 403
    assert await call(hub, "POST", f"/users/{user}/servers/second", token) == 403
    assert (await tab.get("/hub/spawn")).status == 503
    assert (await server(hub, user))["started"] == before["started"]
    hub.heal_directory()

    async def back() -> Any:
        return await tab.me()

    assert await eventually(back, _BACK_WITHIN)
    assert await by_token(hub, token) == 200
    assert (await server(hub, user))["started"] == before["started"]
    assert not [event for event in hub.audit() if event["action"] == "person.revoke" and event["target"] == user]
    await asyncio.to_thread(hub.stop_server, user)


@pytest.mark.parametrize("outage", KINDS)
async def test_what_was_missed_is_carried_out(
    hub: GoogleHub, tab: OidcBrowser, outage: Callable[[GoogleHub], None], request: pytest.FixtureRequest
) -> None:
    """Somebody who is taken out of the group meanwhile, and touches nothing, loses everything once it answers."""
    name = "leaver" + "".join(letter for letter in request.node.callspec.id if letter.isalnum())
    user = hub.member(name, USERS)
    assert (await tab.sign_in_at_provider(f"of-{name}")).status == 302
    token = await token_of(tab, user)
    await started(hub, user, token)
    outage(hub)
    hub.member(name)
    await asyncio.sleep(2.5)  # two reviews, which learn nothing
    assert (await server(hub, user)).get("ready")
    hub.heal_directory()

    async def stopped() -> bool:
        return not await server(hub, user)

    assert await eventually(stopped, _BACK_WITHIN + 5)
    assert await by_token(hub, token) == 403
    assert (await tab.me()) is None
    revoked = [event for event in hub.audit() if event["action"] == "person.revoke" and event["target"] == user]
    assert [event["why"] for event in revoked] == [f"is not a member of {USERS}@example.com"]


async def test_a_hub_that_starts_meanwhile_keeps_everybody_waiting(hub: GoogleHub, tab: OidcBrowser) -> None:
    """It has no last answer: a valid cookie shows the page until the directory answers; servers go on."""
    user = hub.member("rita", USERS)
    assert (await tab.sign_in_at_provider("of-rita")).status == 302
    token = await token_of(tab, user)
    before = await started(hub, user, token)
    hub.close_directory()
    await asyncio.to_thread(hub.kill)
    await asyncio.to_thread(hub.start)
    page = await tab.get("/hub/home")
    assert (page.status, "Code: directory-unavailable" in page.words) == (503, True)
    assert await by_token(hub, token) == 403
    await asyncio.sleep(2.5)  # two reviews
    assert (await server(hub, user))["started"] == before["started"]
    hub.heal_directory()

    async def back() -> Any:
        return await tab.me()

    assert await eventually(back, _BACK_WITHIN)
    assert await by_token(hub, token) == 200
    assert (await server(hub, user))["started"] == before["started"]
    await asyncio.to_thread(hub.stop_server, user)


async def test_signing_out_works_meanwhile(hub: GoogleHub, tab: OidcBrowser) -> None:
    """Also for somebody who is kept waiting: the session does not come back with the directory."""
    hub.member("olga", USERS)
    assert (await tab.sign_in_at_provider("of-olga")).status == 302
    hub.close_directory()
    await asyncio.to_thread(hub.kill)
    await asyncio.to_thread(hub.start)
    assert (await tab.get("/hub/home")).status == 503
    assert (await tab.get("/hub/logout", follow=False)).status in (200, 302)
    assert (await tab.get("/hub/home")).status == 200  # the sign-in page
    assert not [name for name in tab.cookies() if name.startswith("jupyterhub-hub")]
    assert hub.audit()[-1]["action"] == "person.sign-out"
