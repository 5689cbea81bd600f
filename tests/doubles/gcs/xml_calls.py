"""The XML API as far as clients use it: objects by GET, HEAD, PUT, DELETE, and resumable uploads by POST.

A signed URL speaks for the service account that signed it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from . import cors
from .bucket import Bucket
from .calls import Answer, Call, Route
from .desk import Desk
from .errors import invalid, unmet
from .metadata import check_sums, class_of, details_of, sums_of_header
from .object_calls import check_etag, content, content_headers
from .preconditions import number, of_headers
from .sessions import Upload
from .signatures import is_signed, signer
from .store import Place, check_name
from .upload_calls import cancel, open_session, send

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


def route(call: Call) -> tuple[Route, list[str]] | None:
    """The method of an address "/bucket/object", whose slashes belong to the object."""
    path = call.raw.partition("?")[0]
    bucket, _, name = path.lstrip("/").partition("/")
    found = _METHODS.get(call.method)
    if found is None or not bucket or not name:
        return None
    if "upload_id" in call.query:
        found = _SESSION.get(call.method, found)
    return found, [unquote(bucket), unquote(name)]


def get(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """An object's content, or only what goes along with it."""
    bucket = _entered(desk, call, bucket_name)
    desk.allow(call, "storage.objects.get", bucket, name)
    one = desk.store.get(Place(bucket, name, number(call.query, "generation"), of_headers(call.headers)))
    check_etag(call, one)
    answer = content(call, one)
    for header in ("Content-Disposition", "Content-Type"):
        parameter = f"response-{header.lower()}"
        if parameter in call.query:
            answer.headers[header] = call.query[parameter]
    return answer


def put(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """A new generation."""
    bucket = _entered(desk, call, bucket_name)
    place = _place(desk, call, bucket, name)
    if limits := _limits(call.headers):
        if len(call.body) < limits[0]:
            raise invalid("Your proposed upload is smaller than the minimum object size.", code="EntityTooSmall")
        if len(call.body) > limits[1]:
            raise invalid("Your proposed upload exceeds the maximum allowed object size.", code="EntityTooLarge")
    check_sums(call.body, _sums(call.headers))
    given = _given(call.headers)
    one = desk.store.write(place, call.body, details_of(given, bucket), class_of(given))
    headers = content_headers(one)
    kept = ("ETag", "X-Goog-Generation", "X-Goog-Metageneration", "X-Goog-Hash", "X-Goog-Stored-Content-Length")
    return Answer(200, b"", {name: headers[name] for name in kept})


def delete(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """As objects.delete."""
    bucket = _entered(desk, call, bucket_name)
    desk.allow(call, "storage.objects.delete", bucket, name)
    desk.store.delete(Place(bucket, name, number(call.query, "generation"), of_headers(call.headers)))
    return Answer(204)


def begin(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """Begin a resumable upload; the address that it gives needs no signature."""
    bucket = _entered(desk, call, bucket_name)
    if call.headers.get("x-goog-resumable") != "start":
        raise invalid("Only the beginning of a resumable upload is posted.", code="InvalidArgument")
    place = _place(desk, call, bucket, name)
    given = _given(call.headers)
    upload = Upload(
        to=place,
        details=details_of(given, bucket),
        storage_class=class_of(given),
        declared=_sums(call.headers),
        begun=desk.store.clock.now(),
        is_xml=True,
        limits=_limits(call.headers),
    )
    key = open_session(desk, upload)
    location = f"{call.base}{call.raw.partition('?')[0]}?upload_id={key}"
    return Answer(201, b"", {"Location": location, "X-GUploader-UploadID": key})


def options(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """A browser's question whether a page may ask; it carries no signature."""
    return cors.preflight(desk.store.bucket(bucket_name), call)


def _entered(desk: Desk, call: Call, bucket_name: str) -> Bucket:
    """The bucket, once it is known who is calling."""
    if is_signed(call):
        call.member = signer(call, desk.accounts, desk.store.clock.now()).member
    return desk.store.bucket(bucket_name)


def _place(desk: Desk, call: Call, bucket: Bucket, name: str) -> Place:
    check_name(name)
    desk.allow(call, "storage.objects.create", bucket, name)
    live = bucket.live(name)
    if live:
        desk.allow(call, "storage.objects.delete", bucket, name)
    if call.headers.get("If-None-Match") == "*" and live:
        raise unmet("If-None-Match")
    return Place(bucket, name, None, of_headers(call.headers))


def _given(headers: Mapping[str, str]) -> dict[str, Any]:
    """Metadata, from headers."""
    given: dict[str, Any] = {field: headers[header] for header, field in _HEADERS.items() if header in headers}
    own = {name.lower().removeprefix(_META): text for name, text in headers.items() if name.lower().startswith(_META)}
    return given | ({"metadata": own} if own else {})


def _sums(headers: Mapping[str, str]) -> dict[str, str]:
    sums = sums_of_header(headers.get("x-goog-hash", ""))
    return sums | ({"md5Hash": headers["Content-MD5"]} if "Content-MD5" in headers else {})


def _limits(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """The least and the most bytes of `x-goog-content-length-range`."""
    text = headers.get("x-goog-content-length-range")
    if text is None:
        return None
    least, _, most = text.partition(",")
    if not (least.isdigit() and most.isdigit()):
        raise invalid("Malformed x-goog-content-length-range.", code="InvalidArgument")
    return int(least), int(most)


_METHODS = {
    "GET": Route("GET", "", "xml.objects.get", "B", get),
    "HEAD": Route("HEAD", "", "xml.objects.head", "B", get),
    "PUT": Route("PUT", "", "xml.objects.put", "A", put),
    "DELETE": Route("DELETE", "", "xml.objects.delete", "free", delete),
    "POST": Route("POST", "", "xml.objects.begin", "A", begin),
    "OPTIONS": Route("OPTIONS", "", "xml.objects.options", "free", options),
}
_SESSION = {
    "PUT": Route("PUT", "", "xml.objects.chunk", "free", send),
    "DELETE": Route("DELETE", "", "xml.objects.cancel", "free", cancel),
}
