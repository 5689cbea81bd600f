"""Requests of people to MLflow: find the rule, ask who owns what it names, pass it on, make the answer safe."""

from typing import Any
from urllib.parse import parse_qs, unquote

import aiohttp
from tornado import web
from tornado.iostream import StreamClosedError

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit import audit
from devplatform_hub.servicekit.addresses import address_of
from devplatform_hub.servicekit.handlers import PublicHandler, ServiceHandler

from .answers import UI_POLICY, request_headers, response_headers
from .rules import Access, Answer, Body, Match, Requester, canonical_body, match, rewrite, targets_of
from .service import MlflowService
from .uploads import Upload

_CHUNK = 256 * 1024
_DISCARDED = 64 * 2**20
_FILE_ARGUMENTS = ("artifact_path", "path", "artifact_file_path")
_MLFLOW_CODES = {400: "INVALID_PARAMETER_VALUE", 404: "RESOURCE_DOES_NOT_EXIST", 503: "TEMPORARILY_UNAVAILABLE"}


def relative_path(path: str, prefix: str) -> str:
    """The decoded path below `prefix`, when it can mean one thing only. Raises `PublicError`."""
    raw = path.removeprefix(prefix) if path.startswith(prefix) else ""
    try:
        decoded = unquote(raw, errors="strict")
    except UnicodeDecodeError:
        decoded = "\\"
    segments = decoded.split("/")
    if "%2f" in raw.lower() or "\\" in decoded or ".." in segments or "." in segments or not decoded.isprintable():
        raise PublicError("That is not a path of MLflow.", code="mlflow-path-invalid")
    return decoded


@web.stream_request_body
class MlflowHandler(ServiceHandler):
    """Every route of MLflow, as the person who asks."""

    redirects_to_login = True

    def initialize(self, service: MlflowService) -> None:
        self.service = service
        self._match: Match | None = None
        self._upload: Upload | None = None
        self._body = bytearray()
        self._limit = 0
        self._refusal: PublicError | None = None
        self._unread = True

    def error_json(self, problem: PublicError) -> dict[str, Any]:
        """Our error, and the same in the form that MLflow's clients read."""
        code = _MLFLOW_CODES.get(problem.status, "PERMISSION_DENIED")
        message = f"{problem.message} {problem.hint}".strip()
        return {**super().error_json(problem), "error_code": code, "message": message}

    @property
    def wants_json(self) -> bool:
        return self.request.path != self.service_prefix or super().wants_json

    async def prepare(self) -> None:
        # Tornado closes a connection that is answered before its body was read. A refusal waits for a small body,
        # so that the client can go on with its connection; after a large one it would wait too long.
        self.request.connection.set_max_body_size(_DISCARDED)  # type: ignore[union-attr]
        self.set_header("Connection", "close")
        length = int(self.request.headers.get("Content-Length") or 0)
        try:
            await super().prepare()
            if self._finished:
                return
            await self._open(length)
        except PublicError as refusal:
            if length > _DISCARDED or "Transfer-Encoding" in self.request.headers:
                raise
            self._refusal = refusal
        self._unread = False
        self.clear_header("Connection")

    async def _open(self, length: int) -> None:
        self._path = relative_path(self.request.path, self.service_prefix)
        self._match = self._find_rule()
        if not self.service.server.ready:
            raise PublicError(
                "MLflow is starting.", code="mlflow-starting", hint="Try again in a few seconds.", status=503
            )
        self._query = self._parse_query()
        rule = self._match.rule
        self._limit = self.service.limit_of(rule.body)
        if length > self._limit and rule.body is not Body.NONE:
            raise PublicError(f"That is more than {self._limit} bytes.", code="mlflow-too-large", status=413)
        if rule.body is Body.STREAM:
            self.request.connection.set_max_body_size(self._limit)  # type: ignore[union-attr]
            await self._authorise({})
            headers = request_headers(self.request.headers)
            if "Content-Length" in self.request.headers:
                headers["Content-Length"] = str(length)
            self._upload = Upload(self.service.upstream, self.request.method or "", self._path, {}, headers)

    async def data_received(self, chunk: bytes) -> None:
        if self._refusal:
            return
        if self._upload:
            await self._upload.feed(chunk)
        elif self._limit and len(self._body) + len(chunk) <= self._limit:
            self._body += chunk
        elif self._limit:
            raise PublicError(f"That is more than {self._limit} bytes.", code="mlflow-too-large", status=413)

    def on_connection_close(self) -> None:
        if self._upload:
            self._upload.abort()
        # Tornado 6.6 waits for the end of a streamed body for ever when the client has gone (RequestHandler._execute
        # expects this error, and nothing sets it), which would keep the handler and its buffers.
        body = self.request._body_future
        if not body.done():
            body.set_exception(StreamClosedError())

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        if self._unread:
            self.set_header("Connection", "close")
        problem = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if isinstance(problem, PublicError) and problem.code == "mlflow-starting" and not self.wants_json:
            self.set_status(503)
            self.set_header("Retry-After", "3")
            self.set_header("Refresh", "3")
            self.render_page("starting.html", problem=self.service.server.problem)
        else:
            super().write_error(status_code, **kwargs)

    async def get(self, _: str) -> None:
        if self._refusal:
            raise self._refusal
        await self._pass_on()

    head = post = put = patch = delete = get

    async def _pass_on(self) -> None:
        assert self._match is not None  # noqa: S101 - prepare set it or refused
        if self._upload:
            await self._relay(await self._upload.answer())
            return
        rule = self._match.rule
        body: dict[str, Any] = canonical_body(bytes(self._body)) if rule.body is Body.JSON else {}
        await self._authorise(body)
        requester = self._requester
        headers, data = request_headers(self.request.headers), None
        if rule.body is Body.JSON:
            body = rewrite(rule.rewrite, body, requester, self._match.variables)
            data, headers["Content-Type"] = self.service.encode(body), "application/json"
        elif rule.body is Body.BYTES:
            data = bytes(self._body)
        query = self._query if "GET" in rule.methods or rule.in_query else {}
        answer = await self.service.upstream.send(
            self.request.method or "", self._path, query=query, headers=headers, data=data
        )
        self.service.notice(self._match, body, requester)
        if self.service.needs_whole_answer(self._match, requester, body, answer.status):
            status, value = await self.service.edit_answer(self._match, requester, body, answer)
            self.send_json(value, status)
        else:
            await self._relay(answer)

    @property
    def _requester(self) -> Requester:
        return Requester(self.person.name, self.person.admin)

    def _find_rule(self) -> Match:
        if "upgrade" in self.request.headers.get("Connection", "").lower() or "Upgrade" in self.request.headers:
            raise PublicError("MLflow has no WebSocket.", code="mlflow-route-refused", status=403)
        found = match(self.request.method or "", self._path)
        if found is None:
            raise PublicError("This part of MLflow is not known here.", code="mlflow-route-unknown", status=403)
        if found.rule.access is Access.REFUSED:
            if found.rule.path == "v1/traces":
                # These words make MLflow's client send the trace by the routes that are open (mlflow_v3.py).
                message, status = "REST OTLP span logging is not supported here.", 501
            else:
                message, status = f"This part of MLflow is switched off: {found.rule.why}.", 403
            raise PublicError(message, code="mlflow-route-refused", status=status)
        return found

    def _parse_query(self) -> dict[str, list[str]]:
        try:
            return parse_qs(
                self.request.query, keep_blank_values=True, errors="strict", strict_parsing=False, max_num_fields=2000
            )
        except ValueError:  # UnicodeDecodeError is one
            raise PublicError("The query is not valid.", code="mlflow-request-invalid") from None

    async def _authorise(self, body: dict[str, Any]) -> None:
        assert self._match is not None  # noqa: S101 - prepare set it or refused
        targets = targets_of(self._match, self._query, body)
        refusal = await self.service.refusal(self._requester, targets)
        if refusal:
            audit.emit(
                "mlflow.request",
                actor=self.person.name,
                outcome="refused",
                target=f"{self.request.method} {self._match.rule.path}",
                why=refusal.code,
                remote=address_of(self.request),
            )
            raise refusal

    async def _relay(self, answer: aiohttp.ClientResponse) -> None:
        assert self._match is not None  # noqa: S101 - prepare set it or refused
        kind = self._match.rule.answer if answer.status < 400 else Answer.JSON
        async with answer:
            if 300 <= answer.status < 400 and answer.status != 304:
                raise PublicError("MLflow answered with another address.", code="mlflow-redirect", status=502)
            self.set_status(answer.status)
            if kind is Answer.PAGE:
                self._send_page(await answer.read())
                return
            for name, value in response_headers(kind, answer.headers, self._file_name()).items():
                self.set_header(name, value)
            await send_body(self, answer)

    def _send_page(self, page: bytes) -> None:
        static = f"{self.service_prefix}static"
        ours = f'<script src="{static}/hub.js"></script><link rel="stylesheet" href="{static}/hub.css">'
        for name, value in response_headers(Answer.PAGE, {"Content-Type": "text/html"}, "").items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", UI_POLICY)
        self.finish(page.replace(b"<head>", b"<head>" + ours.encode(), 1))

    def _file_name(self) -> str:
        assert self._match is not None  # noqa: S101 - prepare set it or refused
        for name in _FILE_ARGUMENTS:
            value = self._match.variables.get(name) or (self._query.get(name) or [""])[0]
            if value:
                return value.rpartition("/")[2]
        return ""


class AssetHandler(PublicHandler):
    """The UI's own scripts, styles, fonts."""

    public_reason = "the files of MLflow's public release, the same for everybody; fonts are fetched without a token"

    def initialize(self, service: MlflowService) -> None:
        self.service = service

    async def get(self, _: str) -> None:
        path = relative_path(self.request.path, self.service_prefix)
        found = match("GET", path)
        if found is None or found.rule.answer is not Answer.ASSET:
            raise web.HTTPError(404)
        if not self.service.server.ready:
            raise web.HTTPError(503)
        headers = request_headers(self.request.headers)
        async with await self.service.upstream.send("GET", path, headers=headers) as answer:
            if answer.status not in (200, 206, 304):
                raise web.HTTPError(404)
            self.set_status(answer.status)
            for name, value in response_headers(Answer.ASSET, answer.headers, path.rpartition("/")[2]).items():
                self.set_header(name, value)
            await send_body(self, answer)


async def send_body(handler: web.RequestHandler, answer: aiohttp.ClientResponse) -> None:
    """Stream `answer` to the client; the next chunk is read when the last has gone out."""
    try:
        async for chunk in answer.content.iter_chunked(_CHUNK):
            handler.write(chunk)
            await handler.flush()
        handler.finish()
    except StreamClosedError:  # the client has gone; leaving the context ends the other side
        return
