"""Why an image cannot be had, by verbatim words of kubelet, containerd and registries."""

import pytest

from devplatform_hub.core.diagnosis.model import Finding, Waiting
from devplatform_hub.core.diagnosis.start import diagnose_start

from .cluster_words import NOW, Json, container, event, pod, waiting

IMAGE = "registry.test/notebook:1"
PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
ARTIFACT_REGISTRY = (
    PULL + "failed to authorize: failed to fetch oauth token: unexpected status from GET request to "
    "https://europe-docker.pkg.dev/v2/token: 403 Forbidden"
)


@pytest.mark.parametrize(
    ("reason", "words", "code", "fatal"),
    [
        pytest.param(
            "ErrImagePull",
            f"rpc error: code = NotFound desc = {PULL}{IMAGE}: not found",
            "image-not-found",
            True,
            id="not there",
        ),
        pytest.param(
            "ErrImagePull",
            PULL + "unexpected status from HEAD request to https://r.test/v2/x/manifests/1: 403 Forbidden",
            "image-forbidden",
            True,
            id="403",
        ),
        pytest.param("ErrImagePull", ARTIFACT_REGISTRY, "image-forbidden", True, id="Artifact Registry's token"),
        pytest.param(
            "ErrImagePull",
            PULL + "pull access denied, repository does not exist or may require authorization: server message: "
            "insufficient_scope: authorization failed",
            "image-forbidden",
            True,
            id="Docker Hub does not say which",
        ),
        pytest.param(
            "ErrImagePull",
            PULL + 'denied: Permission "artifactregistry.repositories.downloadArtifacts" denied on resource '
            '"projects/p/locations/l/repositories/r" (or it may not exist)',
            "image-forbidden",
            True,
            id="Artifact Registry's permission",
        ),
        pytest.param("ErrImagePull", PULL + "401 Unauthorized", "image-forbidden", True, id="401"),
        pytest.param(
            "ErrImagePull",
            PULL + 'failed to do request: Head "https://r.test/v2/": dial tcp 10.0.40.3:443: i/o timeout',
            "image-unreachable",
            False,
            id="timeout",
        ),
        pytest.param(
            "ErrImagePull",
            PULL + 'failed to do request: Head "https://r.test/v2/": dial tcp: lookup r.test: no such host',
            "image-unreachable",
            False,
            id="no name",
        ),
        pytest.param(
            "ErrImagePull",
            PULL
            + "failed to fetch anonymous token: unexpected status: 503 Service Unavailable: access denied upstream",
            "image-unreachable",
            False,
            id="a broken gateway is no refusal",
        ),
        pytest.param(
            "ErrImagePull",
            PULL
            + "429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull "
            "rate limit.",
            "image-rate-limited",
            False,
            id="rate limit",
        ),
        pytest.param(
            "ErrImagePull",
            PULL
            + "failed to do request: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "image-untrusted",
            True,
            id="certificate",
        ),
        pytest.param(
            "ErrImagePull",
            f'failed to pull and unpack image "{IMAGE}": no match for platform in manifest: not found',
            "image-wrong-platform",
            True,
            id="another processor",
        ),
        pytest.param(
            "ErrImagePull",
            f'failed to pull and unpack image "{IMAGE}": failed to extract layer sha256:4a40: write '
            f"/var/lib/x: no space "
            "left on device",
            "machine-disk-full",
            False,
            id="the machine's disk",
        ),
        pytest.param(
            "ErrImagePull",
            f'failed to pull and unpack image "{IMAGE}": open /var/lib/containerd/x: permission denied',
            "image-unreachable",
            False,
            id="a right on the machine is no right at the registry",
        ),
        pytest.param(
            "InvalidImageName",
            f'Failed to apply default image tag "{IMAGE}": couldn\'t parse image name: invalid reference format',
            "image-name-invalid",
            True,
            id="name",
        ),
        pytest.param(
            "ErrImageNeverPull",
            f'Container image "{IMAGE}" is not present with pull policy of Never',
            "image-not-present",
            True,
            id="never pull",
        ),
        pytest.param(
            "SignatureValidationFailed",
            f"image pull failed for {IMAGE} because the signature validation failed",
            "image-untrusted",
            True,
            id="signature",
        ),
        pytest.param(
            "RegistryUnavailable",
            f"image pull failed for {IMAGE} because the registry is unavailable",
            "image-unreachable",
            False,
            id="registry away",
        ),
        pytest.param(
            "ImagePullBackOff",
            f'Back-off pulling image "{IMAGE}": ErrImagePull: {PULL}{IMAGE}: not found',
            "image-not-found",
            True,
            id="a back-off that says why",
        ),
    ],
)
def test_tells_what_heals_from_what_does_not(reason: str, words: str, code: str, fatal: bool) -> None:
    """At the first word of it."""
    first = diagnose_start(pod(container(waiting=waiting(reason, words))), [], now=NOW)[0]
    assert (first.code, first.fatal, first.waiting) == (code, fatal, Waiting.IMAGE), first


@pytest.mark.parametrize(
    "image",
    [
        pytest.param("registry.test/access-denied/unauthorized:403", id="words of a refusal"),
        pytest.param("registry.test/not found", id="words of a lack"),
        pytest.param("registry.test/x@sha256:" + "403" * 21 + "4", id="a digest"),
    ],
)
def test_names_of_images_decide_nothing(image: str) -> None:
    """A timeout stays a timeout, whatever the image is called."""
    words = f'failed to pull image "{image}": failed to resolve {image}: unexpected EOF'
    status = {**container(waiting=waiting("ErrImagePull", words)), "image": image}
    first = diagnose_start(pod(status), [], now=NOW)[0]
    assert (first.code, first.fatal) == ("image-unreachable", False)
    words = f'failed to pull image "{image}": something that nobody has heard of'
    status = {**container(waiting=waiting("ErrImagePull", words)), "image": image}
    assert diagnose_start(pod(status), [], now=NOW)[0].code == "image-unreachable"


def test_a_bare_back_off_asks_the_last_failure_of_this_image() -> None:
    """Older kubelets say no reason with it; earlier failures and other containers' do not count."""
    back_off = container(waiting=waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))
    events: list[Json] = [
        event("Failed", f'Failed to pull image "{IMAGE}": dial tcp: i/o timeout, and many more words about it', 60),
        event("Failed", f'Failed to pull image "{IMAGE}": {PULL}{IMAGE}: not found', 20),
        event("Failed", 'Failed to pull image "registry.test/other:1": 403 Forbidden', 10),
        event("Failed", "Error: ImagePullBackOff", 5),
        event("BackOff", f'Back-off pulling image "{IMAGE}"', 1),
    ]
    assert diagnose_start(pod(back_off), events, now=NOW) == (
        Finding(
            "image-not-found",
            f"This profile's image does not exist ({IMAGE}).",
            "Choose another profile or image, and tell an administrator.",
            fatal=True,
            waiting=Waiting.IMAGE,
            detail=f'Failed to pull image "{IMAGE}": {PULL}{IMAGE}: not found',
        ),
    )


def test_the_image_of_a_helper_is_called_so() -> None:
    """The person did not choose it."""
    helper = container("gke-gcsfuse-sidecar", waiting=waiting("ErrImagePull", PULL + "403 Forbidden"))
    first = diagnose_start(pod(init=(helper,)), [], now=NOW)[0]
    assert first.message == f"The platform may not fetch the image of a helper of your server ({IMAGE})."


@pytest.mark.parametrize(
    "words",
    [
        "i/o timeout",
        "request timed out",
        "context deadline exceeded",
        "connect: connection refused",
        "read: connection reset by peer",
        "connect: no route to host",
        "connect: network is unreachable",
        "lookup r.test: no such host",
        "lookup r.test: server misbehaving",
        "Temporary failure in name resolution",
        "unexpected EOF",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "the registry is unavailable",
    ],
)
def test_what_passes_is_no_refusal_whatever_stands_beside_it(words: str) -> None:
    """A gateway that is broken answers with refusals too; only a clear word ends a start."""
    said = f"{PULL}failed to authorize: {words}: unauthorized, not found"
    for reason in ("ErrImagePull", "ImageInspectError"):
        first = diagnose_start(pod(container(waiting=waiting(reason, said))), [], now=NOW)[0]
        assert (first.code, first.fatal) == ("image-unreachable", False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param("unauthorized: no", "image-forbidden", id="unauthorized"),
        pytest.param("no basic auth credentials", "image-forbidden", id="no credentials"),
        pytest.param("authentication required", "image-forbidden", id="sign in"),
        pytest.param("requested access to the resource is denied: forbidden", "image-forbidden", id="forbidden"),
        pytest.param("denied", "image-forbidden", id="one word"),
        pytest.param("manifest unknown", "image-not-found", id="manifest"),
        pytest.param("repository name unknown to registry: name unknown", "image-not-found", id="name"),
        pytest.param("repository r does not exist", "image-not-found", id="repository"),
        pytest.param("repository name must be lowercase", "image-name-invalid", id="capitals"),
        pytest.param("exec format error", "image-wrong-platform", id="format"),
        pytest.param("x509: certificate has expired", "image-untrusted", id="expired"),
        pytest.param("pull QPS exceeded: rate limit", "image-rate-limited", id="rate"),
    ],
)
def test_words_of_registries(words: str, code: str) -> None:
    """One by one."""
    assert diagnose_start(pod(container(waiting=waiting("ErrImagePull", words))), [], now=NOW)[0].code == code


def test_the_status_says_more_than_older_events() -> None:
    """Events may lag behind, or be of the pull before this one."""
    old = event("Failed", f'Failed to pull image "{IMAGE}": 403 Forbidden', 60)
    now = container(waiting=waiting("ErrImagePull", "dial tcp: i/o timeout"))
    assert diagnose_start(pod(now), [old], now=NOW)[0].code == "image-unreachable"
