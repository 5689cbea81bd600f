"""A started JupyterHub, and its REST API as an administrator or as a person sees it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devplatform_hub.embedded.platform import free_ports
from tests.lab import tools
from tests.lab.audit_events import valid_events

ADMIN_TOKEN = "a-token-for-tests-alone-0123456789abcdef"
BASE_CONFIG = """\
import json, os
s = json.loads(os.environ["TEST_HUB_SETTINGS"])
c = get_config()
c.JupyterHub.bind_url = s["origin"]
c.JupyterHub.hub_bind_url = s["hub_url"]
c.JupyterHub.db_url = s["database"]
c.JupyterHub.cookie_secret_file = s["folder"] + "/cookie_secret"
c.ConfigurableHTTPProxy.command = s["proxy"]
c.ConfigurableHTTPProxy.api_url = s["proxy_api"]
c.ConfigurableHTTPProxy.pid_file = s["folder"] + "/proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.load_groups = s["groups"]
c.JupyterHub.last_activity_interval = 315_360_000
c.JupyterHub.services = [{"name": "tests", "api_token": s["token"]}]
_of_tests = {
    "name": "tests", "services": ["tests"],
    "scopes": [
        "admin:users", "admin:servers", "access:servers", "access:services", "tokens", "admin:server_state",
        "list:users", "read:metrics",
    ],
}
c.JupyterHub.load_roles = [_of_tests]
"""
"""What every hub of the tests has: loopback, a proxy, sign-in without passwords, a token that may do what tests do."""


@dataclass(slots=True)
class RealHub:
    """A hub with its proxy; `start` starts it again after `kill`."""

    origin: str
    folder: Path
    data: Path
    process: "subprocess.Popen[bytes] | None" = None
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text("utf-8", "replace")

    def audit(self) -> list[dict[str, Any]]:
        """What the hub wrote to its audit file, oldest first; every line of it is as the schema says."""
        file = self.folder / "audit.jsonl"
        return valid_events(file.read_text("utf-8")) if file.exists() else []

    def call(self, method: str, path: str, body: object = None, token: str = ADMIN_TOKEN) -> tuple[int, Any]:
        """Status and JSON of one request; `path` below the origin."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.origin}{path}", data, {"Authorization": f"token {token}"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, content = error.code, error.read()
        try:
            return status, json.loads(content or b"null")
        except ValueError:
            return status, content.decode("utf-8", "replace")

    def start_server(self, user: str, options: dict[str, object] | None = None, within: float = 60) -> str:
        """Start this person's server, wait until it answers, and give a token of theirs for it."""
        status, answer = self.call("POST", f"/hub/api/users/{user}/server", options or {})
        assert status in (201, 202), (status, answer)
        self.wait(lambda: self.server(user).get("ready"), within, f"the server of {user}")
        return self.token_of(user)

    def stop_server(self, user: str, within: float = 40) -> None:
        status, answer = self.call("DELETE", f"/hub/api/users/{user}/server")
        assert status in (202, 204), (status, answer)
        self.wait(lambda: not self.server(user), within, f"the end of the server of {user}")

    def metrics(self) -> dict[str, float]:
        """What /hub/metrics says of the platform, by `name{labels}`."""
        status, text = self.call("GET", "/hub/metrics")
        assert status == 200, text
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith("devplatform_"))
        return {name: float(value) for name, _, value in lines if "_created" not in name}

    def add_user(self, user: str) -> None:
        status, answer = self.call("POST", f"/hub/api/users/{user}")
        assert status in (201, 409), (status, answer)

    def token_of(self, user: str) -> str:
        """A token that may do what this person may."""
        status, answer = self.call("POST", f"/hub/api/users/{user}/tokens", {"note": "tests", "expires_in": 600})
        assert status in (200, 201), answer
        return str(answer["token"])

    def server(self, user: str, name: str = "") -> dict[str, Any]:
        """The hub's model of this server, {} when there is none."""
        status, answer = self.call("GET", f"/hub/api/users/{user}")
        assert status == 200, answer
        return dict(answer["servers"].get(name, {}))

    def progress(self, user: str, name: str = "", within: float = 60) -> Iterator[dict[str, Any]]:
        """What the progress page of a starting server is told, until its end."""
        path = f"/hub/api/users/{user}/servers/{name}/progress" if name else f"/hub/api/users/{user}/server/progress"
        request = urllib.request.Request(f"{self.origin}{path}", headers={"Authorization": f"token {ADMIN_TOKEN}"})
        with urllib.request.urlopen(request, timeout=within) as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def wait(self, condition: Any, within: float, what: str) -> Any:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited {within} s for {what}\n{self.log[-4000:]}")

    def start(self, within: float = 60) -> None:
        """Start the hub process (again), and wait until it answers."""
        self.start_process()
        self.wait(self._answers, within, "the hub")

    def start_process(self) -> None:
        """Start the hub process (again); whether it answers is for the caller to see."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "DEVPLATFORM_", "MLFLOW_", "PYTHONDONTWRITE"))
        }
        environment |= {**self.environment, "TEST_HUB_SETTINGS": json.dumps(self.settings)}
        with (self.folder / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.folder / "jupyterhub_config.py")],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End the hub as a power cut would; its servers go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        """End the hub in order, with all that a failed test left of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        end_leftovers(self.folder)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-4000:]
        try:
            return self.call("GET", "/hub/api/")[0] == 200
        except OSError:
            return False


def base_settings(folder: Path, groups: Mapping[str, list[str]], address: str = "127.0.0.1") -> dict[str, Any]:
    """What BASE_CONFIG asks for, on free ports, its database in the folder; at `address` servers find the hub."""
    proxy, node = tools.configurable_http_proxy(), tools.node()
    assert proxy is not None
    assert node is not None
    public, inner, api = free_ports(3)
    return {
        "origin": f"http://127.0.0.1:{public}",
        "hub_url": f"http://{address}:{inner}",
        "proxy_api": f"http://127.0.0.1:{api}",
        "proxy": [str(node), str(proxy.resolve())],
        "database": f"sqlite:///{folder}/hub.sqlite",
        "folder": str(folder),
        "token": ADMIN_TOKEN,
        "groups": dict(groups),
    }


def end_leftovers(folder: Path) -> None:
    """Whatever a failed test left: only processes whose environment names this very folder."""
    wanted = str(folder).encode()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if any(
                    v.startswith((b"HOME=" + wanted, b"TEST_HUB_SETTINGS=")) and wanted in v
                    for v in Path(entry.path, "environ").read_bytes().split(b"\0")
                ):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
