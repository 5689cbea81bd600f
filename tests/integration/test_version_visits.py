"""An administrator's visit to somebody's versions at a real hub, which says what the browser's sign-in may do."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from devplatform_hub.core.group_roles import VISIT_VERSIONS
from devplatform_hub.core.identity import parse_group
from tests.integration.attacked_hub import SERVICE, attacked_hub
from tests.integration.sign_in_hub import ADMINS, USERS, Browser, Hub, browser
from tests.integration.test_signin import PASSWORD, eventually, token_of
from tests.lab.audit_events import valid_events

pytestmark = [pytest.mark.lab("proxy")]
REASON = "Ticket 4711: bob asked for help with a lost file"
WORDS = b"bob's own words"
PAGE = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with attacked_hub(tmp_path_factory.mktemp("visits")) as hub:
        for name, group in (("ada", ADMINS), ("ben", ADMINS), ("bob", USERS), ("mallory", USERS)):
            hub.person(name, group, password=PASSWORD)
        yield hub


@asynccontextmanager
async def signed_in(hub: Hub, name: str) -> AsyncIterator[Browser]:
    """A browser in which this person is signed in, at the service too."""
    async with browser(hub) as tab:
        assert (await tab.sign_in(name, PASSWORD)).status == 302
        page = await tab.get(f"{SERVICE}w/{name}/folder", headers=PAGE)
        assert page.status == 200, page.words
        yield tab


async def with_token(tab: Browser, method: str, path: str, token: str, **options: Any) -> tuple[int, bytes]:
    """One request as a program sends it, without cookies."""
    headers = {"Authorization": f"token {token}", **options.pop("headers", {})}
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.request(method, tab.origin + path, headers=headers, **options) as answer,
    ):
        return answer.status, await answer.read()


async def save(tab: Browser, token: str) -> None:
    """A version of bob's, as his agent makes it."""
    item = {"path": "a.txt", "size": len(WORDS), "sha256": hashlib.sha256(WORDS).hexdigest()}
    status, answer = await with_token(tab, "POST", f"{SERVICE}api/v1/w/bob/uploads", token, json={"items": [item]})
    assert status == 200, answer
    result = json.loads(answer)["results"][0]
    if "grant" in result:
        grant = result["grant"]
        status, _ = await with_token(tab, "PUT", grant["url"], "-", headers=grant["headers"], data=WORDS)
        assert status == 200


def told(hub: Hub) -> list[tuple[str, ...]]:
    """What the service's audit says of visits; it goes to the hub's output here."""
    lines = [line[line.index("{") :] for line in hub.log.splitlines() if '"devplatform.audit"' in line]
    found = [event for event in valid_events("\n".join(lines)) if event["action"].startswith("version.")]
    return [tuple(str(event.get(key, "")) for key in ("action", "actor", "outcome", "target")) for event in found]


async def test_a_visit_from_its_reason_to_the_owners_notice(hub: Hub) -> None:
    """Closed, opened with a reason for this browser alone, read-only, ended; the owner reads of it."""
    async with signed_in(hub, "bob") as bob, signed_in(hub, "ada") as ada, signed_in(hub, "ben") as ben:
        await save(bob, await token_of(bob, "bob"))
        assert (await ada.get(f"{SERVICE}w/bob/folder", headers=PAGE)).status == 404
        assert (
            "Other people\N{RIGHT SINGLE QUOTATION MARK}s versions"
            in (await ada.get(f"{SERVICE}w/ada/folder", headers=PAGE)).words
        )
        opened = await ada.post(f"{SERVICE}admin/", {"name": "bob", "reason": REASON})
        assert (opened.status, opened.path, REASON in opened.words) == (200, f"{SERVICE}w/bob/folder", True)
        content = f"{SERVICE}api/v1/w/bob/content?path=a.txt"
        assert (await ada.get(content)).text.encode() == WORDS
        assert (await ben.get(content)).status == 404
        token = await token_of(ada, "ada")
        _, me = await with_token(ada, "GET", "/hub/api/user", token)
        assert VISIT_VERSIONS in json.loads(me)["scopes"]  # she could, and yet: not with a token
        assert (await with_token(ada, "GET", content, token))[0] == 404
        fields = {"name": "bob", "reason": REASON}
        assert (await with_token(ada, "POST", f"{SERVICE}admin/", token, data=fields))[0] == 403
        notice = (await bob.get(f"{SERVICE}w/bob/folder", headers=PAGE)).words
        assert "ada (administrator) looked at your file versions" in notice
        assert f"Reason: {REASON}" in notice
        await ada.post(f"{SERVICE}admin/end", {}, xsrf=False)  # without the page's token nothing ends
        assert (await ada.get(content)).status == 200
        page = await ada.get(f"{SERVICE}admin/", headers=PAGE)
        xsrf = page.text.split('name="_xsrf" value="')[1].split('"')[0]
        await ada.post(f"{SERVICE}admin/end", {"_xsrf": xsrf}, xsrf=False)
        assert (await ada.get(content)).status == 404
    content_of_bob = "bob /services/versions/api/v1/w/bob/content"
    assert told(hub) == [
        ("version.access", "ada", "refused", "bob /services/versions/w/bob/folder"),
        ("version.visit", "ada", "allowed", "bob"),
        ("version.look", "ada", "allowed", "bob/"),
        ("version.download", "ada", "allowed", "bob/a.txt"),
        ("version.access", "ben", "refused", content_of_bob),
        ("version.access", "ada", "refused", content_of_bob),
        ("version.visit", "ada", "refused", "bob"),
        ("version.leave", "ada", "allowed", "bob"),
        ("version.access", "ada", "refused", content_of_bob),
    ]


async def test_a_member_cannot(hub: Hub) -> None:
    """Nor is the hub's log full of warnings that members lack what administrators have."""
    async with signed_in(hub, "mallory") as tab:
        page = await tab.get(f"{SERVICE}w/mallory/folder", headers=PAGE)
        assert "Other people\N{RIGHT SINGLE QUOTATION MARK}s versions" not in page.words
        assert (await tab.get(f"{SERVICE}admin/", headers=PAGE)).status == 404
    assert "granting only" not in hub.log


async def test_who_leaves_the_group_is_out(hub: Hub) -> None:
    """In the middle of a visit, within a refresh and what the service remembers."""
    async with signed_in(hub, "bob") as bob, signed_in(hub, "ben") as ben:
        await save(bob, await token_of(bob, "bob"))
        opened = await ben.post(f"{SERVICE}admin/", {"name": "bob", "reason": REASON})
        assert opened.path == f"{SERVICE}w/bob/folder"
        hub.change(lambda users: users.set_groups("ben", [parse_group(USERS)]))

        async def is_out() -> bool:
            await ben.me()
            return (await ben.get(f"{SERVICE}w/bob/folder", headers=PAGE)).status == 404

        assert await eventually(is_out)
