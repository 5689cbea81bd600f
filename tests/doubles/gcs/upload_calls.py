"""Uploads of the JSON API: media, multipart, and resumable ones with everything that can happen to them."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from .bucket import Bucket
from .calls import Answer, Call, Route, json_object
from .desk import Desk
from .errors import ApiError, invalid, not_found
from .metadata import check_sums, class_of, details_of, sums_of_header
from .object_calls import answer_object
from .preconditions import of_query
from .sessions import LIFETIME, QUANTUM, Upload
from .store import Place, check_hold, check_name
from .xml_requests import written_headers

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


def insert(desk: Desk, call: Call, bucket_name: str) -> Answer:
    """objects.insert."""
    bucket = desk.store.bucket(bucket_name)
    kind = call.query.get("uploadType")
    given: dict[str, Any] = {}
    if kind == "resumable":
        return _begin(desk, call, bucket, json_object(call.body))
    if kind == "media":
        body, content_type = call.body, call.headers.get("Content-Type")
    elif kind == "multipart":
        given, body, content_type = _parts(call)
    else:
        raise invalid("Invalid upload type.", "uploadType")
    place = _place(desk, call, bucket, given)
    check_sums(body, {**given, **sums_of_header(call.headers.get("X-Goog-Hash", ""))})
    details = details_of({"contentType": content_type, **given}, bucket)
    one = desk.store.write(place, body, details, class_of(given))
    return answer_object(call, bucket, place.name, one)


def _place(desk: Desk, call: Call, bucket: Bucket, given: Mapping[str, Any]) -> Place:
    name = call.query.get("name") or given.get("name")
    if not name:
        raise invalid("Required parameter: name", "name")
    check_name(name)
    desk.allow(call, "storage.objects.create", bucket, name)
    if bucket.live(name):
        # https://cloud.google.com/storage/docs/access-control/iam-permissions: replacing is deleting, too.
        desk.allow(call, "storage.objects.delete", bucket, name)
    return Place(bucket, name, None, of_query(call.query))


def _parts(call: Call) -> tuple[dict[str, Any], bytes, str | None]:
    """Metadata, content and its type of a multipart/related body. Raises ApiError (400)."""
    found = []
    for headers, body in parts_of(call.body, call.headers.get("Content-Type", "")):
        found.append((headers.get("content-type"), body))
    if len(found) != 2:
        raise invalid("A multipart upload has two parts.")
    return json_object(found[0][1]), found[1][1], found[1][0]


def parts_of(body: bytes, content_type: str) -> list[tuple[dict[str, str], bytes]]:
    """Headers (lower case) and bodies of a multipart body. Raises ApiError (400)."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        raise invalid("Missing multipart boundary.")
    found = []
    # What follows the last boundary begins with "--"; what comes before the first is nobody's.
    for part in (b"\r\n" + body).split(b"\r\n--" + match[1].encode())[1:]:
        if part.startswith(b"--"):
            break
        head, _, rest = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if part.startswith(b"\r\n\r\n"):
            head, rest = b"", part[4:]
        pairs = (line.partition(":") for line in head.decode().split("\r\n") if line)
        found.append(({name.strip().lower(): value.strip() for name, _, value in pairs}, rest))
    return found


def _begin(desk: Desk, call: Call, bucket: Bucket, given: Mapping[str, Any]) -> Answer:
    """A resumable upload's first call; preconditions are looked at here and at the end."""
    place = _place(desk, call, bucket, given)
    total = call.headers.get("X-Upload-Content-Length")
    upload = Upload(
        to=place,
        details=details_of({"contentType": call.headers.get("X-Upload-Content-Type"), **given}, bucket),
        storage_class=class_of(given),
        declared={**given, **sums_of_header(call.headers.get("X-Goog-Hash", ""))},
        begun=desk.store.clock.now(),
        total=int(total) if total and total.isdigit() else None,
    )
    key = open_session(desk, upload)
    location = f"{call.base}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&upload_id={key}"
    return Answer(200, b"", {"Location": location, "X-GUploader-UploadID": key})


def open_session(desk: Desk, upload: Upload) -> str:
    """The id of a new session. Raises ApiError where a precondition or a hold stands against it already."""
    live = upload.to.bucket.live(upload.to.name)
    upload.to.must.check(live)
    if live:
        check_hold(upload.to.bucket, upload.to.name, live)
    key = secrets.token_urlsafe(32)
    desk.uploads[key] = upload
    return key


def send(desk: Desk, call: Call, *_: str) -> Answer:
    """One chunk of a resumable upload, or the question how far it is."""
    upload = _session(desk, call)
    if upload.done is not None:
        return _finished(call, upload)
    header = call.headers.get("Content-Range")
    if header is None:
        return _whole(desk, call, upload)
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise invalid(f"Failed to parse Content-Range header: {header}")
    if match[3] != "*":
        upload.total = int(match[3])
    if match[1] is not None:
        _append(call, upload, int(match[1]), int(match[2]))
    if len(upload.received) == upload.total:
        return _finish(desk, call, upload)
    return _unfinished(call, upload)


def cancel(desk: Desk, call: Call, *_: str) -> Answer:
    """End a resumable upload: 499, as documented."""
    _session(desk, call).cancelled = True
    return Answer(499)


def _session(desk: Desk, call: Call) -> Upload:
    upload = desk.uploads.get(call.query.get("upload_id", ""))
    if upload is None:
        raise not_found("The upload session does not exist.", "NoSuchUpload")
    call.touched.append(f"{upload.to.bucket.name}/{upload.to.name}")
    if upload.cancelled:
        raise ApiError(499, "invalid", "The upload was cancelled.")
    if desk.store.clock.now() > upload.begun + LIFETIME:
        raise ApiError(410, "gone", "The upload session has expired.")
    return upload


def _whole(desk: Desk, call: Call, upload: Upload) -> Answer:
    """All of it in one call, without a range."""
    if not call.whole:
        _keep(upload, 0, call.body)
        raise ApiError(503, "backendError", "The connection ended.")
    upload.received[:] = call.body
    return _finish(desk, call, upload)


def _append(call: Call, upload: Upload, first: int, last: int) -> None:
    """Add a chunk; what is there already is not written twice."""
    have = len(upload.received)
    if first > have:
        raise invalid(
            f"Invalid request. According to the Content-Range header, the upload offset is {first} byte(s),"
            f" which exceeds already uploaded size of {have} byte(s)."
        )
    if not call.whole:
        _keep(upload, first, call.body)
        raise ApiError(503, "backendError", "The connection ended.")
    if last - first + 1 != len(call.body):
        raise invalid("The body is not as long as the Content-Range header says.")
    is_last = last + 1 == upload.total
    if upload.total is not None and last + 1 > upload.total:
        raise invalid(
            f"Invalid request. The upload has {upload.total} byte(s), and the Content-Range header says more."
        )
    if not is_last and len(call.body) % QUANTUM:
        raise invalid(f"Invalid request. The number of bytes uploaded is required to be a multiple of {QUANTUM}.")
    upload.received += call.body[have - first :]


def _keep(upload: Upload, first: int, body: bytes) -> None:
    """Of a chunk that broke off, whole quanta are kept."""
    have = len(upload.received)
    fresh = body[have - first :]
    upload.received += fresh[: len(fresh) // QUANTUM * QUANTUM]


def _unfinished(call: Call, upload: Upload) -> Answer:
    headers = {"Range": f"bytes=0-{len(upload.received) - 1}"} if upload.received else {}
    # Go's client asks for this: its HTTP library takes 308 for a redirect.
    if call.headers.get("X-GUploader-No-308") == "yes":
        return Answer(200, b"", headers | {"X-Http-Status-Code-Override": "308"})
    return Answer(308, b"", headers)


def _finish(desk: Desk, call: Call, upload: Upload) -> Answer:
    body = bytes(upload.received)
    check_sums(body, {**upload.declared, **sums_of_header(call.headers.get("X-Goog-Hash", ""))})
    if upload.limits and not upload.limits[0] <= len(body) <= upload.limits[1]:
        code = "EntityTooSmall" if len(body) < upload.limits[0] else "EntityTooLarge"
        raise invalid("The content is not of the size that was agreed.", code=code)
    upload.done = desk.store.write(upload.to, body, upload.details, upload.storage_class)
    upload.received.clear()
    return _finished(call, upload)


def _finished(call: Call, upload: Upload) -> Answer:
    assert upload.done is not None
    if upload.is_xml:
        return Answer(200, b"", written_headers(upload.done))
    return answer_object(call, upload.to.bucket, upload.to.name, upload.done)


ROUTES = [
    Route("POST", "b/{}/o", "storage.objects.insert", "A", insert),
    Route("PUT", "b/{}/o", "storage.objects.insert", "free", send),
    Route("DELETE", "b/{}/o", "storage.objects.insert", "free", cancel),
]
