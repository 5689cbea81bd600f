"""Whether a server gets a machine, by verbatim words of scheduler, cluster autoscaler, Kueue and GKE."""

from typing import Any

import pytest

from devplatform_hub.core.diagnosis.capacity import may_free_up
from devplatform_hub.core.diagnosis.model import Finding, Waiting
from devplatform_hub.core.diagnosis.start import diagnose_start

from .cluster_words import NOW, Json, event, scheduler_event, stamp, unplaced

BUSY = (
    "0/12 nodes are available: 3 Insufficient nvidia.com/gpu, 9 node(s) didn't match Pod's node affinity/selector. "
    "preemption: 0/12 nodes are available: 3 No preemption victims found for incoming pod, 9 Preemption is not helpful "
    "for scheduling."
)
NEVER = (
    "0/12 nodes are available: 12 node(s) didn't match Pod's node affinity/selector. preemption: 0/12 nodes are "
    "available: 12 Preemption is not helpful for scheduling."
)
TOO_SMALL = (
    "0/4 nodes are available: 4 Insufficient cpu. preemption: 0/4 nodes are available: 4 Preemption is not helpful for "
    "scheduling."
)
UNKNOWN = "0/3 nodes are available: 3 Insufficient memory. preemption: not eligible due to preemptionPolicy=Never."
OTHER_ZONE = (
    "0/2 nodes are available: 2 node(s) had volume node affinity conflict. preemption: 0/2 nodes are available: "
    "2 Preemption is not helpful for scheduling."
)
ADDED = (
    "pod triggered scale-up: [{https://www.googleapis.com/compute/v1/projects/p/zones/z/instanceGroups/g 0->1 (max: "
    "3)}]"
)
ZONAL = (
    "Node scale up in zones europe-west4-a associated with this pod failed: {}. Pod is at risk of not being scheduled."
)
AGAIN = "Choose another profile, or try again later."
TELL = "Choose another profile, and tell an administrator."


def refused(reasons: str, ago: float = 1) -> Json:
    return event("NotTriggerScaleUp", f"pod didn't trigger scale-up: {reasons}", ago)


def failed(reason: str, ago: float = 1) -> Json:
    return event("FailedScaleUp", ZONAL.format(reason), ago)


def flags(finding: Finding) -> str:
    return " ".join(name for name in ("fatal", "no_capacity") if getattr(finding, name))


@pytest.mark.parametrize(
    ("events", "code", "expected"),
    [
        pytest.param([], "finding-machine", "", id="nobody has said anything"),
        pytest.param([scheduler_event(BUSY)], "no-room", "", id="busy for a moment"),
        pytest.param([scheduler_event(BUSY, 1, first=40)], "no-room", "no_capacity", id="busy, and nobody adds"),
        pytest.param([scheduler_event(BUSY, 1, first=9000)], "no-room", "no_capacity", id="busy machines come free"),
        pytest.param([scheduler_event(NEVER)], "request-unsatisfiable", "", id="no such machine, for a moment"),
        pytest.param([scheduler_event(NEVER, 1, first=40)], "request-unsatisfiable", "no_capacity", id="no such here"),
        pytest.param([scheduler_event(NEVER, 1, first=61)], "request-unsatisfiable", "fatal no_capacity", id="never"),
        pytest.param([scheduler_event(TOO_SMALL, 61)], "request-unsatisfiable", "fatal no_capacity", id="too small"),
        pytest.param(
            [scheduler_event(UNKNOWN, 999)], "no-room", "no_capacity", id="not told whether others' end helps"
        ),
        pytest.param(
            [scheduler_event(OTHER_ZONE, 61)], "disk-in-other-zone", "fatal no_capacity", id="the disk's zone"
        ),
        pytest.param(
            [scheduler_event("no nodes available to schedule pods", 999)], "no-room", "no_capacity", id="none"
        ),
        pytest.param(
            [scheduler_event(BUSY, 200), scheduler_event(NEVER, 10)],
            "request-unsatisfiable",
            "no_capacity",
            id="new words begin their own wait for an end",
        ),
        pytest.param(
            [scheduler_event(NEVER, 2, first=90), event("TriggeredScaleUp", ADDED, 50)],
            "scaling-up",
            "",
            id="a machine of the kind that is missing comes",
        ),
        pytest.param([event("TriggeredScaleUp", ADDED, 601)], "scaling-up", "no_capacity", id="it does not come"),
        pytest.param(
            [scheduler_event(BUSY), refused("2 max node group size reached, 1 Insufficient nvidia.com/gpu")],
            "no-capacity",
            "no_capacity",
            id="a full group among too small ones",
        ),
        pytest.param([refused("1 in backoff after failed scale-up")], "no-capacity", "no_capacity", id="back-off"),
        pytest.param([refused("3 max cluster cpu, memory limit reached")], "no-capacity", "no_capacity", id="limit"),
        pytest.param(
            [refused('1 exceeded quota: "team", resources: gpu, cpu')], "no-capacity", "no_capacity", id="CA's quota"
        ),
        pytest.param([refused("2 not ready for scale-up")], "no-capacity", "no_capacity", id="group not ready"),
        pytest.param([refused("")], "no-capacity", "no_capacity", id="no reason given"),
        pytest.param(
            [event("NotTriggerScaleUp", "pod didn't trigger scale-up (it wouldn't fit if a new node is added)")],
            "no-capacity",
            "no_capacity",
            id="an old autoscaler without reasons",
        ),
        pytest.param(
            [
                scheduler_event(NEVER),
                refused("3 Insufficient cpu, 2 node(s) didn't match Pod's node affinity/selector"),
            ],
            "request-unsatisfiable",
            "fatal no_capacity",
            id="no group fits, no machine does",
        ),
        pytest.param(
            [
                scheduler_event(NEVER),
                refused(
                    "1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had taint "
                    "{k8s.dask.org_dedicated: worker}, that the pod didn't tolerate"
                ),
            ],
            "request-unsatisfiable",
            "fatal no_capacity",
            id="a reason with a comma of its own",
        ),
        pytest.param(
            [scheduler_event(BUSY, 5), refused("1 Insufficient nvidia.com/gpu", 1)],
            "no-capacity",
            "no_capacity",
            id="no group fits, but a machine outside of all groups is only busy",
        ),
        pytest.param(
            [scheduler_event(NEVER), refused("2 node(s) had volume node affinity conflict")],
            "disk-in-other-zone",
            "fatal no_capacity",
            id="no group in the disk's zone",
        ),
        pytest.param(
            [refused("2 node(s) had volume node affinity conflict, 1 max node group size reached")],
            "no-capacity",
            "no_capacity",
            id="the group in the disk's zone is full",
        ),
        pytest.param([failed("GCE out of resources")], "no-capacity", "no_capacity", id="stockout"),
        pytest.param([failed("GCE quota exceeded")], "cloud-quota", "no_capacity", id="the project's quota"),
        pytest.param([failed("IP space exhausted")], "no-addresses", "no_capacity", id="addresses"),
        pytest.param(
            [failed('Some nodes in node group "ng1" failed to appear in time')], "no-capacity", "no_capacity", id="late"
        ),
        pytest.param([failed("Service Account was deleted")], "machines-misconfigured", "no_capacity", id="account"),
        pytest.param([failed("Internal error")], "no-capacity", "no_capacity", id="internal error"),
        pytest.param(
            [event("TriggeredScaleUp", ADDED, 30), failed("GCE out of resources", 5)],
            "no-capacity",
            "no_capacity",
            id="what was to come does not",
        ),
        pytest.param(
            [failed("GCE out of resources", 30), event("TriggeredScaleUp", ADDED, 5)],
            "scaling-up",
            "",
            id="another zone has one",
        ),
        pytest.param(
            [event("TriggeredScaleUp", ADDED, 5), refused("1 in backoff after failed scale-up", 90)],
            "scaling-up",
            "",
            id="by time, not by place in the list",
        ),
        pytest.param(
            [scheduler_event('0/4 nodes are available: persistentvolumeclaim "claim-alice" not found.', 40)],
            "disk-missing",
            "",
            id="the scheduler hears of a disk late, as it does after an outage",
        ),
        pytest.param(
            [scheduler_event('0/4 nodes are available: persistentvolumeclaim "claim-alice" not found.', 50)],
            "disk-missing",
            "fatal",
            id="no disk",
        ),
        pytest.param(
            [scheduler_event('0/4 nodes are available: persistentvolumeclaim "claim-alice" is being deleted.')],
            "disk-going",
            "fatal",
            id="a disk that is deleted",
        ),
        pytest.param(
            [scheduler_event('persistentvolumeclaim "claim-alice" bound to non-existent persistentvolume "pvc-1"')],
            "disk-lost",
            "fatal",
            id="a disk without a disk",
        ),
        pytest.param(
            [scheduler_event("0/4 nodes are available: pod has unbound immediate PersistentVolumeClaims.", 999)],
            "disk-pending",
            "",
            id="the disk is being made",
        ),
        pytest.param(
            [
                scheduler_event(
                    'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "c"'
                )
            ],
            "disk-not-made",
            "",
            id="the disk cannot be made",
        ),
    ],
)
def test_what_keeps_a_server_from_a_machine(events: list[Json], code: str, expected: str) -> None:
    """The code, whether it can heal, and whether another place may do."""
    first = diagnose_start(unplaced(), events, now=NOW)[0]
    assert (first.code, flags(first)) == (code, expected), first


def test_whole_findings_name_zone_and_cause() -> None:
    """What people read, and what stays for an administrator."""
    found = diagnose_start(unplaced(), [failed("GCE out of resources")], now=NOW)
    assert found == (
        Finding(
            "no-capacity",
            "Google Cloud has no machine of this kind left in europe-west4-a at the moment.",
            AGAIN,
            no_capacity=True,
            waiting=Waiting.NODE,
            detail=ZONAL.format("GCE out of resources"),
        ),
    )
    found = diagnose_start(unplaced(), [scheduler_event(TOO_SMALL, 2, first=61)], now=NOW)
    assert found == (
        Finding(
            "request-unsatisfiable",
            "No machine of this platform is large enough, or of the right kind, for this server. None is being added.",
            TELL,
            fatal=True,
            no_capacity=True,
            waiting=Waiting.SCHEDULER,
            detail=TOO_SMALL,
        ),
    )


def test_the_pod_itself_tells_where_events_are_not_seen() -> None:
    """The scheduler writes the same words into the pod's condition."""
    made = unplaced()
    made["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": BUSY,
            "lastTransitionTime": stamp(40),
        }
    ]
    first = diagnose_start(made, [], now=NOW)[0]
    assert (first.code, first.message, flags(first)) == (
        "no-room",
        "No machine has a free GPU for your server yet.",
        "no_capacity",
    )


KUEUE: dict[str, Any] = {"schedulingGates": [{"name": "kueue.x-k8s.io/admission"}]}
ORDERED: dict[str, Any] = {"nodeSelector": {"cloud.google.com/gke-flex-start": "true"}}


@pytest.mark.parametrize(
    ("spec", "events", "message"),
    [
        pytest.param(KUEUE, [], "Your server waits in the queue for its turn.", id="Kueue"),
        pytest.param(
            KUEUE,
            [scheduler_event(NEVER, 9000)],
            "Your server waits in the queue for its turn.",
            id="whatever the scheduler said",
        ),
        pytest.param(
            KUEUE,
            [
                event(
                    "UpdatedAdmissionCheck",
                    "dws-prov: Waiting for resources. Currently there are not enough resources "
                    "available to fulfill the "
                    "request.",
                )
            ],
            "It is your server's turn in the queue; it waits until there is a machine for it.",
            id="a machine is ordered through the queue",
        ),
        pytest.param(
            {"schedulingGates": [{"name": "corp.example/approval"}]},
            [],
            "Your server is held back before it starts.",
            id="another gate",
        ),
        pytest.param(
            ORDERED,
            [scheduler_event(NEVER, 9000)],
            "A machine is ordered for your server, which starts when there is one.",
            id="flex-start",
        ),
        pytest.param(
            ORDERED,
            [failed("GCE out of resources")],
            "A machine is ordered for your server, which starts when there is one.",
            id="flex-start waits for stock",
        ),
        pytest.param(
            ORDERED,
            [refused("1 in backoff after failed scale-up")],
            "A machine is ordered for your server, which starts when there is one.",
            id="flex-start waits for a group",
        ),
    ],
)
def test_a_queue_is_never_a_fault(spec: Json, events: list[Json], message: str) -> None:
    """However long it takes: not fatal, no other place, one finding."""
    found = diagnose_start(unplaced(**spec), events, now=NOW)
    assert [(one.code, one.message, flags(one), one.waiting) for one in found] == [
        ("queued", message, "", Waiting.QUEUE)
    ]


def test_an_order_that_no_group_takes_ends() -> None:
    """A flex-start profile on a cluster without such machines waits for nothing."""
    events = [scheduler_event(NEVER), refused("4 node(s) didn't match Pod's node affinity/selector")]
    assert flags(diagnose_start(unplaced(**ORDERED), events, now=NOW)[0]) == "fatal no_capacity"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(BUSY, True, id="busy"),
        pytest.param(NEVER, False, id="of another kind"),
        pytest.param(TOO_SMALL, False, id="too small"),
        pytest.param(UNKNOWN, True, id="not told"),
        pytest.param("0/1 nodes are available: 1 Too many pods.", True, id="no preemption"),
        pytest.param(
            "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are "
            "available: 1 Preemption is "
            "not helpful for scheduling.",
            True,
            id="closed for now",
        ),
        pytest.param(
            "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: "
            "}. preemption: 0/1 "
            "nodes are available: 1 Preemption is not helpful for scheduling.",
            True,
            id="not ready yet",
        ),
        pytest.param(
            "0/1 nodes are available: 1 node(s) had untolerated taint(s).", False, id="1.34's words for taints"
        ),
    ],
)
def test_tells_busy_machines_from_those_that_never_fit(words: str, expected: bool) -> None:
    """By whom the scheduler would have ended for it."""
    assert may_free_up(words) is expected


@pytest.mark.parametrize(
    ("events", "message"),
    [
        pytest.param(
            [event("TriggeredScaleUp", ADDED, 599)], "A machine is being added for your server.", id="a machine comes"
        ),
        pytest.param(
            [event("TriggeredScaleUp", ADDED, 601)],
            "A machine was to be added for your server, but it does not come.",
            id="it does not",
        ),
        pytest.param(
            [failed('Some nodes in node group "ng1" failed to appear in time')],
            "A machine of this kind was ordered in europe-west4-a, but did not come in time.",
            id="too late",
        ),
        pytest.param(
            [failed("Reservation capacity exceeded")],
            "The reserved machines of this kind cannot be used at the moment.",
            id="reservation",
        ),
        pytest.param(
            [failed("Internal error")],
            "A machine of this kind could not be added in europe-west4-a at the moment.",
            id="no cause given",
        ),
        pytest.param(
            [failed("GCE quota exceeded")],
            "The cloud project's quota allows no further machine of this kind in europe-west4-a.",
            id="quota",
        ),
        pytest.param(
            [refused("1 in backoff after failed scale-up")],
            "All machines of this kind are in use, and no more could be added a moment ago.",
            id="back-off",
        ),
        pytest.param(
            [refused("1 max node group size reached")],
            "All machines of this kind are in use, and no more may be added.",
            id="full",
        ),
        pytest.param(
            [scheduler_event(OTHER_ZONE, 1)],
            "Your home disk is in another zone than every machine that could hold this server.",
            id="the disk's zone",
        ),
        pytest.param(
            [scheduler_event("0/3 nodes are available: 3 Insufficient memory.")],
            "No machine has enough free memory for your server yet.",
            id="memory",
        ),
        pytest.param(
            [scheduler_event("0/3 nodes are available: 3 Insufficient cpu.")],
            "No machine has enough free CPU for your server yet.",
            id="CPU",
        ),
        pytest.param(
            [scheduler_event("0/3 nodes are available: 3 Too many pods.")],
            "No machine has room for your server yet.",
            id="anything else",
        ),
    ],
)
def test_what_people_read(events: list[Json], message: str) -> None:
    """The subject first, plain words, the zone where it is known."""
    assert diagnose_start(unplaced(), events, now=NOW)[0].message == message


def test_only_the_schedulers_own_condition_counts() -> None:
    """An error of the scheduler, or a machine that has been found, is no lack of machines."""
    made = unplaced()
    for status, reason in (("False", "SchedulerError"), ("True", "Unschedulable")):
        made["status"]["conditions"] = [{"type": "PodScheduled", "status": status, "reason": reason, "message": BUSY}]
        assert diagnose_start(made, [], now=NOW)[0].code in ("finding-machine", "preparing")
