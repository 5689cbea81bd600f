"""Why a server is not there yet: its pod and the events about it, most important cause first."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from .capacity import scheduling_finding
from .events import Json, Said, entries, mapping, said, text
from .images import image_finding
from .model import Finding, Waiting

CONFIG_GRACE = timedelta(seconds=5)
"""A secret or a config map may be made a moment after the pod; then it is missing."""
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_PULL_FAILED = ("Failed to pull image", "Failed to apply default image tag", "Error: ")
_SIDECARS = ("gke-gcsfuse-sidecar", "gke-gcsfuse-metadata-prefetch")
_FULL = "no space left on device"
_NO_SPACE = 28  # errno ENOSPC, with which our start hooks end
_OUT_OF_MEMORY_HINT = "Choose a profile with more memory."
_ADMINISTRATOR = "Tell an administrator."
_REJECTED = ("UnexpectedAdmissionError", "OutOf", "NodeAffinity", "Preempting")


def diagnose_start(
    pod: Json | None, events: Sequence[Json], *, container: str = "notebook", now: datetime
) -> tuple[Finding, ...]:
    """Every cause that is known now, fatal ones first; () while all goes as it should.

    `pod` and `events` are the API's own JSON, events oldest first; `now` is UTC.
    """
    heard = said(events)
    if pod is None:
        return ()
    status = mapping(pod.get("status"))
    found = [
        _gated(pod, heard),
        _rejected(status),
        *(_container(one, container, heard, now) for one in _containers(status)),
        _volumes(status, heard),
        _sandbox(status, heard),
        None if _is_scheduled(pod) else scheduling_finding(heard, now),
    ]
    causes = [finding for finding in found if finding is not None]
    causes.sort(key=lambda finding: not finding.fatal)
    return tuple(dict.fromkeys(causes)) or _usual(pod, status, heard)


def _gated(pod: Json, heard: list[Said]) -> Finding | None:
    gates = entries(mapping(pod.get("spec")).get("schedulingGates"))
    if not gates:
        return None
    kueue = any(str(gate.get("name", "")).startswith("kueue.x-k8s.io/") for gate in gates)
    detail = next((text(e.message) for e in reversed(heard) if e.reason in ("Pending", "QuotaReserved")), "")
    message = "Your server waits in the queue for its turn." if kueue else "Your server is held back before it starts."
    hint = "It starts by itself when what it asks for becomes free. You may close this page." if kueue else ""
    return Finding("queued", message, hint, waiting=Waiting.QUEUE, detail=detail)


def _rejected(status: Json) -> Finding | None:
    """A machine that took the server and then would not have it."""
    reason = str(status.get("reason") or "")
    if status.get("phase") != "Failed" or not reason.startswith(_REJECTED):
        return None
    message = "The machine that was chosen could not take your server after all."
    return Finding(
        "machine-refused", message, "Start it again.", fatal=True, no_capacity=True, detail=text(status.get("message"))
    )


def _containers(status: Json) -> list[Json]:
    return entries(status.get("initContainerStatuses")) + entries(status.get("containerStatuses"))


def _container(one: Json, main: str, heard: list[Said], now: datetime) -> Finding | None:
    name, state = str(one.get("name")), mapping(one.get("state"))
    waiting, ended = mapping(state.get("waiting")), mapping(state.get("terminated"))
    last = ended or mapping(mapping(one.get("lastState")).get("terminated"))
    reason, words = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    if name in _SIDECARS:
        return _sidecar(last, reason)
    if reason in _IMAGE:
        told = [
            e.message for e in heard if e.reason in ("Failed", "InspectFailed") and e.message.startswith(_PULL_FAILED)
        ]
        # The back-off that follows says less than the failure did.
        return image_finding(reason if reason != "ImagePullBackOff" else "ErrImagePull", _best([words, *told]))
    if reason == "CreateContainerConfigError":
        return _configuration(words, heard, now)
    if reason in ("CreateContainerError", "RunContainerError", "StartError"):
        message = "This profile's image cannot be started as a server."
        return Finding("container-broken", message, _ADMINISTRATOR, True, waiting=Waiting.CONTAINER, detail=text(words))
    if last and (reason == "CrashLoopBackOff" or ended):
        return _crash(name == main, last)
    return None


def _best(words: list[str]) -> str:
    """What says most about a failed pull: the longest that is not a mere back-off."""
    telling = [text_ for text_ in words if text_ and not text_.startswith(("Back-off", "Error: "))]
    return max(telling or words, key=len)


def _sidecar(last: Json, reason: str) -> Finding | None:
    if last.get("reason") == "OOMKilled":
        message = "The helper that mounts your buckets ran out of memory."
        hint = "An administrator can give it more in the profile (fuse: memory)."
        return Finding("sidecar-out-of-memory", message, hint, waiting=Waiting.SIDECAR)
    if reason == "CrashLoopBackOff" or last.get("exitCode"):
        message = "The helper that mounts your buckets fails."
        detail = text(last.get("message") or last.get("reason"))
        return Finding("sidecar-failing", message, _ADMINISTRATOR, waiting=Waiting.SIDECAR, detail=detail)
    return None


def _configuration(words: str, heard: list[Said], now: datetime) -> Finding:
    first = next((event.first for event in heard if event.reason == "Failed" and event.first), None)
    late = first is not None and now - first > CONFIG_GRACE
    message = "Something that this profile needs is missing from the platform."
    return Finding("config-missing", message, _ADMINISTRATOR, fatal=late, waiting=Waiting.CONTAINER, detail=text(words))


def _crash(is_main: bool, last: Json) -> Finding:
    code, words = last.get("exitCode"), str(last.get("message") or "")
    if last.get("reason") == "OOMKilled":
        message = "Your server ran out of memory while it was starting."
        return Finding("out-of-memory", message, _OUT_OF_MEMORY_HINT, fatal=True, waiting=Waiting.CONTAINER)
    if code == _NO_SPACE or _FULL in words.lower():
        message = "Your home disk is full, so your server cannot start."
        hint = "Start it once more in safe mode and delete what you no longer need."
        return Finding("disk-full", message, hint, fatal=True, waiting=Waiting.CONTAINER, detail=text(words))
    what = "Your server" if is_main else "A helper of your server"
    message = f"{what} ended while it was starting (status {code})."
    return Finding(
        "server-crashes", message, _ADMINISTRATOR, fatal=is_main, waiting=Waiting.CONTAINER, detail=text(words)
    )


def _volumes(status: Json, heard: list[Said]) -> Finding | None:
    if any(mapping(one.get("state")).get("running") for one in _containers(status)):
        return None
    failed = next(
        (e for e in reversed(heard) if e.reason in ("FailedMount", "FailedAttachVolume", "ProvisioningFailed")), None
    )
    if failed is None:
        return None
    low, detail = failed.message.lower(), text(failed.message)
    hint = ""
    if "multi-attach" in low:
        code, message = "disk-in-use", "Your home disk is still in use by another server of yours, on another machine."
        hint = "Stop that server, or wait a few minutes if it has just ended."
    elif "gcsfuse" in low and any(word in low for word in ("permissiondenied", "403", "does not have")):
        code, message = "bucket-forbidden", "Your server may not read one of its buckets."
        hint = "An administrator has to grant it."
    elif "gcsfuse" in low and any(word in low for word in ("notfound", "404", "not exist")):
        code, message, hint = "bucket-not-found", "One of this profile's buckets does not exist.", _ADMINISTRATOR
    elif "gcsfuse" in low or "metadata" in low:
        code, message = "bucket-not-ready", "Your buckets cannot be mounted yet."
    elif ("secret" in low or "configmap" in low) and "not found" in low:
        code, message, hint = "config-missing", "Something that this profile needs is missing.", _ADMINISTRATOR
    elif failed.reason == "ProvisioningFailed":
        code, message, hint = "disk-not-made", "Your home disk could not be made.", _ADMINISTRATOR
    else:
        code, message = "disk-not-ready", "Your home disk cannot be attached yet."
    fatal = code in ("bucket-forbidden", "bucket-not-found")
    return Finding(code, message, hint, fatal=fatal, waiting=Waiting.VOLUME, detail=detail)


def _sandbox(status: Json, heard: list[Said]) -> Finding | None:
    failed = next((e for e in reversed(heard) if e.reason in ("FailedCreatePodSandBox", "NetworkNotReady")), None)
    if failed is None or (entries(status.get("containerStatuses")) and status.get("phase") != "Pending"):
        return None
    message = "The machine's network is not ready yet."
    return Finding("machine-not-ready", message, waiting=Waiting.NODE, detail=text(failed.message))


def _usual(pod: Json, status: Json, heard: list[Said]) -> tuple[Finding, ...]:
    """What an untroubled start waits for."""
    if not _is_scheduled(pod):
        return (Finding("finding-machine", "Looking for a machine.", waiting=Waiting.SCHEDULER),)
    reasons = [event.reason for event in heard]
    if "Pulling" in reasons and "Pulled" not in reasons[reasons.index("Pulling") :]:
        return (Finding("pulling-image", "Fetching the image.", waiting=Waiting.IMAGE),)
    if status.get("phase") == "Pending":
        return (Finding("preparing", "Preparing the machine.", waiting=Waiting.CONTAINER),)
    return (Finding("starting", "Starting your server.", waiting=Waiting.SERVER),)


def _is_scheduled(pod: Json) -> bool:
    if mapping(pod.get("spec")).get("nodeName"):
        return True
    conditions = entries(mapping(pod.get("status")).get("conditions"))
    return any(c.get("type") == "PodScheduled" and c.get("status") == "True" for c in conditions)
