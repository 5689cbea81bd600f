"""What is kept of a pod: the hub holds one for every server, and a raw one weighs ten times what is read of it."""

import sys
from typing import Any

from . import Json

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
# `env` has the server's API token, and is half of the weight besides.
_OF_CONTAINER = {"args", "command", "env", "envFrom", "lifecycle", "securityContext", "volumeMounts"}
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def slim_pod(pod: Json) -> Json:
    """The pod without what nobody asks a watch for: who managed which field, and how its containers are run.

    Containers keep name, image, ports, resources and probes; status, labels, volumes and the rest stay whole.
    """
    slim: Json = _interned(pod)
    metadata = slim["metadata"]
    if metadata.get("annotations"):
        metadata["annotations"].pop(_LAST_APPLIED, None)
    spec = slim.get("spec") or {}
    for kind in _CONTAINERS:
        if kind in spec:
            spec[kind] = [{k: v for k, v in c.items() if k not in _OF_CONTAINER} for c in spec[kind] or ()]
    return slim


def _interned(value: Any) -> Any:
    """Every parsed document brings its own copies of the same few hundred keys: one of each is enough."""
    if isinstance(value, dict):
        return {sys.intern(k): _interned(v) for k, v in value.items() if k != "managedFields"}
    if isinstance(value, list):
        return [_interned(v) for v in value]
    return value
