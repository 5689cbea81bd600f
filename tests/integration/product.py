"""The really started product: `devplatform up` from a temporary data folder on random ports, with people in it.

Everything goes through what a person has: the command line, web pages with cookies, and REST APIs with tokens.
It runs in the interpreter of the tests, so `make test-hub5` runs all of it on JupyterHub 5.5.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import requests

from tests.lab import tools

USERS_GROUP = "developer-platform-users"
ADMINS_GROUP = "developer-platform-admins"
PASSWORD = "a password for tests alone"
SERVER_TIMEOUT = 90.0


def devplatform(*arguments: str, stdin: str = "", timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    """The `devplatform` command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "devplatform_hub.embedded.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=command_environment(),
        check=False,
    )


def command_environment() -> dict[str, str]:
    """The environment of a person's shell: nothing of ours but where the tools are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEVPLATFORM_", "JUPYTER"))}
    return kept | {"DEVPLATFORM_CACHE": str(tools.cache())}


@dataclass(slots=True)
class Visitor:
    """A browser's worth of HTTP: cookies, and the XSRF token where the hub wants one."""

    origin: str
    name: str
    http: requests.Session = field(default_factory=requests.Session)

    @classmethod
    def signed_in(cls, origin: str, name: str, password: str = "any") -> "Visitor":
        """This person at this hub, on the home page."""
        visitor = cls(origin, name)
        visitor.get("/hub/login")
        fields = {"username": name, "password": password, "_xsrf": visitor.xsrf()}
        answer = visitor.http.post(f"{origin}/hub/login?next=%2Fhub%2Fhome", data=fields, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.url == f"{origin}/hub/home", answer.url
        return visitor

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET below the origin, following redirects, as a navigation does."""
        headers = {"Accept": "text/html,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}
        return self.http.get(self.origin + path, headers=headers, timeout=30, **options)

    def xsrf(self, path: str = "/hub/") -> str:
        """The XSRF token of the hub, or of another cookie path such as `/user/alice/`."""
        return next(str(c.value) for c in self.http.cookies if c.name == "_xsrf" and c.path == path)

    def api(self, method: str, path: str, body: object = None) -> requests.Response:
        """A call of the hub's REST API, as a page of the hub makes it."""
        headers = {"X-XSRFToken": self.xsrf(), "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        url = f"{self.origin}/hub/api{path}"
        return self.http.request(method, url, json=body, headers=headers, timeout=30)


@dataclass(slots=True)
class Product:
    """One started platform. Ask it for visitors and tokens; stop and start it by the command line."""

    origin: str
    data: Path
    arguments: tuple[str, ...]
    output: str

    def devplatform(self, *arguments: str, stdin: str = "") -> str:
        """What `devplatform ... --data <this>` printed. Fails when the command fails."""
        result = devplatform(*arguments, "--data", str(self.data), stdin=stdin)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def add_person(self, name: str, *groups: str) -> None:
        """Somebody who signs in with `PASSWORD`."""
        chosen = [text for group in groups or (USERS_GROUP,) for text in ("--group", group)]
        self.devplatform("user", "add", name, *chosen, "--password-stdin", stdin=PASSWORD + "\n")

    def visitor(self, name: str = "nobody") -> Visitor:
        """A browser in which nobody has signed in."""
        return Visitor(self.origin, name)

    def sign_in(self, name: str, password: str = PASSWORD) -> Visitor:
        """A browser in which this person has signed in."""
        return Visitor.signed_in(self.origin, name, password)

    def token(self, visitor: Visitor, scopes: Sequence[str] = ()) -> str:
        """A new API token of this person, with all they may do or with these scopes."""
        body = {"note": "tests", **({"scopes": list(scopes)} if scopes else {})}
        answer = visitor.api("POST", f"/users/{quote(visitor.name)}/tokens", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def start_server(self, visitor: Visitor, options: dict[str, Any] | None = None) -> str:
        """The path of the person's server, when it answers; one that runs already is taken as it is."""
        path = f"/users/{quote(visitor.name)}"
        answer = visitor.api("POST", f"{path}/server", options or {})
        running = answer.status_code == 400 and "already running" in answer.text
        assert running or answer.status_code in (201, 202), answer.text
        deadline = time.monotonic() + SERVER_TIMEOUT
        while not (server := visitor.api("GET", path).json()["servers"].get("", {})).get("ready"):
            assert time.monotonic() < deadline, f"no server after {SERVER_TIMEOUT} s: {server}"
            assert server.get("pending") or server.get("ready"), f"the start failed: {self.log()[-3000:]}"
            time.sleep(0.1)
        return str(server["url"])

    def stop_server(self, visitor: Visitor) -> None:
        """Stop the person's server and wait until it is gone."""
        path = f"/users/{quote(visitor.name)}"
        visitor.api("DELETE", f"{path}/server")
        deadline = time.monotonic() + SERVER_TIMEOUT
        while visitor.api("GET", path).json()["servers"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def log(self) -> str:
        """The hub's log so far."""
        return (self.data / "logs" / "hub.log").read_text("utf-8", "replace")

    def hub(self) -> psutil.Process:
        """The hub's process."""
        found = re.search(r"process (\d+)", self.devplatform("status"))
        assert found
        return psutil.Process(int(found.group(1)))

    def up(self) -> None:
        """Start it again, where it was."""
        port = self.origin.rpartition(":")[2]
        self.output = self.devplatform("up", "--detach", "--port", port, *self.arguments)


@contextmanager
def started_product(data: Path, *arguments: str) -> Iterator[Product]:
    """A platform that is stopped at the end. `arguments` are further options of `devplatform up`."""
    result = devplatform("up", "--detach", "--port", "0", "--data", str(data), *arguments)
    try:
        assert result.returncode == 0, result.stdout + result.stderr
        address = re.search(r"Open +(http://127\.0\.0\.1:\d+)", result.stdout)
        assert address, result.stdout
        yield Product(address.group(1), data, arguments, result.stdout)
    finally:
        devplatform("down", "--data", str(data))
