"""The double as an HTTP server: reads a request whole, answers it in one step, and goes wrong where a test wants."""

import asyncio
from typing import Any

from aiohttp import ClientError, web

from ..api_server import ApiServer, Fault, Handler
from . import control
from .bucket import Bucket
from .bucket_config import created
from .bulk import Fill, fill
from .calls import Answer, Call, query_of, segments_of
from .clock import Clock
from .desk import Desk
from .dispatch import Dispatch
from .errors import ApiError
from .faults import GcsFault
from .lifecycle import Applied, apply
from .store import Store


class GcsServer(ApiServer):
    """Cloud Storage. `async with GcsServer() as gcs:` listens at `gcs.url`.

    `delay` (seconds) and `faults` work as in the other doubles; `calls` counts by the API's method.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self.clock = clock or Clock()
        self.store = Store(self.clock)
        self.desk = Desk(self.store)
        self.iam = self.desk.iam
        self.accounts = self.desk.accounts
        self.ledger = self.store.ledger
        self.dispatch = Dispatch(self.desk)
        self.log = self.dispatch.log

    # What an administrator does.

    def make_bucket(self, name: str, versioned: bool = True, **settings: Any) -> Bucket:
        """A bucket with uniform access and these settings, as in its resource."""
        given = {"name": name, "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}} | settings
        if versioned:
            given["versioning"] = {"enabled": True}
        bucket = Bucket(name, self.clock.now(), created(given, self.clock.now()))
        self.store.buckets[name] = bucket
        return bucket

    def fill(self, bucket: str, what: Fill) -> None:
        """Many generations at once."""
        fill(self.store, self.store.bucket(bucket), what)

    def apply_lifecycle(self, bucket: str) -> list[Applied]:
        """What the rules of the bucket do now."""
        return apply(self.store, self.store.bucket(bucket))

    # HTTP.

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/-/{what:.*}", self._control),
            web.route("*", "/{path:.*}", self._serve),
        ]

    @web.middleware
    async def _treated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """In place of the other doubles' treatment: here it depends on the API's method."""
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await handler(request)
        finally:
            self.under_way -= 1

    async def _control(self, request: web.Request) -> web.Response:
        return await control.answer(self, request)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body, whole = await _body(request)
        raw = request.raw_path
        path, _, query = raw.partition("?")
        try:
            segments, parameters = segments_of(path), query_of(query)
        except (ApiError, UnicodeDecodeError):
            return web.Response(status=400, text="The address is not UTF-8.")
        base = f"{request.scheme}://{request.host}"
        call = Call(request.method, raw, segments, parameters, request.headers, body, base, whole=whole)
        method = self.dispatch.method(call)
        self.calls[method] += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        struck = [fault for fault in self.faults if _strikes(fault, method, request)]
        return await self._with(struck, request, call)

    async def _with(self, faults: list[Fault], request: web.Request, call: Call) -> web.StreamResponse:
        """The answer, as these faults leave it."""
        cut: float | None = None
        for fault in faults:
            if not isinstance(fault, GcsFault) or fault.answers:
                headers = {"Content-Type": "application/json", **fault.headers}
                return web.Response(status=fault.status, text=fault.text, headers=headers)
            if fault.wait:
                await asyncio.sleep(fault.wait)
            if fault.before:
                fault.before()
            if fault.reset:
                return _hang_up(request)
            call.page_limit = fault.page if fault.page is not None else call.page_limit
            cut = fault.cut if fault.cut is not None else cut
        answer = self.dispatch.answer(call)
        if any(isinstance(fault, GcsFault) and fault.lost for fault in faults):
            return _hang_up(request)
        if cut is not None:
            return await _cut_off(request, answer, cut)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _strikes(fault: Fault, method: str, request: web.Request) -> bool:
    return fault.hits(method, request.path) if isinstance(fault, GcsFault) else fault.strikes(request)


async def _body(request: web.Request) -> tuple[bytes, bool]:
    """What came, and whether it is all: a connection may end before its request does."""
    received = bytearray()
    try:
        async for chunk in request.content.iter_any():
            received += chunk
    except (ClientError, ConnectionError, web.PayloadAccessError):
        return bytes(received), False
    return bytes(received), True


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut_off(request: web.Request, answer: Answer, part: float) -> web.StreamResponse:
    """Only the first part of the body that the headers promise."""
    length = {"Content-Length": str(len(answer.body))}
    response = web.StreamResponse(status=answer.status, headers=answer.headers | length)
    await response.prepare(request)
    await response.write(answer.body[: int(len(answer.body) * part)])
    if request.transport is not None:
        request.transport.close()
    return response
