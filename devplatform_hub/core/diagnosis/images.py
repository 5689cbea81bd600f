"""Why an image cannot be had, from the words of kubelet, containerd and registries."""

import re
from collections.abc import Sequence

from .events import Said, text
from .model import Finding, Waiting

WAITS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
}
"""The reasons for which a container waits that are about its image."""
_WRONG_PLATFORM = ("no match for platform", "exec format error", "does not match the specified platform")
_UNTRUSTED = ("x509", "certificate signed by unknown authority", "signature validation failed")
_RATE = ("toomanyrequests", "too many requests", "rate limit")
# What passes comes first: a registry behind a gateway says "denied" and "timeout" in one sentence.
_PASSING = (
    "timeout",
    "timed out",
    "deadline exceeded",
    "connection refused",
    "connection reset",
    "no route to host",
    "network is unreachable",
    "no such host",
    "server misbehaving",
    "temporary failure",
    "unexpected eof",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
    "registry is unavailable",
)
_NAMELESS = ("invalid reference format", "couldn't parse image", "must be lowercase")
_FORBIDDEN = ("unauthorized", "forbidden", "access denied", "denied:", "no basic auth", "authentication required")
_PERMISSION = re.compile(r"permission \"\" denied|permission '[^']*' denied|^denied|: denied")
_GONE = ("not found", "manifest unknown", "name unknown", "does not exist")
_QUOTED = re.compile(r'"([^"]{1,400})"')
_ASK = "Choose another profile or image, and tell an administrator."
_AGAIN = "It is tried again."


def image_finding(
    reason: str, words: str, heard: Sequence[Said] = (), image: str = "", *, whose: str = "This profile's image"
) -> Finding:
    """The finding for a container that waits with this reason, such as `ErrImagePull`, and these words.

    The events `heard` are asked where a back-off hides the failure; `image` is what the container's status calls it.
    """
    words = _telling(words, heard, image)
    low = _without_names(words, image)
    named = image or next(iter(_QUOTED.findall(words)), "")
    code, message, hint, fatal = _cause(reason, low, whose)
    if named:
        message = f"{message.removesuffix('.')} ({text(named)[:200]})."
    return Finding(code, message, hint, fatal=fatal, waiting=Waiting.IMAGE, detail=text(words))


def _cause(reason: str, low: str, what: str) -> tuple[str, str, str, bool]:
    def has(*marks: str) -> bool:
        return any(mark in low for mark in marks)

    if reason == "InvalidImageName" or has(*_NAMELESS):
        return "image-name-invalid", f"{what} has a name that is not valid.", _ASK, True
    if reason == "ErrImageNeverPull":
        return "image-not-present", f"{what} is not on the machine, and must not be fetched.", _ASK, True
    if has("no space left on device"):
        return "machine-disk-full", f"The machine has no room left for {_inside(what)}.", _AGAIN, False
    if has(*_RATE):
        return "image-rate-limited", f"{what} is asked for too often at its registry.", _AGAIN, False
    if has(*_WRONG_PLATFORM):
        return "image-wrong-platform", f"{what} is not made for this kind of machine.", _ASK, True
    if reason == "SignatureValidationFailed" or has(*_UNTRUSTED):
        return "image-untrusted", f"{what} or its registry is not trusted by the machine.", _ASK, True
    if has(*_PASSING):
        return "image-unreachable", f"{what} cannot be fetched at the moment.", _AGAIN, False
    # Registries answer alike to those who may not look and for what is not there: what they say first decides.
    if has(*_FORBIDDEN) or _PERMISSION.search(low):
        hint = "An administrator has to allow it, or correct the image's name."
        return "image-forbidden", f"The platform may not fetch {_inside(what)}.", hint, True
    if has(*_GONE):
        return "image-not-found", f"{what} does not exist.", _ASK, True
    return "image-unreachable", f"{what} cannot be fetched at the moment.", _AGAIN, False


def _inside(what: str) -> str:
    return what[0].lower() + what[1:]


def _telling(words: str, heard: Sequence[Said], image: str) -> str:
    """The words of the last failure: a back-off of older kubelets says nothing but that there was one."""
    if words and not (words.startswith("Back-off pulling image") and ": Err" not in words):
        return words
    pulls = ("Failed to pull image", "Failed to inspect image", "Failed to apply default image tag", "Container image")
    told = [one.message for one in heard if one.reason in ("Failed", "InspectFailed", "ErrImageNeverPull")]
    about = [message for message in told if message.startswith(pulls) and (not image or image in message)]
    return about[-1] if about else words


def _without_names(words: str, image: str) -> str:
    """What was said, less every name in it: an image may be called `denied` or have `403` in its digest."""
    names = {image, *_QUOTED.findall(words)} - {""}
    plain = _QUOTED.sub('""', words)
    for name in sorted(names, key=len, reverse=True):
        plain = plain.replace(name, '""')
    return plain.lower()
