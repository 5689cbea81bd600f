"""Multipart uploads of the XML API, which large files of MLflow and of backups go by.

https://cloud.google.com/storage/docs/multipart-uploads: parts in any order, at least 5 MiB each but for the last;
nothing is there before the upload is completed; they know no preconditions; the result has no MD5.
"""

import hashlib
import secrets
from xml.etree import ElementTree

from .bucket import Multipart
from .calls import Answer, Call, Route
from .desk import Desk
from .errors import ApiError, invalid, not_found
from .metadata import check_sums, class_of, details_of, sums_of_body
from .preconditions import number
from .store import Place
from .xml_requests import entered, given_of, place_of, sums_of, written_headers

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_LEAST = 5 * 1024 * 1024
_MOST_PARTS = 10_000


def begin(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """POST ?uploads begins one, POST ?uploadId completes it."""
    if "uploads" not in call.query:
        return _complete(desk, call, bucket_name, name)
    bucket = entered(desk, call, bucket_name)
    place_of(desk, call, bucket, name)
    given = given_of(call.headers)
    key = secrets.token_urlsafe(24)
    upload = Multipart(name, details_of(given, bucket), class_of(given), desk.store.clock.now())
    bucket.multiparts[key] = upload
    return _xml("InitiateMultipartUploadResult", {"Bucket": bucket_name, "Key": name, "UploadId": key})


def put_part(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """One part; sent again, it replaces the one before."""
    upload = _upload(desk, call, bucket_name, name)
    which = number(call.query, "partNumber")
    if which is None or not 1 <= which <= _MOST_PARTS:
        raise invalid(f"partNumber must be between 1 and {_MOST_PARTS}.", code="InvalidArgument")
    check_sums(call.body, sums_of(call.headers))
    upload.parts[which] = call.body
    sums = sums_of_body(call.body)
    of_part = f"crc32c={sums['crc32c']},md5={sums['md5Hash']}"
    return Answer(200, b"", {"ETag": _etag(call.body), "X-Goog-Hash": of_part})


def list_parts(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """What is there already."""
    upload = _upload(desk, call, bucket_name, name)
    root = ElementTree.Element("ListPartsResult", xmlns=_NAMESPACE)
    for which, body in sorted(upload.parts.items()):
        part = ElementTree.SubElement(root, "Part")
        for field, text in (("PartNumber", which), ("ETag", _etag(body)), ("Size", len(body))):
            ElementTree.SubElement(part, field).text = str(text)
    return _answer(root)


def abort(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """End it without an object."""
    _upload(desk, call, bucket_name, name)
    del desk.store.bucket(bucket_name).multiparts[call.query["uploadId"]]
    return Answer(204)


def _complete(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    upload = _upload(desk, call, bucket_name, name)
    bucket = desk.store.bucket(bucket_name)
    named = _named(call.body)
    if [which for which, _ in named] != sorted({which for which, _ in named}):
        raise invalid("The parts are not in order.", code="InvalidPartOrder")
    for which, etag in named:
        if which not in upload.parts or etag.strip('"') != _etag(upload.parts[which]).strip('"'):
            raise invalid(f"Part {which} is not there, or is another one.", code="InvalidPart")
    bodies = [upload.parts[which] for which, _ in named]
    if any(len(body) < _LEAST for body in bodies[:-1]):
        raise invalid("A part is smaller than 5 MiB and not the last.", code="EntityTooSmall")
    one = desk.store.join(Place(bucket, name), bodies, upload.details, upload.storage_class)
    del bucket.multiparts[call.query["uploadId"]]
    fields = {"Location": f"{call.base}/{bucket_name}/{name}", "Bucket": bucket_name, "Key": name}
    answer = _xml("CompleteMultipartUploadResult", fields | {"ETag": f'"{one.etag}"'})
    answer.headers |= written_headers(one)
    return answer


def _upload(desk: Desk, call: Call, bucket_name: str, name: str) -> Multipart:
    """The upload of this object that the caller goes on with."""
    bucket = entered(desk, call, bucket_name)
    desk.allow(call, "storage.objects.create", bucket, name)
    upload = bucket.multiparts.get(call.query.get("uploadId", ""))
    if upload is None or upload.name != name:
        raise not_found("The requested upload was not found.", "NoSuchUpload")
    return upload


def _named(body: bytes) -> list[tuple[int, str]]:
    """Numbers and ETags of the parts that a completion names. Raises ApiError (400)."""
    try:
        root = ElementTree.fromstring(body)
        found = []
        for part in root:
            texts = {child.tag.rpartition("}")[2]: child.text or "" for child in part}
            found.append((int(texts["PartNumber"]), texts["ETag"]))
    except (ElementTree.ParseError, KeyError, ValueError):
        raise ApiError(400, "invalid", "The XML is not well-formed or not a list of parts.", "MalformedXML") from None
    if not found:
        raise ApiError(400, "invalid", "There are no parts.", "MalformedXML")
    return found


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _xml(tag: str, fields: dict[str, str]) -> Answer:
    root = ElementTree.Element(tag, xmlns=_NAMESPACE)
    for name, text in fields.items():
        ElementTree.SubElement(root, name).text = text
    return _answer(root)


def _answer(root: ElementTree.Element) -> Answer:
    return Answer(200, ElementTree.tostring(root, "utf-8", xml_declaration=True), {"Content-Type": "application/xml"})


ROUTES = {
    "POST": Route("POST", "", "xml.multipart.post", "A", begin),
    "PUT": Route("PUT", "", "xml.multipart.part", "A", put_part),
    "GET": Route("GET", "", "xml.multipart.parts", "A", list_parts),
    "DELETE": Route("DELETE", "", "xml.multipart.abort", "free", abort),
}
