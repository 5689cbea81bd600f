"""What a cluster says, as findings: verbatim texts of scheduler, autoscaler, kubelet and API server."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devplatform_hub.core.diagnosis.ending import diagnose_end, has_ended
from devplatform_hub.core.diagnosis.model import Ending, Finding, Waiting
from devplatform_hub.core.diagnosis.narrative import Narrator
from devplatform_hub.core.diagnosis.refusal import diagnose_refusal
from devplatform_hub.core.diagnosis.start import diagnose_start
from devplatform_hub.core.diagnosis.waits import WaitTimes, as_state, record_state

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def event(reason: str, message: str, ago: float = 1, component: str = "kubelet") -> Json:
    moment = (NOW - timedelta(seconds=ago)).isoformat()
    return {
        "reason": reason,
        "message": message,
        "lastTimestamp": moment,
        "firstTimestamp": moment,
        "source": component,
    }


def pod(*, state: Json | None = None, last: Json | None = None, name: str = "notebook", **status: Any) -> Json:
    """A pod on a machine, with one container that has this state."""
    containers = [{"name": name, "state": state or {}, "lastState": last or {}}] if state or last else []
    return {
        "metadata": {"name": "p", "uid": "1"},
        "spec": {"nodeName": "n", "containers": [{"name": "notebook", "resources": {"limits": {"memory": "8Gi"}}}]},
        "status": {"phase": "Pending", "containerStatuses": containers, **status},
    }


WAITING_POD: Json = {"metadata": {"uid": "1"}, "spec": {}, "status": {"phase": "Pending"}}
GATED_POD: Json = {"metadata": {}, "spec": {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}, "status": {}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def ended(reason: str, code: int, message: str = "") -> Json:
    return {"terminated": {"reason": reason, "exitCode": code, "message": message}}


NO_GPU = "0/12 nodes are available: 3 Insufficient nvidia.com/gpu, 9 node(s) didn't match Pod's node affinity/selector."
NO_SCALE = "pod didn't trigger scale-up: 2 max node group size reached, 1 Insufficient nvidia.com/gpu"
NEVER = "pod didn't trigger scale-up: 3 Insufficient cpu"
STOCKOUT = "Node scale up in zones europe-west4-a failed: GCE out of resources (ZONE_RESOURCE_POOL_EXHAUSTED)"


@pytest.mark.parametrize(
    ("of", "events", "code", "flags"),
    [
        pytest.param(WAITING_POD, [], "finding-machine", "", id="nothing is known yet"),
        pytest.param(WAITING_POD, [event("FailedScheduling", NO_GPU)], "no-room", "", id="no room, for a moment"),
        pytest.param(
            WAITING_POD,
            [event("FailedScheduling", NO_GPU, 40)],
            "no-room",
            "no_capacity",
            id="no room, and nobody adds",
        ),
        pytest.param(
            WAITING_POD,
            [event("FailedScheduling", NO_GPU, 40), event("TriggeredScaleUp", "pod triggered scale-up: [...]")],
            "scaling-up",
            "",
            id="a machine comes",
        ),
        pytest.param(
            WAITING_POD, [event("NotTriggerScaleUp", NO_SCALE)], "no-capacity", "no_capacity", id="the group is full"
        ),
        pytest.param(
            WAITING_POD,
            [event("NotTriggerScaleUp", NEVER)],
            "request-unsatisfiable",
            "fatal no_capacity",
            id="never fits",
        ),
        pytest.param(
            WAITING_POD,
            [event("TriggeredScaleUp", "", 30), event("FailedScaleUp", STOCKOUT)],
            "no-capacity",
            "no_capacity",
            id="out of stock",
        ),
        pytest.param(
            WAITING_POD,
            [event("FailedScaleUp", "GCE quota exceeded: QUOTA_EXCEEDED")],
            "cloud-quota",
            "no_capacity",
            id="the project's quota",
        ),
        pytest.param(GATED_POD, [], "queued", "", id="a queue is no fault"),
        pytest.param(
            pod(state=waiting("ErrImagePull", 'failed to pull "x": x: not found')),
            [],
            "image-not-found",
            "fatal",
            id="no such image",
        ),
        pytest.param(
            pod(state=waiting("ImagePullBackOff", 'Back-off pulling image "r/x:1"')),
            [event("Failed", 'Failed to pull image "r/x:1": pull access denied, 403 Forbidden')],
            "image-forbidden",
            "fatal",
            id="the back-off hides the reason",
        ),
        pytest.param(
            pod(state=waiting("ErrImagePull", "dial tcp 1.2.3.4:443: i/o timeout")),
            [],
            "image-unreachable",
            "",
            id="slow",
        ),
        pytest.param(pod(state=waiting("InvalidImageName")), [], "image-name-invalid", "fatal", id="bad name"),
        pytest.param(
            pod(state=waiting("CreateContainerConfigError", 'secret "s" not found')),
            [event("Failed", 'Error: secret "s" not found', 1)],
            "config-missing",
            "",
            id="a secret may still come",
        ),
        pytest.param(
            pod(state=waiting("CreateContainerConfigError", 'secret "s" not found')),
            [event("Failed", 'Error: secret "s" not found', 8)],
            "config-missing",
            "fatal",
            id="it does not come",
        ),
        pytest.param(pod(state=ended("Error", 28)), [], "disk-full", "fatal", id="a full home"),
        pytest.param(pod(state=ended("OOMKilled", 137)), [], "out-of-memory", "fatal", id="no memory for a start"),
        pytest.param(
            pod(state=waiting("CrashLoopBackOff"), last=ended("OOMKilled", 137), name="gke-gcsfuse-sidecar"),
            [],
            "sidecar-out-of-memory",
            "",
            id="the bucket helper's memory",
        ),
        pytest.param(
            pod(),
            [event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"')],
            "disk-in-use",
            "",
            id="two machines want the disk",
        ),
        pytest.param(
            pod(),
            [event("FailedMount", "gcsfuse: rpc error: code = PermissionDenied desc = googleapi: Error 403")],
            "bucket-forbidden",
            "fatal",
            id="no right to the bucket",
        ),
        pytest.param(pod(), [event("Pulling", "Pulling image")], "pulling-image", "", id="fetching"),
        pytest.param(pod(), [], "preparing", "", id="nothing unusual"),
    ],
)
def test_finds_the_cause_of_a_start_that_waits(of: Json, events: list[Json], code: str, flags: str) -> None:
    """The most important cause first, with whether it can heal and whether another place may do."""
    first = diagnose_start(of, events, now=NOW)[0]
    found = " ".join(flag for flag in ("fatal", "no_capacity") if getattr(first, flag))
    assert (first.code, found) == (code, flags)
    assert first.message.endswith(".")


@pytest.mark.parametrize(
    ("status", "message", "code", "fatal"),
    [
        pytest.param(
            403, 'pods "p" is forbidden: exceeded quota: team, requested: x', "quota-exceeded", True, id="quota"
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: violates PodSecurity "restricted:latest": x',
            "admission-denied",
            True,
            id="PSA",
        ),
        pytest.param(400, 'admission webhook "v" denied the request: no', "admission-denied", True, id="a webhook"),
        pytest.param(
            403, "maximum memory usage per Container is 1Gi, but limit is 8Gi", "limit-exceeded", True, id="limit"
        ),
        pytest.param(403, 'User "hub" cannot create resource "pods"', "hub-forbidden", True, id="the hub's own rights"),
        pytest.param(422, "spec.containers[0].image: Required value", "pod-invalid", True, id="not valid"),
        pytest.param(429, "too many requests", "cluster-busy", False, id="busy"),
        pytest.param(503, "", "cluster-busy", False, id="away"),
    ],
)
def test_reads_refusals_of_the_api_server(status: int, message: str, code: str, fatal: bool) -> None:
    """Each has a code, and only a busy server heals."""
    found = diagnose_refusal(status, {"message": message})
    assert (found.code, found.fatal, found.detail) == (code, fatal, message)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        pytest.param(
            pod(state=ended("OOMKilled", 137)),
            Ending(
                "out-of-memory",
                "It used more memory than its 8 GB, so it was ended.",
                "Choose a profile with more memory, or load less at a time.",
                137,
            ),
            id="out of memory",
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            Ending("evicted-memory", "Its machine ran out of memory.", "Start it again."),
            id="evicted",
        ),
        pytest.param(
            pod(conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]),
            Ending("pre-empted", "It had to make room for a more important server.", "Start it again."),
            id="pre-empted",
        ),
        pytest.param(
            pod(state=ended("Completed", 0)), Ending("shut-down", "It was shut down from inside.", "", 0), id="0"
        ),
        pytest.param(None, Ending("gone", "Your server is gone from the cluster.", "Start it again."), id="never seen"),
    ],
)
def test_says_why_a_server_ended(of: Json | None, expected: Ending) -> None:
    """In words, with what to do and the exit status for the hub."""
    assert diagnose_end(of, []) == expected


def test_a_pod_on_a_machine_that_is_gone_has_ended_after_a_while() -> None:
    """One that is being deleted may still save its files; one whose machine does not answer never will."""
    going = pod(state={"running": {}}, phase="Running")
    going["metadata"]["deletionTimestamp"] = (NOW - timedelta(seconds=30)).isoformat()
    assert [has_ended(going, NOW, after) for after in (60, 20)] == [False, True]


def test_hostile_events_break_nothing() -> None:
    """Whatever is missing or of another kind, there is an answer of bounded, printable text."""
    dice = random.Random(7)
    junk: list[Any] = [None, 0, "", "x" * 5000, "<script>\x1b[0m", [], {}, [None], {"state": None}, "2026-13-99"]
    for _ in range(500):
        events = [{key: dice.choice(junk) for key in ("reason", "message", "lastTimestamp", "source", "series")}] * 2
        status = {key: dice.choice(junk) for key in ("phase", "containerStatuses", "conditions", "reason", "message")}
        made = {"metadata": dice.choice(junk), "spec": dice.choice(junk), "status": status}
        for finding in diagnose_start(made, events, now=NOW):
            assert len(finding.detail) <= 300
            assert "\x1b" not in finding.detail
        diagnose_end(made, events)


def test_the_bar_never_goes_back_and_nothing_is_told_twice() -> None:
    """An image that is fetched after a machine was found, and a queue after all."""
    pulling = Finding("pulling-image", "Fetching the image.", waiting=Waiting.IMAGE)
    queued = Finding("queued", "Your server waits.", waiting=Waiting.QUEUE)
    narrator = Narrator()
    told = [narrator.tell(findings) for findings in ([pulling], [pulling], [queued])]
    assert [line and (line.percent, line.message) for line in told] == [
        (45, "Fetching the image."),
        None,
        (45, "Your server waits."),
    ]


def test_says_how_long_it_usually_takes() -> None:
    """From past starts, also those of another hub; short waits are not worth a word."""
    times = WaitTimes()
    for seconds in (118.0, 130.0, 245.0, 250.0):
        record_state(times, as_state({Waiting.NODE: seconds}, "gpu/spot"))
    record_state(times, {"seconds": {"nonsense": 3}})
    times.record(Waiting.IMAGE, "gpu/spot", 1)
    assert [times.usual(kind, "gpu/spot") for kind in (Waiting.NODE, Waiting.IMAGE, Waiting.QUEUE)] == [
        "This usually takes 2 to 4 minutes.",
        "",
        "",
    ]
