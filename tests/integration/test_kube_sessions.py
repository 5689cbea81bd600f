"""Servers on a real API server and scheduler: starts, reasons, other places, ends, and a hub that is killed."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.product import Visitor
from tests.lab import simulated_failures
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import AT_ONCE, ClusterHub, cluster_hub

pytestmark = pytest.mark.lab("cluster", "proxy")

PROFILES = f"""\
profiles:
  - {{name: standard, cpu: 100m, memory: 100M, default: true}}
  - {{name: missing, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.MISSING}"}}}}
  - {{name: private, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.PRIVATE}"}}}}
  - {{name: crashing, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.CRASHING}"}}}}
  - {{name: hungry, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.OUT_OF_MEMORY}"}}}}
  - {{name: evicted, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.EVICTED}"}}}}
  - name: gpu
    cpu: 100m
    memory: 100M
    gpu: {{count: 1}}
    cluster:
      placements:
        - {{name: spot, spot: true}}
        - {{name: on-demand}}
  - {{name: roomy, cpu: 100m, memory: 100M, cluster: {{storage: {{size: 20G}}}}}}
  - {{name: full, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.DISK_FULL}"}}}}
  - {{name: large, cpu: 100m, memory: 900M}}
  - {{name: slow, cpu: 100m, memory: 100M, cluster: {{image: "{simulated_failures.SLOW}"}}}}
"""


@pytest.fixture
def hub(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[ClusterHub]:
    """A hub with the platform's spawner."""
    traits = {"DevPlatformSpawner": {"poll_interval": 1}}
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=PROFILES, traits=traits, config=AT_ONCE) as hub:
        yield hub


def test_a_start_tells_its_story_and_a_stop_takes_all_but_the_home(hub: ClusterHub) -> None:
    """From a machine that is looked for to a server that answers; the disk stays."""
    begun = time.monotonic()
    status, answer = hub.api("POST", "/users/alice/server", {"profile": "slow"})
    assert status in (201, 202), answer
    events = list(hub.progress("alice"))
    assert time.monotonic() - begun < 12
    bars = [event["progress"] for event in events]
    assert bars == sorted(bars)
    assert events[-1]["ready"]
    assert "Fetching the image." in [event["message"] for event in events]
    hub.stop_server("alice")
    assert hub.pods() == []
    assert hub.cluster is not None
    claims = hub.cluster.items(f"/api/v1/namespaces/{hub.namespace}/persistentvolumeclaims")
    assert [claim["metadata"]["name"] for claim in claims] == ["claim-alice"]


def test_a_disk_that_should_grow_is_looked_at_again(hub: ClusterHub) -> None:
    """Also when it was made by a profile that asked for nothing, and by a hub before this one."""
    hub.start_server("alice")
    hub.stop_server("alice")
    hub.restart()
    hub.start_server("alice", {"profile": "roomy"})
    # The hub may not read storage classes here, so it cannot know whether this one lets disks grow.
    assert "Your home disk stays at 10 GB instead of 20 GB: nothing is known of its storage class." in hub.log


@pytest.mark.parametrize(
    ("profile", "says", "code"),
    [
        pytest.param("missing", "This profile's image does not exist", "image-not-found", id="no such image"),
        pytest.param("private", "The platform may not fetch this profile's image", "image-forbidden", id="no right"),
        pytest.param("crashing", "Your server ended while it was starting", "server-crashes", id="a crash"),
    ],
)
def test_what_cannot_heal_ends_the_start_at_once(hub: ClusterHub, profile: str, says: str, code: str) -> None:
    """Within ten seconds, with a sentence and a code, and nothing is left in the cluster."""
    begun = time.monotonic()
    status, answer = hub.api("POST", "/users/alice/server", {"profile": profile})
    events = list(hub.progress("alice")) if status == 202 else [answer]
    assert time.monotonic() - begun < 15
    text = str(events[-1]["message"])
    assert says in text
    assert f"[{code}]" in text
    hub.wait(lambda: not hub.pods(), 10, "the end of the pod")
    assert "Unhandled error" not in hub.log  # JupyterHub's word for what comes with a stack trace of a start


@pytest.mark.parametrize(
    ("profile", "code", "says"),
    [
        pytest.param("hungry", "out-of-memory", "more memory than its 100 MB", id="out of memory"),
        pytest.param("evicted", "evicted-memory", "Its machine ran out of memory", id="evicted"),
    ],
)
def test_the_reason_of_an_end_is_kept(hub: ClusterHub, profile: str, code: str, says: str) -> None:
    """For the person's next visit, also after a restart of the hub."""
    hub.start_server("alice", {"profile": profile})
    hub.wait(lambda: not hub.server("alice"), 30, "the end of the server")
    hub.wait(lambda: not hub.pods(), 10, "the end of the pod")
    hub.restart()
    status, model = hub.api("GET", "/users/alice?include_stopped_servers=1")
    assert status == 200, model
    ended = model["servers"][""]["state"]["devplatform_ended"]
    assert (ended["code"], says in ended["message"]) == (code, True), ended
    visitor = Visitor.signed_in(hub.origin, "alice")
    for path in ("/hub/home", "/hub/spawn/alice"):
        page = visitor.get(path)
        assert (page.status_code, says in page.text) == (200, True), (path, page.text[:2000])


def test_a_full_home_is_told_and_a_safe_start_comes_up(hub: ClusterHub) -> None:
    """From the last words of a server that ran for a moment to the offer, and to a pod that writes elsewhere."""
    begun = time.monotonic()
    status, answer = hub.api("POST", "/users/alice/server", {"profile": "full"})
    said = str(list(hub.progress("alice"))[-1]["message"]) if status == 202 else str(answer["message"])
    assert time.monotonic() - begun < 15
    full = "Your home disk is full, so your server cannot start."
    assert (full in said, "[disk-full]" in said) == (True, True), said
    hub.restart()
    visitor = Visitor.signed_in(hub.origin, "alice")
    page = visitor.get("/hub/spawn/alice").text
    assert (full in page, 'name="safe" value="true"' in page, "<details" in page) == (True, True, False)
    assert '<a class="alert-link" href="/hub/spawn/alice">Choose a safe start</a>' in visitor.get("/hub/home").text

    status, answer = hub.api("POST", "/users/alice/server", {"profile": "full", "safe": True})
    assert status == 202, answer
    told = [str(event["message"]) for event in hub.progress("alice")]
    assert any(line.startswith("This is a safe start: your files are in their usual place") for line in told), told
    assert hub.server("alice")["ready"]
    made = hub.pod_of("alice")["spec"]
    container = made["containers"][0]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert (env["HOME"], env["JUPYTERHUB_ROOT_DIR"], container["workingDir"]) == (
        "/tmp/safe-start",
        "/home/jovyan",
        "/tmp/safe-start",
    )
    assert {"name": "devplatform-safe-start", "emptyDir": {"sizeLimit": "1Gi"}} in made["volumes"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert (mounts["/tmp/safe-start"], mounts["/home/jovyan"]) == ("devplatform-safe-start", "devplatform-home")
    hub.restart()
    assert "This is a safe start. Your files are in their usual place" in home_page(hub, "alice")

    hub.stop_server("alice")
    status, answer = hub.api("POST", "/users/alice/server")  # as it was last time
    assert hub.wait(lambda: hub.pod_of("alice"), 20, "the pod")["spec"]["containers"][0].get("workingDir") is None
    hub.wait(lambda: not hub.pods(), 30, "the end of that start")
    starts = [(one["outcome"], one["why"]) for one in hub.audit() if one["action"] == "server.start"]
    assert starts == [("failed", "disk-full"), ("allowed", "full, safe start"), ("failed", "disk-full")]


def home_page(hub: ClusterHub, user: str) -> str:
    """What this person sees after sign-in."""
    return str(Visitor.signed_in(hub.origin, user).get("/hub/home").text)


def test_a_person_reads_who_stopped_their_server(hub: ClusterHub) -> None:
    """An administrator or a service such as the culler; nothing where they did it themselves, or started anew."""
    hub.start_server("alice")
    hub.stop_server("alice")  # with the token of the service `tests`
    assert "The service tests stopped it." in home_page(hub, "alice")
    hub.start_server("alice")
    assert hub.api("DELETE", "/users/alice/server", user="root")[0] in (202, 204)
    hub.wait(lambda: not hub.server("alice"), 30, "the end of the server")
    assert "An administrator stopped it." in home_page(hub, "alice")
    hub.start_server("alice")
    assert hub.api("DELETE", "/users/alice/server", user="alice")[0] in (202, 204)
    hub.wait(lambda: not hub.server("alice"), 30, "the end of the server")
    assert "stopped it" not in home_page(hub, "alice")
    stops = [(line["actor"], line["target"], line["why"]) for line in hub.audit() if line["action"] == "server.stop"]
    assert stops == [("tests", "alice/", "stopped-by-service"), ("root", "alice/", "stopped-by-administrator")]


def test_without_a_file_the_audit_is_on_standard_output(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """One object a line among the lines of the log, where a cluster collects them."""
    with cluster_hub(cluster, tmp_path, namespace=namespace, started=False) as hub:
        del hub.environment["DEVPLATFORM_AUDIT_FILE"]
        hub.start()
        hub.start_server("alice")
        hub.stop_server("alice")
        events = [json.loads(line) for line in hub.log.splitlines() if line.startswith("{")]
    told = [(event["log"], event["action"], event["actor"]) for event in events]
    assert sorted(told) == [
        ("devplatform.audit", "server.start", "alice"),
        ("devplatform.audit", "server.start-for", "tests"),
        ("devplatform.audit", "server.stop", "tests"),
        ("devplatform.audit", "token.make", "tests"),
    ]
    assert (told[0][1], told[-1][1]) == ("server.start", "server.stop")


def test_a_hub_killed_while_servers_start_goes_on_with_them(hub: ClusterHub) -> None:
    """No orphan, no lost server, nobody started twice."""
    for name in ("alice", "bob"):
        status, answer = hub.api("POST", f"/users/{name}/server", {"profile": "slow"})
        assert status == 202, answer
    hub.wait(lambda: len(hub.pods()) == 2, 10, "two pods")
    before = {pod["metadata"]["uid"] for pod in hub.pods()}
    hub.kill()
    hub.start()
    hub.wait(lambda: all(hub.server(name).get("ready") for name in ("alice", "bob")), 30, "both servers")
    assert {pod["metadata"]["uid"] for pod in hub.pods()} == before


def test_a_place_without_room_gives_way_to_the_next(hub: ClusterHub) -> None:
    """Decided by what the autoscaler says of the first; the page names the reason, and nothing of it stays."""
    cluster = hub.cluster
    assert cluster is not None
    names = cluster.nodes(1, prefix="ondemand", gpus=1, taints=["nvidia.com/gpu=present:NoSchedule"])
    try:
        status, answer = hub.api("POST", "/users/alice/server", {"profile": "gpu"})
        assert status == 202, answer
        first = hub.wait(lambda: hub.pod_of("alice"), 10, "the first pod")
        assert first["spec"]["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
        words = "pod didn't trigger scale-up: 1 max node group size reached"
        cluster.apply(autoscaler_event(first, "NotTriggerScaleUp", words))
        events = list(hub.progress("alice"))
        assert events[-1]["ready"], events
        told = [str(event["message"]) for event in events]
        assert any("All machines of this kind are in use" in line and "instead of spot" in line for line in told), told
        second = hub.pod_of("alice")
        assert "cloud.google.com/gke-spot" not in second["spec"].get("nodeSelector", {})
        assert second["spec"]["nodeName"] == names[0]
        hub.stop_server("alice")
        hub.start_server("alice", {"profile": "standard"})
        plain = hub.pod_of("alice")["spec"]
        assert "nvidia.com/gpu" not in plain["containers"][0]["resources"]["limits"]
        assert not [t for t in plain["tolerations"] if t["key"] in ("nvidia.com/gpu", "cloud.google.com/gke-spot")]
    finally:
        cluster.remove_nodes(names)


def autoscaler_event(pod: dict[str, Any], reason: str, message: str) -> dict[str, Any]:
    """An event as the cluster autoscaler writes it."""
    about = {"kind": "Pod", "namespace": pod["metadata"]["namespace"], "name": pod["metadata"]["name"]}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{about['name']}.autoscaler", "namespace": about["namespace"]},
        "involvedObject": {**about, "uid": pod["metadata"]["uid"], "apiVersion": "v1"},
        "reason": reason,
        "message": message,
        "type": "Normal",
        "source": {"component": "cluster-autoscaler"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


@pytest.fixture
def impatient(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[ClusterHub]:
    """A hub whose servers have six seconds to start, and ten more in a queue."""
    traits = {"DevPlatformSpawner": {"start_timeout": 6, "queue_timeout": 10}}
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=WAITING, traits=traits, config=AT_ONCE) as hub:
        yield hub


WAITING = """\
profiles:
  - {name: standard, cpu: 100m, memory: 100M, default: true}
  - {name: nowhere, cpu: 100m, memory: 100M, cluster: {node_selector: {pool: of-tomorrow}}}
  - {name: queued, cpu: 100m, memory: 100M, cluster: {queue: team-queue}}
"""


def test_a_start_that_takes_too_long_says_what_it_waited_for(impatient: ClusterHub) -> None:
    """Not `did not start in 6 seconds!` as the hub's own limit would, which comes later; and no pod stays."""
    begun = time.monotonic()
    status, answer = impatient.api("POST", "/users/alice/server", {"profile": "nowhere"})
    assert status == 202, answer
    last = list(impatient.progress("alice"))[-1]
    assert last["failed"], last
    assert "Your server did not start within 6 seconds." in last["message"], last
    assert "[start-timeout]" in last["message"], last
    assert 5 < time.monotonic() - begun < 20
    impatient.wait(lambda: impatient.pods() == [], 10, "the end of the pod")
    assert "Traceback" not in impatient.log


def test_the_time_in_a_queue_does_not_count(impatient: ClusterHub) -> None:
    """A pod that a queue holds back is not given up after the time that a start may take."""
    cluster = impatient.cluster
    assert cluster is not None
    config = "c.KubeSpawner.extra_pod_config = {'schedulingGates': [{'name': 'kueue.x-k8s.io/admission'}]}\n"
    with (impatient.folder / "jupyterhub_config.py").open("a") as file:
        file.write(config)
    impatient.restart()
    status, answer = impatient.api("POST", "/users/alice/server", {"profile": "queued"})
    assert status == 202, answer
    time.sleep(8)
    pod = impatient.pod_of("alice")
    assert pod, impatient.log[-2000:]
    path = f"/api/v1/namespaces/{impatient.namespace}/pods/{pod['metadata']['name']}"
    cluster.api("PATCH", path, {"spec": {"schedulingGates": []}})
    impatient.wait(lambda: impatient.server("alice").get("ready"), 20, "the server after its queue")


def test_a_quota_is_named_before_anything_is_made(hub: ClusterHub) -> None:
    """The real admission plugin refuses; the person reads what to do, and no pod was there for a moment."""
    cluster = hub.cluster
    assert cluster is not None
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team", "namespace": hub.namespace}}
    cluster.apply({**quota, "spec": {"hard": {"limits.memory": "500Mi"}}})
    cluster.wait_for(lambda: "used" in quota_status(cluster, hub.namespace), 20, "the quota")
    status, answer = hub.api("POST", "/users/alice/server", {"profile": "large"})
    said = str(answer) if status != 202 else str(list(hub.progress("alice"))[-1]["message"])
    assert "Your team's quota does not allow this server." in said
    assert "[quota-exceeded]" in said
    assert hub.pods() == []


def quota_status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """What the quota controller has counted."""
    return dict(cluster.api("GET", f"/api/v1/namespaces/{namespace}/resourcequotas/team").get("status", {}))
