"""Where the agent keeps its state."""

import os
from collections.abc import Mapping
from pathlib import Path

from devplatform_hub.core.workspace import STATE_FOLDER


def state_folder(root: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """In the workspace `root`, unless `DEVPLATFORM_STATE` names a folder, as where nothing may be written there."""
    given = environment.get("DEVPLATFORM_STATE")
    return Path(given) if given else root / STATE_FOLDER
