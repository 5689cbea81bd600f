"""The lab's cluster is a real one: what it is asked to refuse it refuses, and what it stores it keeps."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.lab import simulated_failures as failures
from tests.lab.cluster import Cluster

pytestmark = pytest.mark.lab("cluster")


def a_pod(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "notebook", "image": "registry.test/notebook:1", **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], **spec},
    }


def a_claim(name: str, namespace: str, storage_class: str, size: str = "1Gi") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": size}},
        },
    }


def is_ready(cluster: Cluster, name: str, namespace: str) -> bool:
    conditions = cluster.pod(name, namespace).get("status", {}).get("conditions", ())
    return {"type": "Ready", "status": "True"}.items() <= next(
        (c for c in conditions if c["type"] == "Ready"), {}
    ).items()


def claim(cluster: Cluster, name: str, namespace: str) -> dict[str, Any]:
    return cluster.api("GET", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")


def test_a_simulated_pod_becomes_ready_at_loopback(cluster: Cluster, namespace: str) -> None:
    """The real scheduler places it on a simulated node, and the hub would find it at 127.0.0.1."""
    cluster.apply(a_pod("one", namespace))
    cluster.wait_for(lambda: is_ready(cluster, "one", namespace), 10, "the pod")
    pod = cluster.pod("one", namespace)
    assert (pod["status"]["phase"], pod["status"]["podIP"]) == ("Running", "127.0.0.1")
    assert pod["spec"]["nodeName"].startswith("standard-")


def test_a_gpu_is_only_where_there_is_one(cluster: Cluster, namespace: str) -> None:
    """A pod that asks for a GPU waits with the scheduler's reason until a node has one, and others stay off it."""
    gpu = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    tolerated = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    cluster.apply(a_pod("gpu", namespace, container=gpu, tolerations=tolerated))

    def refusal() -> str:
        conditions = cluster.pod("gpu", namespace)["status"].get("conditions", ())
        return next((c.get("message", "") for c in conditions if c.get("reason") == "Unschedulable"), "")

    assert "Insufficient nvidia.com/gpu" in cluster.wait_for(refusal, 10, "the scheduler's refusal")
    nodes = cluster.nodes(
        1, prefix="lab-gpu", gpus=1, labels={"pool": "gpu"}, taints=["nvidia.com/gpu=present:NoSchedule"]
    )
    try:
        cluster.wait_for(lambda: is_ready(cluster, "gpu", namespace), 20, "the pod with a GPU")
        assert cluster.pod("gpu", namespace)["spec"]["nodeName"] == "lab-gpu-0"
        cluster.apply(a_pod("plain", namespace, nodeSelector={"pool": "gpu"}))
        untolerated = "untolerated taint"
        cluster.wait_for(
            lambda: untolerated in str(cluster.pod("plain", namespace)["status"].get("conditions")), 10, untolerated
        )
    finally:
        cluster.remove_nodes(nodes)


@pytest.mark.parametrize(
    ("storage_class", "bound_before_the_pod"),
    [pytest.param("standard", False, id="with its first pod"), pytest.param("immediate", True, id="at once")],
)
def test_a_claim_is_bound_and_grows(
    cluster: Cluster, namespace: str, storage_class: str, bound_before_the_pod: bool
) -> None:
    """A disk is made when its class says so, and grows when it is asked to."""
    cluster.apply(a_claim("home", namespace, storage_class))
    if bound_before_the_pod:
        cluster.wait_for(lambda: claim(cluster, "home", namespace)["status"]["phase"] == "Bound", 10, "the claim")
    home = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]
    cluster.apply(a_pod("one", namespace, volumes=home))
    cluster.wait_for(lambda: is_ready(cluster, "one", namespace), 10, "the pod with a disk")
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/home"
    cluster.api("PATCH", path, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    grown = {"storage": "2Gi"}
    cluster.wait_for(lambda: claim(cluster, "home", namespace)["status"]["capacity"] == grown, 10, "the larger disk")


def test_a_class_that_cannot_grow_refuses(cluster: Cluster, namespace: str) -> None:
    """The API server itself forbids to grow a claim whose class does not allow that."""
    cluster.apply(a_claim("home", namespace, "fixed"))
    cluster.apply(a_pod("one", namespace, volumes=[{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]))
    cluster.wait_for(lambda: claim(cluster, "home", namespace)["status"]["phase"] == "Bound", 10, "the claim")
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/home"
    refused = cluster.api("PATCH", path, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}, expect=[403])
    assert "only dynamically provisioned pvc can be resized" in refused["message"]


@pytest.mark.parametrize(
    ("verb", "resource", "where", "allowed"),
    [
        pytest.param("create", "pods", "own", True, id="pods of its namespace"),
        pytest.param("watch", "events", "own", True, id="events of its namespace"),
        pytest.param("list", "secrets", "own", False, id="no list of secrets"),
        pytest.param("delete", "persistentvolumeclaims", "own", False, id="no deletion of disks"),
        pytest.param("list", "pods", "kube-system", False, id="no other namespace"),
        pytest.param("create", "clusterroles", "own", False, id="no cluster role"),
    ],
)
def test_the_hub_has_the_rights_of_its_role(
    cluster: Cluster, verb: str, resource: str, where: str, allowed: bool
) -> None:
    """The token that `kubeconfig_for` gives is a service account's, with the hub's rights and no others."""
    own = cluster.namespace("lab-rights")
    hub = cluster.kubeconfig_for("hub", own)
    namespace = own if where == "own" else where
    answer = cluster.kubectl("auth", "can-i", verb, resource, "-n", namespace, kubeconfig=hub, check=False)
    assert answer.splitlines()[-1] == ("yes" if allowed else "no")


def test_nobody_hands_out_what_they_do_not_hold(cluster: Cluster, namespace: str) -> None:
    """RBAC's escalation check is on: the hub cannot make a Role that reads every secret."""
    hub = cluster.kubeconfig_for("hub", namespace)
    made = cluster.kubectl(
        "create", "role", "spy", "--verb=list", "--resource=secrets", "-n", namespace, kubeconfig=hub, check=False
    )
    assert "attempting to grant RBAC permissions not currently held" in made


def test_admission_is_that_of_a_real_cluster(cluster: Cluster) -> None:
    """PodSecurity, ResourceQuota and the check of names refuse, each in its own words."""
    namespace = cluster.namespace("lab-admission", {"pod-security.kubernetes.io/enforce": "restricted"})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    refused = cluster.api("POST", pods, a_pod("one", namespace), expect=[403])
    assert 'violates PodSecurity "restricted:latest"' in refused["message"]
    own = cluster.namespace("lab-quota")
    cluster.kubectl("create", "quota", "none", "--hard=pods=0", "-n", own)
    counted = f"/api/v1/namespaces/{own}/resourcequotas/none"
    cluster.wait_for(lambda: cluster.api("GET", counted)["status"].get("used"), 10, "the quota's count")
    refused = cluster.api("POST", f"/api/v1/namespaces/{own}/pods", a_pod("one", own), expect=[403])
    assert "exceeded quota: none" in refused["message"]
    refused = cluster.api("POST", f"/api/v1/namespaces/{own}/pods", a_pod("Not_a_name", own), expect=[422])
    assert refused["reason"] == "Invalid"


def test_a_killed_api_server_comes_back_with_everything(tmp_path: Path) -> None:
    """A cluster of one's own: its API server is killed, etcd slowed, and what was stored is there again."""
    with Cluster(tmp_path / "own", slow_etcd=True) as own:
        own.nodes(1)
        namespace = own.namespace("kept")
        own.apply(a_pod("one", namespace))
        own.wait_for(lambda: is_ready(own, "one", namespace), 10, "the pod")
        uid = own.pod("one", namespace)["metadata"]["uid"]
        own.stop_api_server(kill=True)
        with pytest.raises(OSError, match="refused"):
            own.api("GET", "/api/v1/nodes")
        own.start_api_server()
        assert own.pod("one", namespace)["metadata"]["uid"] == uid
        assert own.etcd_link is not None
        own.etcd_link.delay = 0.2
        began = time.monotonic()
        own.api("PATCH", f"/api/v1/namespaces/{namespace}/pods/one", {"metadata": {"labels": {"slow": "yes"}}})
        assert time.monotonic() - began > 0.4


@pytest.mark.parametrize(
    ("image", "events", "phase", "state"),
    [
        pytest.param(
            failures.MISSING,
            ["Pulling", "Failed", "Failed", "BackOff", "Failed"],
            "Pending",
            {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{failures.MISSING}"'}},
            id="an image that is not there",
        ),
        pytest.param(failures.SLOW, ["Pulling", "Pulled"], "Running", {"running": {}}, id="an image that is large"),
        pytest.param(
            failures.UNMOUNTABLE,
            ["FailedMount", "FailedMount"],
            "Pending",
            {"waiting": {"reason": "ContainerCreating"}},
            id="a disk that cannot be mounted",
        ),
        pytest.param(
            failures.CRASHING,
            ["Started", "Killing"],
            "Failed",
            {"terminated": {"reason": "Error", "exitCode": 1}},
            id="a program that ends at once",
        ),
        pytest.param(
            failures.DISK_FULL,
            ["Started", "Killing"],
            "Failed",
            {"terminated": {"reason": "Error", "exitCode": 1, "message": failures.LAST_WORDS}},
            id="a home that is full",
        ),
        pytest.param(
            failures.OUT_OF_MEMORY,
            ["Started", "Killing"],
            "Failed",
            {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            id="out of memory",
        ),
        pytest.param(
            failures.EVICTED,
            ["Started", "Evicted"],
            "Failed",
            {"terminated": {"reason": "Error", "exitCode": 137}},
            id="evicted",
        ),
    ],
)
def test_a_simulated_pod_fails_as_its_image_says(
    cluster: Cluster, namespace: str, image: str, events: list[str], phase: str, state: dict[str, Any]
) -> None:
    """kwok reports what a kubelet would: events in their order, and the state that they lead to."""
    cluster.apply(a_pod("one", namespace, container={"image": image}))

    def reported() -> list[str]:
        found = cluster.items(f"/api/v1/namespaces/{namespace}/events")
        found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [
            event["reason"] for event in found for _ in range(event.get("count") or 1) if event["reason"] != "Scheduled"
        ]

    cluster.wait_for(lambda: len(reported()) >= len(events), 15, f"the events {events}")
    assert sorted(reported()) == sorted(events)
    cluster.wait_for(lambda: cluster.pod("one", namespace)["status"]["phase"] == phase, 5, phase)
    ((name, said),) = cluster.pod("one", namespace)["status"]["containerStatuses"][0]["state"].items()
    assert {name: {key: value for key, value in said.items() if not key.endswith("At")}} == state
