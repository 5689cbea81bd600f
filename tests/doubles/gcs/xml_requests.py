"""What a request of the XML API says: who makes it, and in its headers what the JSON API has in bodies."""

from collections.abc import Mapping
from typing import Any

from .bucket import Bucket
from .calls import Call
from .desk import Desk
from .errors import invalid, unmet
from .generations import Generation
from .metadata import sums_of_header
from .object_calls import content_headers
from .preconditions import of_headers
from .signatures import is_signed, signer
from .store import Place, check_name

_META = "x-goog-meta-"
_HEADERS = {
    "Cache-Control": "cacheControl",
    "Content-Disposition": "contentDisposition",
    "Content-Encoding": "contentEncoding",
    "Content-Language": "contentLanguage",
    "Content-Type": "contentType",
    "x-goog-custom-time": "customTime",
    "x-goog-storage-class": "storageClass",
}


def entered(desk: Desk, call: Call, bucket_name: str) -> Bucket:
    """The bucket, once it is known who is calling."""
    if is_signed(call):
        call.member = signer(call, desk.accounts, desk.store.clock.now()).member
    return desk.store.bucket(bucket_name)


def place_of(desk: Desk, call: Call, bucket: Bucket, name: str) -> Place:
    """Where a write goes, when the caller may write there. Raises ApiError."""
    check_name(name)
    desk.allow(call, "storage.objects.create", bucket, name)
    live = bucket.live(name)
    if live:
        desk.allow(call, "storage.objects.delete", bucket, name)
    if call.headers.get("If-None-Match") == "*" and live:
        raise unmet("If-None-Match")
    return Place(bucket, name, None, of_headers(call.headers))


def given_of(headers: Mapping[str, str]) -> dict[str, Any]:
    """Metadata, from headers."""
    given: dict[str, Any] = {field: headers[header] for header, field in _HEADERS.items() if header in headers}
    own = {name.lower().removeprefix(_META): text for name, text in headers.items() if name.lower().startswith(_META)}
    return given | ({"metadata": own} if own else {})


def sums_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The sums that a request says its content has."""
    sums = sums_of_header(headers.get("x-goog-hash", ""))
    return sums | ({"md5Hash": headers["Content-MD5"]} if "Content-MD5" in headers else {})


def limits_of(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """The least and the most bytes of `x-goog-content-length-range`."""
    text = headers.get("x-goog-content-length-range")
    if text is None:
        return None
    least, _, most = text.partition(",")
    if not (least.isdigit() and most.isdigit()):
        raise invalid("Malformed x-goog-content-length-range.", code="InvalidArgument")
    return int(least), int(most)


def written_headers(one: Generation) -> dict[str, str]:
    """What the answer to a write says of the new generation."""
    headers = content_headers(one)
    kept = ("ETag", "X-Goog-Generation", "X-Goog-Metageneration", "X-Goog-Hash", "X-Goog-Stored-Content-Length")
    return {name: headers[name] for name in kept}
