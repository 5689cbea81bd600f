"""A GPU on a pod as plain values: how many, on which machines, with how much shared memory."""

from typing import Any

from ..core.cluster import GpuNode, GpuSharing
from ..core.cluster_quantities import quantity
from ..core.profiles import Gpu

ACCELERATOR = "cloud.google.com/gke-accelerator"
DRIVER = "cloud.google.com/gke-gpu-driver-version"
SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
CLIENTS = "cloud.google.com/gke-max-shared-clients-per-gpu"
PARTITION = "cloud.google.com/gke-gpu-partition-size"
SHM_VOLUME = "devplatform-shm"


def gpu_resources(gpu: Gpu | None) -> dict[str, str]:
    """Limit and request alike: Kubernetes refuses an extended resource where they differ.

    A part of a GPU by time-sharing, MPS or MIG is asked for the same way on GKE: the machine decides what one is.
    """
    return {gpu.resource: str(gpu.count)} if gpu else {}


def gpu_selector(node: GpuNode, accelerator: str = "") -> dict[str, str]:
    """Labels of the machines that will do; `accelerator` in place of the node's own."""
    wanted = {
        ACCELERATOR: accelerator or node.accelerator,
        DRIVER: node.driver or "",
        SHARING: node.sharing or "",
        CLIENTS: str(node.clients_per_gpu or ""),
        PARTITION: node.partition,
    }
    return {label: str(value) for label, value in wanted.items() if value}


def gpu_toleration(gpu: Gpu) -> dict[str, str]:
    """GKE taints machines with a GPU so that only pods that ask for one land there; the key is the resource's name."""
    return {"key": gpu.resource, "operator": "Exists", "effect": "NoSchedule"}


def needs_host_ipc(node: GpuNode) -> bool:
    """Whether the pod has to be in the machine's IPC namespace: the daemon of MPS is reached through it.

    It takes a wall away between the servers on one machine: offer MPS to people who trust each other.
    """
    return node.sharing is GpuSharing.MPS


def shared_memory(size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The volume and the mount of /dev/shm with `size` bytes; what lies in it counts as memory of the server.

    Without it a container has 64 MB, and PyTorch's data loaders end with a bus error.
    """
    volume = {"name": SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": quantity(size)}}
    return volume, {"name": SHM_VOLUME, "mountPath": "/dev/shm"}  # noqa: S108 - the container's, not the hub's
