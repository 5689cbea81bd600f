"""From a `SessionPlan` to what KubeSpawner sets on a pod. Pure: it names traits and their values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.cluster import HOME as HOME_PATH
from ..core.cluster import GpuNode, Placement
from ..core.cluster_quantities import quantity
from ..core.names import PEOPLE
from ..core.session import SessionPlan
from .gcsfuse import fuse_mounts
from .gpu import gpu_resources, gpu_selector, gpu_toleration, needs_host_ipc, shared_memory
from .mounts import object_mounts
from .placing import (
    QUEUE_LABEL,
    SPOT_GRACE_SECONDS,
    placement_selector,
    placement_tolerations,
    profile_toleration,
    queue_toleration,
    required_affinity,
)
from .safe_start import FOLDER, SafeParts, safe_parts, safe_pod_environment
from .storage import DEFAULT_SIZE, HOME, HOME_VOLUME, backup_labels

DECIDED: tuple[str, ...] = (
    "cpu_limit",
    "cpu_guarantee",
    "mem_limit",
    "mem_guarantee",
    "extra_resource_limits",
    "extra_resource_guarantees",
    "default_url",
    "image",
    "node_selector",
    "tolerations",
    "node_affinity_required",
    "volumes",
    "volume_mounts",
    "extra_annotations",
    "extra_labels",
    "extra_container_config",
    "extra_pod_config",
    "notebook_dir",
    "working_dir",
    "storage_capacity",
    "storage_class",
    "storage_extra_labels",
)
"""Every trait that `pod_settings` gives a value to."""
READ: tuple[str, ...] = (*DECIDED, "uid", "gid", "home_path", "storage_pvc_ensure")
"""Every trait that it looks at."""

_OURS = "devplatform-"  # begins every name of ours among the operator's
_UID, _GID = 1000, 100  # of jovyan in Jupyter's images


@dataclass(frozen=True, slots=True)
class Configured:
    """What the operator configured for every pod, whatever the profile: `READ` by name, as it was before any start."""

    traits: Mapping[str, Any] = field(default_factory=dict)

    def mapping(self, name: str) -> dict[str, Any]:
        return dict(self.traits.get(name) or {})

    def text(self, name: str, otherwise: str) -> str:
        return str(self.traits.get(name) or otherwise)

    def number(self, name: str, otherwise: int) -> int:
        """A function of the operator's is called by KubeSpawner alone, with a spawner; here its answer is unknown."""
        value = self.traits.get(name)
        return value if isinstance(value, int) else otherwise


def pod_settings(
    plan: SessionPlan, configured: Configured, *, placement: Placement | None, prefix: str
) -> dict[str, Any]:
    """Every trait of `DECIDED`, each with a value at every start: nothing stays from the start before.

    `placement` is the place that is tried now; `prefix` the person's own folder in buckets, `users/<slug>`.
    What a profile promises is guaranteed unless it says otherwise: a person who was shown 8 GB gets 8 GB,
    and a pod whose requests equal its limits is the last that a full node evicts.
    """
    cluster, storage = plan.cluster, plan.cluster.storage
    gpu = gpu_resources(plan.gpu)
    capacity = quantity(storage.size) if storage and storage.size else ""
    disk_class = storage.storage_class if storage else None
    node = (cluster.gpu_node if plan.gpu else None) or GpuNode()
    accelerator = placement.accelerator if placement and plan.gpu else ""
    queue = {QUEUE_LABEL: cluster.queue} if cluster.queue else {}
    selector = {**gpu_selector(node, accelerator), **placement_selector(placement)}
    return {
        "cpu_limit": plan.cpu,
        "cpu_guarantee": min(cluster.cpu_guarantee or plan.cpu, plan.cpu),
        "mem_limit": plan.memory,
        "mem_guarantee": min(cluster.memory_guarantee or plan.memory, plan.memory),
        "extra_resource_limits": {**configured.mapping("extra_resource_limits"), **gpu},
        "extra_resource_guarantees": {**configured.mapping("extra_resource_guarantees"), **gpu},
        "default_url": plan.default_url,
        "image": cluster.image or configured.traits.get("image"),
        "node_selector": {**configured.mapping("node_selector"), **(cluster.node_selector or {}), **selector},
        "tolerations": _extended(configured.traits.get("tolerations"), _tolerations(plan, placement)),
        "node_affinity_required": required_affinity(configured.traits.get("node_affinity_required") or [], placement),
        "extra_labels": {**configured.mapping("extra_labels"), **escaped(queue)},
        "extra_container_config": _container_config(configured.mapping("extra_container_config")),
        "extra_pod_config": _pod_config(configured.mapping("extra_pod_config"), node, placement),
        "notebook_dir": _folder(configured) if plan.safe else configured.text("notebook_dir", ""),
        "working_dir": FOLDER if plan.safe else configured.traits.get("working_dir"),
        "storage_capacity": capacity or configured.text("storage_capacity", quantity(DEFAULT_SIZE)),
        "storage_class": disk_class or configured.traits.get("storage_class"),
        "storage_extra_labels": {
            **configured.mapping("storage_extra_labels"),
            **backup_labels(prefix.removeprefix(f"{PEOPLE}/")),
        },
        **_volumes(plan, configured, node, prefix),
    }


def pod_environment(plan: SessionPlan, configured: Configured) -> dict[str, str]:
    """The variables that the plan gives a pod, as they are written. Those of a safe start are above a profile's."""
    environment = dict(plan.environment)
    return environment | (safe_pod_environment(_home(configured), environment) if plan.safe else {})


def escaped(value: Any) -> Any:
    """`value` as KubeSpawner has to be given it so that it comes out as it is: it expands `{...}` in every text."""
    if isinstance(value, Mapping):
        return {key: escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [escaped(inner) for inner in value]
    return value.replace("{", "{{").replace("}", "}}") if isinstance(value, str) else value


def _tolerations(plan: SessionPlan, placement: Placement | None) -> dict[str, dict[str, str]]:
    found = {"gpu": gpu_toleration(plan.gpu)} if plan.gpu else {}
    if plan.cluster.queue:
        found["queue"] = queue_toleration()
    found.update(placement_tolerations(placement))
    for number, toleration in enumerate(plan.cluster.tolerations or ()):
        found[f"profile-{number}"] = profile_toleration(toleration)
    return {f"{_OURS}{name}": toleration for name, toleration in found.items()}


def _volumes(plan: SessionPlan, configured: Configured, node: GpuNode, prefix: str) -> dict[str, Any]:
    """The traits of volumes, mounts and annotations."""
    home = _home(configured)
    workspace = f"{home}/workspace"
    uid, gid = configured.number("uid", _UID), configured.number("gid", _GID)
    buckets = fuse_mounts(plan.cluster, workspace=workspace, prefix=prefix, uid=uid, gid=gid)
    of_objects = object_mounts(plan.cluster.mounts or ())
    safe = safe_parts(f"{_OURS}safe-start") if plan.safe else SafeParts()
    volumes = escaped({**buckets.volumes, **of_objects[0], **safe.volumes})
    mounts = escaped({**buckets.mounts, **of_objects[1], **safe.mounts})
    annotations = escaped({**buckets.annotations, **safe.annotations})
    if plan.cluster.shared_memory and not needs_host_ipc(node):
        volume, mount = shared_memory(plan.cluster.shared_memory)
        volumes[volume["name"]], mounts[mount["name"]] = volume, mount
    if configured.traits.get("storage_pvc_ensure", True) and not _is_mounted(configured, home):
        volumes[HOME_VOLUME], mounts[HOME_VOLUME] = dict(HOME), {"name": HOME_VOLUME, "mountPath": escaped(home)}
    return {
        "volumes": _extended(configured.traits.get("volumes"), volumes),
        "volume_mounts": _extended(configured.traits.get("volume_mounts"), mounts),
        "extra_annotations": {**configured.mapping("extra_annotations"), **annotations},
    }


def _home(configured: Configured) -> str:
    return configured.text("home_path", HOME_PATH).rstrip("/")


def _folder(configured: Configured) -> str:
    """The folder that a safe start shows: the one of every start, which must not follow HOME and the working folder."""
    given = configured.text("notebook_dir", "~")
    return escaped(_home(configured)) + given[1:] if given == "~" or given.startswith("~/") else given


def _is_mounted(configured: Configured, path: str) -> bool:
    """Whether the operator mounts something there already, as Zero-to-JupyterHub's chart does."""
    mounts = configured.traits.get("volume_mounts") or []
    paths = [
        mount.get("mountPath", mount.get("mount_path")) if isinstance(mount, Mapping) else mount.mount_path
        for mount in (mounts.values() if isinstance(mounts, Mapping) else mounts)
    ]
    return path in [str(found).rstrip("/") for found in paths]


def _container_config(config: dict[str, Any]) -> dict[str, Any]:
    # Where a program leaves no message of its own, its last lines are the message: they say why it ended.
    if not {"terminationMessagePolicy", "termination_message_policy"} & config.keys():
        config["terminationMessagePolicy"] = "FallbackToLogsOnError"
    return config


def _pod_config(config: dict[str, Any], node: GpuNode, placement: Placement | None) -> dict[str, Any]:
    # A program that ended is not started again behind the person's back, with kernels lost: they are told why.
    if not {"restartPolicy", "restart_policy"} & config.keys():
        config["restartPolicy"] = "Never"
    if needs_host_ipc(node):
        config.pop("host_ipc", None)
        config["hostIPC"] = True
    if placement and placement.spot:
        spellings = ("terminationGracePeriodSeconds", "termination_grace_period_seconds")
        given = [config.pop(key) for key in spellings if key in config]
        config[spellings[0]] = min([*given, SPOT_GRACE_SECONDS])
    return config


def _extended(configured: Any, ours: Mapping[str, Any]) -> Any:
    """The operator's list or mapping with ours added; KubeSpawner takes either."""
    if isinstance(configured, Mapping):
        return {**configured, **ours}
    return [*(configured or ()), *ours.values()]
