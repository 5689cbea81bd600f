"""Pods and claims of profiles at a real API server and scheduler: accepted, placed right, grown and not shrunk."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubespawner import KubeSpawner

from devplatform_hub.core.cluster import ClusterSettings, Placement, Storage
from devplatform_hub.core.profiles import Gpu
from devplatform_hub.core.session import SessionPlan
from devplatform_hub.kube.network import identity_policy
from devplatform_hub.kube.pod_api import plain
from devplatform_hub.kube.settings import READ, Configured, pod_settings
from devplatform_hub.kube.storage import growth
from tests.lab.cluster import Cluster
from tests.unit.test_kube_settings import ALL, PREFIX, kubespawner, plan

pytestmark = pytest.mark.lab("cluster")

GIB = 2**30
SPOT_LABEL = "cloud.google.com/gke-spot"
POOL = "test/pool"
OURS = ["test/pods=true:NoSchedule"]
# What an operator may configure for every pod: these tests' machines, and not others' of the same cluster.
CONFIGURED: dict[str, Any] = {
    "storage_pvc_ensure": False,
    "node_affinity_required": [{"matchExpressions": [{"key": POOL, "operator": "Exists"}]}],
    "tolerations": [{"key": "test/pods", "operator": "Exists"}],
}
SPOT, STAYS = Placement("spot", spot=True), Placement("stays", spot=False)
PLAIN_GPU = plan(gpu=Gpu(1))
PLACES = {
    "plain on spot": (plan(), SPOT, {"pods-spot"}),
    "plain": (plan(), STAYS, {"pods-plain"}),
    "gpu on spot": (PLAIN_GPU, SPOT, {"pods-gpu-spot"}),
    "gpu": (PLAIN_GPU, STAYS, {"pods-gpu"}),
    "gpu on either": (PLAIN_GPU, Placement("any"), {"pods-gpu", "pods-gpu-spot"}),
    "gpu in a zone": (PLAIN_GPU, Placement("b", zone="test-b"), {"pods-gpu-spot"}),
    "another gpu": (PLAIN_GPU, Placement("l4", accelerator="nvidia-l4"), {"pods-gpu-spot"}),
}


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of these tests, and a simulated machine of each kind, for nobody else's pods."""
    name = cluster.namespace("pod-settings")
    zone, kind = "topology.kubernetes.io/zone", "cloud.google.com/gke-accelerator"
    gpu, spot = [*OURS, "nvidia.com/gpu=present:NoSchedule"], {SPOT_LABEL: "true"}
    machines: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
        "pods-plain": ({zone: "test-a"}, {"taints": OURS}),
        "pods-spot": ({zone: "test-a", **spot}, {"taints": [*OURS, f"{SPOT_LABEL}=true:NoSchedule"]}),
        "pods-gpu": ({zone: "test-a", kind: "nvidia-tesla-t4"}, {"gpus": 16, "taints": gpu}),
        # GKE gives spot machines no taint unless whoever made the pool did
        "pods-gpu-spot": (
            {zone: "test-b", kind: "nvidia-l4", **spot},
            {"gpus": 16, "taints": gpu},
        ),
    }
    nodes = []
    for prefix, (labels, more) in machines.items():
        nodes += cluster.nodes(1, prefix=prefix, labels={POOL: prefix, **labels}, **more)
    yield name
    cluster.remove_nodes(nodes)


@pytest.fixture
def made(cluster: Cluster, namespace: str) -> Iterator[list[str]]:
    """Names of pods to take away again."""
    names: list[str] = []
    yield names
    if names:
        cluster.kubectl("delete", "pod", "-n", namespace, "--grace-period=0", "--force", "--wait=false", *names)


def pool_of(cluster: Cluster, namespace: str, name: str) -> str:
    """The pool of the machine that a pod was put on."""
    cluster.kubectl("wait", "-n", namespace, "--for=condition=PodScheduled", f"pod/{name}", "--timeout=30s")
    pod = json.loads(cluster.kubectl("get", "pod", "-n", namespace, name, "-o", "json"))
    node = json.loads(cluster.kubectl("get", "node", pod["spec"]["nodeName"], "-o", "json"))
    return str(node["metadata"]["labels"].get(POOL, node["metadata"]["name"]))


def prepared(
    monkeypatch: pytest.MonkeyPatch, wanted: SessionPlan, placement: Placement | None, **configured: Any
) -> KubeSpawner:
    spawner = kubespawner(monkeypatch, **configured)
    settings = Configured({trait: getattr(spawner, trait, None) for trait in READ})
    for trait, value in pod_settings(wanted, settings, placement=placement, prefix=PREFIX).items():
        setattr(spawner, trait, value)
    return spawner


async def manifest(
    monkeypatch: pytest.MonkeyPatch, name: str, wanted: SessionPlan, placement: Placement | None, **configured: Any
) -> dict[str, Any]:
    spawner = prepared(monkeypatch, wanted, placement, **configured)
    pod: dict[str, Any] = plain(await spawner.get_pod_manifest())
    pod["metadata"]["name"] = name
    return pod


def dry_run(cluster: Cluster, namespace: str, thing: dict[str, Any]) -> dict[str, Any]:
    """What the server would store; it refuses what it does not know, too."""
    created = cluster.kubectl(
        "create",
        "-n",
        namespace,
        "--dry-run=server",
        "--validate=strict",
        "-o",
        "json",
        "-f",
        "-",
        input=json.dumps(thing),
    )
    answer: dict[str, Any] = json.loads(created)
    return answer


@pytest.mark.parametrize("placement", [None, SPOT, STAYS, Placement("d", flex_start=True, zone="z")])
@pytest.mark.parametrize("name", ALL)
async def test_the_api_server_takes_every_pod(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, name: str, placement: Placement | None
) -> None:
    """Whole, by its own validation: nothing of ours is dropped or unknown."""
    pod = await manifest(monkeypatch, f"dry-{name}", ALL[name], placement)
    stored = dry_run(cluster, namespace, pod)["spec"]
    for key in ("volumes", "nodeSelector", "affinity", "hostIPC"):
        assert stored.get(key) == pod["spec"].get(key)
    for toleration in pod["spec"].get("tolerations", []):
        assert toleration in stored["tolerations"]


async def test_the_scheduler_puts_each_pod_where_its_profile_says(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, made: list[str]
) -> None:
    """GPU pods on GPU machines only and nobody else there, spot on spot, and what is to stay never on spot."""
    pools = {}
    for number, (name, (wanted, placement, _)) in enumerate(PLACES.items()):
        for copy in range(3):  # one may be in the right place by chance, three spread over machines that are as good
            pod = await manifest(monkeypatch, f"place-{number}-{copy}", wanted, placement, **CONFIGURED)
            cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod))
            made.append(pod["metadata"]["name"])
            pools[made[-1]] = name
    found = [(name, pool_of(cluster, namespace, pod)) for pod, name in pools.items()]
    assert [(name, pool) for name, pool in found if pool not in PLACES[name][2]] == []


async def test_a_pod_that_must_stay_waits_rather_than_run_on_spot(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, made: list[str]
) -> None:
    """Where only spot machines have what it needs; and the operator's own terms are no way around it."""
    nvidia_l4 = Placement("stays", spot=False, accelerator="nvidia-l4")
    pod = await manifest(monkeypatch, "waits", PLAIN_GPU, nvidia_l4, **CONFIGURED)
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=json.dumps(pod))
    made.append("waits")
    for _ in range(100):
        status = json.loads(cluster.kubectl("get", "pod", "-n", namespace, "waits", "-o", "json"))
        conditions = {c["type"]: c.get("reason") for c in status["status"].get("conditions", [])}
        if conditions:
            break
        time.sleep(0.1)
    assert conditions == {"PodScheduled": "Unschedulable"}


async def test_a_home_disk_grows_where_its_class_allows_it_and_never_shrinks(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes our patch, refuses it for a claim that changed, and refuses what we never ask for."""
    spawner = prepared(monkeypatch, plan(ClusterSettings(storage=Storage(20 * GIB, "pods-grows"))), None)
    claim = plain(spawner.get_pvc_manifest())
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "pods-grows"},
        "provisioner": "example.com/none",
        "allowVolumeExpansion": True,
    }
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pods-home"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "pods-grows",
            "claimRef": {"namespace": namespace, "name": claim["metadata"]["name"]},
            "csi": {"driver": "example.com", "volumeHandle": "x"},
        },
    }
    for thing in (storage_class, volume, claim):
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(thing))
    name = claim["metadata"]["name"]
    cluster.kubectl("wait", "-n", namespace, "--for=jsonpath={.status.phase}=Bound", f"pvc/{name}", "--timeout=30s")

    def read() -> dict[str, Any]:
        there: dict[str, Any] = json.loads(cluster.kubectl("get", "pvc", "-n", namespace, name, "-o", "json"))
        return there

    def patch(change: Any) -> str:
        return str(
            cluster.kubectl(
                "patch", "pvc", "-n", namespace, name, "--type=merge", "-p", json.dumps(change), check=False
            )
        )

    before = read()
    assert before["metadata"]["labels"]["devplatform.io/backup"] == "true"
    step = growth(before, 50 * GIB, storage_class)
    patch(step.patch)
    grown = read()
    assert grown["spec"]["resources"]["requests"]["storage"] == "50Gi"
    assert grown["spec"]["storageClassName"] == "pods-grows"
    smaller = growth(before, 30 * GIB, storage_class)  # of a start that read the claim before the other's patch
    patch(smaller.patch)
    assert read()["spec"]["resources"]["requests"]["storage"] == "50Gi"
    assert growth(read(), 30 * GIB, storage_class).patch is None


async def test_a_claim_of_a_class_that_does_not_grow_is_left_alone(cluster: Cluster, namespace: str) -> None:
    """The server refuses what `growth` does not even ask for."""
    fixed = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "pods-fixed"},
        "provisioner": "example.com/none",
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "fixed"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "pods-fixed",
            "resources": {"requests": {"storage": "10Gi"}},
        },
    }
    for thing in (fixed, claim):
        cluster.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(thing))
    there = json.loads(cluster.kubectl("get", "pvc", "-n", namespace, "fixed", "-o", "json"))
    assert growth(there, 20 * GIB, fixed).patch is None
    change = {"spec": {"resources": {"requests": {"storage": "20Gi"}}}}
    cluster.kubectl("patch", "pvc", "-n", namespace, "fixed", "--type=merge", "-p", json.dumps(change), check=False)
    there = json.loads(cluster.kubectl("get", "pvc", "-n", namespace, "fixed", "-o", "json"))
    assert there["spec"]["resources"]["requests"]["storage"] == "10Gi"


async def test_the_api_server_takes_the_network_rule(cluster: Cluster, namespace: str) -> None:
    """As the chart will send it."""
    policy = identity_policy("identity", namespace, {"component": "singleuser-server"})
    assert dry_run(cluster, namespace, policy)["spec"] == policy["spec"]
