"""A real hub with the MLflow service and nothing else: JupyterHub, configurable-http-proxy, real OAuth and tokens."""

import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from devplatform_hub.embedded.platform import free_ports
from tests.lab import tools
from tests.lab.hub import BASE_CONFIG, RealHub, base_settings

_CONFIG = """\
from devplatform_hub.config import setup
from devplatform_hub.hub_services import MLFLOW, managed
setup(c, services=[MLFLOW])
c.JupyterHub.spawner_class = "simple"
arguments = ["--MlflowProxyApp.mlflow_python=" + s["python"], "--MlflowProxyApp.data_folder=" + s["folder"] + "/mlflow"]
c.JupyterHub.services.append(
    managed(MLFLOW, python=s["hub_python"], port=s["port"], arguments=arguments, environment={})
)
"""


@dataclass(slots=True)
class MlflowHub(RealHub):
    """The started hub, as people see it."""

    @property
    def url(self) -> str:
        """MLflow, as MLFLOW_TRACKING_URI names it in a session."""
        return f"{self.origin}/services/mlflow"

    def token_of(self, user: str) -> str:
        """A token that may do what the token of this person's server may do at MLflow."""
        self.add_user(user)
        scopes = {"note": "tests", "scopes": ["access:services!service=mlflow"]}
        status, answer = self.call("POST", f"/hub/api/users/{user}/tokens", scopes)
        assert status in (200, 201), answer
        return str(answer["token"])

    def proxy_process(self) -> psutil.Process:
        """The MLflow service: the only child of the hub that runs our module."""
        assert self.process is not None
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

    def stop(self) -> None:
        """End the hub, the service and its tracking server."""
        is_there = self.process is not None and self.process.poll() is None
        children = psutil.Process(self.process.pid).children(recursive=True) if self.process and is_there else []
        RealHub.stop(self)  # slots: `super()` would look for the class of before
        _, alive = psutil.wait_procs(children, 5)
        for child in alive:
            child.kill()


@contextmanager
def mlflow_hub(folder: Path) -> Iterator[MlflowHub]:
    """A hub on free ports with its state in `folder`, ended with everything that it started."""
    python, node = tools.mlflow_python(), tools.node()
    assert python is not None
    assert node is not None
    own = {"python": str(python), "hub_python": sys.executable, "port": free_ports(1)[0]}
    settings = base_settings(folder, {}) | own
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + _CONFIG, "utf-8")
    environment = {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    hub = MlflowHub(str(settings["origin"]), folder, folder, settings=settings, environment=environment)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        shutil.rmtree(folder / "mlflow", ignore_errors=True)
