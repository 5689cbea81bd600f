"""A real JupyterHub process with the local sign-in, on random loopback ports, and a browser-like client for it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import aiohttp

from devplatform_hub.authenticators.passwords import hash_password, make_code
from devplatform_hub.core.identity import parse_group
from devplatform_hub.directory.local_users import LocalUsers
from devplatform_hub.directory.users_file import UsersFile
from devplatform_hub.embedded.platform import free_ports
from tests.lab import tools

USERS = "developer-platform-users"
ADMINS = "developer-platform-admins"
_CONFIG = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie_secret"
c.JupyterHub.authenticator_class = "devplatform-local"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.load_roles = [
    {{"name": "user", "scopes": ["self", "access:services"]}},
]
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/home/{{username}}"
c.SimpleLocalProcessSpawner.cmd = ["{python}", "-m", "jupyterhub.tests.mocksu"]
c.ConfigurableHTTPProxy.command = ["{node}", "{proxy}"]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.pid_file = "{folder}/proxy.pid"
c.LocalAuthenticator.users_file = "{folder}/users.yaml"
c.LocalAuthenticator.auth_refresh_age = 1
c.LocalAuthenticator.last_answer_lifetime = 4
{more}
"""


@dataclass
class Hub:
    """The process, its users file, and what it wrote."""

    folder: Path
    origin: str
    users: UsersFile
    process: "subprocess.Popen[bytes]"

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
        from datetime import UTC, datetime

        code = make_code(datetime.now(UTC))
        self.users.change(lambda users: users.set_code(name, code.kept))
        return code.text

    def log(self) -> str:
        return (self.folder / "hub.log").read_text()

    def audit(self) -> list[dict[str, str]]:
        file = self.folder / "audit.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def start_hub(folder: Path, more: str = "") -> Hub:
    """A hub that answers at its sign-in page."""
    port, hub_port, api_port = free_ports(3)
    config = folder / "config.py"
    config.write_text(
        _CONFIG.format(
            port=port,
            hub_port=hub_port,
            api_port=api_port,
            folder=folder,
            python=sys.executable,
            node=tools.node(),
            proxy=tools.configurable_http_proxy(),
            more=more,
        )
    )
    (folder / "home").mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["DEVPLATFORM_AUDIT_FILE"] = str(folder / "audit.jsonl")
    with (folder / "hub.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    hub = Hub(folder, f"http://127.0.0.1:{port}", UsersFile(folder / "users.yaml"), process)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{hub.origin}/hub/login", timeout=5):
                return hub
        except OSError:  # not there yet, or the proxy's 404 before it knows the hub
            time.sleep(0.1)
    stop_hub(hub)
    raise AssertionError(f"the hub did not start: {hub.log()[-3000:]}")


def stop_hub(hub: Hub) -> None:
    """End the hub and what it started."""
    if hub.process.poll() is None:
        hub.process.send_signal(signal.SIGTERM)
        try:
            hub.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(hub.process.pid, signal.SIGKILL)
            hub.process.wait(10)


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
