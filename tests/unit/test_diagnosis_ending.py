"""Why a server that ran does not run any more, by what kubelet, scheduler and controllers of 1.34 write."""

import pytest

from devplatform_hub.core.diagnosis.ending import diagnose_end, has_ended
from devplatform_hub.core.diagnosis.model import Ending

from .cluster_words import NOW, SINGLE_USER_LOG, Json, container, event, pod, stamp, terminated

LAST = "KeyError: 'x'"
SAFE = "Start it again as a safe start, and delete what you no longer need."
AGAIN = "Start it again."
SPOT = {"nodeSelector": {"cloud.google.com/gke-spot": "true"}}
ENDED = container(**terminated(137))
TMP = "Write large files to your home or a bucket, not to /tmp."
MORE = "It had to make room for a more important server."
LOST = "Its machine does not answer any more."


def target(reason: str, kind: str = "DisruptionTarget") -> list[Json]:
    return [{"type": kind, "status": "True", "reason": reason}]


def evicted(message: str) -> Json:
    """The kubelet gives evictions the condition of all its terminations."""
    return pod(ENDED, phase="Failed", reason="Evicted", message=message, conditions=target("TerminationByKubelet"))


def deleted(**status: object) -> Json:
    made = pod(container(**terminated(0, "Completed")), **status)
    made["metadata"]["deletionTimestamp"] = stamp(1)
    return made


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            pod(container(**terminated(137, "OOMKilled"))),
            Ending(
                "out-of-memory",
                "It used more memory than its 8 GB, so it was ended.",
                "Choose a profile with more memory, or load less at a time.",
                137,
            ),
            id="memory",
        ),
        # containerd marks a container for good when one process of it was ended, whatever comes later.
        pytest.param(
            pod(container(**terminated(0, "OOMKilled"))),
            Ending("shut-down", "It was shut down from inside.", "", 0),
            id="shut down long after one kernel of it ran out of memory",
        ),
        pytest.param(
            pod(container(**terminated(143, "OOMKilled"))),
            Ending("shut-down", "Its program was asked to end.", AGAIN, 143),
            id="asked to end after one kernel of it ran out of memory",
        ),
        pytest.param(
            pod(container(**terminated(1, "OOMKilled"))),
            Ending(
                "out-of-memory",
                "A part of it used more memory than its 8 GB and was ended; then its program ended with status 1.",
                "Choose a profile with more memory, or load less at a time.",
                1,
            ),
            id="its program did not survive the end of a part",
        ),
        pytest.param(
            pod(
                container(**terminated(143, "OOMKilled")),
                phase="Failed",
                reason="Preempted",
                conditions=target("PreemptionByScheduler"),
            ),
            Ending("pre-empted", MORE, AGAIN, 143),
            id="taken away after one kernel of it ran out of memory",
        ),
        pytest.param(
            evicted(
                "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51Mi. "
                "Container notebook was "
                "using 9Gi, request is 8Gi, has larger consumption of memory. "
            ),
            Ending("evicted-memory", "Its machine ran out of memory.", AGAIN, 137),
            id="the machine's memory",
        ),
        pytest.param(
            evicted("The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 1Mi. "),
            Ending("evicted-disk", "Its machine ran out of temporary disk space.", TMP, 137),
            id="the machine's disk",
        ),
        pytest.param(
            evicted('Container notebook exceeded its local ephemeral storage limit "10Gi". '),
            Ending("evicted-disk", "It used more temporary disk space than it may.", TMP, 137),
            id="its own limit",
        ),
        pytest.param(
            evicted("Pod ephemeral local storage usage exceeds the total limit of containers 10Gi. "),
            Ending("evicted-disk", "It used more temporary disk space than it may.", TMP, 137),
            id="the limit of all its containers",
        ),
        pytest.param(
            evicted('Usage of EmptyDir volume "shm" exceeds the limit "1Gi". '),
            Ending("evicted-disk", "It used more temporary disk space than it may.", TMP, 137),
            id="a volume's limit",
        ),
        pytest.param(
            evicted("The node was low on resource: pids. Threshold quantity: 10, available: 5. "),
            Ending("evicted-processes", "Its machine ran out of processes.", AGAIN, 137),
            id="processes",
        ),
        pytest.param(
            evicted("The node had condition: [SomethingNew]. "),
            Ending("evicted", "It had to leave its machine.", AGAIN, 137),
            id="a pressure of another release",
        ),
        pytest.param(
            pod(
                ENDED,
                spec=SPOT,
                phase="Failed",
                reason="Terminated",
                message="Pod was terminated in response to imminent node shutdown.",
                conditions=target("TerminationByKubelet"),
            ),
            Ending(
                "machine-taken",
                "Its spot machine was taken back by Google Cloud.",
                "Start it again. A profile without spot machines is not ended so.",
                137,
            ),
            id="spot",
        ),
        pytest.param(
            pod(container(running={}), conditions=target("TerminationByKubelet")),
            Ending("machine-taken", "Its machine was shut down.", AGAIN),
            id="a machine that shuts down",
        ),
        pytest.param(
            pod(
                ENDED,
                phase="Failed",
                reason="Preempting",
                message="Preempted in order to admit critical pod",
                conditions=target("TerminationByKubelet"),
            ),
            Ending("pre-empted", MORE, AGAIN, 137),
            id="a critical pod",
        ),
        pytest.param(
            deleted(conditions=target("PreemptionByScheduler")), Ending("pre-empted", MORE, AGAIN), id="scheduler"
        ),
        pytest.param(
            deleted(conditions=target("WorkloadEvictedDueToPreempted", "TerminationTarget")),
            Ending("pre-empted", "The queue gave its place to a more important server.", AGAIN),
            id="Kueue",
        ),
        pytest.param(
            deleted(conditions=target("EvictionByEvictionAPI")),
            Ending("machine-drained", "Its machine was emptied, for maintenance or to save cost.", AGAIN),
            id="drained",
        ),
        pytest.param(
            deleted(conditions=target("DeletionByTaintManager")), Ending("machine-lost", LOST, AGAIN), id="taint"
        ),
        pytest.param(deleted(conditions=target("DeletionByPodGC")), Ending("machine-lost", LOST, AGAIN), id="pod GC"),
        pytest.param(
            pod(
                container(running={}), conditions=[{"type": "Ready", "status": "False", "reason": "NodeStatusUnknown"}]
            ),
            Ending("machine-lost", LOST, AGAIN),
            id="a silent machine",
        ),
        pytest.param(
            pod(
                container(
                    **terminated(
                        137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated"
                    )
                )
            ),
            Ending("machine-lost", LOST, AGAIN, 137),
            id="nobody knows its container",
        ),
        pytest.param(
            pod(
                ENDED,
                phase="Failed",
                reason="DeadlineExceeded",
                message="Pod was active on the node longer than the specified deadline",
            ),
            Ending("time-limit", "It ran for as long as this profile allows.", AGAIN, 137),
            id="deadline",
        ),
        pytest.param(
            deleted(), Ending("deleted", "It was deleted from outside the platform.", AGAIN), id="deleted, and obeyed"
        ),
        pytest.param(
            pod(container(**terminated(0, "Completed"))),
            Ending("shut-down", "It was shut down from inside.", "", 0),
            id="shut down",
        ),
        pytest.param(
            pod(container(**terminated(143))),
            Ending("shut-down", "Its program was asked to end.", AGAIN, 143),
            id="SIGTERM",
        ),
        pytest.param(pod(ENDED), Ending("killed", "Its program was killed.", AGAIN, 137), id="SIGKILL"),
        pytest.param(
            pod(container(**terminated(1, message="ImportError: no module\nnamed x"))),
            Ending("ended", "Its program ended with status 1. ImportError: no module named x", AGAIN, 1),
            id="its last words",
        ),
        pytest.param(
            pod(container(**terminated(28))),
            Ending(
                "disk-full",
                "It ended because its home disk is full.",
                SAFE,
                28,
            ),
            id="disk",
        ),
        pytest.param(
            pod(container(**terminated(1, message=SINGLE_USER_LOG))),
            Ending("disk-full", "It ended because its home disk is full.", SAFE, 1),
            id="the end of a long log of the real server on a full disk",
        ),
        pytest.param(
            pod(container(**terminated(1, message="starting\n" * 400 + LAST))),
            Ending("ended", f"Its program ended with status 1. {('starting ' * 40 + LAST)[-300:]}", AGAIN, 1),
            id="of a long log its end",
        ),
        pytest.param(
            pod(
                container(**terminated(1)),
                init=(container("gke-gcsfuse-sidecar", running={}, last=terminated(137, "OOMKilled")),),
            ),
            Ending(
                "sidecar-out-of-memory",
                "The helper that mounts its buckets ran out of memory.",
                "An administrator can give it more in the profile (fuse: memory).",
                1,
            ),
            id="the bucket helper's memory",
        ),
        pytest.param(
            pod(container(running={})), Ending("gone", "Your server is gone from the cluster.", AGAIN), id="no trace"
        ),
    ],
)
def test_says_why_it_ended(made: Json, expected: Ending) -> None:
    """In words, with what to do and the exit status for the hub."""
    assert diagnose_end(made, []) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], Ending("gone", "Your server is gone from the cluster.", AGAIN), id="nothing"),
        pytest.param(
            [event("Preempted", "Preempted by pod 7d on node n", 9), event("Killing", "Stopping container notebook")],
            Ending("pre-empted", MORE, AGAIN),
            id="pre-empted",
        ),
        pytest.param(
            [event("Evicted", "The node was low on resource: memory. "), event("Killing", "x")],
            Ending("evicted-memory", "Its machine ran out of memory.", AGAIN),
            id="evicted",
        ),
        pytest.param(
            [
                event("NodeNotReady", "Node is not ready", 300),
                event("TaintManagerEviction", "Marking for deletion Pod n/p"),
            ],
            Ending("machine-lost", LOST, AGAIN),
            id="lost",
        ),
        pytest.param(
            [event("TaintManagerEviction", "Cancelling deletion of Pod n/p", 9), event("Killing", "x")],
            Ending("deleted", "It was deleted from outside the platform.", AGAIN),
            id="the machine came back",
        ),
        pytest.param(
            [event("Killing", "Stopping container notebook")],
            Ending("deleted", "It was deleted from outside the platform.", AGAIN),
            id="deleted",
        ),
    ],
)
def test_a_pod_that_is_gone_leaves_its_events(events: list[Json], expected: Ending) -> None:
    """They outlive it for a while."""
    assert diagnose_end(None, events) == expected


def test_events_of_an_earlier_server_of_the_same_name_do_not_count() -> None:
    """It had its own uid."""
    earlier = event("Evicted", "The node was low on resource: memory. ", 60)
    earlier["involvedObject"] = {"uid": "0"}
    assert diagnose_end(None, [earlier, event("Killing", "x")]).code == "deleted"
    assert diagnose_end(pod(container(running={})), [earlier]).code == "gone"


def test_helpers_do_not_end_a_server() -> None:
    """Whatever becomes of them: its own container and its own limit count."""
    helper = container("helper", **terminated(137, "OOMKilled"))
    limits = [{"name": "helper", "resources": {"limits": {"memory": "1Gi"}}}]
    limits += [{"name": "notebook", "resources": {"limits": {"memory": "8Gi"}}}]
    running = pod(helper, container(running={}), spec={"containers": limits}, phase="Running")
    assert (diagnose_end(running, []).code, has_ended(running, NOW, 60)) == ("gone", False)
    ended = pod(helper, container(**terminated(137, "OOMKilled")), spec={"containers": limits})
    assert (diagnose_end(ended, []).message, has_ended(ended, NOW, 60)) == (
        "It used more memory than its 8 GB, so it was ended.",
        True,
    )
    assert diagnose_end(pod(container(**terminated(1)), init=(helper,)), []).code == "ended"


def test_a_pod_without_containers_yet_has_not_ended() -> None:
    """Unless its phase says so."""
    assert [has_ended(pod(phase=phase), NOW, 60) for phase in ("Pending", "Failed", "Succeeded")] == [False, True, True]
