"""What generations of objects mean: a listing's resources become versions and tombstones. Pure.

https://cloud.google.com/storage/docs/json_api/v1/objects#resource. What we write beside the bytes is custom metadata:
`devplatform-sha256`, `-author`, `-origin`, `-mtime` (microseconds), `-restored-from`, `-grant`, and on a generation
that was deleted through us `-ended-by`, `-ended-origin`, `-ended-at`. Texts are percent-encoded, as headers carry them.

A bucket has no tombstones: one is where a generation ended before the next began, or where none came. Its number is its
moment in microseconds, as the numbers of generations are. Moments are told to the millisecond: the last microsecond of
it is taken, so that a deletion comes after what was saved before it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

from ..model import Origin, UploadRequest, Version

FIELDS = "name,generation,size,md5Hash,timeCreated,timeDeleted,storageClass,metadata"
"""What is asked of a resource, and no more: listings are mostly the time that it takes to write and read them."""

_KEY = "devplatform-"
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SOON = timedelta(seconds=60)
_REST_OF_IT = 999
_GAP = timedelta(seconds=0.5)
"""Between the end of a generation and the next: below it one replaced the other, whose times need not agree exactly."""
_ORIGINS = {origin.value: origin for origin in Origin}


@dataclass(frozen=True, slots=True)
class Ended:
    """Who deleted a file through us, noted on the generation that it ended."""

    author: str
    origin: Origin
    at: datetime


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(number: int) -> datetime:
    """The moment of a number of microseconds."""
    return _EPOCH + number * _MICROSECOND


def metadata_of(
    *,
    sha256: str,
    author: str,
    origin: Origin,
    mtime: datetime | None,
    restored_from: int | None = None,
    grant: str = "",
) -> dict[str, str]:
    """The custom metadata of a version that we make."""
    made = {"sha256": sha256, "author": quote(author, safe=" @"), "origin": origin.value}
    made |= {"mtime": str(micros(mtime))} if mtime is not None else {}
    made |= {"restored-from": str(restored_from)} if restored_from is not None else {}
    made |= {"grant": grant} if grant else {}
    return {f"{_KEY}{name}": value for name, value in made.items()}


def upload_headers(request: UploadRequest, author: str, standing: int, *, grant: str) -> dict[str, str]:
    """What an upload is bound to: these bytes, this metadata, and `standing`, the generation that is live (0: none).

    Also where the caller did not ask for that: a PUT whose answer was lost can be sent again, and makes no second
    version.
    """
    metadata = metadata_of(
        sha256=request.sha256, author=author, origin=request.origin, mtime=request.mtime, grant=grant
    )
    return {
        "content-type": "application/octet-stream",
        "x-goog-content-length-range": f"{request.size},{request.size}",
        "x-goog-content-sha256": request.sha256,
        "x-goog-if-generation-match": str(standing),
        **{f"x-goog-meta-{name}": value for name, value in metadata.items()},
    }


def ended_metadata(ended: Ended) -> dict[str, str]:
    """What is noted on the live generation before it is deleted."""
    told = {
        "ended-by": quote(ended.author, safe=" @"),
        "ended-origin": ended.origin.value,
        "ended-at": str(micros(ended.at)),
    }
    return {f"{_KEY}{name}": value for name, value in told.items()}


def grant_of(resource: Mapping[str, Any]) -> str:
    """The grant that this generation was put by; "" for others."""
    return _metadata(resource).get(f"{_KEY}grant", "")


def version_of(path: str, owner: str, resource: Mapping[str, Any]) -> Version:
    """One generation as a version. Without our metadata the workspace itself is the bucket: its person saved it."""
    get, ended = _metadata(resource).get, resource.get("timeDeleted")
    return Version(
        path=path,
        generation=int(resource["generation"]),
        size=int(resource.get("size", 0)),
        sha256=get(f"{_KEY}sha256") or f"md5:{resource.get('md5Hash', '')}",
        created=_time(resource["timeCreated"]),
        author=unquote(get(f"{_KEY}author", "")) or owner,
        origin=_ORIGINS.get(get(f"{_KEY}origin", ""), Origin.MOUNT),
        noncurrent_since=_time(ended) if ended else None,
        mtime=_mtime(get),
        storage_class=resource.get("storageClass", "STANDARD"),
        restored_from=_number(get(f"{_KEY}restored-from")),
    )


def history_of(path: str, owner: str, resources: Sequence[Mapping[str, Any]]) -> list[Version]:
    """Every version and tombstone of one object, newest first, of its generations in any order."""
    ordered = sorted(resources, key=_generation) if len(resources) > 1 else resources
    found: list[Version] = []
    for index, resource in enumerate(ordered):
        version = version_of(path, owner, resource)
        found.append(version)
        end = version.noncurrent_since
        if end is None:
            continue
        following = _time(ordered[index + 1]["timeCreated"]) if index + 1 < len(ordered) else None
        if following is None or following - end >= _GAP:
            found.append(_tombstone(version, owner, end, resource))
    return found[::-1]


def _tombstone(version: Version, owner: str, at: datetime, resource: Mapping[str, Any]) -> Version:
    get = _metadata(resource).get
    noted = _number(get(f"{_KEY}ended-at"))
    # A note whose deletion failed stays on a generation that something else ended later.
    is_ours = noted is not None and abs(moment_of(noted) - at) < _SOON
    return Version(
        path=version.path,
        generation=max(micros(at) + _REST_OF_IT, version.generation + 1),
        size=0,
        sha256="",
        created=at,
        author=unquote(get(f"{_KEY}ended-by", "")) if is_ours else owner,
        origin=_ORIGINS.get(get(f"{_KEY}ended-origin", ""), Origin.MOUNT) if is_ours else Origin.MOUNT,
        tombstone=True,
    )


def _generation(resource: Mapping[str, Any]) -> int:
    return int(resource["generation"])


def _metadata(resource: Mapping[str, Any]) -> Mapping[str, str]:
    """The custom metadata; its values are texts, whoever wrote them."""
    return resource.get("metadata") or {}


def _mtime(get: Callable[..., str | None]) -> datetime | None:
    """When the file was changed: our note, else gcsfuse's own (RFC 3339 with nanoseconds) on what it wrote."""
    ours, theirs = _number(get(f"{_KEY}mtime")), get("gcsfuse_mtime")
    if ours is not None:
        return moment_of(ours)
    try:
        return _time(theirs) if theirs and not get(f"{_KEY}origin") else None
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _time(text: str) -> datetime:
    """RFC 3339; what is finer than a microsecond is cut off."""
    return datetime.fromisoformat(text).astimezone(UTC)
