"""A real hub with real servers on random loopback ports: CHP, EmbeddedSpawner, and sign-in without passwords.

What the whole product composes (`devplatform_hub.config`) is tested elsewhere; here a spawner is looked at closely.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import tools

ADMIN_TOKEN = "a-token-for-tests-alone-0123456789abcdef"
PROFILES = """\
profiles:
  - {name: standard, display_name: Standard, description: Everyday work., cpu: 1, memory: 8G, default: true}
  - {name: small, display_name: Small, description: Little memory., cpu: 1, memory: 500M}
  - {name: closed, display_name: Closed, description: For few., cpu: 1, memory: 1G, allowed_groups: [painters]}
  - {name: ml-gpu, display_name: GPU, description: With a GPU., cpu: 1, memory: 1G, gpu: {count: 1}}
"""
_CONFIG = """\
import json, os
s = json.loads(os.environ["TEST_HUB_SETTINGS"])
c = get_config()
c.JupyterHub.bind_url = s["origin"]
c.JupyterHub.hub_bind_url = s["hub_url"]
c.JupyterHub.db_url = "sqlite:///" + s["folder"] + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = s["folder"] + "/cookie_secret"
c.ConfigurableHTTPProxy.command = s["proxy"]
c.ConfigurableHTTPProxy.api_url = s["proxy_api"]
c.ConfigurableHTTPProxy.pid_file = s["folder"] + "/proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "devplatform_hub.embedded.spawner.EmbeddedSpawner"
c.JupyterHub.load_groups = s["groups"]
c.JupyterHub.last_activity_interval = 315_360_000
c.JupyterHub.services = [{"name": "tests", "api_token": s["token"]}]
c.JupyterHub.load_roles = [{
    "name": "tests", "services": ["tests"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "tokens", "admin:server_state", "list:users"],
}]
c.EmbeddedSpawner.data_folder = s["data"]
c.EmbeddedSpawner.hub_origin = s["origin"]
c.EmbeddedSpawner.profiles_file = s["data"] + "/profiles.yaml"
for name, traits in s["traits"].items():
    for trait, value in traits.items():
        setattr(c[name], trait, value)
"""


@dataclass(slots=True)
class RealHub:
    """A started hub, and its REST API as an administrator sees it."""

    origin: str
    folder: Path
    data: Path
    process: "subprocess.Popen[bytes]"
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text("utf-8", "replace")

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
        status, answer = self.call("POST", f"/hub/api/users/{user}/tokens", {"note": "tests", "expires_in": 600})
        assert status in (200, 201), answer
        return str(answer["token"])

    def stop_server(self, user: str, within: float = 40) -> None:
        status, answer = self.call("DELETE", f"/hub/api/users/{user}/server")
        assert status in (202, 204), (status, answer)
        self.wait(lambda: not self.server(user), within, f"the end of the server of {user}")

    def add_user(self, user: str) -> None:
        status, answer = self.call("POST", f"/hub/api/users/{user}")
        assert status in (201, 409), (status, answer)

    def server(self, user: str) -> dict[str, Any]:
        """The hub's model of the default server, {} when there is none."""
        status, answer = self.call("GET", f"/hub/api/users/{user}")
        assert status == 200, answer
        return dict(answer["servers"].get("", {}))

    def wait(self, condition: Any, within: float, what: str) -> Any:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited {within} s for {what}\n{self.log[-4000:]}")

    def kill(self) -> None:
        """End the hub as a power cut would; its servers go on."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def start(self) -> None:
        """Start the hub process (again), and wait until it answers."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "DEVPLATFORM_", "PYTHONDONTWRITE"))
        }
        environment["TEST_HUB_SETTINGS"] = json.dumps(self.settings)
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
        self.wait(self._answers, 60, "the hub")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log[-4000:]
        try:
            return self.call("GET", "/hub/api/")[0] == 200
        except OSError:
            return False


@contextmanager
def running_hub(folder: Path, traits: dict[str, dict[str, Any]] | None = None) -> Iterator[RealHub]:
    """A hub in this folder for alice and bob, who may use the platform, and mallory, who may not; ended afterwards."""
    ports = free_ports(3)
    proxy, node = tools.configurable_http_proxy(), tools.node()
    assert proxy is not None
    assert node is not None
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "profiles.yaml").write_text(PROFILES, "utf-8")
    code_server = tools.code_server()
    spawner = {"node": str(node), "code_server": str(code_server or "")}
    given = dict(traits or {})
    given["EmbeddedSpawner"] = spawner | given.get("EmbeddedSpawner", {})
    settings = {
        "origin": f"http://127.0.0.1:{ports[0]}",
        "hub_url": f"http://127.0.0.1:{ports[1]}",
        "proxy_api": f"http://127.0.0.1:{ports[2]}",
        "proxy": [str(node), str(proxy.resolve())],
        "folder": str(folder),
        "data": str(data),
        "token": ADMIN_TOKEN,
        "groups": {"developer-platform-users": ["alice", "bob"], "developer-platform-admins": ["root"]},
        "traits": given,
    }
    (folder / "jupyterhub_config.py").write_text(_CONFIG, "utf-8")
    hub = RealHub(str(settings["origin"]), folder, data, None, settings)  # type: ignore[arg-type]
    try:
        hub.start()
        yield hub
    finally:
        if hub.process is not None and hub.process.poll() is None:
            hub.process.terminate()
            try:
                hub.process.wait(60)
            except subprocess.TimeoutExpired:
                hub.process.kill()
                hub.process.wait(10)
        _end_leftovers(folder)
        if not os.environ.get("KEEP_TEST_HUB"):
            shutil.rmtree(folder / "data", ignore_errors=True)


def _end_leftovers(folder: Path) -> None:
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


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
