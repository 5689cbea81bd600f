"""The peer of `bench_up`: JupyterHub as it comes, with SimpleLocalProcessSpawner, the same proxy and JupyterLab."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from devplatform_hub.embedded.install import clean_environment
from devplatform_hub.embedded.leftovers import end, find_family
from devplatform_hub.embedded.platform import free_ports
from tests.benchmarks.hub_clock import wait_for_login_page
from tests.lab import tools

_CONFIG = """\
import json, os
s = json.loads(os.environ["STOCK_HUB"])
c = get_config()
c.JupyterHub.bind_url = f"http://127.0.0.1:{s['port']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{s['hub_port']}"
c.JupyterHub.db_url = f"sqlite:///{s['folder']}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{s['folder']}/cookie_secret"
c.ConfigurableHTTPProxy.command = s["proxy"]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{s['proxy_port']}"
c.ConfigurableHTTPProxy.pid_file = f"{s['folder']}/proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = s["folder"] + "/home/{username}"
c.Spawner.cmd = [s["session_python"], "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.Spawner.default_url = "/lab"
"""


@dataclass(slots=True)
class StockHub:
    """A started stock hub: its process, where it is and how long it took to its login page."""

    process: psutil.Process
    origin: str
    seconds: float


@contextmanager
def started_stock_hub(folder: Path) -> Iterator[StockHub]:
    """A stock hub in this folder, which keeps its database between starts."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "jupyterhub_config.py"
    config.write_text(_CONFIG)
    node, proxy, session = tools.node(), tools.configurable_http_proxy(), tools.session_python()
    assert node is not None, "make lab-tools puts it there"
    assert proxy is not None, "make lab-tools puts it there"
    assert session is not None, "make lab-tools puts it there"
    port, hub_port, proxy_port = free_ports(3)
    settings = {
        "folder": str(folder),
        "port": port,
        "hub_port": hub_port,
        "proxy_port": proxy_port,
        "proxy": [str(node), str(proxy.resolve())],
        "session_python": str(session),
    }
    started = time.monotonic()
    with (folder / "hub.log").open("ab") as log:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=folder,
            env=clean_environment() | {"STOCK_HUB": json.dumps(settings)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    process = psutil.Process(hub.pid)
    try:
        wait_for_login_page(port)
        yield StockHub(process, f"http://127.0.0.1:{port}", time.monotonic() - started)
    finally:
        family = find_family(process)
        hub.terminate()
        hub.wait(timeout=60)
        end(p for p in family if p.is_running())
