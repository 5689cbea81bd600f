"""The XML API as far as clients use it: objects by GET, HEAD, PUT, DELETE, uploads by POST.

A signed URL speaks for the service account that signed it.
"""

from urllib.parse import unquote

from . import cors, multipart_calls
from .calls import Answer, Call, Route
from .desk import Desk
from .errors import invalid
from .metadata import check_sums, class_of, details_of
from .object_calls import check_etag, content
from .preconditions import number, of_headers
from .sessions import Upload
from .store import Place
from .upload_calls import cancel, open_session, send
from .xml_requests import entered, given_of, limits_of, place_of, sums_of, written_headers


def route(call: Call) -> tuple[Route, list[str]] | None:
    """The method of an address "/bucket/object", whose slashes belong to the object."""
    path = call.raw.partition("?")[0]
    bucket, _, name = path.lstrip("/").partition("/")
    found = _METHODS.get(call.method)
    if found is None or not bucket or not name:
        return None
    if "upload_id" in call.query:
        found = _SESSION.get(call.method, found)
    if "uploadId" in call.query or "uploads" in call.query:
        found = multipart_calls.ROUTES.get(call.method, found)
    return found, [unquote(bucket), unquote(name)]


def get(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """An object's content, or only what goes along with it."""
    bucket = entered(desk, call, bucket_name)
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
    bucket = entered(desk, call, bucket_name)
    place = place_of(desk, call, bucket, name)
    if limits := limits_of(call.headers):
        if len(call.body) < limits[0]:
            raise invalid("Your proposed upload is smaller than the minimum object size.", code="EntityTooSmall")
        if len(call.body) > limits[1]:
            raise invalid("Your proposed upload exceeds the maximum allowed object size.", code="EntityTooLarge")
    check_sums(call.body, sums_of(call.headers))
    given = given_of(call.headers)
    one = desk.store.write(place, call.body, details_of(given, bucket), class_of(given))
    return Answer(200, b"", written_headers(one))


def delete(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """As objects.delete."""
    bucket = entered(desk, call, bucket_name)
    desk.allow(call, "storage.objects.delete", bucket, name)
    desk.store.delete(Place(bucket, name, number(call.query, "generation"), of_headers(call.headers)))
    return Answer(204)


def begin(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """Begin a resumable upload; the address that it gives needs no signature."""
    bucket = entered(desk, call, bucket_name)
    if call.headers.get("x-goog-resumable") != "start":
        raise invalid("Only the beginning of a resumable upload is posted.", code="InvalidArgument")
    place = place_of(desk, call, bucket, name)
    given = given_of(call.headers)
    upload = Upload(
        to=place,
        details=details_of(given, bucket),
        storage_class=class_of(given),
        declared=sums_of(call.headers),
        begun=desk.store.clock.now(),
        is_xml=True,
        limits=limits_of(call.headers),
    )
    key = open_session(desk, upload)
    location = f"{call.base}{call.raw.partition('?')[0]}?upload_id={key}"
    return Answer(201, b"", {"Location": location, "X-GUploader-UploadID": key})


def options(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """A browser's question whether a page may ask; it carries no signature."""
    return cors.preflight(desk.store.bucket(bucket_name), call)


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
