"""A person's home disk as plain values: its volume, its labels for the backup, and when its claim may grow.

A claim is never shrunk, never moved to another class and never deleted from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core.cluster_quantities import parse_quantity, quantity
from ..core.quantities import format_size

DEFAULT_SIZE = 10 * 2**30
HOME_VOLUME = "devplatform-home"
BACKUP_LABEL = "devplatform.io/backup"
OWNER_LABEL = "devplatform.io/owner"

HOME = {"name": HOME_VOLUME, "persistentVolumeClaim": {"claimName": "{pvc_name}"}}
"""KubeSpawner puts the claim's name in."""


@dataclass(frozen=True, slots=True)
class Growth:
    """`patch` (JSON merge patch) makes a claim larger; `message` is a sentence for its owner where there is one."""

    patch: Mapping[str, Any] | None = None
    message: str = ""


def backup_labels(owner: str) -> dict[str, str]:
    """Labels by which a backup finds home disks, and whose each is; `owner` is a slug."""
    return {BACKUP_LABEL: "true", OWNER_LABEL: owner}


def growth(claim: Mapping[str, Any], wanted: int, storage_class: Mapping[str, Any] | None) -> Growth:
    """How `claim` comes to `wanted` bytes. `storage_class` is its class, None where it has none or it cannot be read.

    The patch holds for the claim as it was read (`resourceVersion`): of two starts that ask for different sizes
    at once, the smaller can never undo the larger.
    """
    asked = claim["spec"]["resources"]["requests"]["storage"]
    size = parse_quantity(str(asked))
    if size is None or size >= wanted or "deletionTimestamp" in claim["metadata"]:
        return Growth()
    stays = f"Your home disk stays at {format_size(size)} instead of {format_size(wanted)}"
    if claim.get("status", {}).get("phase") != "Bound":  # Kubernetes lets only a bound claim grow
        return Growth(None, f"{stays} for now: it is not ready yet. It grows at a later start.")
    if storage_class is None:
        return Growth(None, f"{stays}: nothing is known of its storage class.")
    name = storage_class.get("metadata", {}).get("name", "")
    if storage_class.get("allowVolumeExpansion") is not True:
        return Growth(None, f"{stays}: its storage class {name} does not let disks grow.")
    patch = {
        "metadata": {"resourceVersion": claim["metadata"]["resourceVersion"]},
        "spec": {"resources": {"requests": {"storage": quantity(wanted)}}},
    }
    return Growth(patch, f"Your home disk grows from {format_size(size)} to {format_size(wanted)}.")
