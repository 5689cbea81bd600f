"""Why a container of a server does not run: its settings, its program, its memory, or the helper for buckets."""

import re
from datetime import datetime, timedelta

from .amounts import memory_limit
from .events import Json, Said, entries, last_words, mapping, text, time_of
from .full_disk import CANNOT_START, CODE, FULL, HINT, is_full
from .images import WAITS, image_finding
from .model import Finding, Waiting

CONFIG_GRACE = timedelta(seconds=5)
"""A secret or a config map may be made a moment after the pod; then it is missing."""
FUSE_SIDECARS = ("gke-gcsfuse-sidecar", "gke-gcsfuse-metadata-prefetch")
"""GKE's containers that mount buckets."""
_OBJECTS = (
    re.compile(r'\b(?P<kind>secret|configmap) "(?P<name>[^"]+)" not found'),
    re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) \S*?/(?P<name>\S+)"),
    re.compile(r"references non-existent (?P<kind>secret|config) key: (?P<key>\S+)"),
)
# The kubelet has not read yet what there may well be.
_NOT_READ_YET = ("failed to sync", "not yet been read", "not registered", "timed out waiting", "deadline exceeded")
_BUSY = ("deadline exceeded", "is reserved for", "connection refused", "transport is closing")
_CANNOT_START = ("CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun", "PreCreateHookError")
_NO_PROGRAM = ("executable file not found", "no such file or directory", "no command specified")
_ADMINISTRATOR = "Tell an administrator."
_OTHER = "Choose another profile or image, and tell an administrator."


def container_finding(one: Json, pod: Json, main: str, heard: list[Said], now: datetime) -> Finding | None:
    """What is wrong with the container of this status, or None."""
    name, state = str(one.get("name")), mapping(one.get("state"))
    waiting, ended = mapping(state.get("waiting")), mapping(state.get("terminated"))
    last = ended or mapping(mapping(one.get("lastState")).get("terminated"))
    reason, words = text(waiting.get("reason")), str(waiting.get("message") or "")
    is_fuse = name in FUSE_SIDECARS
    if reason in WAITS:
        whose = "This profile's image" if name == main else "The image of a helper of your server"
        return image_finding(reason, words, heard, text(one.get("image")), whose=whose)
    if reason == "CreateContainerConfigError":
        return _configuration(words, pod, heard, now)
    if reason in _CANNOT_START or ended.get("reason") in _CANNOT_START:
        return _cannot_start(words or str(ended.get("message") or ""))
    if is_fuse:
        return None if "running" in state and one.get("ready") else _sidecar(last, reason)
    if ended and ended.get("exitCode") == 0 and (name != main or not _is_over(pod)):
        return None  # a helper that has done its work
    if last and (reason == "CrashLoopBackOff" or ended):
        return _crash(name, main, pod, last, is_over=_is_over(pod) or reason == "CrashLoopBackOff")
    return None


def missing_object(words: str, late: bool, waiting: Waiting) -> Finding | None:
    """The finding where these words say that a secret or a config map, or a key of one, is not there; else None."""
    if "not registered" in words or "failed to sync" in words:
        message = "The settings of your server cannot be read yet."
        return Finding("config-not-ready", message, waiting=waiting, detail=text(words))
    found = next((match for one in _OBJECTS if (match := one.search(words))), None)
    if found is None:
        return None
    named = found.groupdict()
    kind = "secret" if named["kind"].lower() == "secret" else "config map"
    what = f'the {kind} "{text(named["name"])[:100]}"' if named.get("name") else f"a key of a {kind}"
    if named.get("key") and named.get("name"):
        what = f'"{text(named["key"])[:100]}" in {what}'
    message = f"Something that this profile needs is missing from the platform: {what}."
    hint = _ADMINISTRATOR if late else ""
    return Finding("config-missing", message, hint, fatal=late, waiting=waiting, detail=text(words))


def _is_over(pod: Json) -> bool:
    """Whether what ended stays ended. KubeSpawner's own policy and the cluster's start it again."""
    return mapping(pod.get("spec")).get("restartPolicy", "Never") == "Never"


def _configuration(words: str, pod: Json, heard: list[Said], now: datetime) -> Finding:
    began = [one.first for one in heard if one.reason == "Failed" and one.first and words and words in one.message]
    # Without events, the pod's own start is the only clock there is.
    first = min(began, default=None if heard else time_of(mapping(pod.get("status")).get("startTime")))
    late = first is not None and now - first > CONFIG_GRACE
    missing = missing_object(words, late, Waiting.CONTAINER)
    if missing:
        return missing
    if "non-root" in words or "runAsNonRoot" in words:
        message = "This profile's image wants to run as root, which is not allowed here."
        return Finding("image-needs-root", message, _OTHER, fatal=True, waiting=Waiting.CONTAINER, detail=text(words))
    passing = any(mark in words for mark in _NOT_READ_YET)
    message = "The settings of your server cannot be read yet."
    if not passing:
        message = "The settings of this profile do not fit the machine."
    return Finding(
        "config-not-ready" if passing else "config-invalid",
        message,
        "" if passing else _ADMINISTRATOR,
        fatal=late and not passing,
        waiting=Waiting.CONTAINER,
        detail=text(words),
    )


def _cannot_start(words: str) -> Finding:
    low = words.lower()
    if any(mark in low for mark in _BUSY):
        message = "The machine is slow to start your server."
        return Finding("machine-busy", message, "It is tried again.", waiting=Waiting.CONTAINER, detail=text(words))
    code, message, hint = "container-broken", "This profile's image cannot be started as a server.", _ADMINISTRATOR
    if any(mark in low for mark in FULL):
        code, message, hint = "machine-disk-full", "The disk of the machine is full.", "Start it again."
    elif any(mark in low for mark in _NO_PROGRAM):
        code, message, hint = "program-missing", "The program of your server is not in this profile's image.", _OTHER
    return Finding(code, message, hint, fatal=True, waiting=Waiting.CONTAINER, detail=text(words))


def _sidecar(last: Json, reason: str) -> Finding | None:
    if last.get("reason") == "OOMKilled":
        return sidecar_out_of_memory(text(last.get("message")))
    if reason == "CrashLoopBackOff" or last.get("exitCode"):
        message = "The helper that mounts your buckets fails."
        detail = text(last.get("message") or last.get("reason"))
        return Finding("sidecar-failing", message, _ADMINISTRATOR, waiting=Waiting.SIDECAR, detail=detail)
    return None


def sidecar_out_of_memory(detail: str = "") -> Finding:
    """The finding for GKE's bucket helper that was ended for its memory."""
    message = "The helper that mounts your buckets ran out of memory."
    hint = "An administrator can give it more in the profile (fuse: memory)."
    return Finding("sidecar-out-of-memory", message, hint, waiting=Waiting.SIDECAR, detail=detail)


def _crash(name: str, main: str, pod: Json, last: Json, *, is_over: bool) -> Finding:
    code, words = last.get("exitCode"), str(last.get("message") or "")
    is_main, detail = name == main, last_words(words)
    who = "Your server" if is_main else "A helper of your server"
    if last.get("reason") == "OOMKilled":
        limit = memory_limit(pod, name)
        message = f"{who} ran out of memory{f' ({limit})' if limit else ''} while it was starting."
        hint = "Choose a profile with more memory." if is_main else _ADMINISTRATOR
        return Finding("out-of-memory", message, hint, fatal=True, waiting=Waiting.CONTAINER, detail=detail)
    if is_full(code, words):
        return Finding(CODE, CANNOT_START, HINT, fatal=True, waiting=Waiting.CONTAINER, detail=detail)
    message = f"{who} ended while it was starting (status {text(code)})."
    return Finding("server-crashes", message, _ADMINISTRATOR, is_over, waiting=Waiting.CONTAINER, detail=detail)


def is_sidecar(pod: Json, name: str) -> bool:
    """Whether this container starts before the server and runs beside it."""
    given = entries(mapping(pod.get("spec")).get("initContainers"))
    return name in FUSE_SIDECARS or any(
        one.get("name") == name and one.get("restartPolicy") == "Always" for one in given
    )
