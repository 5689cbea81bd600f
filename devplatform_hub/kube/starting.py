"""One start: a pod, at the first place of its plan that has room, until its server may be asked for an answer.

Nothing here waits by the clock alone: the watches wake it, and what the cluster says decides what happens next.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..core.cluster import Placement
from ..core.diagnosis.model import Finding, Waiting
from ..core.diagnosis.refusal import diagnose_refusal
from ..core.diagnosis.start import diagnose_start
from . import Json
from .requests import Refused
from .watching import EventWatch, PodWatch

_TICK = 2.0
"""So often a start is looked at again when nothing changes: some causes count only after a while."""
_log = logging.getLogger("devplatform.start")


class StartFailed(Exception):
    """This start cannot come to a good end; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.code}: {finding.message}")
        self.finding = finding


def finding_of(error: Exception) -> Finding:
    """What an end of a start, by the cluster or by its API server, means for the person."""
    if isinstance(error, StartFailed):
        return error.finding
    if isinstance(error, Refused):
        return diagnose_refusal(error.status, error.body)
    return diagnose_refusal(503, {"message": str(error)})


@dataclass(slots=True)
class Story:
    """What has happened in a start so far, for every page that follows it."""

    placements: Sequence[Placement | None]
    index: int = 0
    findings: tuple[Finding, ...] = ()
    moved: list[tuple[str, Finding]] = field(default_factory=list)
    waited: dict[Waiting, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    since: tuple[Waiting, float] | None = None

    @property
    def placement(self) -> Placement | None:
        """Where the server is tried now."""
        return self.placements[self.index] if self.placements else None

    @property
    def is_last(self) -> bool:
        return self.index >= len(self.placements) - 1

    def find(self, findings: tuple[Finding, ...], now: float) -> None:
        """Take what was found, and count how long each kind of waiting takes."""
        if findings != self.findings:
            self.findings = findings
            self.changed.set()
            self.changed = asyncio.Event()  # whoever waits has the old one
        waiting = next((finding.waiting for finding in findings if finding.waiting), None)
        if self.since and self.since[0] is not waiting:
            kind, since = self.since
            self.waited[kind] = self.waited.get(kind, 0.0) + now - since
            self.since = None
        if waiting and self.since is None:
            self.since = (waiting, now)


@dataclass(frozen=True, slots=True)
class Pods:
    """What a start needs of the cluster, and how to see it. `create` makes the pod of a placement."""

    pods: PodWatch
    events: EventWatch | None
    create: Callable[[Placement | None], Awaitable[Json]]
    remove: Callable[[], Awaitable[None]]
    created: Callable[[Json], Awaitable[None]]


async def start_pod(story: Story, cluster: Pods, namespace: str, container: str = "notebook") -> Json:
    """The pod whose container runs. Raises `StartFailed` as soon as a cause is known that cannot heal.

    Where a place has no room and another is left, the pod is taken away and made anew at the next one.
    """
    while True:
        pod = await cluster.create(story.placement)
        await cluster.created(pod)
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        failed = await follow_pod(story, cluster.pods, cluster.events, namespace, name, uid, container)
        if isinstance(failed, dict):
            return failed
        if story.is_last or not failed.no_capacity:
            raise StartFailed(failed)
        story.moved.append((story.placement.name if story.placement else "", failed))
        _log.info("%s/%s: %s; trying the next place", namespace, name, failed.message)
        await cluster.remove()
        story.index += 1


async def follow_pod(
    story: Story,
    pods: PodWatch,
    events: EventWatch | None,
    namespace: str,
    name: str,
    uid: str,
    container: str = "notebook",
) -> Json | Finding:
    """The pod once its container runs, or what ended the hope for it at this place."""
    key = f"{namespace}/{name}"
    shown = False
    while True:
        seen = pods.revision(key), events.revision(namespace, name) if events else 0
        pod = pods.get(key)
        if pod is not None and pod["metadata"]["uid"] != uid:
            pod = None  # one before this that is still going, or what was made by somebody else
        shown = shown or pod is not None
        if pod is not None and is_running(pod, container):
            story.find((), time.monotonic())
            return pod
        if pod is None and shown:
            return Finding("deleted", "Your server was deleted while it was starting.", "Start it again.", fatal=True)
        found = events.of_pod(namespace, name, uid) if events else []
        story.find(diagnose_start(pod, found, container=container, now=datetime.now(UTC)), time.monotonic())
        for finding in story.findings:
            if finding.fatal or (finding.no_capacity and not story.is_last):
                return finding
        await _change(pods, events, namespace, name, seen)


def is_running(pod: Json, container: str = "notebook") -> bool:
    """Whether the container is up and has an address. Other containers, such as sidecars, may still come."""
    status = pod.get("status") or {}
    return bool(
        status.get("phase") == "Running"
        and status.get("podIP")
        and "deletionTimestamp" not in pod["metadata"]
        and any(c["name"] == container and c.get("ready") for c in status.get("containerStatuses") or ())
    )


async def _change(pods: PodWatch, events: EventWatch | None, namespace: str, name: str, seen: tuple[int, int]) -> None:
    """Until the pod or its events change, or a tick has passed."""
    waits = [asyncio.ensure_future(pods.change(f"{namespace}/{name}", seen[0], _TICK))]
    if events:
        waits.append(asyncio.ensure_future(events.change(namespace, name, seen[1], _TICK)))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
