"""What is left over of sessions that are no more, and what is missing of those that are: decided from lists alone.

Only what this hub labelled as its own is ever named here; objects of people and of other hubs are not looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import Json
from .user_access import (
    AccessObjects,
    Key,
    Session,
    access_objects,
    difference,
    hub_labels,
    is_ours,
    key_of,
    must_be_made_anew,
)


@dataclass(frozen=True, slots=True)
class Leftover:
    """One object to remove: of this very uid."""

    kind: str
    name: str
    uid: str
    key: Key


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """Objects to remove, and sessions whose objects are missing or not as they are meant to be."""

    remove: tuple[Leftover, ...]
    mend: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Orphan:
    """A pod of this hub for a server that it does not know. `age` in seconds."""

    name: str
    uid: str
    key: Key
    age: float


def plan_sweep(
    found: Iterable[Mapping[str, Any]],
    sessions: Mapping[Key, Session],
    pods: Iterable[Mapping[str, Any]],
    *,
    hub: str,
    namespace: str,
) -> SweepPlan:
    """What to do about the objects that were `found` with this hub's labels.

    | server            | its pod   | Role, RoleBinding      | account of the person            |
    |-------------------|-----------|------------------------|----------------------------------|
    | known             | any       | as they are meant      | as it is meant                   |
    | known, no pod yet | any       | stay as they are       | as it is meant                   |
    | unknown           | there     | stay until the pod goes | stays                           |
    | unknown           | none      | removed                | removed, unless another row says |
    """
    alive = [pod for pod in pods if _is_of(pod, hub)]
    owners = {pod["metadata"]["uid"] for pod in alive}
    people = {user for user, _ in sessions} | {key[0] for pod in alive if (key := key_of(pod))}
    meant = {key: access_objects(session, hub=hub, namespace=namespace) for key, session in sessions.items()}
    accounts = {user: objects.account for (user, _), objects in meant.items()}
    right: dict[tuple[str, Key], bool] = {}
    remove = []
    for item in found:
        key = key_of(item)
        if key is None or not is_ours(item, key, hub=hub):
            continue
        kind = item["kind"]
        if kind == "ServiceAccount":
            wanted, stays = accounts.get(key[0]), key[0] in people
        else:
            wanted = _wanted(meant.get(key), kind)
            stays = _owner(item) in owners if key not in sessions else not sessions[key].pod_uid
        if wanted and wanted["metadata"]["name"] == item["metadata"]["name"]:
            right[kind, key] = difference(item, wanted) is None and not must_be_made_anew(item, wanted)
        elif not stays:
            remove.append(Leftover(kind, item["metadata"]["name"], item["metadata"]["uid"], key))
    mend = [
        session
        for key, session in sessions.items()
        if not right.get(("ServiceAccount", (key[0], "")))
        or any(not right.get((wanted["kind"], key)) for wanted in meant[key].rights)
    ]
    return SweepPlan(tuple(remove), tuple(mend))


def orphans(
    pods: Iterable[Mapping[str, Any]], sessions: Mapping[Key, Session], *, hub: str, now: datetime
) -> tuple[Orphan, ...]:
    """Pods with this hub's label whose server it does not know."""
    found = []
    for pod in pods:
        metadata, key = pod["metadata"], key_of(pod)
        if key is None or key in sessions or not _is_of(pod, hub) or "deletionTimestamp" in metadata:
            continue
        age = (now - datetime.fromisoformat(metadata["creationTimestamp"])).total_seconds()
        found.append(Orphan(metadata["name"], metadata["uid"], key, age))
    return tuple(found)


def overdue(found: Iterable[Orphan], seen_since: Mapping[str, float], now: float, grace: float) -> tuple[Orphan, ...]:
    """Orphans to end: as old as `grace`, and so long an orphan to this hub too.

    `seen_since` (by uid) and `now` are on one clock. A hub that has just started and does not know its servers yet
    ends nobody's work by that.
    """
    return tuple(o for o in found if o.age >= grace and now - seen_since.get(o.uid, now) >= grace)


def _wanted(meant: AccessObjects | None, kind: str) -> Json | None:
    return next((wanted for wanted in meant.rights if wanted["kind"] == kind), None) if meant else None


def _owner(found: Mapping[str, Any]) -> str:
    owners = found["metadata"].get("ownerReferences") or [{}]
    return str(owners[0].get("uid", ""))


def _is_of(pod: Mapping[str, Any], hub: str) -> bool:
    return hub_labels(hub).items() <= (pod["metadata"].get("labels") or {}).items()
