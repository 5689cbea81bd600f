"""A real node with a hub whose servers really run on it, as the tests of both and `make lab` have it.

with RealNode(cluster, folder / "node") as node, node_hub(node, folder, namespace=namespace) as hub:
    token = hub.start_server("alice")                       # seconds: the pod is our single-user server
    home_of(hub, "alice")                                   # her home, as a folder of this machine
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from devplatform_hub.core.names import session_names
from tests.lab.cluster_hub import ClusterHub, cluster_hub
from tests.lab.node import IMAGE, PLACE, RealNode

PORT = 8888
DOMAIN = "example.com"
"""Whoever is `alice` at the hub is `alice@example.com` for the cluster."""
PROFILES = f"""\
profiles:
  - {{name: standard, display_name: Standard, cpu: 500m, memory: 1G, default: true, cluster: {{{PLACE}}}}}
  - {{name: small, display_name: Small, cpu: 250m, memory: 300M, cluster: {{{PLACE}}}}}
  - name: missing
    display_name: Missing
    cpu: 250m
    memory: 300M
    cluster: {{image: "localhost/is-not-there:1", {PLACE}}}
"""


def traits() -> dict[str, dict[str, Any]]:
    """What a hub of such servers has to be told, by class."""
    return {
        "KubeSpawner": {"image": IMAGE, "image_pull_policy": "Never"},
        "DevPlatformSpawner": {"poll_interval": 1, "kubectl_domain": DOMAIN},
    }


@contextmanager
def node_hub(node: RealNode, folder: Path, *, namespace: str, **options: Any) -> Iterator[ClusterHub]:
    """As `cluster_hub`, for servers on this node, which find the hub at the node's address."""
    given = {"profiles": PROFILES, "traits": traits(), "address": node.address, "server_port": PORT} | options
    with cluster_hub(node.cluster, folder, namespace=namespace, **given) as hub:
        yield hub


def home_of(hub: ClusterHub, user: str) -> Path:
    """The folder of this machine that is the person's home disk."""
    assert hub.cluster is not None
    path = f"/api/v1/namespaces/{hub.namespace}/persistentvolumeclaims/{session_names(user, '').claim}"
    volume = hub.cluster.api("GET", path)["spec"]["volumeName"]
    return Path(hub.cluster.api("GET", f"/api/v1/persistentvolumes/{volume}")["spec"]["hostPath"]["path"])
