"""Why a server that ran does not run any more."""

from collections.abc import Sequence
from datetime import datetime

from .amounts import memory_limit
from .containers import FUSE_SIDECARS
from .events import Json, Said, condition, entries, last_words, latest, mapping, said, text, time_of
from .full_disk import CODE, ENDED, HINT, is_full
from .model import Ending

_AGAIN = "Start it again."
_LESS = "Choose a profile with more memory, or load less at a time."
_GONE = "Your server is gone from the cluster."
_LOST = ("DeletionByTaintManager", "DeletionByPodGC")
_SPOT = ("cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible")
_KILLED = 137  # 128 + SIGKILL
_ASKED = (130, 143)  # 128 + SIGINT, SIGTERM


def diagnose_end(pod: Json | None, events: Sequence[Json], *, container: str = "notebook") -> Ending:
    """The reason, from the pod as it was last seen (None: it was never seen) and the events about it.

    Events of an earlier server of the same name are passed over.
    """
    heard = said(events)
    uid = text(mapping(mapping(pod).get("metadata")).get("uid")) or (heard[-1].about if heard else "")
    heard = [one for one in heard if not uid or one.about in ("", uid)]
    if pod is None:
        return _from_events(heard) or Ending("gone", _GONE, _AGAIN)
    status = mapping(pod.get("status"))
    ended = _terminated(status, container)
    code = ended.get("exitCode")
    exit_code = code if isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 256 else 1
    limit = memory_limit(pod, container)
    memory = f"used more memory than {'its ' + limit if limit else 'it has'}"
    # containerd gives this reason to whatever end comes after that of any one process, be it a kernel of last week.
    was_killed = ended.get("reason") == "OOMKilled"
    if was_killed and exit_code == _KILLED:
        return Ending("out-of-memory", f"It {memory}, so it was ended.", _LESS, _KILLED)
    taken = _taken(pod, status, ended, exit_code or 1)
    if taken:
        return taken
    if mapping(pod.get("metadata")).get("deletionTimestamp"):
        return _from_events(heard) or Ending("deleted", "It was deleted from outside the platform.", _AGAIN)
    if was_killed and exit_code not in (0, *_ASKED) and not is_full(exit_code, ended.get("message")):
        message = f"A part of it {memory} and was ended; then its program ended with status {exit_code}."
        return Ending("out-of-memory", message, _LESS, exit_code)
    if ended:
        return _program(status, ended, exit_code)
    return _from_events(heard) or Ending("gone", _GONE, _AGAIN)


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


def _taken(pod: Json, status: Json, ended: Json, exit_code: int) -> Ending | None:
    """Why the cluster took it away, or None where it did not.

    The kubelet gives every end of its making the condition `TerminationByKubelet`: what it calls it says which.
    """
    reason, words = str(status.get("reason") or ""), text(status.get("message"))
    target = condition(status, "DisruptionTarget")
    disrupted = str(target.get("reason") or "") if target.get("status") == "True" else ""
    if reason == "Evicted":
        return _evicted(words, exit_code)
    if reason in ("Preempted", "Preempting") or disrupted == "PreemptionByScheduler":
        return Ending("pre-empted", "It had to make room for a more important server.", _AGAIN, exit_code)
    if condition(status, "TerminationTarget").get("status") == "True":
        return Ending("pre-empted", "The queue gave its place to a more important server.", _AGAIN, exit_code)
    if reason in ("NodeShutdown", "Terminated", "Shutdown") or disrupted == "TerminationByKubelet":
        return _machine_taken(pod, exit_code)
    if disrupted == "EvictionByEvictionAPI":
        message = "Its machine was emptied, for maintenance or to save cost."
        return Ending("machine-drained", message, _AGAIN, exit_code)
    unknown = ended.get("reason") == "ContainerStatusUnknown"
    if reason == "NodeLost" or disrupted in _LOST or unknown or _is_unreachable(status):
        return Ending("machine-lost", "Its machine does not answer any more.", _AGAIN, exit_code)
    if reason == "DeadlineExceeded":
        return Ending("time-limit", "It ran for as long as this profile allows.", _AGAIN, exit_code)
    return None


def _machine_taken(pod: Json, exit_code: int) -> Ending:
    chosen = mapping(mapping(pod.get("spec")).get("nodeSelector"))
    if any(chosen.get(label) == "true" for label in _SPOT):
        hint = f"{_AGAIN} A profile without spot machines is not ended so."
        return Ending("machine-taken", "Its spot machine was taken back by Google Cloud.", hint, exit_code)
    return Ending("machine-taken", "Its machine was shut down.", _AGAIN, exit_code)


def _evicted(words: str, exit_code: int) -> Ending:
    """What the kubelet measured: the server's own use above its limit, or a machine that ran out of something."""
    low = words.lower()
    if "emptydir" in low or ("ephemeral" in low and "limit" in low):
        message = "It used more temporary disk space than it may."
        return Ending("evicted-disk", message, "Write large files to your home or a bucket, not to /tmp.", exit_code)
    if any(mark in low for mark in ("ephemeral", "storage", "disk", "nodefs", "imagefs", "inode")):
        message = "Its machine ran out of temporary disk space."
        return Ending("evicted-disk", message, "Write large files to your home or a bucket, not to /tmp.", exit_code)
    if "memory" in low:
        return Ending("evicted-memory", "Its machine ran out of memory.", _AGAIN, exit_code)
    if "pid" in low:
        return Ending("evicted-processes", "Its machine ran out of processes.", _AGAIN, exit_code)
    return Ending("evicted", "It had to leave its machine.", _AGAIN, exit_code)


def _program(status: Json, ended: Json, exit_code: int) -> Ending:
    """Its own program came to an end."""
    words = last_words(ended.get("message"))
    if exit_code == 0:
        return Ending("shut-down", "It was shut down from inside.", "", 0)
    if is_full(exit_code, ended.get("message")):
        return Ending(CODE, ENDED, HINT, exit_code)
    if _is_fuse_out_of_memory(status):
        hint = "An administrator can give it more in the profile (fuse: memory)."
        return Ending("sidecar-out-of-memory", "The helper that mounts its buckets ran out of memory.", hint, exit_code)
    if exit_code == _KILLED:
        return Ending("killed", "Its program was killed.", _AGAIN, exit_code)
    if exit_code in _ASKED:
        return Ending("shut-down", "Its program was asked to end.", _AGAIN, exit_code)
    return Ending("ended", f"Its program ended with status {exit_code}. {words}".strip(), _AGAIN, exit_code)


def _from_events(heard: list[Said]) -> Ending | None:
    """What is known of a server that is gone itself."""
    why = latest(heard, "Evicted", "Preempted", "Preempting", "TaintManagerEviction", "NodeControllerEviction")
    if why and why.reason == "Evicted":
        return _evicted(why.message, 1)
    if why and why.reason in ("Preempted", "Preempting"):
        return Ending("pre-empted", "It had to make room for a more important server.", _AGAIN)
    if (why and "Cancelling" not in why.message) or latest(heard, "NodeNotReady"):
        return Ending("machine-lost", "Its machine does not answer any more.", _AGAIN)
    if latest(heard, "Killing"):
        return Ending("deleted", "It was deleted from outside the platform.", _AGAIN)
    return None


def _terminated(status: Json, container: str) -> Json:
    for one in entries(status.get("containerStatuses")):
        if one.get("name") == container:
            return mapping(mapping(one.get("state")).get("terminated")) or mapping(
                mapping(one.get("lastState")).get("terminated")
            )
    return {}


def _is_fuse_out_of_memory(status: Json) -> bool:
    for one in entries(status.get("initContainerStatuses")) + entries(status.get("containerStatuses")):
        states = mapping(one.get("state")), mapping(one.get("lastState"))
        if one.get("name") in FUSE_SIDECARS:
            return any(mapping(state.get("terminated")).get("reason") == "OOMKilled" for state in states)
    return False


def _is_unreachable(status: Json) -> bool:
    ready = condition(status, "Ready")
    return ready.get("reason") in ("NodeStatusUnknown", "NodeLost")


def stopped_by(kind: str, name: str) -> Ending:
    """What a person reads whose server somebody else stopped. `kind` is the hub's word for who: `user` or `service`."""
    if kind == "user":
        return Ending("stopped-by-administrator", "An administrator stopped it.", "Your files are kept.", 0)
    if "cull" in name:
        return Ending("culled", "It was stopped because it was not in use.", "Your files are kept.", 0)
    return Ending("stopped-by-service", f"The service {name} stopped it.", "Your files are kept.", 0)
