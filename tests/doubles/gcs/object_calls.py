"""The JSON API's methods of objects: get, list, patch, update, delete; and content, for both APIs."""

import re
from email.utils import formatdate
from typing import Any

from .bucket import Bucket, SoftDeleted
from .calls import Answer, Call, Route, json_answer
from .clock import SECOND
from .desk import Desk
from .errors import ApiError, invalid, no_object, not_modified, unmet
from .fields import Mask, known
from .generations import Generation
from .listing import Query, page
from .metadata import patched, replaced
from .preconditions import number, of_query
from .resources import Shown, object_mask, shown
from .store import Place

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_FULL_PROJECTION_LIMIT = 2000


def get(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """objects.get: metadata, or content with alt=media."""
    bucket = desk.store.bucket(bucket_name)
    desk.allow(call, "storage.objects.get", bucket, name)
    if call.flag("softDeleted"):
        soft = _soft_deleted(desk, bucket, name, number(call.query, "generation"))
        return answer_object(call, bucket, name, soft.generation, soft)
    one = desk.store.get(Place(bucket, name, number(call.query, "generation"), of_query(call.query)))
    check_etag(call, one)
    if call.query.get("alt") == "media":
        return content(call, one)
    return answer_object(call, bucket, name, one)


def list_page(desk: Desk, call: Call, bucket_name: str) -> Answer:
    """objects.list."""
    bucket = desk.store.bucket(bucket_name)
    query = _query(desk, call)
    desk.allow(call, "storage.objects.list", bucket, listed=query.prefix)
    mask = call.mask
    known(mask, ("kind", "nextPageToken", "prefixes", "items"))
    if query.soft:
        bucket.expire(desk.store.clock.now())
    found = page(bucket, query)
    answer: dict[str, Any] = {"kind": "storage#objects"}
    if found.token:
        answer["nextPageToken"] = found.token
    if found.prefixes:
        answer["prefixes"] = found.prefixes
    if found.items and (mask is None or "items" in mask):
        of_items: Mask | None = object_mask((mask or {}).get("items"))
        base, items = call.base, found.items
        answer["items"] = [shown(Shown(base, bucket_name, name, one, soft), of_items) for name, one, soft in items]
    return json_answer(answer, dict.fromkeys(mask) if mask else None)


def _query(desk: Desk, call: Call) -> Query:
    given = call.query
    limit = desk.page_limit if given.get("projection") != "full" else min(desk.page_limit, _FULL_PROJECTION_LIMIT)
    size = number(given, "maxResults")
    if size == 0:
        raise invalid("Invalid value for maxResults: 0", "maxResults")
    if call.flag("softDeleted") and call.flag("versions"):
        raise invalid("softDeleted and versions cannot be combined.", "softDeleted")
    return Query(
        prefix=given.get("prefix", ""),
        delimiter=given.get("delimiter", ""),
        trailing=call.flag("includeTrailingDelimiter"),
        versions=call.flag("versions"),
        soft=call.flag("softDeleted"),
        start=given.get("startOffset", ""),
        end=given.get("endOffset", ""),
        glob=given.get("matchGlob", ""),
        token=given.get("pageToken", ""),
        size=min(size or 1000, limit, limit if call.page_limit is None else call.page_limit),
    )


def patch(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """objects.patch."""
    bucket, one = _writable(desk, call, bucket_name, name)
    one.change(patched(one, call.json()), desk.store.clock.now())
    return answer_object(call, bucket, name, one)


def update(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """objects.update."""
    bucket, one = _writable(desk, call, bucket_name, name)
    one.change(replaced(one, call.json(), bucket), desk.store.clock.now())
    return answer_object(call, bucket, name, one)


def _writable(desk: Desk, call: Call, bucket_name: str, name: str) -> tuple[Bucket, Generation]:
    bucket = desk.store.bucket(bucket_name)
    desk.allow(call, "storage.objects.update", bucket, name)
    place = Place(bucket, name, number(call.query, "generation"), of_query(call.query))
    return bucket, desk.store.get(place)


def delete(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """objects.delete."""
    bucket = desk.store.bucket(bucket_name)
    desk.allow(call, "storage.objects.delete", bucket, name)
    desk.store.delete(Place(bucket, name, number(call.query, "generation"), of_query(call.query)))
    return Answer(204)


def answer_object(
    call: Call, bucket: Bucket, name: str, one: Generation, soft: SoftDeleted | None = None, status: int = 200
) -> Answer:
    """The resource of an object, cut to the mask."""
    return json_answer(shown(Shown(call.base, bucket.name, name, one, soft), object_mask(call.mask)), status=status)


def check_etag(call: Call, one: Generation) -> None:
    """If-Match and If-None-Match. Raises ApiError: 412, 304."""
    wanted, refused = (call.headers.get(name, "").strip('"') for name in ("If-Match", "If-None-Match"))
    if wanted not in ("", "*", one.etag):
        raise unmet("If-Match")
    if refused in ("*", one.etag):
        raise not_modified("If-None-Match")


def content(call: Call, one: Generation) -> Answer:
    """Bytes, or the range of them that is asked for. Raises ApiError (416)."""
    headers = content_headers(one)
    body = b"" if call.method == "HEAD" else one.content()
    match = _RANGE.fullmatch(call.headers.get("Range", ""))
    if match is None or match[0] == "bytes=-":
        return Answer(200, body, headers | ({"Content-Length": str(one.size)} if call.method == "HEAD" else {}))
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or one.size), one.size - 1)
    else:
        first, last = max(one.size - int(match[2]), 0), one.size - 1
    if first >= one.size or first > last:
        message = "The requested range cannot be satisfied."
        raise ApiError(416, "requestedRangeNotSatisfiable", message, "InvalidRange")
    headers["Content-Range"] = f"bytes {first}-{last}/{one.size}"
    return Answer(206, body[first : last + 1], headers)


def content_headers(one: Generation) -> dict[str, str]:
    """What goes along with content."""
    md5 = one.md5_hash()
    headers = {
        "Content-Type": str(one.details.get("contentType", "application/octet-stream")),
        "ETag": f'"{one.etag}"',
        "Last-Modified": formatdate(one.updated / SECOND, usegmt=True),
        "Accept-Ranges": "bytes",
        "X-Goog-Generation": str(one.number),
        "X-Goog-Metageneration": str(one.metageneration),
        "X-Goog-Storage-Class": one.storage_class,
        "X-Goog-Stored-Content-Encoding": str(one.details.get("contentEncoding", "identity")),
        "X-Goog-Stored-Content-Length": str(one.size),
        "X-Goog-Hash": f"crc32c={one.crc32c()}" + (f",md5={md5}" if md5 else ""),
    }
    names = {"cacheControl": "Cache-Control", "contentDisposition": "Content-Disposition"}
    names |= {"contentEncoding": "Content-Encoding", "contentLanguage": "Content-Language"}
    headers |= {header: str(one.details[name]) for name, header in names.items() if name in one.details}
    return headers


def _soft_deleted(desk: Desk, bucket: Bucket, name: str, generation: int | None) -> SoftDeleted:
    bucket.expire(desk.store.clock.now())
    if generation is None:
        raise invalid("A generation is required for soft-deleted objects.", "generation")
    for soft in bucket.soft.get(name, ()):
        if soft.generation.number == generation:
            return soft
    raise no_object(bucket.name, name)


ROUTES = [
    Route("GET", "b/{}/o", "storage.objects.list", "A", list_page),
    Route("GET", "b/{}/o/{}", "storage.objects.get", "B", get),
    Route("HEAD", "b/{}/o/{}", "storage.objects.get", "B", get),
    Route("PATCH", "b/{}/o/{}", "storage.objects.patch", "A", patch),
    Route("PUT", "b/{}/o/{}", "storage.objects.update", "A", update),
    Route("DELETE", "b/{}/o/{}", "storage.objects.delete", "free", delete),
]
