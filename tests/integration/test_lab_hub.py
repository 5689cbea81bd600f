"""The lab's hub is the real one: JupyterHub, its proxy and stock KubeSpawner make a pod, and find it again."""

from pathlib import Path

import pytest

from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import STOCK, cluster_hub

pytestmark = pytest.mark.lab("cluster", "proxy")


def test_a_server_is_a_pod_and_outlives_a_killed_hub(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """With the rights of the chart and no more, a pod is made and answers; the next hub knows it, and takes it away."""
    traits = {"KubeSpawner": {"storage_pvc_ensure": True, "storage_capacity": "1Gi"}}
    with cluster_hub(cluster, tmp_path, namespace=namespace, spawner=STOCK, traits=traits) as hub:
        hub.start_server("alice")
        assert [event["progress"] for event in hub.progress("alice")][-1] == 100
        status, page = hub.call("GET", "/user/alice/lab")
        assert (status, "Simulated server" in page) == (200, True)
        before = hub.pod_of("alice")
        assert before["status"]["phase"] == "Running"
        hub.kill()
        hub.start()
        assert hub.server("alice")["ready"]
        assert hub.pod_of("alice")["metadata"]["uid"] == before["metadata"]["uid"]
        status, answer = hub.api("DELETE", "/users/alice/server", user="alice")
        assert status in (202, 204), answer
        hub.wait(lambda: not hub.pods(), 20, "the end of the pod")
