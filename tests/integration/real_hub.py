"""A real hub with real servers on random loopback ports: CHP, EmbeddedSpawner, and sign-in without passwords.

What the whole product composes (`devplatform_hub.config`) is tested elsewhere; here a spawner is looked at closely.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devplatform_hub.embedded.platform import free_ports
from tests.lab import tools
from tests.lab.hub import ADMIN_TOKEN, BASE_CONFIG, RealHub, base_settings

__all__ = ["ADMIN_TOKEN", "RealHub", "free_ports", "running_hub"]

PROFILES = """\
profiles:
  - {name: standard, display_name: Standard, description: Everyday work., cpu: 1, memory: 8G, default: true}
  - {name: small, display_name: Small, description: Little memory., cpu: 1, memory: 500M}
  - {name: closed, display_name: Closed, description: For few., cpu: 1, memory: 1G, allowed_groups: [painters]}
  - {name: ml-gpu, display_name: GPU, description: With a GPU., cpu: 1, memory: 1G, gpu: {count: 1}}
"""
_CONFIG = """\
c.JupyterHub.spawner_class = "devplatform_hub.embedded.spawner.EmbeddedSpawner"
c.EmbeddedSpawner.data_folder = s["data"]
c.EmbeddedSpawner.hub_origin = s["origin"]
c.EmbeddedSpawner.profiles_file = s["data"] + "/profiles.yaml"
for name, traits in s["traits"].items():
    for trait, value in traits.items():
        setattr(c[name], trait, value)
"""


@contextmanager
def running_hub(folder: Path, traits: dict[str, dict[str, Any]] | None = None) -> Iterator[RealHub]:
    """A hub in this folder for alice and bob, who may use the platform, and mallory, who may not; ended afterwards."""
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "profiles.yaml").write_text(PROFILES, "utf-8")
    spawner = {"node": str(tools.node()), "code_server": str(tools.code_server() or "")}
    given = dict(traits or {})
    given["EmbeddedSpawner"] = spawner | given.get("EmbeddedSpawner", {})
    groups = {"developer-platform-users": ["alice", "bob"], "developer-platform-admins": ["root"]}
    settings = base_settings(folder, groups) | {"data": str(data), "traits": given}
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + _CONFIG, "utf-8")
    hub = RealHub(str(settings["origin"]), folder, data, settings=settings)
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()
        if not os.environ.get("KEEP_TEST_HUB"):
            shutil.rmtree(folder / "data", ignore_errors=True)
