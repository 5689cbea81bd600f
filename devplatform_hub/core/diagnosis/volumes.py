"""Why a disk or a bucket is not there, from the words of kubelet, attach controller and the GCSFuse driver."""

import re
from collections.abc import Sequence
from datetime import datetime

from .containers import CONFIG_GRACE, missing_object, sidecar_out_of_memory
from .events import Json, Said, entries, latest, mapping, since, text
from .model import Finding, Waiting

STEPS = ("Pulling", "Pulled", "Created", "Started")
"""The kubelet mounts everything before it does any of these, so what failed before has healed."""
FAILURES = ("FailedMount", "FailedAttachVolume", "ProvisioningFailed", "FailedBinding", "FailedMapVolume")
FUSE_DRIVER = "gcsfuse.csi.storage.gke.io"
_VOLUME = re.compile(r'for volume "([^"]{1,253})"')
_FUSE_WORDS = ("gcsfuse", "gcs bucket", "sidecar container", "storage service", "gcs fuse")
_ADMINISTRATOR = "Tell an administrator."
_LOST = ("bound to non-existent", "failed to find disk", "could not find disk")
_DAMAGED = ("bad superblock", "could not correct them", "structure needs cleaning")


def volume_finding(pod: Json, heard: Sequence[Said], now: datetime, *, is_running: bool) -> Finding | None:
    """What keeps a disk or a bucket from the server, or None. A bucket may also fail after the server has begun."""
    failed = latest(since(heard, (*STEPS, "SuccessfulAttachVolume", "SuccessfulMountVolume")), *FAILURES)
    if failed is None:
        return None
    bucket = _bucket(pod, failed.message)
    if bucket is not None:
        return _fuse(failed, bucket)
    if is_running:
        return None
    late = failed.first is not None and now - failed.first > CONFIG_GRACE
    return missing_object(failed.message, late, Waiting.VOLUME) or _disk(failed, _what(pod, failed.message))


def _bucket(pod: Json, words: str) -> str | None:
    """The name of the bucket that these words are about, "" where that is not known; None for any other volume."""
    match = _VOLUME.search(words)
    for volume in entries(mapping(pod.get("spec")).get("volumes")):
        if match and volume.get("name") == match[1]:
            source = mapping(volume.get("csi"))
            attributes = mapping(source.get("volumeAttributes"))
            return text(attributes.get("bucketName"))[:100] if source.get("driver") == FUSE_DRIVER else None
    low = words.lower()
    return "" if any(mark in low for mark in _FUSE_WORDS) else None


def _fuse(failed: Said, bucket: str) -> Finding:
    """By the code of the driver's answer, as its troubleshooting guide lists them."""
    low = failed.message.lower()

    def has(*marks: str) -> bool:
        return any(mark in low for mark in marks)

    named = f'the bucket "{bucket}"' if bucket else "one of its buckets"
    code, message, hint, fatal = (
        "bucket-not-ready",
        f"Your server cannot mount {named} yet.",
        "It is tried again.",
        False,
    )
    if has("oomkilled", "signal: killed", "code = resourceexhausted"):
        return sidecar_out_of_memory(failed.detail)
    if has("permissiondenied", "error 403", "does not have storage"):
        code, message, fatal = "bucket-forbidden", f"Your server may not use {named}.", True
        hint = "An administrator has to grant it."
    elif has("code = notfound", "error 404", "bucket doesn't exist", "bucket does not exist"):
        what = f'The bucket "{bucket}"' if bucket else "One of this profile's buckets"
        code, message, hint, fatal = "bucket-not-found", f"{what} does not exist.", _ADMINISTRATOR, True
    elif has("code = invalidargument", "incorrect usage"):
        message = f"The options with which this profile mounts {named} are not valid."
        code, hint, fatal = "bucket-options-invalid", _ADMINISTRATOR, True
    elif has("failed to find the sidecar container"):
        message = "The helper that mounts buckets was not added to your server."
        code, hint, fatal = "sidecar-missing", _ADMINISTRATOR, True
    elif has("list of registered csi drivers"):
        message, hint = "The machine is not ready to mount buckets yet.", "On a new machine this takes a few minutes."
    elif has("code = unauthenticated", "token", "metadata"):
        hint = "Its rights are not known to the machine yet; that may take a few minutes."
    elif has("sidecar container failed", "gcsfuse exited"):
        code, message, hint = "sidecar-failing", f"The helper that mounts {named} fails.", _ADMINISTRATOR
    waiting = Waiting.SIDECAR if code.startswith("sidecar") else Waiting.VOLUME
    return Finding(code, message, hint, fatal=fatal, waiting=waiting, detail=failed.detail)


def _what(pod: Json, words: str) -> str:
    """What a person calls this volume. A claim is told of by the name of its disk, all else by that in the pod."""
    volumes = entries(mapping(pod.get("spec")).get("volumes"))
    match = _VOLUME.search(words)
    own = [one for one in volumes if match and one.get("name") == match[1]]
    claims = [one for one in volumes if one.get("persistentVolumeClaim")]
    if own and not own[0].get("persistentVolumeClaim"):
        return "One of your server's folders"
    return "Your home disk" if len(claims) < 2 else "One of your server's disks"


def _disk(failed: Said, what: str) -> Finding:
    low = failed.message.lower()

    def has(*marks: str) -> bool:
        return any(mark in low for mark in marks)

    code, message, hint, fatal = "disk-not-ready", f"{what} cannot be attached yet.", "It is tried again.", False
    if has("multi-attach", "resource_in_use", "already being used"):
        code, message = "disk-in-use", f"{what} is still in use by another server, on another machine."
        hint = "Stop your other server, or wait a few minutes if it has just ended."
    elif has(*_LOST):
        code, message, hint = "disk-lost", f"{what} does not exist any more.", "Ask an administrator."
        fatal = True
    elif has(*_DAMAGED):
        code, message, hint = "disk-damaged", f"{what} has a damaged file system.", "Ask an administrator."
        fatal = True
    elif failed.reason in ("ProvisioningFailed", "FailedBinding"):
        code, message, hint = "disk-not-made", f"{what} could not be made.", _ADMINISTRATOR
        if has("quota"):
            message = f"{what} could not be made: the cloud project's quota of disks is used up."
    return Finding(code, message, hint, fatal=fatal, waiting=Waiting.VOLUME, detail=failed.detail)
