"""What the real scheduler and the real admission plugins say, told as findings: no text here is made up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devplatform_hub.core.diagnosis.model import Finding
from devplatform_hub.core.diagnosis.refusal import diagnose_refusal
from devplatform_hub.core.diagnosis.start import diagnose_start
from tests.lab.cluster import Cluster

pytestmark = pytest.mark.lab("cluster")
Json = dict[str, Any]


def pod(name: str, *, requests: Json | None = None, limits: Json | None = None, **spec: Any) -> Json:
    resources = {"requests": requests or {}, "limits": limits or {}}
    container = {"name": "notebook", "image": "registry.test/notebook:1", "resources": resources}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "restartPolicy": "Never", **spec},
    }


def unscheduled(cluster: Cluster, namespace: str, made: Json, *, later: float = 0) -> Finding:
    """The finding about this pod once the scheduler has said why it has no machine; `later` seconds are let pass."""
    cluster.api("POST", f"/api/v1/namespaces/{namespace}/pods", made)
    path = f"/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.name={made['metadata']['name']}"
    cluster.wait_for(lambda: any(e["reason"] == "FailedScheduling" for e in cluster.items(path)), 15, "the scheduler")
    seen: Json = cluster.wait_for(
        lambda: unplaced(cluster.pod(made["metadata"]["name"], namespace)), 15, "its condition"
    )
    now = datetime.now(UTC) + timedelta(seconds=later)
    by_events = diagnose_start(seen, cluster.items(path), now=now)[0]
    by_condition = diagnose_start(seen, [], now=now)[0]
    assert by_condition == by_events  # a hub that may not read events knows as much
    return by_events


def unplaced(seen: Json) -> Json | None:
    """The pod once the scheduler has written down that it has no machine for it."""
    return seen if any(one.get("reason") == "Unschedulable" for one in seen["status"].get("conditions", [])) else None


TOO_LARGE = pod("too-large", requests={"cpu": "5000", "memory": "1Ki"})
WRONG_KIND = pod("wrong-kind", nodeSelector={"cloud.google.com/gke-accelerator": "nvidia-no-such"})
NO_CLAIM = pod("no-claim", volumes=[{"name": "home", "persistentVolumeClaim": {"claimName": "claim-missing"}}])
GATED = pod("gated", schedulingGates=[{"name": "kueue.x-k8s.io/admission"}])


@pytest.mark.parametrize(
    ("made", "later", "expected"),
    [
        pytest.param(TOO_LARGE, 0, ("request-unsatisfiable", False, False), id="an autoscaler may still come"),
        pytest.param(TOO_LARGE, 40, ("request-unsatisfiable", False, True), id="another place may do"),
        pytest.param(TOO_LARGE, 90, ("request-unsatisfiable", True, True), id="larger than any machine"),
        pytest.param(WRONG_KIND, 90, ("request-unsatisfiable", True, True), id="no machine of this kind"),
        pytest.param(NO_CLAIM, 30, ("disk-missing", False, False), id="the scheduler hears of a disk late"),
        pytest.param(NO_CLAIM, 60, ("disk-missing", True, False), id="there is no disk"),
    ],
)
def test_the_scheduler_tells_what_can_never_fit(
    cluster: Cluster, namespace: str, made: Json, later: float, expected: tuple[str, bool, bool]
) -> None:
    """What is fatal, and what another place may do, by the scheduler's words alone."""
    found = unscheduled(cluster, namespace, made, later=later)
    assert (found.code, found.fatal, found.no_capacity) == expected, found


def test_busy_machines_are_waited_for(cluster: Cluster, namespace: str) -> None:
    """A GPU that somebody else has comes free; however long that takes, it ends nothing."""
    taints = ["nvidia.com/gpu=present:NoSchedule"]
    names = cluster.nodes(1, prefix=f"gpu-{namespace[-6:]}", gpus=1, taints=taints, labels={"lab/diagnosis": namespace})
    wanted: Json = {
        "limits": {"nvidia.com/gpu": "1"},
        "nodeSelector": {"lab/diagnosis": namespace},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    try:
        cluster.api("POST", f"/api/v1/namespaces/{namespace}/pods", pod("first", **wanted))
        cluster.wait_for(lambda: cluster.pod("first", namespace)["spec"].get("nodeName"), 15, "the first pod's machine")
        found = unscheduled(cluster, namespace, pod("second", **wanted), later=3600)
    finally:
        cluster.remove_nodes(names)
    assert (found.code, found.message, found.fatal, found.no_capacity) == (
        "no-room",
        "No machine has a free GPU for your server yet.",
        False,
        True,
    )


def test_a_gated_pod_is_in_the_queue(cluster: Cluster, namespace: str) -> None:
    """Kueue's gate, as the API server keeps it."""
    cluster.api("POST", f"/api/v1/namespaces/{namespace}/pods", GATED)
    found = diagnose_start(cluster.pod("gated", namespace), [], now=datetime.now(UTC) + timedelta(days=1))
    assert [(one.code, one.fatal, one.no_capacity) for one in found] == [("queued", False, False)]


def quota(cluster: Cluster, namespace: str) -> None:
    body = {"metadata": {"name": "team"}, "spec": {"hard": {"limits.memory": "1Gi", "pods": "5"}}}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", **body, "metadata": {**body["metadata"], "namespace": namespace}}
    )
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/team"
    cluster.wait_for(lambda: cluster.api("GET", path).get("status", {}).get("used"), 20, "the quota")


def limit_range(cluster: Cluster, namespace: str) -> None:
    limits = [{"type": "Container", "max": {"memory": "1Gi"}}]
    path = f"/api/v1/namespaces/{namespace}/limitranges"
    cluster.api("POST", path, {"metadata": {"name": "most"}, "spec": {"limits": limits}})
    cluster.wait_for(lambda: cluster.items(path), 10, "the limit range")


def restricted(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")


def nothing(cluster: Cluster, namespace: str) -> None:
    pass


LARGE = pod("large", limits={"memory": "8Gi", "cpu": "1"}, requests={"memory": "8Gi", "cpu": "1"})


@pytest.mark.parametrize(
    ("prepare", "made", "code", "message"),
    [
        pytest.param(
            quota,
            LARGE,
            "quota-exceeded",
            "Your team's quota does not allow this server. memory: 1 GB in all, 0 bytes in use, 8 GB more asked for.",
            id="quota",
        ),
        pytest.param(
            limit_range,
            LARGE,
            "limit-exceeded",
            "This profile asks for more memory than one server may have: at most 1 GB, not 8 GB.",
            id="limit range",
        ),
        pytest.param(
            restricted,
            LARGE,
            "admission-denied",
            "The cluster's security rules do not allow this profile.",
            id="pod security",
        ),
        pytest.param(
            nothing,
            pod("nobody", serviceAccountName="nobody"),
            "identity-missing",
            "The identity of your server is missing.",
            id="service account",
        ),
        pytest.param(
            nothing,
            pod("first-class", priorityClassName="first-class"),
            "config-missing",
            'Something that this profile needs is missing from the platform: "first-class".',
            id="priority class",
        ),
        pytest.param(
            nothing,
            pod("not valid", limits={"memory": "8 apples"}),
            "pod-invalid",
            "The cluster does not accept this profile.",
            id="not valid",
        ),
    ],
)
def test_admission_says_what_a_person_can_act_on(
    cluster: Cluster,
    namespace: str,
    prepare: Callable[[Cluster, str], None],
    made: Json,
    code: str,
    message: str,
) -> None:
    """Each refusal of the real API server, with its own status and body."""
    prepare(cluster, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods?dryRun=All"
    answer = cluster.api("POST", path, made, expect=[400, 403, 422])
    found = diagnose_refusal(answer["code"], answer)
    assert (found.code, found.message, found.fatal) == (code, message, True), answer
