"""Two hundred people whose servers run and who never touch the hub: each is decided about within one interval.

The hub, its sign-in and the adapter are real. People are put into the hub's database as a sign-in leaves them, and
their servers are one small program, so that the machine measures the review and nothing else.
"""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.fernet import Fernet
from jupyterhub import orm

from devplatform_hub.authenticators.sessions import Binding
from devplatform_hub.core.identity import Identity
from tests.doubles.api_server import ApiServer
from tests.doubles.google_server import GoogleServer
from tests.integration.google_hub import CONFIG, USERS, Threaded, directory_settings
from tests.lab.hub import ADMIN_TOKEN, BASE_CONFIG, RealHub, base_settings

pytestmark = [pytest.mark.lab("proxy")]
PEOPLE = 200
INTERVAL = 6
_CONFIG = """
from jupyterhub.spawner import Spawner

class Standing(Spawner):
    "Of a server that runs elsewhere, until it is told to stop."
    stopped = False

    async def start(self):
        return "127.0.0.1", s["port_of_servers"]

    async def poll(self):
        return 0 if self.stopped else None

    async def stop(self, now=False):
        self.stopped = True

c.JupyterHub.spawner_class = Standing
"""


class Elsewhere(ApiServer):
    """The provider's userinfo, which knows whose token it is by its name, and everybody's server."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/openid-configuration", self._metadata),
            web.get("/userinfo", self._userinfo),
            web.get("/user/{path:.*}", self._server),
        ]

    async def _metadata(self, request: web.Request) -> web.Response:
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        addresses = {name: f"{self.url}/{name}" for name in names}
        return web.json_response({"issuer": self.url, "userinfo_endpoint": f"{self.url}/userinfo", **addresses})

    async def _userinfo(self, request: web.Request) -> web.Response:
        name = request.headers["Authorization"].removeprefix("Bearer of-")
        claims = {"sub": f"of-{name}", "email": f"{name}@example.com", "email_verified": True, "hd": "example.com"}
        return web.json_response(claims)

    async def _server(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "1"})


class FullHub(RealHub):
    """With the doubles that it asks."""

    directory: GoogleServer


def auth_state(name: str) -> bytes:
    """What a sign-in keeps, as JupyterHub encrypts it."""
    claims = {"sub": f"of-{name}", "email": f"{name}@example.com", "email_verified": True, "hd": "example.com"}
    state = {"access_token": f"of-{name}", "token_type": "Bearer", "claims": claims}
    return Fernet(base64.urlsafe_b64encode(bytes(32))).encrypt(json.dumps(state).encode())


def populate(hub: FullHub, port: int) -> None:
    """People who signed in, each with a server that runs at this port."""
    groups = [f"{USERS}@example.com"]
    with closing(orm.new_session_factory(str(hub.settings["database"]))()) as db:
        group = orm.Group.find(db, groups[0])
        role = orm.Role.find(db, "user")
        for number in range(PEOPLE):
            name = f"person{number}@example.com"
            identity = Identity("google", f"of-person{number}", name)
            user = orm.User(name=name, cookie_id=Binding.of(identity, "").new_cookie_id())
            user.encrypted_auth_state = auth_state(f"person{number}")
            user.groups, user.roles = [group], [role]
            path = f"/user/{name.replace('@', '%40')}/"
            server = orm.Server(proto="http", ip="127.0.0.1", port=port, base_url=path, cookie_name="standing")
            db.add(orm.Spawner(name="", user=user, server=server, state={}))
            hub.directory.put(identity.subject, name, groups)
        db.commit()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullHub]:
    folder = tmp_path_factory.mktemp("review")
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + CONFIG + _CONFIG, "utf-8")
    thread, directory, elsewhere = Threaded(), GoogleServer(), Elsewhere()
    thread.do(directory.start())
    thread.do(elsewhere.start())
    settings = base_settings(folder, {}) | {"python": "-", "port_of_servers": int(elsewhere.url.rpartition(":")[2])}
    settings["traits"] = {
        "GoogleAuthenticator": {
            "issuer": elsewhere.url,
            "client_id": "c",
            "client_secret": "s",
            "hosted_domain": ["example.com"],
            "auth_refresh_age": INTERVAL,
        },
        "GoogleGroupDirectory": directory_settings(directory.url, timeout=2, patience=4),
    }
    hub = make(folder, settings, directory)
    try:
        hub.start()  # makes the database
        hub.stop()
        populate(hub, settings["port_of_servers"])
        hub.start()
        yield hub
    finally:
        hub.stop()
        thread.close(directory, elsewhere)


def make(folder: Path, settings: dict[str, Any], directory: GoogleServer) -> FullHub:
    environment = {
        "DEVPLATFORM_AUDIT_FILE": str(folder / "audit.jsonl"),
        "GOOGLE_APPLICATION_CREDENTIALS": str(directory.credentials_file(folder)),
    }
    hub = FullHub(str(settings["origin"]), folder, folder, settings=settings, environment=environment)
    hub.directory = directory
    return hub


async def seconds_of(session: aiohttp.ClientSession, url: str, token: str = "") -> float:
    """How long the hub takes to answer."""
    begun = time.monotonic()
    headers = {"Authorization": f"token {token}"} if token else {}
    async with session.get(url, headers=headers) as answer:
        assert answer.status == 200, url
        await answer.read()
    return time.monotonic() - begun


async def watched(hub: FullHub, seconds: float) -> dict[str, list[float]]:
    """How long others wait for the hub, for so long."""
    pages = {"health": "/hub/health", "page": "/hub/login", "api": "/hub/api/user"}
    waits: dict[str, list[float]] = {name: [] for name in pages}
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            for name, path in pages.items():
                waits[name].append(await seconds_of(session, hub.origin + path, ADMIN_TOKEN if name == "api" else ""))
            await asyncio.sleep(0.05)
    return waits


def busy_again(hub: FullHub) -> None:
    hub.directory.most_at_once = 0
    hub.directory.calls.clear()


def lookups(hub: FullHub) -> int:
    return hub.directory.calls["/admin/directory/v1/users/{key}"]


async def test_one_who_is_removed_among_two_hundred(hub: FullHub) -> None:
    """At 0.3 s a call, one after the other would take two minutes: within an interval all were asked about, and the
    one is out; never more than 16 at once, and the hub answers others at once."""
    hub.directory.delay = 0.3
    await asyncio.sleep(1)
    busy_again(hub)
    begun = time.monotonic()
    hub.directory.put("of-person77", "person77@example.com", [])
    watching = asyncio.create_task(watched(hub, INTERVAL + 2))
    name = "person77@example.com"

    def is_out() -> bool:
        return not hub.server(name)

    await asyncio.to_thread(hub.wait, is_out, INTERVAL + 4, "the end of what person77 has")
    took = time.monotonic() - begun
    waits = await watching
    print(f"out after {took:.1f} s; the hub's slowest answers: { {name: max(found) for name, found in waits.items()} }")
    assert took <= INTERVAL + 2
    assert PEOPLE <= lookups(hub) <= PEOPLE * (INTERVAL + 3) / INTERVAL
    assert hub.directory.most_at_once <= 2 * 16  # the account and its groups are asked for together
    assert all(max(found) < 1.0 for found in waits.values()), waits
    assert all(sorted(found)[len(found) // 2] < 0.15 for found in waits.values()), waits
    assert [event["target"] for event in hub.audit() if event["action"] == "person.revoke"] == [name]
    status, users = await asyncio.to_thread(hub.call, "GET", "/hub/api/users?state=active")
    assert (status, len(users)) == (200, PEOPLE - 1)


async def test_a_directory_that_is_too_slow_keeps_nobody_else_waiting(hub: FullHub) -> None:
    """Every call fails after 2 s: no pile of questions grows, the hub answers others, and nobody loses anything."""
    hub.directory.delay = 30.0
    await asyncio.sleep(3)
    busy_again(hub)
    waits = await watched(hub, INTERVAL + 2)
    assert lookups(hub) <= 16 * ((INTERVAL + 2) / 2 + 1)
    assert all(max(found) < 1.0 for found in waits.values()), waits
    status, users = await asyncio.to_thread(hub.call, "GET", "/hub/api/users?state=active")
    assert (status, len(users)) == (200, PEOPLE - 1)
    hub.directory.delay = 0.0
    hub.directory.put("of-person78", "person78@example.com", [])
    name = "person78@example.com"
    await asyncio.to_thread(hub.wait, lambda: not hub.server(name), 2 * INTERVAL + 6, "the end of what person78 has")
