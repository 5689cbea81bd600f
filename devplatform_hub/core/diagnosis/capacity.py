"""Whether a machine can be found, from the words of the scheduler and of the cluster autoscaler."""

import re
from datetime import datetime, timedelta

from .events import Json, Said, condition, latest, mapping, text, time_of
from .model import Finding, Waiting

AUTOSCALER_GRACE = timedelta(seconds=30)
"""So long a start waits for an autoscaler's word before it looks for another place."""
UNFIT_GRACE = timedelta(seconds=60)
"""So long it waits for that word where no machine there is could ever hold the server; then it ends."""
CLAIM_GRACE = timedelta(seconds=45)
"""The scheduler may hear of a disk later than of the server that was made after it: half a minute after an outage."""
SCALE_UP_PATIENCE = timedelta(minutes=10)
"""A machine that is being added comes within minutes; GKE's autoscaler itself gives up after fifteen."""
_AUTOSCALER = ("TriggeredScaleUp", "NotTriggerScaleUp", "FailedScaleUp")
_COUNTED = re.compile(r"(?:^|, |: )(?P<count>\d+) (?P<why>.+?)(?=, \d+ |\. preemption:|\.?$)")
# Reasons that name a property of an empty machine of a group. All else, such as a full group or a back-off, may pass.
_NEVER = re.compile(r"Insufficient |Too many pods|node\(s\) (?!were unschedulable|had unknown)|pod has unbound")
_OTHERS_LEAVE = re.compile(
    r"Insufficient |Too many pods|node\(s\) (?:were unschedulable|had unknown|didn't have free ports|had no available "
    r"disk|didn't satisfy existing pods|didn't match pod anti-|exceed max volume|unavailable due to)|"
    r"node\.kubernetes\.io/|had disk pressure|ToBeDeleted"
)
_DISK_ZONE = ("volume node affinity conflict", "no available volume zone", "PersistentVolume's node affinity")
_ZONES = re.compile(r"in zones? ([a-z0-9-]+(?:, [a-z0-9-]+)*) ")
_STOCKOUT = ("out of resources", "stockout", "resource_pool_exhausted", "resources are not available")
_QUOTA = ("quota exceeded", "quota_exceeded")
_LATER = "Choose another profile, or try again later."
_TELL = "Choose another profile, and tell an administrator."
_FLEX_START = "cloud.google.com/gke-flex-start"
_QUEUED = "consume-provisioning-request"


def scheduling_finding(pod: Json, heard: list[Said], now: datetime) -> Finding | None:
    """What keeps a server that no machine has yet from one, or None while nobody has said anything."""
    words, first, at = _scheduler(pod, heard)
    waited, same = (now - moment if moment else timedelta(0) for moment in (first, at))
    disk = _disk(words, same)
    if disk:
        return disk
    said = latest(heard, *_AUTOSCALER)
    if said and said.reason == "NotTriggerScaleUp":
        never = _never(said.message, words)
        if never or not is_ordered(pod):
            return never or _full(said)
    if said and said.reason == "TriggeredScaleUp":
        return _adding(said, now)
    if is_ordered(pod):
        message = "A machine is ordered for your server, which starts when there is one."
        hint = "You may close this page."
        return Finding("queued", message, hint, waiting=Waiting.QUEUE, detail=said.detail if said else text(words))
    if said:
        return _broken(said)
    return _unschedulable(words, waited, same) if words else None


def is_ordered(pod: Json) -> bool:
    """Whether its machine is ordered from the Dynamic Workload Scheduler, which may take hours and is no fault."""
    metadata, spec = mapping(pod.get("metadata")), mapping(pod.get("spec"))
    annotated = any(str(key).endswith(f"/{_QUEUED}") for key in mapping(metadata.get("annotations")))
    return annotated or mapping(spec.get("nodeSelector")).get(_FLEX_START) == "true"


def _scheduler(pod: Json, heard: list[Said]) -> tuple[str, datetime | None, datetime | None]:
    """What the scheduler said last, when it first found no machine, and when it first said so in these words.

    The pod itself tells it where events are missing.
    """
    failed = latest(heard, "FailedScheduling")
    placed = condition(mapping(pod.get("status")), "PodScheduled")
    if placed.get("reason") != "Unschedulable" or placed.get("status") == "True":
        placed = {}
    words = failed.message if failed else " ".join(str(placed.get("message") or "")[:2000].split())
    times = [one.first for one in heard if one.reason == "FailedScheduling"]
    known = [time for time in (*times, time_of(placed.get("lastTransitionTime"))) if time]
    return words, min(known, default=None), failed.first if failed else min(known, default=None)


def _disk(words: str, waited: timedelta) -> Finding | None:
    def found(code: str, message: str, hint: str = "", *, fatal: bool = False) -> Finding:
        return Finding(code, message, hint, fatal=fatal, waiting=Waiting.VOLUME, detail=text(words))

    if "bound to non-existent p" in words:
        return found("disk-lost", "Your home disk does not exist any more.", "Ask an administrator.", fatal=True)
    if "persistentvolumeclaim" in words and "is being deleted" in words:
        return found("disk-going", "Your home disk is being deleted.", "Ask an administrator.", fatal=True)
    if "persistentvolumeclaim" in words and "not found" in words:
        if waited <= CLAIM_GRACE:
            return found("disk-missing", "The cluster does not know of your home disk yet.")
        return found("disk-missing", "Your home disk is missing.", "Ask an administrator.", fatal=True)
    if "provisioning failed for PVC" in words:
        return found("disk-not-made", "Your home disk could not be made.", "Tell an administrator.")
    if any(mark in words for mark in ("pod has unbound", "binding volumes", "to create the persistentvolumeclaim")):
        return found("disk-pending", "Your home disk is being made.")
    return None


def _adding(event: Said, now: datetime) -> Finding:
    message = "A machine is being added for your server."
    late = bool(event.last and now - event.last > SCALE_UP_PATIENCE)
    if late:
        message = "A machine was to be added for your server, but it does not come."
    return Finding("scaling-up", message, no_capacity=late, waiting=Waiting.NODE, detail=event.detail)


def _broken(event: Said) -> Finding:
    """Why Google Cloud gave no machine; the autoscaler goes on in other zones, where there are some."""
    low = event.message.lower()
    zones = _ZONES.search(event.message)
    where = f" in {text(zones[1])}" if zones else ""
    code, message, hint = "no-capacity", f"A machine of this kind could not be added{where} at the moment.", _LATER
    if any(mark in low for mark in _QUOTA):
        code, message = "cloud-quota", f"The cloud project's quota allows no further machine of this kind{where}."
        hint = "Choose another profile, or ask an administrator to have the quota raised."
    elif any(mark in low for mark in _STOCKOUT):
        message = f"Google Cloud has no machine of this kind left{where} at the moment."
    elif "ip space exhausted" in low:
        code, message, hint = "no-addresses", "The cluster has no network address left for a further machine.", _TELL
    elif "failed to appear in time" in low:
        message = f"A machine of this kind was ordered{where}, but did not come in time."
    elif "reservation" in low:
        message = "The reserved machines of this kind cannot be used at the moment."
    elif any(mark in low for mark in ("service account was deleted", "invalid tpu", "unsupported compact")):
        code, message, hint = "machines-misconfigured", "Machines of this kind are set up wrongly.", _TELL
    return Finding(code, message, hint, no_capacity=True, waiting=Waiting.NODE, detail=event.detail)


def _never(refusal: str, scheduler: str) -> Finding | None:
    """The finding where no machine that could be added would do, nor any there is once others leave it."""
    reasons = _reasons(refusal)
    if not reasons or not all(_NEVER.match(why) for why in reasons) or may_free_up(scheduler):
        return None
    code, message = "request-unsatisfiable", "No machine of this platform can ever hold this server."
    if any(mark in why for why in reasons for mark in _DISK_ZONE):
        code, message = "disk-in-other-zone", "Your home disk is in another zone than every machine of this kind."
    return Finding(code, message, _TELL, fatal=True, no_capacity=True, waiting=Waiting.NODE, detail=text(refusal))


def _full(event: Said) -> Finding:
    message = "All machines of this kind are in use, and no more may be added."
    if "in backoff after failed scale-up" in event.message:
        message = "All machines of this kind are in use, and no more could be added a moment ago."
    return Finding("no-capacity", message, _LATER, no_capacity=True, waiting=Waiting.NODE, detail=event.detail)


def may_free_up(words: str) -> bool:
    """Whether one of today's machines could hold the server when others leave it, by the scheduler's own words.

    The scheduler tries whom it could end for it: `No preemption victims` are machines that are large enough and busy,
    `not helpful` those that would not do even when empty. Where it does not say, a busy machine may do.
    """
    filters, _, preemption = words.partition("preemption:")
    if "not eligible" not in preemption and "not helpful" in preemption:
        victims = [int(m["count"]) for m in _COUNTED.finditer(preemption) if "No preemption victims" in m["why"]]
        return sum(victims) > 0 or "node.kubernetes.io/" in filters or "were unschedulable" in filters
    return bool(_OTHERS_LEAVE.search(filters))


def _unschedulable(words: str, waited: timedelta, same: timedelta) -> Finding:
    filters = words.partition("preemption:")[0]
    late = waited > AUTOSCALER_GRACE
    if words.startswith("0/") and "not helpful" in words and not may_free_up(words):
        zone = any(mark in filters for mark in _DISK_ZONE)
        message = (
            "Your home disk is in another zone than every machine that could hold this server."
            if zone
            else "No machine of this platform is large enough, or of the right kind, for this server."
        )
        return Finding(
            "disk-in-other-zone" if zone else "request-unsatisfiable",
            message if not late else f"{message} None is being added.",
            _TELL if late else "",
            fatal=same > UNFIT_GRACE,
            no_capacity=late,
            waiting=Waiting.SCHEDULER,
            detail=text(words),
        )
    lacks = {"nvidia.com/": "a free GPU", "memory": "enough free memory", "cpu": "enough free CPU"}
    what = next((words_ for name, words_ in lacks.items() if f"Insufficient {name}" in filters), "room")
    message = f"No machine has {what} for your server yet."
    hint = "It starts as soon as one has; you may also choose another profile."
    return Finding("no-room", message, hint, no_capacity=late, waiting=Waiting.SCHEDULER, detail=text(words))


def _reasons(refusal: str) -> list[str]:
    """`1 max node group size reached, 2 Insufficient cpu` after the colon; a reason may have commas of its own."""
    return [match["why"] for match in _COUNTED.finditer(refusal.partition("scale-up")[2].removesuffix("."))]
