"""Why a server that ran does not run any more."""

from collections.abc import Sequence
from datetime import datetime

from ..quantities import format_size
from .events import Json, entries, mapping, said, text, time_of
from .model import Ending

_AGAIN = "Start it again."
_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def diagnose_end(pod: Json | None, events: Sequence[Json], *, container: str = "notebook") -> Ending:
    """The reason, from the pod as it was last seen (None: it was never seen) and the events about it."""
    if pod is None:
        return Ending("gone", "Your server is gone from the cluster.", _AGAIN)
    status = mapping(pod.get("status"))
    ended = _terminated(status, container)
    code = ended.get("exitCode")
    exit_code = code if isinstance(code, int) else 1
    if ended.get("reason") == "OOMKilled":
        limit = _limit(pod, container)
        message = f"It used more memory than {'its ' + limit if limit else 'it has'}, so it was ended."
        return Ending("out-of-memory", message, "Choose a profile with more memory, or load less at a time.", 137)
    disrupted = _disruption(status)
    reason = str(status.get("reason") or "")
    if reason in ("Preempted", "Preempting") or disrupted == "PreemptionByScheduler":
        return Ending("pre-empted", "It had to make room for a more important server.", _AGAIN, exit_code)
    if reason in ("NodeShutdown", "Terminated", "Shutdown") or disrupted == "TerminationByKubelet":
        hint = f"{_AGAIN} A profile without spot machines is not ended so."
        return Ending("machine-taken", "Its machine was taken away by Google Cloud.", hint, exit_code)
    if reason == "Evicted" or disrupted == "EvictionByEvictionAPI":
        return _evicted(text(status.get("message")), exit_code)
    if reason == "NodeLost" or disrupted == "DeletionByTaintManager" or _is_unreachable(status):
        return Ending("machine-lost", "Its machine does not answer any more.", _AGAIN, exit_code)
    if ended:
        if exit_code == 0:
            return Ending("shut-down", "It was shut down from inside.", "", 0)
        detail = text(ended.get("message"))
        return Ending("ended", f"Its program ended with status {exit_code}. {detail}".strip(), _AGAIN, exit_code)
    if any(event.reason == "Killing" for event in said(events)) or mapping(pod.get("metadata")).get(
        "deletionTimestamp"
    ):
        return Ending("deleted", "It was deleted from outside the platform.", _AGAIN, exit_code)
    return Ending("gone", "Your server is gone from the cluster.", _AGAIN, exit_code)


def has_ended(pod: Json, now: datetime, lost_after: float, *, container: str = "notebook") -> bool:
    """Whether a server that ran is over: its program ended, or it should be gone and its machine does not answer."""
    status = mapping(pod.get("status"))
    asked = time_of(mapping(pod.get("metadata")).get("deletionTimestamp"))
    if asked is not None and (now - asked).total_seconds() > lost_after:
        return True
    state = next((one for one in entries(status.get("containerStatuses")) if one.get("name") == container), None)
    if state is None:
        return status.get("phase") in ("Failed", "Succeeded")
    return "terminated" in mapping(state.get("state")) or status.get("phase") in ("Failed", "Succeeded")


def _evicted(words: str, exit_code: int) -> Ending:
    low = words.lower()
    if "ephemeral" in low or "storage" in low or "disk" in low:
        message = "It used more temporary disk space than its machine could give."
        return Ending("evicted-disk", message, "Write large files to your home or a bucket, not to /tmp.", exit_code)
    if "memory" in low:
        return Ending("evicted-memory", "Its machine ran out of memory.", _AGAIN, exit_code)
    return Ending("evicted", "It had to leave its machine.", _AGAIN, exit_code)


def _terminated(status: Json, container: str) -> Json:
    for one in entries(status.get("containerStatuses")):
        if one.get("name") == container:
            return mapping(mapping(one.get("state")).get("terminated")) or mapping(
                mapping(one.get("lastState")).get("terminated")
            )
    return {}


def _disruption(status: Json) -> str:
    return next(
        (
            str(condition.get("reason"))
            for condition in entries(status.get("conditions"))
            if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True"
        ),
        "",
    )


def _is_unreachable(status: Json) -> bool:
    return any(
        condition.get("type") == "Ready" and condition.get("reason") in ("NodeStatusUnknown", "NodeLost")
        for condition in entries(status.get("conditions"))
    )


def _limit(pod: Json, container: str) -> str:
    for one in entries(mapping(pod.get("spec")).get("containers")):
        if one.get("name") == container:
            given = str(mapping(mapping(one.get("resources")).get("limits")).get("memory") or "")
            unit = next((unit for unit in _UNITS if given.endswith(unit)), "")
            number = given.removesuffix(unit)
            if number.isdecimal():
                return format_size(int(number) * _UNITS.get(unit, 1))
    return ""
