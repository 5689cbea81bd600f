"""What a bucket's settings may be, and what they are when nobody says."""

import re
from typing import Any

from . import lifecycle
from .clock import DAY, SECOND, written
from .errors import invalid
from .ledger import COLDNESS

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_WEEK = 7 * DAY // SECOND
_MULTI_REGIONS = ("US", "EU", "ASIA")
_SETTINGS = {
    "autoclass",
    "billing",
    "cors",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "encryption",
    "hierarchicalNamespace",
    "iamConfiguration",
    "labels",
    "lifecycle",
    "location",
    "logging",
    "retentionPolicy",
    "rpo",
    "softDeletePolicy",
    "storageClass",
    "versioning",
    "website",
}
_FIXED = ("location", "hierarchicalNamespace", "locationType")


def created(given: dict[str, Any], now: int) -> dict[str, Any]:
    """The settings of a new bucket. Raises ApiError (400)."""
    name = str(given.get("name", ""))
    if not _NAME.fullmatch(name) or ".." in name or name.startswith("goog"):
        raise invalid(f"Invalid bucket name: '{name}'", code="InvalidBucketName")
    location = str(given.get("location", "US")).upper()
    config = {
        "location": location,
        "locationType": "multi-region" if location in _MULTI_REGIONS else "region",
        "storageClass": "STANDARD",
        "softDeletePolicy": {"retentionDurationSeconds": str(_WEEK)},
    }
    config |= {name: value for name, value in _without_nulls(given).items() if name in _SETTINGS - {"location"}}
    return _checked(config, now)


def changed(config: dict[str, Any], given: dict[str, Any], now: int) -> dict[str, Any]:
    """The settings after a patch: null takes a setting away. Raises ApiError (400)."""
    for name in _FIXED:
        if name in given and given[name] not in (None, config.get(name)):
            raise invalid(f"The {name} of a bucket cannot be changed.", name)
    return _checked(_merged(config, {name: given[name] for name in _SETTINGS & set(given)}), now)


def replaced(config: dict[str, Any], given: dict[str, Any], now: int) -> dict[str, Any]:
    """The settings after an update: what is not named goes back to what it is by itself. Raises ApiError (400)."""
    kept = {name: config[name] for name in (*_FIXED, "softDeletePolicy", "storageClass") if name in config}
    return changed(kept, given, now)


def _without_nulls(given: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_nulls(value) if isinstance(value, dict) else value
        for name, value in given.items()
        if value is not None
    }


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for name, value in new.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merged(merged[name], value)
        else:
            merged[name] = value
    return merged


def _checked(config: dict[str, Any], now: int) -> dict[str, Any]:
    if config["storageClass"] not in COLDNESS:
        raise invalid(f"Invalid storage class: {config['storageClass']}", "storageClass")
    soft = config.setdefault("softDeletePolicy", {"retentionDurationSeconds": str(_WEEK)})
    seconds = int(soft.get("retentionDurationSeconds", _WEEK))
    if seconds and not _WEEK <= seconds <= 90 * DAY // SECOND:
        raise invalid("Soft delete policy retention duration must be 0 or between 7 and 90 days.", "softDeletePolicy")
    config["softDeletePolicy"] = {"effectiveTime": written(now), **soft, "retentionDurationSeconds": str(seconds)}
    config["iamConfiguration"] = _access(config.get("iamConfiguration") or {})
    if config.get("lifecycle"):
        lifecycle.check(config["lifecycle"].get("rule", []))
    if config.get("hierarchicalNamespace", {}).get("enabled"):
        if not config["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]:
            raise invalid("Hierarchical namespace buckets must use uniform bucket-level access.")
        if config.get("versioning", {}).get("enabled"):
            raise invalid("Versioning is not supported for hierarchical namespace buckets.", "versioning")
    return config


def _access(given: dict[str, Any]) -> dict[str, Any]:
    # bucketPolicyOnly is the old name of the same setting; the JSON API still shows both.
    uniform = given.get("uniformBucketLevelAccess") or given.get("bucketPolicyOnly") or {"enabled": False}
    prevention = given.get("publicAccessPrevention", "inherited")
    if prevention not in ("inherited", "enforced", "unspecified"):
        raise invalid(f"Invalid value for publicAccessPrevention: {prevention}", "publicAccessPrevention")
    return {**given, "uniformBucketLevelAccess": uniform, "bucketPolicyOnly": uniform} | {
        "publicAccessPrevention": prevention
    }
