"""Objects and buckets as the JSON API shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .bucket import Bucket, SoftDeleted
from .clock import written
from .fields import Mask, applied, known
from .generations import Generation


@dataclass(frozen=True, slots=True)
class Shown:
    """One object to show. `base` is the address that the caller reached the double by."""

    base: str
    bucket: str
    name: str
    one: Generation
    soft: SoftDeleted | None = None

    @property
    def path(self) -> str:
        """Bucket and object, quoted, as in the JSON API's addresses."""
        return f"storage/v1/b/{self.bucket}/o/{quote(self.name, safe='')}"


_Field = Callable[[Shown], Any]


def _time(moment: int | None) -> str | None:
    return None if moment is None else written(moment)


def _detail(name: str) -> _Field:
    return lambda shown: shown.one.details.get(name)


WRITABLE = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "customTime",
    "eventBasedHold",
    "metadata",
    "temporaryHold",
)
"""What a client may give with an upload, a copy or a patch."""

_FIELDS: dict[str, _Field] = {
    "kind": lambda shown: "storage#object",
    "id": lambda shown: f"{shown.bucket}/{shown.name}/{shown.one.number}",
    "selfLink": lambda shown: f"{shown.base}/{shown.path}",
    "mediaLink": lambda shown: f"{shown.base}/download/{shown.path}?generation={shown.one.number}&alt=media",
    "name": lambda shown: shown.name,
    "bucket": lambda shown: shown.bucket,
    "generation": lambda shown: str(shown.one.number),
    "metageneration": lambda shown: str(shown.one.metageneration),
    "storageClass": lambda shown: shown.one.storage_class,
    "size": lambda shown: str(shown.one.size),
    "md5Hash": lambda shown: shown.one.md5_hash(),
    "crc32c": lambda shown: shown.one.crc32c(),
    "etag": lambda shown: shown.one.etag,
    "timeCreated": lambda shown: written(shown.one.created),
    "timeFinalized": lambda shown: written(shown.one.created),
    "updated": lambda shown: written(shown.one.updated),
    "timeDeleted": lambda shown: _time(shown.one.deleted),
    "timeStorageClassUpdated": lambda shown: written(
        shown.one.details.get("timeStorageClassUpdated", shown.one.created)
    ),
    "softDeleteTime": lambda shown: shown.soft and written(shown.soft.at),
    "hardDeleteTime": lambda shown: shown.soft and written(shown.soft.until),
    **{name: _detail(name) for name in (*WRITABLE, "componentCount", "kmsKeyName")},
}
OBJECT_FIELDS = (*_FIELDS, "acl", "owner", "contexts", "retention", "restoreToken", "retentionExpirationTime")


def shown(what: Shown, mask: Mask | None) -> dict[str, Any]:
    """The resource of an object, only what the mask wants. Raises ApiError (400) for a field that there is not."""
    if mask is None:
        made = ((name, make(what)) for name, make in _FIELDS.items())
        return {name: value for name, value in made if value is not None}
    answer = {}
    for name, below in mask.items():
        make = _FIELDS.get(name)
        value = make(what) if make else None
        if value is not None:
            answer[name] = value if below is None else applied(value, below)
    return answer


def object_mask(mask: Mask | None) -> Mask | None:
    """A mask of objects' fields, checked. Raises ApiError (400)."""
    known(mask, OBJECT_FIELDS)
    return None if mask and "*" in mask else mask


def bucket_resource(bucket: Bucket, base: str) -> dict[str, Any]:
    """The resource of a bucket."""
    return {
        "kind": "storage#bucket",
        "id": bucket.name,
        "name": bucket.name,
        "selfLink": f"{base}/storage/v1/b/{bucket.name}",
        "projectNumber": "123456789012",
        "generation": str(bucket.created),
        "metageneration": str(bucket.metageneration),
        "timeCreated": written(bucket.created),
        "updated": written(bucket.updated or bucket.created),
        "etag": f"CA{bucket.metageneration}=",
        **bucket.config,
    }
