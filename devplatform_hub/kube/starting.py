"""One start: a pod, at the first place of its plan that has room, until its server may be asked for an answer.

Nothing here waits by the clock alone: the watches wake it, and what the cluster says decides what happens next.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..core.cluster import Placement
from ..core.diagnosis.model import Finding, Waiting
from ..core.diagnosis.refusal import diagnose_refusal
from ..core.diagnosis.start import diagnose_start, timed_out
from ..core.errors import PublicError
from . import Json
from .requests import ApiSilent, Refused
from .revisions import any_change
from .watching import EventWatch, PodWatch

_TICK = 2.0
"""So often a start is looked at again when nothing changes: some causes count only after a while."""
CONTAINER = "notebook"
"""KubeSpawner's name for the container that is the server."""
_LOOK = 0.2
"""So often a server that runs and does not answer yet is asked."""
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
    if isinstance(error, ApiSilent):
        hint = "Servers that run go on. Try again in a few minutes."
        return Finding("cluster-unreachable", "The cluster does not answer.", hint, detail=str(error))
    if isinstance(error, PublicError):
        return Finding(error.code, error.message, error.hint, fatal=True)
    return diagnose_refusal(503, {"message": str(error)})


def public_of(error: Exception) -> PublicError:
    """The same for the page and the REST API."""
    if isinstance(error, PublicError):
        return error
    finding = finding_of(error)
    return PublicError(finding.message, code=finding.code, hint=finding.hint, status=503)


@dataclass(slots=True)
class Story:
    """What has happened in a start so far, for every page that follows it.

    `within` is how many seconds it may take; what it waits in a queue does not count, but may not be more than
    `queued_within`.
    """

    placements: Sequence[Placement | None]
    within: float = math.inf
    queued_within: float = math.inf
    index: int = 0
    findings: tuple[Finding, ...] = ()
    moved: list[tuple[str, Finding]] = field(default_factory=list)
    waited: dict[Waiting, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    since: tuple[Waiting, float] | None = None
    begun: float = field(default_factory=time.monotonic)

    def overdue(self, now: float) -> Finding | None:
        """What to tell the person when it took too long, else None."""
        kind, since = self.since or (None, now)
        queued = self.waited.get(Waiting.QUEUE, 0.0) + (now - since if kind is Waiting.QUEUE else 0.0)
        if queued > self.queued_within:
            return timed_out(self.findings, queued)
        return timed_out(self.findings, self.within) if now - self.begun - queued > self.within else None

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
class Sight:
    """What can be seen of a start: its pod, the events about it, and those about its disks since `begun`."""

    pods: PodWatch
    events: EventWatch | None
    namespace: str
    claims: tuple[str, ...] = ()
    begun: datetime | None = None

    def pod(self, name: str, uid: str) -> Json | None:
        """The very pod of this uid: not one before this that is still going, nor what somebody else made."""
        pod = self.pods.get(f"{self.namespace}/{name}")
        return pod if pod is not None and pod["metadata"]["uid"] == uid else None

    def said(self, name: str, uid: str | None) -> list[Json]:
        """The events so far, oldest first; without `uid` of the last pod of that name."""
        if self.events is None:
            return []
        return self.events.of_pod(self.namespace, name, uid, claims=self.claims, claims_since=self.begun)

    def revision(self, name: str) -> tuple[int, int]:
        """Other numbers after every change."""
        events = self.events.revision(self.namespace, name, claims=self.claims) if self.events else 0
        return self.pods.revision(f"{self.namespace}/{name}"), events

    async def change(self, name: str, seen: tuple[int, int], within: float) -> None:
        """Until the pod or the events change, or so many seconds have passed."""
        awaited = [self.pods.awaited(f"{self.namespace}/{name}", seen[0])]
        if self.events:
            awaited.append(self.events.awaited(self.namespace, name, seen[1], claims=self.claims))
        await any_change(within, *awaited)


@dataclass(frozen=True, slots=True)
class Pods:
    """What a start does in the cluster. `create` makes the pod of a placement, `created` what belongs to it.

    `answers` says whether the server in a pod that runs can be left to the hub's own waiting.
    """

    create: Callable[[Placement | None], Awaitable[Json]]
    remove: Callable[[], Awaitable[None]]
    created: Callable[[Json], Awaitable[None]]
    answers: Callable[[Json], Awaitable[bool]]


async def start_pod(story: Story, cluster: Pods, sight: Sight) -> Json:
    """The pod whose server answers. Raises `StartFailed` as soon as a cause is known that cannot heal.

    Where a place has no room and another is left, the pod is taken away and made anew at the next one.
    """
    while True:
        pod = await cluster.create(story.placement)
        await cluster.created(pod)
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        failed = await follow_pod(story, sight, name, uid, cluster.answers)
        if isinstance(failed, dict):
            return failed
        if story.is_last or not failed.no_capacity:
            raise StartFailed(failed)
        story.moved.append((story.placement.name if story.placement else "", failed))
        _log.info("%s/%s: %s; trying the next place", sight.namespace, name, failed.message)
        await cluster.remove()
        story.index += 1


async def follow_pod(
    story: Story, sight: Sight, name: str, uid: str, answers: Callable[[Json], Awaitable[bool]]
) -> Json | Finding:
    """The pod once its server answers, or what ended the hope for it at this place.

    A container that runs is not enough: a server that finds its disk full runs for some seconds before it says so.
    """
    shown = False
    while True:
        seen = sight.revision(name)
        pod = sight.pod(name, uid)
        shown = shown or pod is not None
        is_up = pod is not None and is_running(pod)
        if pod is not None and is_up and await answers(pod):
            story.find((), time.monotonic())
            return pod
        if pod is None and shown:
            return Finding("deleted", "Your server was deleted while it was starting.", "Start it again.", fatal=True)
        found = diagnose_start(pod, sight.said(name, uid), container=CONTAINER, now=datetime.now(UTC))
        story.find(found, time.monotonic())
        for finding in story.findings:
            if finding.fatal or (finding.no_capacity and not story.is_last):
                return finding
        if late := story.overdue(time.monotonic()):
            return late
        await sight.change(name, seen, _LOOK if is_up else _TICK)


def is_running(pod: Json) -> bool:
    """Whether the container is up and has an address. Other containers, such as sidecars, may still come."""
    status = pod.get("status") or {}
    return bool(
        status.get("phase") == "Running"
        and status.get("podIP")
        and "deletionTimestamp" not in pod["metadata"]
        and any(c["name"] == CONTAINER and c.get("ready") for c in status.get("containerStatuses") or ())
    )
