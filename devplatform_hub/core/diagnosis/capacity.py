"""Whether a machine can be found, from the words of the scheduler and of the cluster autoscaler."""

import re
from datetime import datetime, timedelta

from .events import Said, text
from .model import Finding, Waiting

AUTOSCALER_GRACE = timedelta(seconds=30)
"""So long a start waits for an autoscaler's word before it takes "no machine fits" for the last one."""
_STOCKOUT = ("stockout", "zone_resource_pool_exhausted", "resource pool exhausted", "resources are not available")
_CLOUD_QUOTA = ("quota_exceeded", "quota exceeded", "exceeded quota")
_FULL = re.compile(r"max node group size reached|in backoff after failed scale-up|max cluster .* limit reached")
_COUNTED = re.compile(r"(?:^|, |: )\d+ (?P<why>[^,]+)")
_DISK_ZONE = ("volume node affinity conflict", "no available volume zone")
_OTHER_MACHINE = "Choose another profile, or try again later."


def scheduling_finding(events: list[Said], now: datetime) -> Finding | None:
    """What keeps a server from a machine, or None while nobody has said anything."""
    failed = _latest(events, "FailedScheduling")
    adding = _latest(events, "TriggeredScaleUp")
    refused = _latest(events, "NotTriggerScaleUp")
    broken = _latest(events, "FailedScaleUp")
    if broken and not _is_after(adding, broken):
        return _broken(broken)
    if adding:
        message = "A machine is being added for your server."
        return Finding("scaling-up", message, waiting=Waiting.NODE, detail=text(adding.message))
    if refused and not _is_after(failed, refused, by=timedelta(minutes=2)):
        return _refused(refused)
    return _unschedulable(failed, now) if failed else None


def _broken(event: Said) -> Finding:
    low = event.message.lower()
    if any(word in low for word in _CLOUD_QUOTA):
        message = "The cloud project's quota allows no further machine of this kind."
        hint = "Choose another profile, or ask an administrator to have the quota raised."
        return Finding("cloud-quota", message, hint, no_capacity=True, waiting=Waiting.NODE, detail=text(event.message))
    what = "Google Cloud has no machine of this kind left" if any(word in low for word in _STOCKOUT) else ""
    message = f"{what or 'A machine of this kind could not be added'} at the moment."
    return Finding(
        "no-capacity", message, _OTHER_MACHINE, no_capacity=True, waiting=Waiting.NODE, detail=text(event.message)
    )


def _refused(event: Said) -> Finding:
    """The autoscaler's reasons: where one may pass, such as a full group, there is hope; else there never is."""
    if _FULL.search(event.message):
        message = "All machines of this kind are in use, and no more may be added."
        return Finding(
            "no-capacity", message, _OTHER_MACHINE, no_capacity=True, waiting=Waiting.NODE, detail=text(event.message)
        )
    zone = any(word in event.message for word in _DISK_ZONE)
    message = (
        "Your home disk is in another zone than every machine of this kind."
        if zone
        else "No machine of this platform can ever hold this server."
    )
    return Finding(
        "disk-in-other-zone" if zone else "request-unsatisfiable",
        message,
        "Choose another profile, and tell an administrator.",
        fatal=True,
        no_capacity=True,
        waiting=Waiting.NODE,
        detail=text(event.message),
    )


def _unschedulable(event: Said, now: datetime) -> Finding:
    reasons = " ".join(match["why"] for match in _COUNTED.finditer(event.message)) or event.message
    waited = now - event.first if event.first else timedelta(0)
    detail = text(event.message)
    if "persistentvolumeclaim" in event.message and "not found" in event.message:
        message = "Your home disk is missing."
        hint = "Ask an administrator."
        return Finding("disk-missing", message, hint, fatal=True, waiting=Waiting.VOLUME, detail=detail)
    if "unbound immediate PersistentVolumeClaims" in event.message:
        return Finding("disk-pending", "Your home disk is being made.", waiting=Waiting.VOLUME, detail=detail)
    kind = "with a free GPU " if "nvidia.com/gpu" in reasons else ""
    message = f"No machine {kind}has room for your server yet."
    hint = "It starts as soon as there is one; you may also choose another profile."
    late = waited > AUTOSCALER_GRACE
    return Finding("no-room", message, hint, no_capacity=late, waiting=Waiting.SCHEDULER, detail=detail)


def _latest(events: list[Said], reason: str) -> Said | None:
    return next((event for event in reversed(events) if event.reason == reason), None)


def _is_after(event: Said | None, other: Said, *, by: timedelta = timedelta(0)) -> bool:
    return bool(event and event.last and other.last and event.last > other.last + by)
