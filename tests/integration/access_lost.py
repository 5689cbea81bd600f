"""What every sign-in at a provider has to do when somebody may no longer come in, and when nobody can say so."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any

from tests.integration.oidc_hub import OidcBrowser
from tests.integration.test_signin import by_token, eventually, token_of
from tests.lab.hub import RealHub


def last_sign_in(hub: RealHub) -> dict[str, Any]:
    """The last one of the audit, without its time."""
    events = [event for event in hub.audit() if event["action"] == "person.sign-in"]
    return {name: value for name, value in events[-1].items() if name != "time"}


def revoked(hub: RealHub, user: str) -> list[str]:
    """Why this hub user lost everything, each time."""
    events = (event for event in hub.audit() if event["action"] == "person.revoke" and event["target"] == user)
    return [event["why"] for event in events]


async def server_state(hub: RealHub, user: str) -> str:
    """ "" for none, "pending" or "ready"."""
    status, model = await asyncio.to_thread(hub.call, "GET", f"/hub/api/users/{user}")
    assert status == 200
    server = model["servers"].get("")
    return "" if not server else "ready" if server["ready"] else "pending"


async def loses_everything(hub: RealHub, tab: OidcBrowser, user: str, change: Callable[[], object]) -> str:
    """After this change browser session, API tokens and the running server end, although nobody asks the hub.

    `tab` is signed in as the user. The reason that the audit has, which is there once.
    """
    token = await token_of(tab, user)
    await asyncio.to_thread(hub.start_server, user)
    change()

    async def stopped() -> bool:
        return await server_state(hub, user) == ""

    assert await eventually(stopped, 15)
    assert await by_token(hub, token) == 403
    assert (await tab.me()) is None
    (why,) = revoked(hub, user)
    return why


@asynccontextmanager
async def nothing_ends(
    hub: RealHub, tab: OidcBrowser, user: str, outage: AbstractContextManager[object]
) -> AsyncIterator[None]:
    """In the block there is this outage, and `tab`, signed in as the user, is still in.

    After it, once `last_answer_lifetime` is over, they are kept out, their server runs on, and it heals by itself.
    """
    token = await token_of(tab, user)
    await asyncio.to_thread(hub.start_server, user)
    with outage:
        await asyncio.sleep(1.2)  # beyond auth_refresh_age: from here on it is the last answer that counts
        assert (await tab.me()) is not None
        yield

        async def kept_out() -> bool:
            return await by_token(hub, token) == 403

        assert await eventually(kept_out, 15)
        assert (await tab.me()) is None
        assert await server_state(hub, user) == "ready"

    async def let_in() -> bool:
        return await by_token(hub, token) == 200

    assert await eventually(let_in, 15)
    assert (await tab.me()) is not None
    assert await server_state(hub, user) == "ready"
    assert revoked(hub, user) == []
    await asyncio.to_thread(hub.stop_server, user)
