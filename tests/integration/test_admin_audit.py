"""What administrators, services and people do to others is in the audit of a real hub, refused or not, once."""

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.sign_in_hub import ADMINS, USERS, Hub, browser, sign_in_hub
from tests.integration.test_signin import token_of
from tests.lab.hub import ADMIN_TOKEN

pytestmark = [pytest.mark.lab("proxy")]
PASSWORD = "correct horse battery staple"
_MORE = """
from devplatform_hub.stop_notes import log_and_note
c.JupyterHub.tornado_settings = {"log_function": log_and_note}
c.JupyterHub.allow_named_servers = True
c.JupyterHub.load_roles[0]["scopes"] += ["groups", "admin:groups", "delete:groups", "shares"]
c.JupyterHub.load_roles[-1]["scopes"] += ["shares!user", "read:users:name", "read:groups:name"]
"""
_OF_EVENTS = ("action", "actor", "outcome", "target", "why")
_WATCHED = re.compile(r"(token|group|server|service|hub)\..*|person\.(add|remove|edit)")


@dataclass
class Lab:
    """The hub, and a token of each of its people: ada administers, mallory and bob do not."""

    hub: Hub
    tokens: dict[str, str]

    def call(self, who: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return self.hub.call(method, f"/hub/api{path}", body, self.tokens[who])

    def told(self, of: Callable[[], object]) -> list[tuple[str, ...]]:
        """The events that this makes, without their times, tokens by the same name."""
        before = len(self.hub.audit())
        of()
        self.hub.call("GET", "/hub/api/")  # an answer is noted once it is sent, but before the next request
        events = [event for event in self.hub.audit()[before:] if _WATCHED.fullmatch(event["action"])]
        return [
            tuple(re.sub(r"token a\d+", "token ID", event.get(name, "")) for name in _OF_EVENTS) for event in events
        ]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    async def tokens() -> dict[str, str]:
        found = {"service": ADMIN_TOKEN}
        for name in ("ada", "mallory", "bob"):
            async with browser(hub) as tab:
                assert (await tab.sign_in(name, PASSWORD)).status == 302
                found[name] = await token_of(tab, name)
        return found

    with sign_in_hub(tmp_path_factory.mktemp("admin"), _MORE) as hub:
        for name, groups in (("ada", [USERS, ADMINS]), ("mallory", [USERS]), ("bob", [USERS])):
            hub.person(name, *groups, password=PASSWORD)
        yield Lab(hub, asyncio.run(tokens()))


BY = "with token ID"
_AUTHORIZE = (
    "/hub/api/oauth2/authorize?client_id=jupyterhub-user-bob&redirect_uri=%2Fuser%2Fbob%2Foauth_callback"
    "&response_type=code"
)
CHANGES: list[tuple[str, str, str, Any, list[tuple[str, str, str]]]] = [
    ("people are made", "POST", "/users", {"usernames": ["New1", "bob", "new2", "new1"]},
     [("person.add", "new1", BY), ("person.add", "new2", BY)]),
    ("an administrator is made", "POST", "/users/chief", {"admin": True},
     [("person.add", "chief", f"admin=true, {BY}")]),
    ("an administrator no longer", "PATCH", "/users/chief", {"admin": False},
     [("person.edit", "chief", f"admin=false, {BY}")]),
    ("renamed", "PATCH", "/users/chief", {"name": "deputy"}, [("person.edit", "chief", f"name=deputy, {BY}")]),
    ("deleted", "DELETE", "/users/deputy", None, [("person.remove", "deputy", BY)]),
    ("a token for another", "POST", "/users/bob/tokens", {"note": "secret note", "expires_in": 60,
     "scopes": ["read:users!user"]},
     [("token.make", "bob", f"scopes: read:users!user, for 60 s, {BY}")]),
    ("groups", "POST", "/groups", {"groups": ["g1", "g2"], "users": ["bob"]},
     [("group.change", "g1", f"made with bob, {BY}"), ("group.change", "g2", f"made with bob, {BY}")]),
    ("a group", "POST", "/groups/g3", {"users": ["bob", "new1"]},
     [("group.change", "g3", f"made with bob new1, {BY}")]),
    ("members", "POST", "/groups/g3/users", {"users": ["new2"]}, [("group.change", "g3", f"added new2, {BY}")]),
    ("members removed", "DELETE", "/groups/g3/users", {"users": ["bob", "new2"]},
     [("group.change", "g3", f"removed bob new2, {BY}")]),
    ("properties", "PUT", "/groups/g3/properties", {"color": "red"},
     [("group.change", "g3", f"properties color, {BY}")]),
    ("a group deleted", "DELETE", "/groups/g3", None, [("group.change", "g3", f"deleted, {BY}")]),
    ("a server for another", "POST", "/users/bob/servers/lab", {"profile": "small"},
     [("server.start-for", "bob/lab", f"profile=small, {BY}")]),
    ("a share", "POST", "/shares/bob/lab", {"user": "mallory"}, [("server.share", "bob/lab", f"user mallory, {BY}")]),
    ("a share ended", "PATCH", "/shares/bob/lab", {"user": "mallory"},
     [("server.unshare", "bob/lab", f"user mallory, {BY}")]),
    ("shares ended", "DELETE", "/shares/bob/lab", None, [("server.unshare", "bob/lab", f"everybody, {BY}")]),
    ("codes ended", "DELETE", "/share-codes/bob/lab", None,
     [("server.unshare", "bob/lab", f"a code, or all of them, {BY}")]),
    ("a server stopped and removed", "DELETE", "/users/bob/servers/lab", {"remove": True},
     [("server.stop", "bob/lab", "stopped-by-administrator, and removed")]),
    ("a service", "POST", "/services/extra", {"info": {}}, [("service.change", "extra", f"added, {BY}")]),
    ("a service removed", "DELETE", "/services/extra", None, [("service.change", "extra", f"removed, {BY}")]),
    ("a token of one's own", "POST", "/users/ada/tokens", {}, []),
    ("somebody who is not there", "DELETE", "/users/nobody", None, []),
    ("a bad request", "POST", "/users", {"usernames": []}, []),
    ("reading", "GET", "/users/bob/tokens", None, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "events"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_what_an_administrator_changes(
    lab: Lab, method: str, path: str, body: Any, events: list[tuple[str, str, str]]
) -> None:
    """In the order of the table: each is one event for each that it is about."""
    said = lab.told(lambda: lab.call("ada", method, path, body))
    assert said == [(action, "ada", "allowed", target, why) for action, target, why in events]


REFUSED: list[tuple[str, str, Any, tuple[str, str, str]]] = [
    ("POST", "/users", {"usernames": ["m1", "m2"], "admin": True}, ("person.add", "m1 m2", "admin=true")),
    ("POST", "/users", {"usernames": [f"m{number}" for number in range(5000)]},
     ("person.add", " ".join(f"m{number}" for number in range(20)) + " and 4980 more", "")),
    ("DELETE", "/users/bob", None, ("person.remove", "bob", "")),
    ("PATCH", "/users/mallory", {"admin": True, "\x1b[2J": "x"}, ("person.edit", "mallory", "admin=true")),
    ("POST", "/users/bob/tokens", {}, ("token.make", "bob", "")),
    ("DELETE", "/users/bob/tokens/a1", None, ("token.delete", "bob", "a1")),
    ("POST", "/users/bob/server", {}, ("server.start-for", "bob/", "")),
    ("DELETE", "/users/bob/server", None, ("server.stop", "bob/", "")),
    ("POST", f"/groups/{ADMINS}@local/users", {"users": ["mallory"]},
     ("group.change", f"{ADMINS}@local", "added mallory")),
    ("DELETE", f"/groups/{ADMINS}@local", None, ("group.change", f"{ADMINS}@local", "deleted")),
    ("POST", "/services/mine", {"admin": True}, ("service.change", "mine", "added, admin=true")),
    ("POST", "/shutdown", {"servers": True}, ("hub.stop", "hub", "with servers")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "event"), REFUSED, ids=[f"{row[0]} {row[1]}" for row in REFUSED])
def test_what_is_refused(lab: Lab, method: str, path: str, body: Any, event: tuple[str, str, str]) -> None:
    """Whichever way the hub says it: 403, or the 404 for who is hidden."""
    answers: list[int] = []
    said = lab.told(lambda: answers.append(lab.call("mallory", method, path, body)[0]))
    assert answers[0] in (403, 404)
    code = "not-allowed" if answers[0] == 403 else "missing-or-not-allowed"
    why = ", ".join(part for part in (code, event[2], BY) if part)
    assert said == [(event[0], "mallory", "refused", event[1], why)]


def test_nobody_known_writes_nothing(lab: Lab) -> None:
    """Otherwise everybody on the network could fill the audit."""
    said = lab.told(lambda: [lab.hub.call("DELETE", "/hub/api/users/bob", None, token) for token in ("", "x" * 64)])
    assert said == []


def test_services_are_named_as_such(lab: Lab) -> None:
    assert lab.told(lambda: lab.call("service", "POST", "/users/bob/tokens", {})) == [
        ("token.make", "tests", "allowed", "bob", "by a service, with token ID")
    ]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_bodies_that_break_readers(lab: Lab, method: str) -> None:
    """Endless, too deep, no object: one event or none, and no trace in the log."""
    size = len(lab.hub.log)
    for body in (
        [[]],
        "x" * 200_000,
        {"usernames": [None, 5, {"a": 1}], "users": "bob", "scopes": 7, "expires_in": [1]},
    ):
        for path in ("/users", "/groups/g1/users", "/users/bob/tokens", "/shares/bob/"):
            lab.call("mallory", method, path, body)
    assert "Traceback" not in lab.hub.log[size:]


def test_tokens_and_codes_are_nowhere(lab: Lab) -> None:
    """Neither what was made, nor what was put where its number belongs, nor notes that people write."""
    lab.call("ada", "POST", "/users/bob/servers/shared", {})
    made = [lab.call("ada", "POST", "/users/bob/tokens", {"note": "n-o-t-e"})[1]["token"], "n-o-t-e"]
    code = lab.call("bob", "POST", "/share-codes/bob/shared", {})[1]["code"]
    lab.call("ada", "DELETE", f"/users/bob/tokens/{made[0]}")
    lab.call("ada", "DELETE", f"/share-codes/bob/shared?code={code}")
    written = json.dumps(lab.hub.audit())
    assert [secret for secret in [*made, code, *lab.tokens.values()] if secret in written] == []


def test_pages(lab: Lab) -> None:
    """The page that starts a server, opening it, being refused it, and taking a code for it, without tokens."""

    async def look() -> None:
        async with browser(lab.hub) as ada, browser(lab.hub) as mallory:
            await ada.sign_in("ada", PASSWORD)
            await mallory.sign_in("mallory", PASSWORD)
            await ada.get("/hub/spawn/bob", follow=False)
            await asyncio.to_thread(lab.hub.wait, lambda: lab.hub.server("bob").get("ready"), 30, "the server of bob")
            await ada.get("/hub/spawn/bob", follow=False)
            await mallory.get("/hub/spawn/bob", follow=False)
            for tab in (ada, mallory):
                page = await tab.get(_AUTHORIZE, follow=False)
                if page.status == 200:  # an administrator is asked first
                    await tab.post(_AUTHORIZE, {"scopes": "access:servers!server=bob/"}, follow=False)
            _, made = await asyncio.to_thread(lab.call, "bob", "POST", "/share-codes/bob/", {})
            page = await mallory.post(f"/hub/accept-share?code={made['code']}", {"code": made["code"]}, follow=False)
            assert page.status == 302, page.words

    assert lab.told(lambda: asyncio.run(look())) == [
        ("server.start-for", "ada", "allowed", "bob/", ""),
        ("server.start-for", "mallory", "refused", "bob/", "missing-or-not-allowed"),
        ("server.visit", "ada", "allowed", "bob/", ""),
        ("server.visit", "mallory", "refused", "bob/", "not-allowed"),
        ("server.share", "bob", "allowed", "bob/", "whoever has the code, with token ID"),
        ("server.share", "mallory", "allowed", "bob/", "took a code"),
    ]
