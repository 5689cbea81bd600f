"""What clients say of an object: which of it is kept, how a patch changes it, which sums are checked."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from .bucket import Bucket
from .clock import read, written
from .errors import ApiError, invalid
from .generations import Generation, hashes
from .ledger import COLDNESS
from .resources import WRITABLE


def details_of(given: Mapping[str, Any], bucket: Bucket) -> dict[str, Any]:
    """The metadata of a new generation, from a resource. Raises ApiError (400)."""
    details = {name: _checked(name, given[name]) for name in WRITABLE if given.get(name) is not None}
    if bucket.config.get("defaultEventBasedHold"):
        details.setdefault("eventBasedHold", True)
    key = given.get("kmsKeyName") or bucket.config.get("encryption", {}).get("defaultKmsKeyName")
    if key:
        details["kmsKeyName"] = f"{key}/cryptoKeyVersions/1"
    return details


def class_of(given: Mapping[str, Any]) -> str | None:
    """The storage class that a resource asks for. Raises ApiError (400)."""
    name = given.get("storageClass")
    if name is not None and name not in COLDNESS:
        raise invalid(f"Invalid storage class: {name}", "storageClass")
    return name


def patched(one: Generation, given: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata after a patch: null takes a field, or a key of `metadata`, away. Raises ApiError (400)."""
    details = dict(one.details)
    for name in WRITABLE:
        if name not in given:
            continue
        value = given[name]
        if name == "customTime":
            _check_custom_time(one, value)
        if name == "metadata" and isinstance(value, dict):
            merged = {**details.get("metadata", {}), **value}
            value = {key: text for key, text in merged.items() if text is not None}
        if value in (None, {}, False):
            details.pop(name, None)
        else:
            details[name] = _checked(name, value)
    return details


def replaced(one: Generation, given: Mapping[str, Any], bucket: Bucket) -> dict[str, Any]:
    """The metadata after an update: what is not named goes, but for what belongs to the content."""
    if "customTime" in one.details or "customTime" in given:
        _check_custom_time(one, given.get("customTime"))
    own = ("kmsKeyName", "componentCount", "timeStorageClassUpdated")
    kept = {name: one.details[name] for name in own if name in one.details}
    return {**details_of(given, bucket), **kept}


def check_sums(body: bytes, declared: Mapping[str, str]) -> None:
    """Raises ApiError (400) where content is not what `md5Hash` or `crc32c` (Base64) say."""
    wanted = {name: declared[name] for name in ("md5Hash", "crc32c") if declared.get(name)}
    if not wanted:
        return
    real = sums_of_body(body)
    for name, text in wanted.items():
        if text != real[name]:
            kind = "MD5 hash" if name == "md5Hash" else "CRC32C"
            message = f'Provided {kind} "{text}" doesn\'t match calculated {kind} "{real[name]}".'
            raise ApiError(400, "invalid", message, "BadDigest" if name == "md5Hash" else "CrcMismatch")


def sums_of_body(body: bytes) -> dict[str, str]:
    """The sums that content has, in Base64."""
    crc, md5 = hashes(body)
    return {"md5Hash": b64encode(md5).decode(), "crc32c": b64encode(crc.to_bytes(4, "big")).decode()}


def sums_of_header(header: str) -> dict[str, str]:
    """The sums of an `x-goog-hash` header."""
    found = {}
    for part in header.split(","):
        kind, _, text = part.strip().partition("=")
        if kind in ("crc32c", "md5"):
            found["crc32c" if kind == "crc32c" else "md5Hash"] = text
    return found


def _checked(name: str, value: Any) -> Any:
    if name == "customTime":
        return written(read(value, name))
    if name == "metadata":
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise invalid("Invalid value for metadata: an object of texts is expected.", name)
        return dict(value)
    if name in ("temporaryHold", "eventBasedHold"):
        return bool(value)
    return str(value)


def _check_custom_time(one: Generation, value: Any) -> None:
    """It can be set and put later, never taken away or put earlier."""
    old = one.details.get("customTime")
    if old and (value is None or read(value, "customTime") < read(old, "customTime")):
        raise invalid("The customTime of an object cannot be removed or set to an earlier time.", "customTime")
