"""Bytes in and out, never whole in memory: downloads of versions, and uploads that were granted."""

import base64
import logging
from typing import Any

from tornado import iostream, web

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit.handlers import PublicHandler

from .folder_restoring import unavailable
from .handlers import OwnedHandler
from .ports import SIGNATURE_HEADER, PreconditionFailed, StoreUnavailable, UploadReceiver, UploadSink
from .presentation import attachment, download_name
from .ranges import ByteRange, RangeNotSatisfiable, etag_matches, parse_range
from .service import VersionsService

_log = logging.getLogger("devplatform.versions")
_THROWN_AWAY = 16 * 2**20
_LARGEST_UPLOAD = 2**63 - 1  # the grant is the bound: the sink refuses the first byte too many


class ContentHandler(OwnedHandler):
    """The bytes of a version, as a download."""

    open_to_visits = True
    is_download = True
    _size_out_of_range: int | None = None

    async def get(self, owner: str) -> None:
        version = await self.store.get_version(owner, self.file_path(), self.optional_generation())
        etag = f'"{version.sha256}"'
        self.set_header("ETag", etag)
        self.set_header("Accept-Ranges", "bytes")
        # A browser may keep it, and asks each time whether it may still show it.
        self.set_header("Cache-Control", "private, no-cache")
        self.set_header("X-Generation", str(version.generation))
        if etag_matches(self.request.headers.get("If-None-Match"), etag):
            self.set_status(304)
            return
        wanted = self._range(version.size, etag)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", attachment(download_name(version)))
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        if wanted is not None:
            self.set_status(206)
            self.set_header("Content-Range", wanted.content_range)
        start, end = (wanted.start, wanted.end) if wanted else (0, version.size)
        self.set_header("Content-Length", str(end - start))
        if self.visit is None:
            self.service.note_download(self.person, version, self.remote)
        try:
            await self.flush()
            async for chunk in self.service.read(owner, version, start=start, end=end):
                self.write(chunk)
                await self.flush()
        except iostream.StreamClosedError:
            return  # the caller went away
        except (StoreUnavailable, PublicError):
            # The status is on its way already: an early end is the only way to say that this is not all of it.
            _log.exception("A download ended early")
            connection: Any = self.request.connection
            connection.stream.close()

    def _range(self, size: int, etag: str) -> ByteRange | None:
        condition = self.request.headers.get("If-Range")
        if condition is not None and condition.strip() != etag:
            return None
        try:
            return parse_range(self.request.headers.get("Range"), size)
        except RangeNotSatisfiable:
            self._size_out_of_range = size
            raise PublicError(
                f"The file has {size} bytes, and that range has none of them.", code="range-invalid", status=416
            ) from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if self._size_out_of_range is not None:
            self.set_header("Content-Range", f"bytes */{self._size_out_of_range}")
        super().write_error(status_code, **kwargs)

    def compute_etag(self) -> str | None:
        """The entity tag is the content's SHA-256, set above."""
        return None


@web.stream_request_body
class UploadHandler(PublicHandler):
    """`PUT` of the bytes of a grant."""

    public_reason = "the signature header of the grant is the credential, for one file and one set of bytes"

    _sink: UploadSink | None = None
    _problem: PublicError | StoreUnavailable | None = None

    def initialize(self, service: VersionsService) -> None:
        """Called by tornado with the arguments of the route."""
        self.service = service

    async def _execute(self, transforms: Any, *args: bytes, **kwargs: bytes) -> None:
        # The one place that also ends when the connection breaks in the middle of the body.
        try:
            await super()._execute(transforms, *args, **kwargs)
        finally:
            if self._sink is not None:
                await self._sink.abort()

    async def prepare(self) -> None:
        if self.request.method != "PUT":
            raise web.HTTPError(405)
        store = self.service.store
        if not isinstance(store, UploadReceiver):
            raise web.HTTPError(404)
        connection: Any = self.request.connection
        try:
            signature = self.request.headers.get(SIGNATURE_HEADER, "")
            self._sink = await store.accept_upload(self.path_kwargs["token"], signature)
        except (PublicError, StoreUnavailable) as error:
            # Answered now, a client that is still sending would see a broken connection and no reason:
            # a body of moderate size is read to its end and thrown away.
            if not self._is_short_body():
                raise
            self._problem = error
            connection.set_max_body_size(_THROWN_AWAY)
        else:
            connection.set_max_body_size(_LARGEST_UPLOAD)

    def _is_short_body(self) -> bool:
        length = self.request.headers.get("Content-Length", "")
        return length.isdecimal() and int(length) <= _THROWN_AWAY

    async def data_received(self, chunk: bytes) -> None:
        if self._sink is None or self._problem is not None:
            return
        try:
            await self._sink.write(chunk)
        except (PublicError, StoreUnavailable) as error:
            self._problem = error  # tornado closes the connection without an answer for what is raised here

    async def put(self, token: str) -> None:  # noqa: ARG002 - prepare has used it
        if self._problem is not None:
            raise self._problem
        assert self._sink is not None  # noqa: S101 - prepare made it or noted the problem
        version = await self.service.commit_upload(self._sink)
        digest = base64.b64encode(bytes.fromhex(version.sha256)).decode()
        self.set_header("x-goog-generation", str(version.generation))
        self.set_header("x-goog-hash", f"sha256={digest}")
        self.set_header("Content-Type", "application/octet-stream")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        _, error, trace = kwargs.get("exc_info") or (None, None, None)
        if isinstance(error, StoreUnavailable):
            error = unavailable(error)
            kwargs["exc_info"] = (type(error), error, trace)
        elif isinstance(error, PreconditionFailed):
            error.status = 412  # as a bucket answers
        # Refused before its body was read, the connection cannot be used again: say so.
        self.set_header("Connection", "close")
        super().write_error(error.status if isinstance(error, PublicError) else status_code, **kwargs)
