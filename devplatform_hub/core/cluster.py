"""What a profile or a choice asks of a Kubernetes cluster. On one machine nothing of this applies.

Every field of `ClusterSettings` is None where it says nothing, so that a choice lies over its profile with `over`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from .quantities import format_size

SPOT_LABEL = "cloud.google.com/gke-spot"
HOME = "/home/jovyan"
"""The home folder of Jupyter's images, where the home disk is mounted unless the operator says otherwise."""


class GpuSharing(StrEnum):
    """How GKE lets several containers use one GPU (label `cloud.google.com/gke-gpu-sharing-strategy`)."""

    TIME_SHARING = "time-sharing"
    MPS = "mps"


class GpuDriver(StrEnum):
    """Which driver GKE installs (label `cloud.google.com/gke-gpu-driver-version`)."""

    DEFAULT = "default"
    LATEST = "latest"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class GpuNode:
    """Which machines with a GPU will do; "" and None: any. `partition` is a MIG size such as `1g.5gb`."""

    accelerator: str = ""
    driver: GpuDriver | None = None
    sharing: GpuSharing | None = None
    clients_per_gpu: int = 0
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Toleration:
    """A taint that the server may stand on, as in Kubernetes; no `effect`: every effect of that key."""

    key: str
    operator: str = "Exists"
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """One place to try. `spot` None: either kind; False: never one that may be taken away."""

    name: str
    spot: bool | None = None
    accelerator: str = ""
    zone: str = ""
    flex_start: bool = False
    node_selector: Mapping[str, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Which machine that is, for a person: `a machine that may be taken away (cheaper) with nvidia-l4`."""
        kind = {True: "a machine that may be taken away (cheaper)", False: "a machine that stays", None: "any machine"}
        parts = ["a machine that is ordered when there is one" if self.flex_start else kind[self.spot]]
        if self.accelerator:
            parts.append(f"with {self.accelerator}")
        if self.zone:
            parts.append(f"in {self.zone}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Storage:
    """The home disk: bytes it has at least, and its class ("": the cluster's default)."""

    size: int | None = None
    storage_class: str | None = None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A Google Cloud Storage bucket as a folder at `path`; `only_dir` is a prefix inside it."""

    bucket: str
    path: str
    only_dir: str = ""
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class Mount:
    """Something of the servers' namespace at `path`: a claim of a disk, a config map or a secret, one of the three.

    `sub_path` is a folder or a file inside it. Only a claim can be other than read only.
    """

    path: str
    claim: str = ""
    config_map: str = ""
    secret: str = ""
    sub_path: str = ""
    read_only: bool = True


@dataclass(frozen=True, slots=True)
class FuseTuning:
    """What the gcsfuse sidecar gets: cores, bytes, and caches (bytes; seconds, -1 for ever)."""

    cpu: float | None = None
    memory: int | None = None
    ephemeral_storage: int | None = None
    implicit_dirs: bool | None = None
    metadata_cache_seconds: int | None = None
    file_cache: int | None = None


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """Everything that only a cluster can give. None: whatever lies beneath decides.

    `cpu_guarantee` cores and `memory_guarantee` bytes default to the limits; `shared_memory` is the size of /dev/shm;
    `workspace_bucket` makes the workspace a GCSFuse folder under the person's own prefix; `queue` names a Kueue queue.
    """

    image: str | None = None
    cpu_guarantee: float | None = None
    memory_guarantee: int | None = None
    gpu_node: GpuNode | None = None
    shared_memory: int | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    placements: tuple[Placement, ...] | None = None
    queue: str | None = None
    storage: Storage | None = None
    workspace_bucket: str | None = None
    buckets: tuple[Bucket, ...] | None = None
    mounts: tuple[Mount, ...] | None = None
    fuse: FuseTuning | None = None

    def over(self, below: "ClusterSettings") -> "ClusterSettings":
        """These settings where they say something, those of `below` elsewhere. Nothing is mixed within a field."""
        return ClusterSettings(
            **{
                field.name: above if (above := getattr(self, field.name)) is not None else getattr(below, field.name)
                for field in fields(self)
            }
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of these settings before a start, in sentences without a full stop."""
        found = []
        if self.storage and self.storage.size:
            found.append(f"Has a home disk of at least {format_size(self.storage.size)}")
        shared = tuple(mount for mount in self.mounts or () if mount.claim)
        folders: tuple[Bucket | Mount, ...] = (*(self.buckets or ()), *shared)
        for folder in folders:
            found.append(f"Shows the shared folder {folder.path}{' to read only' if folder.read_only else ''}")
        if self.queue:
            found.append("May wait in a queue until it is its turn")
        if self.placements:
            first, *rest = (placement.words for placement in self.placements)
            found.append(
                f"Tries {first} first{''.join(f', then {words}' for words in rest)}" if rest else f"Runs on {first}"
            )
        return tuple(found)
