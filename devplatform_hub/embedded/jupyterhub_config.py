"""The configuration file that the hub process of one machine reads; `devplatform up` writes the settings beside it."""

import json
import os
from pathlib import Path
from typing import Any

from devplatform_hub.config import Machine, setup_machine

SETTINGS_VARIABLE = "DEVPLATFORM_MACHINE"


def load_machine(path: Path) -> Machine:
    """The machine that `devplatform up` described in this file."""
    return Machine(**json.loads(path.read_text("utf-8")))


if "get_config" in globals():  # only JupyterHub, executing this as its configuration, provides it
    config: Any = globals()["get_config"]()
    setup_machine(config, load_machine(Path(os.environ[SETTINGS_VARIABLE])))
