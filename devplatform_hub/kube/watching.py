"""The hub's eyes: every server's pod, and the events about it, each to be had and waited for by its own name.

`DevPlatformSpawner` uses these in place of KubeSpawner's reflectors, one of each for a namespace.
"""

import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from traitlets import Int

from . import Json
from .event_index import EventIndex, Key
from .long_watch import LongWatch
from .revisions import Awaited, Revisions
from .slim_pod import slim_pod

_GONE_KEPT = 10_000
_FORGET_EVERY = 60.0
_BOUND_EVERY = 0.5


class PodWatch(LongWatch):
    """Pods by `namespace/name`, as the API server last had them; while it is away, as it last said."""

    kind = "pods"
    idle_seconds = Int(150, config=True, help=LongWatch.idle_seconds.help)  # bookmarks come every minute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._revisions: Revisions[str] = Revisions()
        self._listed: dict[str, Json] = {}
        self._gone: deque[str] = deque()

    @property
    def pods(self) -> dict[str, Json]:
        """All pods by `namespace/name`. They are shared: nobody may change them."""
        pods: dict[str, Json] = self.resources
        return pods

    def get(self, key: str) -> Json | None:
        """The pod as last seen, without what `slim_pod` leaves out; None when there is none."""
        return self.pods.get(key)

    def revision(self, key: str) -> int:
        """A number that is another after every change of this pod, its end included; 0 when it was never seen."""
        return self._revisions.of(key)

    async def change(self, key: str, since: int, within: float) -> int:
        """The pod's revision as soon as it is not `since`, or after `within` seconds. Other pods do not wake this."""
        return await self._revisions.change((key,), since, within)

    def awaited(self, key: str, since: int) -> Awaited:
        """For `any_change`: another revision of this pod than `since`."""
        return self._revisions, (key,), since

    def _begin(self) -> None:
        self._listed = {}

    def _take(self, change: str, found: Json) -> None:
        key = f"{found['metadata']['namespace']}/{found['metadata']['name']}"
        if change == "LISTED":
            self._listed[key] = slim_pod(found)
        elif change == "DELETED":
            self._drop(key)
        else:
            self.pods[key] = slim_pod(found)
            self._revisions.changed(key)

    def _finish(self) -> None:
        """What went while nobody looked has gone for its waiters too."""
        before, self.resources = self.pods, self._listed
        self._listed = {}
        for key in before.keys() - self.pods.keys():
            self._drop(key)
        for key, pod in self.pods.items():
            if key not in before or _version(before[key]) != _version(pod):
                self._revisions.changed(key)

    def _drop(self, key: str) -> None:
        self.pods.pop(key, None)
        self._revisions.changed(key)
        self._gone.append(key)
        if len(self._gone) > _GONE_KEPT:
            oldest = self._gone.popleft()
            if oldest not in self.pods and not self._revisions.is_awaited(oldest):
                self._revisions.forget(oldest)


class EventWatch(LongWatch):
    """Events about pods and their disks, by the name of the pod or disk.

    One watch without a field selector serves both kinds: the API server keeps no cache of events, and reads and
    filters all of them for every single watch. `fields` is for KubeSpawner's own signature and has no effect.
    """

    kind = "events"
    keep_seconds = Int(900, config=True, help="For how long events are kept of pods that no start asks for.")
    keep_most = Int(50_000, config=True, help="More events than these are never kept; the oldest go.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("fields", None)
        super().__init__(*args, **kwargs)
        self._index = EventIndex(keep=self.keep_seconds, most=self.keep_most)
        self._revisions: Revisions[Key] = Revisions()
        self._forgot_at = time.monotonic()

    @property
    def events(self) -> list[Json]:
        """All events in the order in which they were recorded: costly, and only for code of KubeSpawner itself."""
        return sorted(self._index.all(), key=_version)

    def of_pod(
        self,
        namespace: str,
        pod_name: str,
        pod_uid: str | None = None,
        *,
        claims: Iterable[str] = (),
        claims_since: datetime | None = None,
    ) -> list[Json]:
        """The events about this one pod, oldest first; one that was counted up comes last, with its new count.

        A pod of before that had the same name has another uid, and its events are not among them. Without
        `pod_uid` the last that appeared counts. `claims` adds the events of these disks, which outlive pods:
        with `claims_since` only those seen since then. They are shared: nobody may change them.
        """
        now = time.time()
        own = self._index.of((namespace, "Pod", pod_name), pod_uid, now)
        since = claims_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S") if claims_since else ""
        disks = [
            event
            for claim in claims
            for event in self._index.of((namespace, "PersistentVolumeClaim", claim), None, now)
            if event["lastTimestamp"] >= since
        ]
        return sorted(own + disks, key=_version) if disks else own

    def revision(self, namespace: str, pod_name: str, *, claims: Iterable[str] = ()) -> int:
        """A number that is another after every new event of this pod or these disks; 0 when there was none."""
        return self._revisions.of(*_keys(namespace, pod_name, claims))

    async def change(
        self, namespace: str, pod_name: str, since: int, within: float, *, claims: Iterable[str] = ()
    ) -> int:
        """The revision as soon as it is not `since`, or after `within` seconds. Other pods' events wake nobody."""
        return await self._revisions.change(_keys(namespace, pod_name, claims), since, within)

    def awaited(self, namespace: str, pod_name: str, since: int, *, claims: Iterable[str] = ()) -> Awaited:
        """For `any_change`: another revision than `since`."""
        return self._revisions, _keys(namespace, pod_name, claims), since

    def _take(self, change: str, found: Json) -> None:
        if change == "DELETED":  # the API server keeps events for an hour: that one is over is no news
            self._index.remove(found)
        elif key := self._index.take(found, time.time()):
            self._revisions.changed(key)
        since = time.monotonic() - self._forgot_at
        if since > _FORGET_EVERY or (since > _BOUND_EVERY and len(self._index) > self.keep_most):
            self._forget()

    def _finish(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._forgot_at = time.monotonic()
        for key in self._index.forget(time.time(), self._revisions.is_awaited):
            self._revisions.forget(key)


def _keys(namespace: str, pod_name: str, claims: Iterable[str]) -> tuple[Key, ...]:
    return (namespace, "Pod", pod_name), *((namespace, "PersistentVolumeClaim", claim) for claim in claims)


def _version(found: Json) -> int:
    version: str = found["metadata"]["resourceVersion"]
    return int(version) if version.isdecimal() else 0
