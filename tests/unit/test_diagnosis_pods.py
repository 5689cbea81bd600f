"""Why a pod on a machine does not become a server: containers, disks, buckets, the machine, and a pod that is over."""

import pytest

from devplatform_hub.core.diagnosis.model import Finding, Waiting
from devplatform_hub.core.diagnosis.start import diagnose_start, headline

from .cluster_words import NOW, SINGLE_USER_LOG, Json, container, event, pod, stamp, terminated, waiting

SIDECAR = "gke-gcsfuse-sidecar"
CONFIG = "CreateContainerConfigError"
CLAIM = {"volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-alice"}}]}
NO_PROGRAM = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable "
    'to start container process: exec: "jupyterhub-singleuser": executable file not found in $PATH: unknown'
)


def flags(finding: Finding) -> str:
    return " ".join(name for name in ("fatal", "no_capacity") if getattr(finding, name))


def lacks(words: str, ago: float) -> tuple[Json, list[Json]]:
    return pod(container(waiting=waiting(CONFIG, words))), [event("Failed", f"Error: {words}", 1, first=ago)]


@pytest.mark.parametrize(
    ("words", "ago", "code", "fatal", "names"),
    [
        pytest.param('secret "s3" not found', 2, "config-missing", False, 'the secret "s3"', id="may still come"),
        pytest.param('secret "s3" not found', 8, "config-missing", True, 'the secret "s3"', id="does not come"),
        pytest.param('configmap "conf" not found', 8, "config-missing", True, 'the config map "conf"', id="config map"),
        pytest.param(
            "couldn't find key token in Secret ns/s3", 8, "config-missing", True, '"token" in the secret "s3"', id="key"
        ),
        pytest.param(
            "failed to sync secret cache: timed out waiting for the condition",
            99,
            "config-not-ready",
            False,
            "",
            id="sync",
        ),
        pytest.param(
            "services have not yet been read at least once, cannot construct envvars",
            99,
            "config-not-ready",
            False,
            "",
            id="a kubelet that has just started",
        ),
        pytest.param(
            'container has runAsNonRoot and image will run as root (pod: "p", container: notebook)',
            1,
            "image-needs-root",
            True,
            "",
            id="root",
        ),
        pytest.param(
            'failed to prepare subPath for volumeMount "home" of container "notebook"',
            8,
            "config-invalid",
            True,
            "",
            id="other",
        ),
    ],
)
def test_missing_settings_get_seconds_to_come(words: str, ago: float, code: str, fatal: bool, names: str) -> None:
    """The kubelet tries for ever; what is missing after a few seconds is named, and ends the start."""
    made, events = lacks(words, ago)
    first = diagnose_start(made, events, now=NOW)[0]
    assert (first.code, first.fatal, names in first.message) == (code, fatal, True), first


def test_settings_that_are_not_read_yet_are_told_from_those_that_do_not_fit() -> None:
    """The one passes, the other is for an administrator."""
    texts = ("services have not yet been read at least once, cannot construct envvars", "failed to prepare subPath")
    told = [diagnose_start(*lacks(words, 8), now=NOW)[0] for words in texts]
    assert [(one.message, one.hint) for one in told] == [
        ("The settings of your server cannot be read yet.", ""),
        ("The settings of this profile do not fit the machine.", "Tell an administrator."),
    ]


def test_an_earlier_failure_of_another_kind_does_not_shorten_the_grace() -> None:
    """A pull that failed a minute ago says nothing about how long a secret is missing."""
    made, events = lacks('secret "s3" not found', 1)
    old = event("Failed", 'Failed to pull image "x": dial tcp: i/o timeout', 60)
    assert not diagnose_start(made, [old, *events], now=NOW)[0].fatal


def test_without_events_the_pods_own_start_is_the_clock() -> None:
    """A hub that sees no events still ends such a start."""
    made = pod(container(waiting=waiting(CONFIG, 'secret "s3" not found')), startTime=stamp(30))
    assert diagnose_start(made, [], now=NOW)[0].fatal


@pytest.mark.parametrize(
    ("made", "code", "fatal"),
    [
        pytest.param(pod(container(**terminated(28))), "disk-full", True, id="our start hook's ENOSPC"),
        pytest.param(
            pod(container(**terminated(1, message="OSError: [Errno 28] No space left on device: '/home/jovyan'"))),
            "disk-full",
            True,
            id="its last words",
        ),
        pytest.param(
            pod(container(**terminated(1, message=SINGLE_USER_LOG))), "disk-full", True, id="the end of its real log"
        ),
        pytest.param(pod(container(**terminated(137, "OOMKilled"))), "out-of-memory", True, id="memory"),
        pytest.param(pod(container(**terminated(1))), "server-crashes", True, id="it is not started again"),
        pytest.param(
            pod(container(**terminated(1)), spec={"restartPolicy": "OnFailure"}), "server-crashes", False, id="it is"
        ),
        pytest.param(
            pod(container(waiting=waiting("CrashLoopBackOff"), last=terminated(1)), spec={"restartPolicy": "Always"}),
            "server-crashes",
            True,
            id="again and again",
        ),
        pytest.param(
            pod(container(**terminated(128, "StartError", NO_PROGRAM))), "program-missing", True, id="StartError"
        ),
        pytest.param(
            pod(container(waiting=waiting("RunContainerError", NO_PROGRAM))), "program-missing", True, id="Run"
        ),
        pytest.param(
            pod(container(waiting=waiting("CreateContainerError", "context deadline exceeded"))),
            "machine-busy",
            False,
            id="a slow machine",
        ),
        pytest.param(
            pod(container(waiting=waiting("CreateContainerError", "Error response: no command specified"))),
            "program-missing",
            True,
            id="no command",
        ),
        pytest.param(
            pod(container(waiting=waiting("CreateContainerError", "write /run/x: no space left on device"))),
            "machine-disk-full",
            True,
            id="the machine's disk",
        ),
        pytest.param(
            pod(container(waiting=waiting("CreateContainerError", "seccomp profile is not to be had"))),
            "container-broken",
            True,
            id="anything else",
        ),
        pytest.param(
            pod(init=(container(SIDECAR, waiting=waiting("ContainerCreating")),)),
            "preparing",
            False,
            id="the bucket helper has not begun",
        ),
        pytest.param(
            pod(container(waiting=waiting("PodInitializing")), init=(container("init", **terminated(3)),)),
            "server-crashes",
            True,
            id="a helper that fails",
        ),
        pytest.param(
            pod(container(waiting=waiting("PodInitializing")), init=(container("init", **terminated(0, "Completed")),)),
            "preparing",
            False,
            id="a helper that has done its work",
        ),
        pytest.param(
            pod(init=(container(SIDECAR, waiting=waiting("CrashLoopBackOff"), last=terminated(137, "OOMKilled")),)),
            "sidecar-out-of-memory",
            False,
            id="the bucket helper's memory",
        ),
        pytest.param(
            pod(init=(container(SIDECAR, waiting=waiting("CrashLoopBackOff"), last=terminated(1)),)),
            "sidecar-failing",
            False,
            id="the bucket helper",
        ),
        pytest.param(
            pod(init=({**container(SIDECAR, running={}, last=terminated(137, "OOMKilled")), "ready": True},)),
            "preparing",
            False,
            id="the bucket helper is well again",
        ),
    ],
)
def test_containers(made: Json, code: str, fatal: bool) -> None:
    """What ends a start, and what is started again."""
    first = diagnose_start(made, [], now=NOW)[0]
    assert (first.code, first.fatal) == (code, fatal), first


def test_the_limit_is_told_with_the_memory() -> None:
    """So that a person can choose the next larger profile."""
    assert diagnose_start(pod(container(**terminated(137, "OOMKilled"))), [], now=NOW) == (
        Finding(
            "out-of-memory",
            "Your server ran out of memory (8 GB) while it was starting.",
            "Choose a profile with more memory.",
            fatal=True,
            waiting=Waiting.CONTAINER,
        ),
    )


FUSE = {
    "volumes": [
        {
            "name": "devplatform-bucket-0",
            "csi": {"driver": "gcsfuse.csi.storage.gke.io", "volumeAttributes": {"bucketName": "corp-data"}},
        },
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
    ]
}


def mount(words: str, volume: str = "devplatform-bucket-0") -> Json:
    return event("FailedMount", f'MountVolume.SetUp failed for volume "{volume}" : {words}')


@pytest.mark.parametrize(
    ("words", "code", "fatal", "message"),
    [
        pytest.param(
            'rpc error: code = PermissionDenied desc = failed to get GCS bucket "corp-data": googleapi: Error 403: '
            "x@p.iam.gserviceaccount.com does not have storage.objects.list access to the Google Cloud Storage bucket. "
            "Permission 'storage.objects.list' denied on resource (or it may not exist)., forbidden",
            "bucket-forbidden",
            True,
            'Your server may not use the bucket "corp-data".',
            id="PermissionDenied",
        ),
        pytest.param(
            'rpc error: code = NotFound desc = failed to get GCS bucket "corp-data": storage: bucket doesn\'t exist',
            "bucket-not-found",
            True,
            'The bucket "corp-data" does not exist.',
            id="NotFound",
        ),
        pytest.param(
            "rpc error: code = Unauthenticated desc = failed to prepare storage service: storage "
            "service manager failed to "
            "setup service: timed out waiting for the condition",
            "bucket-not-ready",
            False,
            'Your server cannot mount the bucket "corp-data" yet.',
            id="Unauthenticated",
        ),
        pytest.param(
            "rpc error: code = Unauthenticated desc = failed to prepare storage service: storage "
            "service manager failed to "
            "setup service: context deadline exceeded, failed to get GCP service account token",
            "bucket-not-ready",
            False,
            'Your server cannot mount the bucket "corp-data" yet.',
            id="the metadata server is not ready",
        ),
        pytest.param(
            "rpc error: code = ResourceExhausted desc = the sidecar container terminated due to "
            "OOMKilled, exit code: 137",
            "sidecar-out-of-memory",
            False,
            "The helper that mounts your buckets ran out of memory.",
            id="ResourceExhausted",
        ),
        pytest.param(
            "rpc error: code = ResourceExhausted desc = the sidecar container failed with error: signal: killed",
            "sidecar-out-of-memory",
            False,
            "The helper that mounts your buckets ran out of memory.",
            id="killed",
        ),
        pytest.param(
            "rpc error: code = InvalidArgument desc = the sidecar container failed with error: Incorrect Usage. flag "
            "provided but not defined: -xxx",
            "bucket-options-invalid",
            True,
            'The options with which this profile mounts the bucket "corp-data" are not valid.',
            id="InvalidArgument",
        ),
        pytest.param(
            "rpc error: code = FailedPrecondition desc = failed to find the sidecar container in Pod spec",
            "sidecar-missing",
            True,
            "The helper that mounts buckets was not added to your server.",
            id="FailedPrecondition",
        ),
        pytest.param(
            "rpc error: code = Aborted desc = NodePublishVolume request is aborted due to rate limit: 10",
            "bucket-not-ready",
            False,
            'Your server cannot mount the bucket "corp-data" yet.',
            id="Aborted",
        ),
        pytest.param(
            "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name "
            "gcsfuse.csi.storage.gke.io not found in "
            "the list of registered CSI drivers",
            "bucket-not-ready",
            False,
            "The machine is not ready to mount buckets yet.",
            id="the driver on a new machine",
        ),
        pytest.param(
            "rpc error: code = Internal desc = the sidecar container failed with error: gcsfuse "
            "exited with error: exit "
            "status 1",
            "sidecar-failing",
            False,
            'The helper that mounts the bucket "corp-data" fails.',
            id="Internal",
        ),
    ],
)
def test_buckets_by_the_drivers_own_codes(words: str, code: str, fatal: bool, message: str) -> None:
    """Its troubleshooting guide's examples; a failing mount is told also when the server has begun."""
    for state in ({"waiting": {"reason": "ContainerCreating"}}, {"running": {}}):
        first = diagnose_start(pod(container(**state), spec=FUSE), [mount(words)], now=NOW)[0]
        assert (first.code, first.fatal, first.message) == (code, fatal, message)


@pytest.mark.parametrize(
    ("spec", "events", "code", "flag", "message"),
    [
        pytest.param(
            CLAIM,
            [
                event(
                    "FailedAttachVolume",
                    'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to '
                    "one node and can't be "
                    "attached to another",
                )
            ],
            "disk-in-use",
            "",
            "Your home disk is still in use by another server, on another machine.",
            id="Multi-Attach",
        ),
        pytest.param(
            CLAIM,
            [
                event(
                    "FailedMount",
                    "Unable to attach or mount volumes: unmounted volumes=[home], unattached "
                    "volumes=[], failed to process "
                    "volumes=[]: context deadline exceeded",
                )
            ],
            "disk-not-ready",
            "",
            "Your home disk cannot be attached yet.",
            id="timeout",
        ),
        pytest.param(
            CLAIM,
            [event("FailedMount", 'MountVolume.SetUp failed for volume "s" : secret "s3" not found', 1, first=9)],
            "config-missing",
            "fatal",
            'Something that this profile needs is missing from the platform: the secret "s3".',
            id="a secret as a folder",
        ),
        pytest.param(
            CLAIM,
            [
                event(
                    "FailedMount",
                    'MountVolume.SetUp failed for volume "kube-api-access-x" : object '
                    '"ns"/"kube-root-ca.crt" not registered',
                    1,
                    first=60,
                )
            ],
            "config-not-ready",
            "",
            "The settings of your server cannot be read yet.",
            id="a kubelet that has not read it yet",
        ),
        pytest.param(
            FUSE,
            [mount("mount failed: exit status 32", "shm")],
            "disk-not-ready",
            "",
            "One of your server's folders cannot be attached yet.",
            id="a folder that is no disk",
        ),
        pytest.param(
            CLAIM,
            [event("FailedMount", 'MountVolume.MountDevice failed for volume "pvc-1" : wrong fs type, bad superblock')],
            "disk-damaged",
            "fatal",
            "Your home disk has a damaged file system.",
            id="damaged",
        ),
        pytest.param(
            CLAIM,
            [event("FailedAttachVolume", 'AttachVolume.Attach failed for volume "pvc-1" : failed to find disk')],
            "disk-lost",
            "fatal",
            "Your home disk does not exist any more.",
            id="lost",
        ),
        pytest.param(
            CLAIM,
            [event("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')],
            "disk-not-made",
            "",
            "Your home disk could not be made.",
            id="no storage class",
        ),
        pytest.param(
            CLAIM,
            [event("ProvisioningFailed", "googleapi: Error 403: Quota 'SSD_TOTAL_GB' exceeded. Limit: 500.0")],
            "disk-not-made",
            "",
            "Your home disk could not be made: the cloud project's quota of disks is used up.",
            id="quota of disks",
        ),
        pytest.param(
            CLAIM,
            [
                event("FailedMount", "timed out", 20),
                event("SuccessfulAttachVolume", "AttachVolume.Attach succeeded", 2),
            ],
            "preparing",
            "",
            "Preparing the machine.",
            id="it has healed",
        ),
        pytest.param(
            CLAIM,
            [event("FailedMount", "timed out", 9), event("Pulling", 'Pulling image "x"', 5)],
            "pulling-image",
            "",
            "Fetching the image.",
            id="all mounts are before the image",
        ),
        pytest.param(
            {},
            [event("FailedCreatePodSandBox", "Failed to create pod sandbox: no IP addresses available in range set")],
            "machine-not-ready",
            "",
            "The machine has no network address left for your server.",
            id="addresses of the machine",
        ),
        pytest.param(
            {},
            [event("NetworkNotReady", "network is not ready: container runtime network not ready", 9)],
            "machine-not-ready",
            "",
            "The machine's network is not ready yet.",
            id="network of a new machine",
        ),
        pytest.param(
            {},
            [event("NetworkNotReady", "network is not ready", 9), event("Pulling", "Pulling", 1)],
            "pulling-image",
            "",
            "Fetching the image.",
            id="the network has come",
        ),
        pytest.param(
            {},
            [event("NodeNotReady", "Node is not ready")],
            "machine-not-ready",
            "",
            "The machine does not answer at the moment.",
            id="silent",
        ),
        pytest.param(CLAIM, [], "attaching-disk", "", "Attaching your home disk.", id="nothing unusual"),
    ],
)
def test_disks_and_machines(spec: Json, events: list[Json], code: str, flag: str, message: str) -> None:
    """What they are called, what heals, and that what has healed is not told."""
    first = diagnose_start(pod(spec=spec), events, now=NOW)[0]
    assert (first.code, flags(first), first.message) == (code, flag, message)


@pytest.mark.parametrize(
    ("status", "code", "flag", "message"),
    [
        pytest.param(
            {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed due to x"},
            "machine-refused",
            "fatal no_capacity",
            "The machine that was chosen could not take your server after all.",
            id="device plugin",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "OutOfnvidia.com/gpu", "message": "Node didn't have enough resource"},
            "machine-refused",
            "fatal no_capacity",
            "The machine that was chosen could not take your server after all.",
            id="OutOf",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "NodeShutdown", "message": "Pod was rejected as the node is shutting down."},
            "machine-refused",
            "fatal no_capacity",
            "The machine that was chosen could not take your server after all.",
            id="a machine that goes",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node had condition: [DiskPressure]. "},
            "evicted-disk",
            "fatal",
            "Your server's machine ran out of temporary disk space.",
            id="disk pressure before it began",
        ),
        pytest.param(
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "},
            "evicted-memory",
            "fatal no_capacity",
            "Your server's machine ran out of memory.",
            id="evicted before it began",
        ),
        pytest.param({"phase": "Failed"}, "gone", "fatal", "Your server is gone from the cluster.", id="no reason"),
    ],
)
def test_a_pod_that_is_over_ends_the_start(status: Json, code: str, flag: str, message: str) -> None:
    """No waiting brings it back; another place may do."""
    first = diagnose_start(pod(**status), [], now=NOW)[0]
    assert (first.code, flags(first), first.message) == (code, flag, message)


def test_a_pod_that_is_deleted_ends_the_start() -> None:
    """Also while its machine still takes it down; who needed its room is told."""
    made = pod(container(waiting=waiting("ContainerCreating")))
    made["metadata"]["deletionTimestamp"] = stamp(1)
    assert [(one.code, flags(one)) for one in diagnose_start(made, [], now=NOW)] == [("deleted", "fatal")]
    made["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]
    assert [(one.code, flags(one)) for one in diagnose_start(made, [], now=NOW)] == [
        ("pre-empted", "fatal no_capacity")
    ]


def test_fatal_causes_come_first_and_once() -> None:
    """Two helpers with the same trouble are one finding; what ends the start is the headline."""
    failing = waiting("CrashLoopBackOff")
    made = pod(
        container(waiting=waiting("InvalidImageName")),
        init=(
            container(SIDECAR, waiting=failing, last=terminated(1)),
            container("gke-gcsfuse-metadata-prefetch", waiting=failing, last=terminated(1)),
        ),
    )
    found = diagnose_start(made, [], now=NOW)
    assert [one.code for one in found] == ["image-name-invalid", "sidecar-failing"]
    assert headline(found) == found[0]
    assert headline(()) is None


def test_a_repeated_event_is_counted() -> None:
    """It keeps its uid; how often it was said is for an administrator."""
    first = diagnose_start(pod(), [event("NetworkNotReady", "network is not ready", count=7)], now=NOW)[0]
    assert first.detail == "network is not ready (7 times)"


def test_what_nobody_knows_is_told_in_its_own_words() -> None:
    """Cut and on one line; it hides nothing that is known, and what goes on after it hides it."""
    unknown = event("BrandNewReason", "Something\nnew   happened. " + "x" * 900)
    first = diagnose_start(pod(), [unknown], now=NOW)[0]
    assert (first.code, first.fatal, len(first.message) < 400) == ("notice", False, True)
    assert first.message.startswith("Preparing the machine. The cluster says: Something new happened. xxx")
    assert diagnose_start(pod(), [{**unknown, "lastTimestamp": stamp(9)}, event("Pulling", "x")], now=NOW) == (
        Finding("pulling-image", "Fetching the image.", waiting=Waiting.IMAGE),
    )
    assert diagnose_start(pod(container(**terminated(28))), [unknown], now=NOW)[0].code == "disk-full"


def test_the_stages_of_an_untroubled_start() -> None:
    """In the order in which a start comes by them, with what each waits for."""
    helper = {"initContainers": [{"name": SIDECAR, "restartPolicy": "Always"}], **CLAIM}
    pulling, pulled = event("Pulling", "x", 9), event("Pulled", "x", 5)
    up = {**container(SIDECAR, running={}), "started": True, "ready": True}
    steps = [
        (pod(spec={**helper, "nodeName": None}), []),
        (pod(spec=helper), [event("Scheduled", "x", 10)]),
        (pod(spec=helper), [pulling]),
        (pod(spec=helper, init=(container(SIDECAR, waiting=waiting("PodInitializing")),)), [pulling, pulled]),
        (pod(container(waiting=waiting("PodInitializing")), spec=helper, init=(up,)), [pulling, pulled]),
        (pod(container(running={}), spec=helper, init=(up,), phase="Running"), [pulling, pulled]),
    ]
    assert [diagnose_start(made, events, now=NOW)[0].waiting for made, events in steps] == [
        Waiting.SCHEDULER,
        Waiting.VOLUME,
        Waiting.IMAGE,
        Waiting.SIDECAR,
        Waiting.CONTAINER,
        Waiting.SERVER,
    ]
    again = pod(container(waiting=waiting("ContainerCreating")), phase="Running")
    assert diagnose_start(again, [pulling, pulled], now=NOW)[0].code == "starting"
    assert diagnose_start(None, [pulling], now=NOW) == ()


def test_what_a_running_server_has_is_not_missing() -> None:
    """Its disk is mounted, whatever an event of a moment ago says; it only has to answer."""
    running = pod(container(running={}), spec=CLAIM, phase="Running")
    for events in ([event("FailedMount", "timed out")], [event("Pulling", "x")], []):
        assert [one.code for one in diagnose_start(running, events, now=NOW)] == ["starting"]


def test_rights_that_are_not_known_yet_are_told_so() -> None:
    """They take minutes on Google Cloud, and nobody has to do anything."""
    words = "rpc error: code = Unauthenticated desc = failed to prepare storage service"
    first = diagnose_start(pod(spec=FUSE), [mount(words)], now=NOW)[0]
    assert first.hint == "Its rights are not known to the machine yet; that may take a few minutes."
