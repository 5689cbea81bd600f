"""From a call to its answer: which method of the API it is, who makes it, what it counts as, what the log says."""

from dataclasses import dataclass, field

from . import batch, bucket_calls, copy_calls, cors, object_calls, side_calls, upload_calls, xml_calls
from .calls import Answer, Call, Route, Routes, refusal
from .desk import Desk
from .errors import ApiError, not_found
from .faults import Log, Logged

_API = Routes([*bucket_calls.ROUTES, *object_calls.ROUTES, *copy_calls.ROUTES])
_UPLOAD = Routes(upload_calls.ROUTES)
_SIDE = Routes(side_calls.ROUTES)
_ROOTS = (
    (["storage", "v1"], _API),
    (["upload", "storage", "v1"], _UPLOAD),
    (["download", "storage", "v1"], _API),
    (["resumable", "upload", "storage", "v1"], _UPLOAD),
)
_BATCH = Route("POST", "batch/storage/v1", "batch", "free", lambda *_: Answer())


@dataclass
class Dispatch:
    """Answers calls, one after another: each is a single step."""

    desk: Desk
    log: Log = field(default_factory=Log)

    def method(self, call: Call) -> str:
        """The API's name of what is called."""
        found = _find(call)[0]
        return found[0].name if found else "unknown"

    def answer(self, call: Call) -> Answer:
        """Do it; a refusal is an answer, too."""
        found, is_xml = _find(call)
        entry = Logged(found[0].name if found else "unknown", f"{call.method} {call.raw}", None)
        self.log.add(entry)
        try:
            if found is None:
                raise not_found()
            call.member = self._member(call)
            answer = self._do(call, *found)
        except ApiError as error:
            answer = refusal(error, is_xml)
        if is_xml and found is not None and "Origin" in call.headers and found[1][0] in self.desk.store.buckets:
            answer.headers |= cors.headers(self.desk.store.buckets[found[1][0]], call)
        entry.member, entry.touched, entry.status = call.member, tuple(call.touched), answer.status
        return answer

    def _do(self, call: Call, route: Route, names: list[str]) -> Answer:
        self.desk.store.ledger.count(route.name, route.price)
        if route is _BATCH:
            return batch.run(call, self.answer)
        if not call.whole and route.handler is not upload_calls.send:
            # Only a resumable upload makes something of half a body.
            raise ApiError(503, "backendError", "The connection ended.")
        return route.handler(self.desk, call, *names)

    def _member(self, call: Call) -> str | None:
        try:
            return self.desk.accounts.member(call.headers.get("Authorization", ""))
        except ApiError:
            # While everybody may do everything, a client may send whatever token it likes.
            if self.desk.iam.enforced:
                raise
            return None


def _find(call: Call) -> tuple[tuple[Route, list[str]] | None, bool]:
    """The route and its names, and whether it is the XML API's."""
    segments = call.segments
    for root, routes in _ROOTS:
        if segments[: len(root)] == root:
            call.api = segments[len(root) :]
            found = routes.find(call.method, call.api)
            return found or _SIDE.find(call.method, segments), False
    if segments == ["batch", "storage", "v1"]:
        return (_BATCH, []), False
    side = _SIDE.find(call.method, segments)
    if side is not None:
        return side, False
    return xml_calls.route(call), True
