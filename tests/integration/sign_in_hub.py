"""A real JupyterHub process with the local sign-in, on random loopback ports, and a browser-like client for it."""

import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp

from devplatform_hub.authenticators.passwords import hash_password, make_code
from devplatform_hub.core.identity import parse_group
from devplatform_hub.directory.local_users import LocalUsers
from devplatform_hub.directory.users_file import UsersFile
from tests.lab.hub import BASE_CONFIG, RealHub, base_settings

USERS = "developer-platform-users"
ADMINS = "developer-platform-admins"
_CONFIG = """
c.JupyterHub.authenticator_class = "devplatform-local"
del c.Authenticator["allow_all"]
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "access:services"]})
c.SimpleLocalProcessSpawner.home_dir_template = s["folder"] + "/home/{username}"
c.SimpleLocalProcessSpawner.cmd = [s["python"], "-m", "jupyterhub.tests.mocksu"]
c.LocalAuthenticator.users_file = s["folder"] + "/users.yaml"
c.LocalAuthenticator.auth_refresh_age = 1
c.LocalAuthenticator.last_answer_lifetime = 4
"""


@dataclass(slots=True)
class Hub(RealHub):
    """The process, its users file, and what it wrote."""

    @property
    def users(self) -> UsersFile:
        return UsersFile(self.folder / "users.yaml")

    def change(self, make: Any) -> None:
        self.users.change(make)

    def person(self, name: str, *groups: str, password: str = "") -> None:
        """Make this person, with these groups and this password."""

        def make(users: LocalUsers) -> LocalUsers:
            subject = os.urandom(8).hex()
            users = users.add(name, subject, [parse_group(group) for group in groups])
            return users.set_password(name, hash_password(password)) if password else users

        self.users.change(make)

    def code(self, name: str) -> str:
        """A fresh one-time code for this person."""
        code = make_code(datetime.now(UTC))
        self.users.change(lambda users: users.set_code(name, code.kept))
        return code.text


@contextmanager
def sign_in_hub(folder: Path, more: str = "", **settings_of_more: Any) -> Iterator[Hub]:
    """A hub that answers, ended afterwards; with these lines after its configuration."""
    settings = base_settings(folder, {}) | {"python": sys.executable, **settings_of_more}
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + _CONFIG + more, "utf-8")
    (folder / "home").mkdir(exist_ok=True)
    environment = {"DEVPLATFORM_AUDIT_FILE": str(folder / "audit.jsonl")}
    hub = Hub(str(settings["origin"]), folder, folder, settings=settings, environment=environment)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


@dataclass
class Page:
    """What a browser would show."""

    status: int
    path: str
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        body = re.sub(r"(?s)<(script|style).*?</\1>", " ", self.text)
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


class Browser:
    """Cookies, forms with their XSRF token, and redirects, as a browser treats them."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self.session = session
        self.origin = origin

    async def get(self, path: str, *, follow: bool = True, headers: dict[str, str] | None = None) -> Page:
        async with self.session.get(self.origin + path, allow_redirects=follow, headers=headers) as answer:
            return await self._page(answer)

    async def post(self, path: str, fields: dict[str, Any], *, follow: bool = True, xsrf: bool = True) -> Page:
        data = dict(fields)
        if xsrf:
            page = await self.get(path)
            match = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
            assert match, page.words
            data["_xsrf"] = match[1]
        async with self.session.post(self.origin + path, data=data, allow_redirects=follow) as answer:
            return await self._page(answer)

    async def sign_in(self, name: str, secret: str, following: str = "") -> Page:
        path = "/hub/login" + (f"?next={following}" if following else "")
        return await self.post(path, {"username": name, "password": secret}, follow=False)

    async def me(self) -> dict[str, Any] | None:
        """The hub's model of whoever is signed in."""
        page = await self.get("/hub/home")
        match = re.search(r'xsrf_token: "([^"]+)"', page.text)
        async with self.session.get(
            self.origin + "/hub/api/user", headers={"X-XSRFToken": match[1] if match else ""}
        ) as answer:
            return await answer.json() if answer.status == 200 else None

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self.session.cookie_jar}

    async def _page(self, answer: aiohttp.ClientResponse) -> Page:
        return Page(answer.status, answer.url.path_qs, await answer.text(), dict(answer.headers))


@asynccontextmanager
async def browser(hub: Hub) -> AsyncIterator[Browser]:
    """A browser with empty cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Browser(session, hub.origin)
