"""Why a server is not there yet: its pod and the events about it, most important cause first."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ..quantities import format_duration
from .capacity import scheduling_finding
from .containers import container_finding, is_sidecar
from .ending import diagnose_end
from .events import Json, Said, condition, entries, latest, mapping, said, since, text
from .model import Finding, Waiting
from .volumes import FAILURES, STEPS, volume_finding

_REJECTED = (
    *("UnexpectedAdmissionError", "OutOf", "NodeAffinity", "NodePorts", "NodeShutdown", "VolumeAttachment"),
    *("TopologyAffinity", "SMTAlignment", "PodOSSelector", "InvalidNodeInfo", "Taint"),
)
_SANDBOX = ("FailedCreatePodSandBox", "NetworkNotReady", "FailedCreatePodContainer", "FailedPodSandBoxStatus")
_ELSEWHERE = ("pre-empted", "machine-taken", "machine-lost", "machine-drained", "evicted-memory", "evicted")
# Events that other findings are made of, or that say no more than that all goes as it should.
_KNOWN = {
    *("FailedScheduling", "Scheduled", "TriggeredScaleUp", "NotTriggerScaleUp", "FailedScaleUp", "Nominated"),
    *("Failed", "BackOff", "InspectFailed", "ErrImageNeverPull", "Killing", "Unhealthy", "ProbeWarning"),
    *("SuccessfulAttachVolume", "SuccessfulMountVolume", "SandboxChanged", "WaitForFirstConsumer"),
    *("ExternalProvisioning", "Provisioning", "ProvisioningSucceeded", "WaitForPodScheduled", "NodeNotReady"),
    *("CreatedWorkload", "UpdatedAdmissionCheck", "QuotaReserved", "Admitted", "Pending", "Started", "Stopped"),
    *(*STEPS, *FAILURES, *_SANDBOX),
}
_TIMED_OUT = "Start it again, and tell an administrator if that does not help."
_QUEUE_SAYS = ("UpdatedAdmissionCheck", "Pending", "QuotaReserved", "Admitted")


def diagnose_start(
    pod: Json | None, events: Sequence[Json], *, container: str = "notebook", now: datetime
) -> tuple[Finding, ...]:
    """Every cause that is known now, fatal ones first; where there is none, what an untroubled start waits for.

    `pod` and `events` are the API's own JSON, events in any order; `now` is UTC. () while there is no pod.
    """
    if pod is None:
        return ()
    heard = said(events)
    status = mapping(pod.get("status"))
    is_placed = _is_scheduled(pod)
    containers = [container_finding(one, pod, container, heard, now) for one in _containers(status)]
    found = [
        _gated(pod, heard),
        *containers,
        volume_finding(pod, heard, now, is_running=_is_running(status, container)),
        _machine(heard) if is_placed else None,
        None if is_placed or _is_gated(pod) else scheduling_finding(pod, heard, now),
    ]
    causes = [finding for finding in found if finding is not None]
    over = _over(pod, status, events, container)
    if over and not any(finding.fatal for finding in causes):
        causes.insert(0, over)
    causes.sort(key=lambda finding: not finding.fatal)
    return tuple(dict.fromkeys(causes)) or (_unknown(heard, _usual(pod, status, heard, container)),)


def headline(findings: Sequence[Finding]) -> Finding | None:
    """The most important one."""
    return findings[0] if findings else None


def timed_out(findings: Sequence[Finding], seconds: float) -> Finding:
    """That patience ended after so many seconds, and what the start waited for then."""
    message = f"Your server did not start within {format_duration(int(seconds))}."
    last = headline(findings)
    if last is None:
        return Finding("start-timeout", message, _TIMED_OUT, fatal=True)
    return Finding(
        "start-timeout", f"{message} {last.message}", last.hint or _TIMED_OUT, fatal=True, detail=last.detail
    )


def _is_gated(pod: Json) -> bool:
    return bool(entries(mapping(pod.get("spec")).get("schedulingGates")))


def _gated(pod: Json, heard: list[Said]) -> Finding | None:
    """A queue holds the server back. That is never a fault, however long it takes."""
    gates = entries(mapping(pod.get("spec")).get("schedulingGates"))
    if not gates:
        return None
    last = latest(heard, *_QUEUE_SAYS)
    if not any(str(gate.get("name", "")).startswith("kueue.x-k8s.io/") for gate in gates):
        message = "Your server is held back before it starts."
        return Finding("queued", message, waiting=Waiting.QUEUE, detail=text(gates[0].get("name")))
    message = "Your server waits in the queue for its turn."
    if last and last.reason == "UpdatedAdmissionCheck":
        message = "It is your server's turn in the queue; it waits until there is a machine for it."
    hint = "It starts by itself when what it asks for becomes free. You may close this page."
    return Finding("queued", message, hint, waiting=Waiting.QUEUE, detail=last.detail if last else "")


def _over(pod: Json, status: Json, events: Sequence[Json], container: str) -> Finding | None:
    """A server that ended or is being taken away before it came up: no waiting brings it back."""
    reason = str(status.get("reason") or "")
    if status.get("phase") == "Failed" and reason.startswith(_REJECTED):
        message = "The machine that was chosen could not take your server after all."
        detail = text(f"{reason}: {status.get('message') or ''}")
        return Finding("machine-refused", message, "Start it again.", fatal=True, no_capacity=True, detail=detail)
    if status.get("phase") not in ("Failed", "Succeeded") and not mapping(pod.get("metadata")).get("deletionTimestamp"):
        return None
    ended = diagnose_end(pod, events, container=container)
    subject = {"Its": "Your server's", "It": "Your server"}
    first, _, rest = ended.message.partition(" ")
    message = f"{subject.get(first, first)} {rest}"
    elsewhere = ended.code in _ELSEWHERE
    detail = text(f"{reason}: {status.get('message') or ''}" if reason else "")
    return Finding(ended.code, message, ended.hint, fatal=True, no_capacity=elsewhere, detail=detail)


def _containers(status: Json) -> list[Json]:
    return entries(status.get("initContainerStatuses")) + entries(status.get("containerStatuses"))


def _is_running(status: Json, container: str) -> bool:
    return any(one.get("name") == container and "running" in mapping(one.get("state")) for one in _containers(status))


def _machine(heard: list[Said]) -> Finding | None:
    """What is wrong with the machine itself, as long as nothing has gone on since."""
    failed = latest(since(heard, STEPS), *_SANDBOX, "NodeNotReady")
    if failed is None:
        return None
    message = "The machine's network is not ready yet."
    if failed.reason == "NodeNotReady":
        message = "The machine does not answer at the moment."
    elif any(mark in failed.message.lower() for mark in ("no ip addresses", "failed to allocate for range")):
        message = "The machine has no network address left for your server."
    return Finding("machine-not-ready", message, "It is tried again.", waiting=Waiting.NODE, detail=failed.detail)


def _usual(pod: Json, status: Json, heard: list[Said], container: str) -> Finding:
    """What an untroubled start waits for."""
    if not _is_scheduled(pod):
        return Finding("finding-machine", "Looking for a machine.", waiting=Waiting.SCHEDULER)
    if _is_running(status, container):
        return Finding("starting", "Starting your server.", waiting=Waiting.SERVER)
    step = latest(heard, *STEPS)
    if step and step.reason == "Pulling":
        return Finding("pulling-image", "Fetching the image.", waiting=Waiting.IMAGE)
    sidecars = [one for one in entries(status.get("initContainerStatuses")) if is_sidecar(pod, str(one.get("name")))]
    if step and any(not one.get("started") for one in sidecars):
        return Finding("starting-sidecar", "Starting the helpers of your server.", waiting=Waiting.SIDECAR)
    claims = [one for one in entries(mapping(pod.get("spec")).get("volumes")) if one.get("persistentVolumeClaim")]
    if claims and not step and latest(heard, "SuccessfulAttachVolume") is None:
        return Finding("attaching-disk", "Attaching your home disk.", waiting=Waiting.VOLUME)
    if status.get("phase") == "Pending" or step is None:
        return Finding("preparing", "Preparing the machine.", waiting=Waiting.CONTAINER)
    return Finding("starting", "Starting your server.", waiting=Waiting.SERVER)


def _unknown(heard: list[Said], usual: Finding) -> Finding:
    """`usual`, or the words of an event that nobody here knows, when it is the last that was said."""
    last = heard[-1] if heard else None
    if last is None or last.reason in _KNOWN or not text(last.message or last.reason):
        return usual
    message = f"{usual.message} The cluster says: {text(last.message or last.reason)}"
    return replace(usual, code="notice", message=message, detail=last.detail)


def _is_scheduled(pod: Json) -> bool:
    placed = condition(mapping(pod.get("status")), "PodScheduled")
    return bool(mapping(pod.get("spec")).get("nodeName")) or placed.get("status") == "True"
