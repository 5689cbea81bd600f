"""Events by the object that they are about: small, bounded, and as quick for one pod as if there were no others.

Kubernetes counts a repeated event up in place: same uid, new count, new resource version. An event is therefore
new whenever its resource version is, and events are in the order in which the API server recorded them.
"""

import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from ..core.diagnosis.events import written
from . import Json

Key = tuple[str, str, str]
"""Namespace, kind and name of the object that an event is about."""

KINDS = frozenset({"Pod", "PersistentVolumeClaim"})


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """What is kept of an event."""

    uid: str
    name: str
    version: int
    about_uid: str
    field_path: str | None
    type: str
    reason: str
    message: str
    count: int
    first: str
    last: str
    created: str
    component: str
    host: str

    def as_dict(self, key: Key) -> Json:
        """The form of the API. `lastTimestamp` and `count` hold for events of both API groups, old and new."""
        namespace, kind, name = key
        return {
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "uid": self.uid,
                "resourceVersion": str(self.version),
                "creationTimestamp": self.created,
            },
            "involvedObject": {
                "kind": kind,
                "namespace": namespace,
                "name": name,
                "uid": self.about_uid,
                **({"fieldPath": self.field_path} if self.field_path else {}),
            },
            "type": self.type,
            "reason": self.reason,
            "message": self.message,
            "count": self.count,
            "firstTimestamp": self.first,
            "lastTimestamp": self.last,
            "eventTime": None,
            "source": {"component": self.component, "host": self.host},
            "reportingComponent": self.component,
        }


@dataclass(slots=True)
class _About:
    """The events about one object name. `newest` is the uid that appeared last: a pod made anew has another."""

    events: dict[str, KeptEvent] = field(default_factory=dict)
    newest: str = ""
    touched: float = 0.0
    shown: dict[str, list[Json]] = field(default_factory=dict)


class EventIndex:
    """Takes events as they come, and answers for one object. Time is seconds since the epoch, given by the caller.

    Events about what nobody asks for are dropped `keep` seconds after the last of them, and earlier, oldest first,
    when there are more than `most`; of one object the newest `most_of_one` stay.
    """

    def __init__(self, *, keep: float = 900.0, most: int = 50_000, most_of_one: int = 100) -> None:
        self._keep, self._most, self._most_of_one = keep, most, most_of_one
        self._about: dict[Key, _About] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def take(self, event: Json, now: float) -> Key | None:
        """Keep a new event, or one that was counted up. The object that it is about, None when nothing changed."""
        key = key_of(event)
        if key is None:
            return None
        kept = _kept(event)
        about = self._about.get(key)
        time = min(_seconds(kept.last, now), now)
        if about is None:
            if time < now - self._keep:
                return None
            about = self._about[key] = _About()
        known = about.events.get(kept.uid)
        if known is not None and known.version >= kept.version:
            return None
        if known is None:
            self._count += 1
            if kept.about_uid and all(e.about_uid != kept.about_uid for e in about.events.values()):
                about.newest = kept.about_uid
        about.events[kept.uid] = kept
        if len(about.events) > self._most_of_one:
            del about.events[min(about.events.values(), key=_version).uid]
            self._count -= 1
        about.touched = max(about.touched, time)
        about.shown.clear()
        return key

    def remove(self, event: Json) -> None:
        """Forget an event that the API server does not have any more."""
        key = key_of(event)
        about = self._about.get(key) if key else None
        if key and about and about.events.pop(event["metadata"]["uid"], None):
            self._count -= 1
            about.shown.clear()
            if not about.events:
                del self._about[key]

    def of(self, key: Key, uid: str | None, now: float) -> list[Json]:
        """The events about this object in their order. Without `uid`: of the last one that had this name."""
        about = self._about.get(key)
        if about is None:
            return []
        about.touched = max(about.touched, now)
        uid = uid or about.newest
        shown = about.shown.get(uid)
        if shown is None:
            own = sorted((e for e in about.events.values() if e.about_uid == uid), key=_version)
            shown = about.shown[uid] = [event.as_dict(key) for event in own]
        return list(shown)

    def all(self) -> Iterator[Json]:
        """Every event that is kept."""
        for key, about in self._about.items():
            for event in about.events.values():
                yield event.as_dict(key)

    def forget(self, now: float, is_awaited: Callable[[Key], bool]) -> Collection[Key]:
        """Drop what is too old or too much, but for objects that somebody waits for. The objects that went."""
        gone = [key for key, about in self._about.items() if about.touched < now - self._keep and not is_awaited(key)]
        left = self._count - sum(len(self._about[key].events) for key in gone)
        if left > self._most:
            dropped = set(gone)
            for key, about in sorted(self._about.items(), key=lambda item: item[1].touched):
                if left <= self._most * 0.9:
                    break
                if key not in dropped and not is_awaited(key):
                    left -= len(about.events)
                    gone.append(key)
        for key in gone:
            self._count -= len(self._about.pop(key).events)
        return gone


def key_of(event: Json) -> Key | None:
    """What an event is about; None for what does not concern a server."""
    about = event["involvedObject"]
    if about.get("kind") not in KINDS:
        return None
    return about.get("namespace") or event["metadata"]["namespace"], about["kind"], about["name"]


def _kept(event: Json) -> KeptEvent:
    metadata, about, found = event["metadata"], event["involvedObject"], written(event)
    version = metadata["resourceVersion"]
    return KeptEvent(
        uid=metadata["uid"],
        name=metadata["name"],
        version=int(version) if version.isdecimal() else 0,
        about_uid=sys.intern(about.get("uid") or ""),
        field_path=sys.intern(about["fieldPath"]) if about.get("fieldPath") else None,
        type=sys.intern(event.get("type") or ""),
        reason=sys.intern(found.reason),
        message=found.message,
        count=found.count,
        first=found.first,
        last=found.last,
        created=metadata.get("creationTimestamp") or "",
        component=sys.intern(found.component),
        host=sys.intern((event.get("source") or {}).get("host") or ""),
    )


def _version(event: KeptEvent) -> int:
    return event.version


def _seconds(timestamp: str, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return otherwise
