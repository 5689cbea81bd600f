"""A safe start as a pod: a temporary volume for what the server keeps, and Jupyter's settings from an annotation."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.safe_start import SETTINGS_FILE, safe_environment, server_settings

FOLDER = "/tmp/safe-start"  # noqa: S108 - a volume of its own is mounted there
SETTINGS = f"{FOLDER}-settings"
SIZE = "1Gi"
_ANNOTATION = "devplatform.io/safe-start"


@dataclass(frozen=True, slots=True)
class SafeParts:
    """What is added to a pod; empty where the start is not a safe one."""

    volumes: dict[str, Any] = field(default_factory=dict)
    mounts: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


def safe_parts(name: str) -> SafeParts:
    """The volumes of a safe start; `name` begins theirs.

    The settings come as an annotation in a file, and not as arguments: an image that brings its own command takes none.
    """
    source = {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{_ANNOTATION}']"}
    item = {"path": SETTINGS_FILE, "fieldRef": source}
    settings = f"{name}-settings"
    return SafeParts(
        volumes={
            name: {"name": name, "emptyDir": {"sizeLimit": SIZE}},
            settings: {"name": settings, "downwardAPI": {"items": [item], "defaultMode": 0o444}},
        },
        mounts={
            name: {"name": name, "mountPath": FOLDER},
            settings: {"name": settings, "mountPath": SETTINGS, "readOnly": True},
        },
        annotations={_ANNOTATION: json.dumps(server_settings())},
    )


def safe_pod_environment(home: str, profile: Mapping[str, str]) -> dict[str, str]:
    """The variables of a safe start. Jupyter's settings of the profile and the image are still read, after ours."""
    return safe_environment(FOLDER, home, SETTINGS, profile.get("JUPYTER_CONFIG_PATH", ""))
