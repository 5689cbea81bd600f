"""What kind of value a field of a request has to be; the API's fields of one name are of one kind everywhere."""

from typing import Any, TypeAlias

from .errors import invalid

_Kind: TypeAlias = type | tuple[type, ...]


def _all(names: str, kind: _Kind) -> dict[str, _Kind]:
    return dict.fromkeys(names.split(), kind)


_TEXTS = """
    cacheControl contentDisposition contentEncoding contentLanguage contentType crc32c customTime defaultKmsKeyName etag
    expression kmsKeyName location md5Hash name payload publicAccessPrevention role storageClass title type
"""
_OBJECTS = """
    action autoclass bucketPolicyOnly condition destination encryption hierarchicalNamespace iamConfiguration labels
    lifecycle logging metadata objectPreconditions retentionPolicy softDeletePolicy uniformBucketLevelAccess versioning
    website
"""
_KINDS = (
    _all(_TEXTS, str)
    | _all(_OBJECTS, dict)
    | _all("bindings cors members rule sourceObjects", list)
    | _all("enabled eventBasedHold isLive temporaryHold defaultEventBasedHold", bool)
    # 64-bit numbers are texts in JSON; Google reads both.
    | _all("generation ifGenerationMatch retentionDurationSeconds version", (str, int))
)
_ENTRIES: dict[str, type] = {"bindings": dict, "cors": dict, "members": str, "rule": dict, "sourceObjects": dict}
_NEEDED = {"sourceObjects": "name", "bindings": "role", "rule": "action"}


def check(value: Any) -> None:
    """Raises ApiError (400) for a field that is of another kind. Nulls are fields that are not there."""
    for name, inner in value.items():
        kind = _KINDS.get(name)
        if inner is None or kind is None:
            continue
        if not isinstance(inner, kind):
            raise invalid(f"Invalid value at '{name}': {str(inner)[:40]}", name)
        if isinstance(inner, dict) and name not in ("metadata", "labels"):
            check(inner)
        for entry in inner if isinstance(inner, list) else ():
            is_right = isinstance(entry, _ENTRIES[name])
            if isinstance(entry, dict):
                is_right = is_right and _NEEDED.get(name) in (None, *entry)
                check(entry)
            if not is_right:
                raise invalid(f"Invalid value at '{name}': {str(entry)[:40]}", name)
        if kind == (str, int) and not str(inner).isdigit():
            raise invalid(f"Invalid value at '{name}': {str(inner)[:40]}", name)
