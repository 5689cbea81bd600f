"""A real hub with the MLflow service and nothing else: JupyterHub, configurable-http-proxy, real OAuth and tokens."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from devplatform_hub.embedded.platform import free_ports
from tests.lab import tools

_ADMIN_TOKEN = "a-token-for-tests-alone-0123456789abcdef"
_CONFIG = """\
import json, os
from devplatform_hub.config import setup
from devplatform_hub.hub_services import MLFLOW, managed
s = json.loads(os.environ["TEST_HUB_SETTINGS"])
c = get_config()
setup(c, services=[MLFLOW])
c.JupyterHub.bind_url = s["origin"]
c.JupyterHub.hub_bind_url = s["hub_url"]
c.JupyterHub.db_url = "sqlite:///" + s["folder"] + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = s["folder"] + "/cookie_secret"
c.ConfigurableHTTPProxy.command = s["proxy"]
c.ConfigurableHTTPProxy.api_url = s["proxy_api"]
c.ConfigurableHTTPProxy.pid_file = s["folder"] + "/proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
arguments = ["--MlflowProxyApp.mlflow_python=" + s["python"], "--MlflowProxyApp.data_folder=" + s["folder"] + "/mlflow"]
c.JupyterHub.services = [
    managed(MLFLOW, python=s["hub_python"], port=s["port"], arguments=arguments, environment={}),
    {"name": "tests", "api_token": s["token"]},
]
c.JupyterHub.load_roles += [{
    "name": "tests", "services": ["tests"],
    "scopes": ["admin:users", "tokens", "list:users", "access:services"],
}]
"""


@dataclass(slots=True)
class MlflowHub:
    """The started hub, as people see it."""

    origin: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """MLflow, as MLFLOW_TRACKING_URI names it in a session."""
        return f"{self.origin}/services/mlflow"

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text("utf-8", "replace")

    def token_of(self, person: str) -> str:
        """A token that may do what the token of this person's server may do at MLflow."""
        self._api("POST", f"/users/{person}")
        scopes = {"note": "tests", "scopes": ["access:services!service=mlflow"]}
        return str(self._api("POST", f"/users/{person}/tokens", scopes)["token"])

    def proxy_process(self) -> psutil.Process:
        """The MLflow service: the only child of the hub that runs our module."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if "devplatform_mlflow_proxy" in child.cmdline())

    def wait_until_ready(self, token: str, seconds: float = 60) -> None:
        """Wait until MLflow answers this token."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            request = urllib.request.Request(f"{self.url}/version", headers={"Authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=10):
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        raise AssertionError(f"MLflow did not answer\n{self.log[-4000:]}")

    def _api(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.origin}/hub/api{path}", data, {"Authorization": f"token {_ADMIN_TOKEN}"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 409:  # the person is known already
                    raise


@contextmanager
def mlflow_hub(folder: Path) -> Iterator[MlflowHub]:
    """A hub on free ports with its state in `folder`, ended with everything that it started."""
    proxy, python, node = tools.configurable_http_proxy(), tools.mlflow_python(), tools.node()
    assert proxy is not None
    assert python is not None
    assert node is not None
    public, inner, api, service = free_ports(4)
    origin = f"http://127.0.0.1:{public}"
    settings = {
        "origin": origin,
        "hub_url": f"http://127.0.0.1:{inner}",
        "proxy_api": f"http://127.0.0.1:{api}",
        "folder": str(folder),
        "proxy": [str(node), str(proxy.resolve())],
        "python": str(python),
        "hub_python": sys.executable,
        "port": service,
        "token": _ADMIN_TOKEN,
    }
    (folder / "jupyterhub_config.py").write_text(_CONFIG)
    dropped = ("JUPYTER", "DEVPLATFORM_", "MLFLOW_", "PYTHONDONTWRITE")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    environment["TEST_HUB_SETTINGS"] = json.dumps(settings)
    environment["PATH"] = f"{node.parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    with (folder / "hub.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(folder / "jupyterhub_config.py")],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    hub = MlflowHub(origin, folder, process)
    try:
        _wait_for_login(hub)
        yield hub
    finally:
        _end(process)
        shutil.rmtree(folder / "mlflow", ignore_errors=True)


def _wait_for_login(hub: MlflowHub) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and hub.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{hub.origin}/hub/login", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise AssertionError(f"the hub did not start\n{hub.log[-4000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)
    _, alive = psutil.wait_procs(children, 5)
    for child in alive:
        child.kill()
