"""Lifecycle rules, applied when asked: conditions of a rule all hold, Delete beats SetStorageClass, coldest wins.

https://cloud.google.com/storage/docs/lifecycle has the meaning of every condition.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .bucket import Bucket
from .clock import DAY, read
from .errors import invalid
from .generations import Generation
from .ledger import COLDNESS
from .store import Store

ACTIONS = ("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload")


@dataclass(frozen=True, slots=True)
class Applied:
    """What a rule did; `action` is "archived", "deleted", "aborted" or the new storage class."""

    name: str
    generation: int
    action: str


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    one: Generation
    newer: int
    now: int


_Test = Callable[[_Case, Any], bool]


def _since(moment: int | None, days: Any, now: int) -> bool:
    return moment is not None and now >= moment + int(days) * DAY


def _custom(case: _Case) -> int | None:
    text = case.one.details.get("customTime")
    return read(text, "customTime") if text else None


def _before(moment: int | None, date: Any) -> bool:
    return moment is not None and moment < read(date, "date")


_CONDITIONS: dict[str, _Test] = {
    "age": lambda case, days: _since(case.one.created, days, case.now),
    "createdBefore": lambda case, date: _before(case.one.created, date),
    "customTimeBefore": lambda case, date: _before(_custom(case), date),
    "daysSinceCustomTime": lambda case, days: _since(_custom(case), days, case.now),
    "daysSinceNoncurrentTime": lambda case, days: _since(case.one.deleted, days, case.now),
    "isLive": lambda case, live: (case.one.deleted is None) == live,
    "matchesPrefix": lambda case, prefixes: case.name.startswith(tuple(prefixes)),
    "matchesStorageClass": lambda case, classes: case.one.storage_class in classes,
    "matchesSuffix": lambda case, suffixes: case.name.endswith(tuple(suffixes)),
    "noncurrentTimeBefore": lambda case, date: _before(case.one.deleted, date),
    "numNewerVersions": lambda case, count: case.newer >= int(count),
}


def check(rules: Any) -> None:
    """Raises ApiError (400) for a rule that Cloud Storage would not take."""
    if not isinstance(rules, list) or len(rules) > 100:
        raise invalid("A lifecycle configuration has at most 100 rules.", "lifecycle")
    for rule in rules:
        action, condition = rule.get("action") or {}, rule.get("condition") or {}
        if action.get("type") not in ACTIONS:
            raise invalid(f"Unknown lifecycle action: {action.get('type')}", "lifecycle")
        if action["type"] == "SetStorageClass" and action.get("storageClass") not in COLDNESS:
            raise invalid(f"Unknown storage class: {action.get('storageClass')}", "lifecycle")
        if not condition:
            raise invalid("A lifecycle rule needs at least one condition.", "lifecycle")
        for name, value in condition.items():
            if name not in _CONDITIONS:
                raise invalid(f"Unknown lifecycle condition: {name}", "lifecycle")
            if name.startswith("matches"):
                if not isinstance(value, list) or not value:
                    raise invalid(f"{name} must be a list with an entry.", "lifecycle")
            elif name.startswith(("days", "age", "num")) and (type(value) is not int or value < 0):
                raise invalid(f"{name} must be a whole number.", "lifecycle")
            elif name.endswith("Before"):
                read(value, name)
        if action["type"] == "AbortIncompleteMultipartUpload" and set(condition) - {"age", "matchesPrefix"}:
            raise invalid("Only age and matchesPrefix go with AbortIncompleteMultipartUpload.", "lifecycle")


def apply(store: Store, bucket: Bucket) -> list[Applied]:
    """Do what the rules say at this moment, from what is there now; also end what was soft-deleted long enough."""
    now = store.clock.now()
    bucket.expire(now)
    rules = bucket.config.get("lifecycle", {}).get("rule", [])
    done = _abort(bucket, rules, now)
    for name in list(bucket.names) if rules else []:
        versions = bucket.versions[name]
        # All is decided before anything is done: a deletion would change what "newer" means.
        cases = [_Case(name, one, len(versions) - 1 - place, now) for place, one in enumerate(versions)]
        for case, action in [(case, _action(case, rules)) for case in cases]:
            if action:
                done += _do(store, bucket, case, action)
    return done


def _abort(bucket: Bucket, rules: list[dict[str, Any]], now: int) -> list[Applied]:
    """End the multipart uploads that a rule says are too old."""
    found = []
    for key, upload in list(bucket.multiparts.items()):
        for rule in rules:
            condition = rule["condition"]
            is_meant = upload.name.startswith(tuple(condition.get("matchesPrefix", [""])))
            is_old = _since(upload.begun, condition.get("age", 0), now)
            if rule["action"]["type"] == "AbortIncompleteMultipartUpload" and is_meant and is_old:
                found.append(Applied(upload.name, 0, "aborted"))
                del bucket.multiparts[key]
                break
    return found


def _action(case: _Case, rules: list[dict[str, Any]]) -> str:
    """ "Delete", a storage class, or nothing."""
    found = [
        rule["action"]
        for rule in rules
        if rule["action"]["type"] != "AbortIncompleteMultipartUpload"
        and all(_CONDITIONS[name](case, value) for name, value in rule["condition"].items())
    ]
    if any(action["type"] == "Delete" for action in found) and not case.one.held:
        return "Delete"
    classes = [action["storageClass"] for action in found if action["type"] == "SetStorageClass"]
    coldest = max(classes, key=COLDNESS.index, default="STANDARD")
    return coldest if COLDNESS.index(coldest) > COLDNESS.index(case.one.storage_class) else ""


def _do(store: Store, bucket: Bucket, case: _Case, action: str) -> list[Applied]:
    one = case.one
    if action != "Delete":
        one.storage_class = action
        one.change({**one.details, "timeStorageClassUpdated": case.now}, case.now)
        store.ledger.count("lifecycle.SetStorageClass", "A")
        return [Applied(case.name, one.number, action)]
    store.ledger.count("lifecycle.Delete", "free")
    if one.deleted is None and bucket.versioned:
        one.deleted = case.now
        return [Applied(case.name, one.number, "archived")]
    store.remove(bucket, case.name, one, case.now)
    return [Applied(case.name, one.number, "deleted")]
