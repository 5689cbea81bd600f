"""What the API server's refusals mean, by the verbatim words of its admission plugins."""

import pytest

from devplatform_hub.core.diagnosis.model import Finding
from devplatform_hub.core.diagnosis.refusal import diagnose_refusal

ADMIN = "Tell an administrator."
QUOTA = (
    'pods "jupyter-alice" is forbidden: exceeded quota: team, requested: limits.memory=8Gi,requests.nvidia.com/gpu=1, '
    "used: limits.memory=28Gi,requests.nvidia.com/gpu=4, limited: limits.memory=32Gi,requests.nvidia.com/gpu=4"
)
DENIED = "A rule of the cluster does not allow this server"
SAVED = "Stop a server that is not needed, choose a smaller profile, or ask an administrator for more."


@pytest.mark.parametrize(
    ("status", "words", "code", "message", "hint", "fatal"),
    [
        pytest.param(
            403,
            QUOTA,
            "quota-exceeded",
            "Your team's quota does not allow this server. memory: 32 GB in all, 28 GB in use, 8 GB "
            "more asked for; GPUs: 4 "
            "in all, 4 in use, 1 more asked for.",
            SAVED,
            True,
            id="quota",
        ),
        pytest.param(
            403,
            'persistentvolumeclaims "claim-a" is forbidden: exceeded quota: disks, requested: '
            "standard.storageclass.storage.k8s.io/requests.storage=10Gi, used: "
            "standard.storageclass.storage.k8s.io/requests.storage=100Gi, limited: "
            "standard.storageclass.storage.k8s.io/requests.storage=100Gi",
            "quota-exceeded",
            "Your team's quota does not allow this server. disk space: 100 GB in all, 100 GB in use, "
            "10 GB more asked for.",
            SAVED,
            True,
            id="quota of disks",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: failed quota: team: must specify limits.cpu for: notebook',
            "quota-exceeded",
            "Your team's quota does not allow this server.",
            "This profile has to say what it asks for. Tell an administrator.",
            True,
            id="a quota that wants limits",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: violates PodSecurity "restricted:latest": '
            "allowPrivilegeEscalation != false (container "
            '"notebook" must set securityContext.allowPrivilegeEscalation=false)',
            "admission-denied",
            "The cluster's security rules do not allow this profile.",
            ADMIN,
            True,
            id="pod security",
        ),
        pytest.param(
            400,
            'admission webhook "policy.corp.example" denied the request: images must come from registry.corp.example.',
            "admission-denied",
            f"{DENIED}: images must come from registry.corp.example.",
            ADMIN,
            True,
            id="a webhook says why",
        ),
        pytest.param(
            403,
            'admission webhook "policy.corp.example" denied the request without explanation',
            "admission-denied",
            f"{DENIED}.",
            ADMIN,
            True,
            id="a webhook does not",
        ),
        pytest.param(
            422,
            "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'cost' with binding 'all' denied "
            "request: label team is "
            "missing",
            "admission-denied",
            f"{DENIED}: label team is missing.",
            ADMIN,
            True,
            id="an admission policy",
        ),
        pytest.param(
            500,
            'Internal error occurred: failed calling webhook "x": failed to call webhook: Post '
            '"https://x.svc:443": context '
            "deadline exceeded",
            "cluster-busy",
            "A part of the cluster that checks every server does not answer.",
            "Try again in a few minutes.",
            False,
            id="a webhook that is away",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: maximum memory usage per Container is 1Gi, but limit is 8Gi',
            "limit-exceeded",
            "This profile asks for more memory than one server may have: at most 1 GB, not 8 GB.",
            ADMIN,
            True,
            id="limit range",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: minimum cpu usage per Container is 500m, but request is 100m',
            "limit-exceeded",
            "This profile asks for less CPU than one server may have: at least 0.5, not 0.1.",
            ADMIN,
            True,
            id="too small",
        ),
        pytest.param(
            403,
            'persistentvolumeclaims "c" is forbidden: maximum storage usage per '
            "PersistentVolumeClaim is 5Gi, but request "
            "is 10Gi",
            "limit-exceeded",
            "This profile asks for more disk space than one disk may have: at most 5 GB, not 10 GB.",
            ADMIN,
            True,
            id="a disk's limit",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: maximum memory usage per Pod is 1Gi.  No limit is specified',
            "limit-exceeded",
            "This profile asks for more memory than one server may have: at most 1 GB.",
            ADMIN,
            True,
            id="no limit given",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: cpu max limit to request ratio per Container is 2, but provided ratio is 8.000000',
            "limit-exceeded",
            "This profile's limits are too far above what it asks for.",
            ADMIN,
            True,
            id="ratio",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: insufficient quota to consume: requests.nvidia.com/gpu',
            "quota-exceeded",
            "Your team's quota does not allow this server.",
            SAVED,
            True,
            id="a resource that no quota gives",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: exceeded quota: team, requested: x, used: x, limited: x',
            "quota-exceeded",
            "Your team's quota does not allow this server.",
            SAVED,
            True,
            id="a quota that does not say what",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: error looking up service account ns/alice: serviceaccount "alice" not found',
            "identity-missing",
            "The identity of your server is missing.",
            "Try again.",
            True,
            id="service account",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: no PriorityClass with name first was found',
            "config-missing",
            'Something that this profile needs is missing from the platform: "first".',
            ADMIN,
            True,
            id="priority class",
        ),
        pytest.param(
            403,
            'pods is forbidden: User "system:serviceaccount:hub:hub" cannot create resource "pods" '
            'in API group "" in the '
            'namespace "x"',
            "hub-forbidden",
            "The platform may not make your server in its cluster.",
            ADMIN,
            True,
            id="the hub's own rights",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: pod tolerations conflict with its namespace whitelist',
            "admission-denied",
            "A rule of the cluster does not allow your server.",
            ADMIN,
            True,
            id="any other plugin",
        ),
        pytest.param(
            422,
            'PersistentVolumeClaim "c" is invalid: spec.resources.requests.storage: Forbidden: field '
            "can not be less than "
            "status.capacity",
            "disk-cannot-shrink",
            "Your home disk is larger than this profile asks for, and cannot be made smaller.",
            ADMIN,
            True,
            id="shrink",
        ),
        pytest.param(
            403,
            'persistentvolumeclaims "c" is forbidden: only dynamically provisioned pvc can be '
            "resized and the storageclass "
            "that provisions the pvc must support resize",
            "disk-cannot-grow",
            "Your home disk is smaller than this profile asks for, and its kind cannot grow.",
            ADMIN,
            True,
            id="grow",
        ),
        pytest.param(
            403,
            'pods "p" is forbidden: unable to create new content in namespace x because it is being terminated',
            "namespace-missing",
            "The place for servers in the cluster is being removed.",
            ADMIN,
            True,
            id="a namespace that goes",
        ),
        pytest.param(
            404,
            'namespaces "x" not found',
            "namespace-missing",
            "The place for servers in the cluster is missing.",
            ADMIN,
            True,
            id="no namespace",
        ),
        pytest.param(
            409,
            'object is being deleted: pods "p" already exists',
            "still-there",
            "An earlier one of your server is still being removed.",
            "Try again in a minute.",
            False,
            id="409",
        ),
        pytest.param(
            422,
            'Pod "p" is invalid: spec.containers[0].image: Required value',
            "pod-invalid",
            "The cluster does not accept this profile.",
            ADMIN,
            True,
            id="not valid",
        ),
        pytest.param(
            429,
            "the server has received too many requests and has asked us to try again later",
            "cluster-busy",
            "The cluster is too busy to make your server.",
            "Try again in a few minutes.",
            False,
            id="429",
        ),
        pytest.param(
            500,
            "etcdserver: request timed out",
            "cluster-busy",
            "The cluster is too busy to make your server.",
            "Try again in a few minutes.",
            False,
            id="slow etcd",
        ),
    ],
)
def test_whole_findings(status: int, words: str, code: str, message: str, hint: str, fatal: bool) -> None:
    """What a person reads, whether it can heal, and the cluster's words for an administrator."""
    expected = Finding(code, message, hint, fatal=fatal, detail=words.replace("  ", " ")[:300])
    assert diagnose_refusal(status, {"kind": "Status", "message": words}) == expected
    assert diagnose_refusal(status, words) == expected


def test_the_answer_itself_tells_what_was_to_be_made() -> None:
    """So that a disk that is refused is not told as a server."""
    body = {"message": "no", "details": {"kind": "persistentvolumeclaims"}}
    assert (
        diagnose_refusal(422, body).message == "The cluster does not accept what this profile asks of your home disk."
    )
    assert diagnose_refusal(503, body, what="your bucket").message == "The cluster is too busy to make your bucket."
