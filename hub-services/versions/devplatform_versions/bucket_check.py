"""Whether a bucket keeps what the policy promises, and nobody else reads it: its settings compared, one by one. Pure.

https://cloud.google.com/storage/docs/json_api/v1/buckets#resource
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from devplatform_hub.core.findings import Finding

from .lifecycle import bucket_lifecycle
from .policy import RETENTION, Retention

FIELDS = (
    "name,location,versioning,lifecycle,hierarchicalNamespace,iamConfiguration,encryption,softDeletePolicy,autoclass"
)
_SOFT_DELETE_DAYS = 7
_DAY = 86_400
_UPDATE = "gcloud storage buckets update gs://"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What else an operator wants of the bucket; "" is nothing in particular."""

    location: str = ""
    kms_key: str = ""
    retention: Retention = RETENTION


def check_bucket(bucket: Mapping[str, Any], wanted: Wanted) -> tuple[Finding, ...]:
    """One line for each setting that counts, in the order of how much is lost without it."""
    name = str(bucket.get("name", "BUCKET"))
    return (
        _versioning(bucket, name),
        _flat(bucket),
        *_lifecycle(bucket, name, wanted.retention),
        _uniform(bucket, name),
        _private(bucket, name),
        _key(bucket, name, wanted.kms_key),
        _soft_delete(bucket, name),
        _location(bucket, wanted.location),
    )


def _versioning(bucket: Mapping[str, Any], name: str) -> Finding:
    if _of(bucket, "versioning", "enabled") is True:
        return Finding("Object Versioning", works=True)
    remedy = f"Every save destroys the one before: {_UPDATE}{name} --versioning"
    return Finding("Object Versioning", works=False, missing="Object Versioning", remedy=remedy)


def _flat(bucket: Mapping[str, Any]) -> Finding:
    if _of(bucket, "hierarchicalNamespace", "enabled") is not True:
        return Finding("a flat namespace", works=True)
    remedy = "Versioning is refused with a hierarchical one, which stays for ever: make another bucket."
    return Finding("a flat namespace", works=False, missing="a flat namespace", remedy=remedy)


def _lifecycle(bucket: Mapping[str, Any], name: str, retention: Retention) -> list[Finding]:
    wanted = {_written(rule): rule for rule in bucket_lifecycle(retention)["rule"]}
    there = {_written(rule): rule for rule in _of(bucket, "lifecycle", "rule") or []}
    findings = [
        Finding(f"lifecycle: {_told(rule)}", works=text in there, **_rule_missing(name, text in there))
        for text, rule in wanted.items()
    ]
    for text, rule in there.items():
        if text not in wanted:
            findings.append(_further(rule))
    return findings


def _rule_missing(name: str, there: bool) -> dict[str, Any]:
    if there:
        return {}
    remedy = f"`devplatform check storage --lifecycle` prints all rules: {_UPDATE}{name} --lifecycle-file=FILE"
    return {"missing": "this rule", "remedy": remedy}


def _further(rule: Mapping[str, Any]) -> Finding:
    """A rule that is not the policy's: those that destroy what people rely on are more than a note."""
    action, condition = _of(rule, "action", "type"), rule.get("condition") or {}
    step = f"lifecycle: {_told(rule)}"
    if action != "Delete":
        remedy = "The policy does not have it: it changes what is paid, and loses nothing."
        return Finding(step, works=False, missing="a reason for this rule", remedy=remedy, needed=False)
    if condition.get("isLive") is not False:
        remedy = "It deletes files that are there. Take it away."
    else:
        remedy = "It deletes old versions which the pages promise to keep. Take it away."
    return Finding(step, works=False, missing="a bucket without this rule", remedy=remedy)


def _uniform(bucket: Mapping[str, Any], name: str) -> Finding:
    if _of(bucket, "iamConfiguration", "uniformBucketLevelAccess", "enabled") is True:
        return Finding("uniform access", works=True)
    remedy = f"Single objects can be opened to anybody: {_UPDATE}{name} --uniform-bucket-level-access"
    return Finding("uniform access", works=False, missing="uniform bucket-level access", remedy=remedy)


def _private(bucket: Mapping[str, Any], name: str) -> Finding:
    if _of(bucket, "iamConfiguration", "publicAccessPrevention") == "enforced":
        return Finding("no public access", works=True)
    remedy = f"{_UPDATE}{name} --public-access-prevention"
    return Finding("no public access", works=False, missing="public access prevention", remedy=remedy)


def _key(bucket: Mapping[str, Any], name: str, wanted: str) -> Finding:
    there = _of(bucket, "encryption", "defaultKmsKeyName") or ""
    if there == wanted or (there and not wanted):
        return Finding(f"encryption by {there or 'a key of Google'}", works=True)
    remedy = f"{_UPDATE}{name} --default-encryption-key={wanted}" if wanted else ""
    said = f"the key {wanted}" + (f" in place of {there}" if there else "")
    return Finding("encryption by a key of your own", works=False, missing=said, remedy=remedy)


def _soft_delete(bucket: Mapping[str, Any], name: str) -> Finding:
    seconds = _of(bucket, "softDeletePolicy", "retentionDurationSeconds")
    days = int(seconds) // _DAY if isinstance(seconds, int | str) and str(seconds).isdigit() else 0
    if days >= _SOFT_DELETE_DAYS:
        return Finding(f"soft delete for {days} days", works=True)
    remedy = (
        "It is what undoes a deletion by generation, such as by a person's own mount: "
        f"{_UPDATE}{name} --soft-delete-duration={_SOFT_DELETE_DAYS}d. It costs what it keeps."
    )
    missing = f"soft delete for {_SOFT_DELETE_DAYS} days"
    return Finding("soft delete", works=False, missing=missing, remedy=remedy, needed=False)


def _location(bucket: Mapping[str, Any], wanted: str) -> Finding:
    there = str(bucket.get("location", ""))
    if not wanted or there.lower() == wanted.lower():
        return Finding(f"location {there}", works=True)
    remedy = "A bucket stays where it was made: make another there, and copy."
    return Finding(f"location {there}", works=False, missing=f"the location {wanted}", remedy=remedy)


def _told(rule: Mapping[str, Any]) -> str:
    """A rule in a line: `Delete when daysSinceNoncurrentTime 366, isLive false`."""
    action = rule.get("action") or {}
    what = " ".join(filter(None, (str(action.get("type", "")), str(action.get("storageClass", "")))))
    conditions = sorted((rule.get("condition") or {}).items())
    return f"{what} when {', '.join(f'{key} {json.dumps(value)}' for key, value in conditions)}"[:300]


def _written(rule: Mapping[str, Any]) -> str:
    """The same for rules that mean the same: the API gives lists in an order of its own."""
    condition = {
        key: sorted(value) if isinstance(value, list) else value for key, value in (rule.get("condition") or {}).items()
    }
    return json.dumps([rule.get("action"), condition], sort_keys=True)


def _of(holder: Mapping[str, Any], *path: str) -> Any:
    found: Any = holder
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
