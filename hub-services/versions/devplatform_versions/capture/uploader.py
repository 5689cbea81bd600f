"""Making versions of what changed, a batch at a time: announce up to 200, put each, remember what came of it.

A path is finished when the service has it. Everything else goes back to the schedule; nothing is dropped.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from devplatform_hub.core.errors import PublicError

from ..answers import parse_version
from ..client import ServiceUnavailable, VersionsClient
from ..model import Origin, Version
from ..wire import time_text
from .looking import EMPTY_SHA256, Look, look_at_all, mtime_of
from .reconcile import Known, Save, merge_live
from .schedule import Schedule
from .settings import Settings
from .state import CaptureState, Row
from .status import Status
from .walk import printable
from .workspace import Reading, Unsteady, Workspace

_FINAL = {"path-invalid", "file-too-large", "upload-invalid", "value-invalid"}
_RETRY = 5.0
_RESTORE_WAIT = 1.0
_AGAIN = 0.2


class Uploader:
    """Captures paths. Raises `ServiceUnavailable` or `NotAllowed` after putting back what is not finished."""

    def __init__(
        self,
        workspace: Workspace,
        state: CaptureState,
        client: VersionsClient,
        schedule: Schedule,
        settings: Settings,
        status: Status,
    ) -> None:
        self._workspace = workspace
        self._state = state
        self._client = client
        self._schedule = schedule
        self._settings = settings
        self._status = status

    async def capture(self, paths: Mapping[str, bool], puts: asyncio.Semaphore, *, bulk: bool) -> None:
        """Bring the service up to date with these paths; the value says whether a path was doubted before."""
        unfinished = set(paths)
        try:
            rows = [(path, self._state.get(path)) for path in paths]
            looks = await asyncio.to_thread(look_at_all, self._workspace, rows, self._settings.max_file_bytes)
            uploads, deletions = self._sort(looks, paths, unfinished)
            self._state.put(Row(look.path, Known(None, None, seen=True), None) for look in uploads if look.row is None)
            await self._upload(uploads, unfinished, puts)
            await self._delete(deletions, unfinished)
        finally:
            now = time.monotonic()
            for path in unfinished:
                self._schedule.postpone(path, now, _AGAIN, bulk=bulk)
            for path in paths:
                self._schedule.done(path)

    def _sort(
        self, looks: list[Look], doubted: Mapping[str, bool], unfinished: set[str]
    ) -> tuple[list[Look], list[Look]]:
        """Uploads and deletions; everything else is finished here."""
        now = time.monotonic()
        uploads: list[Look] = []
        deletions: list[Look] = []
        remember: list[Row] = []
        forget: list[str] = []
        for look in looks:
            shown = printable(look.path)
            if look.refused is not None:
                self._status.refuse(shown, look.refused)
            elif look.unsteady:
                self._schedule.postpone(look.path, now, self._settings.suspicious_quiet)
            elif not doubted[look.path] and _is_suspicious(look) and self._schedule.doubt(look.path, now):
                pass  # it is looked at once more
            elif look.save is Save.UPLOAD:
                uploads.append(look)
                continue
            elif look.save is Save.DELETE:
                deletions.append(look)
                continue
            elif look.save is Save.REMEMBER:
                remember.append(look.remembered(look.match))
            elif look.save is Save.FORGET:
                forget.append(look.path)
            if look.refused is None:
                self._status.accept(shown)
            unfinished.discard(look.path)
        self._state.put(remember)
        self._state.forget(forget)
        return uploads, deletions

    async def _upload(self, looks: list[Look], unfinished: set[str], puts: asyncio.Semaphore) -> None:
        if not looks:
            return
        results = await self._client.request_uploads([_announcement(look) for look in looks])
        if len(results) != len(looks):
            raise ServiceUnavailable("it answered for other files than were asked")
        made: list[Row] = []
        tasks = [
            asyncio.create_task(self._upload_one(look, result, made, unfinished, puts))
            for look, result in zip(looks, results, strict=True)
        ]
        try:
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
            self._state.put(made)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _upload_one(
        self, look: Look, result: Mapping[str, Any], made: list[Row], unfinished: set[str], puts: asyncio.Semaphore
    ) -> None:
        error = result.get("error")
        if error is not None:
            await self._refused(look, str(error.get("code")), str(error.get("message")), unfinished)
            return
        if "unchanged" in result:
            made.append(look.remembered(parse_version(result["unchanged"]).generation))
        else:
            try:
                async with puts:
                    generation = await self._put(look, result["grant"])
            except Unsteady:
                return  # it is read again
            except PublicError as refusal:
                if refusal.status not in (400, 403, 409, 412, 413):
                    raise
                code = {409: "version-conflict", 412: "version-conflict"}.get(refusal.status, refusal.code)
                await self._refused(look, code, refusal.message, unfinished)
                return
            made.append(look.remembered(generation))
            self._schedule.count_version(look.path, time.monotonic())
            self._status.count(captured=1)
        self._status.accept(printable(look.path))
        unfinished.discard(look.path)

    async def _put(self, look: Look, grant: Mapping[str, Any]) -> int:
        reading = _reading(look)
        if reading.content is not None:
            return await self._client.put(grant, len(reading.content), reading.content)
        torn = False

        async def body() -> AsyncIterator[bytes]:
            nonlocal torn
            chunks = self._workspace.chunks(look.path, reading)
            try:
                while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                    yield chunk
            except (Unsteady, OSError):
                torn = True
                raise
            finally:
                chunks.close()

        try:
            return await self._client.put(grant, reading.stamp.size, body())
        except (PublicError, Unsteady):
            if torn:
                raise Unsteady(look.path) from None
            raise

    async def _delete(self, looks: list[Look], unfinished: set[str]) -> None:
        if not looks:
            return
        items = [
            {"path": look.path, "if_generation_match": str(look.match)} if look.match else {"path": look.path}
            for look in looks
        ]
        results = await self._client.delete(items)
        gone: list[Row] = []
        for look, result in zip(looks, results, strict=True):
            error = result.get("error")
            if error is not None:
                await self._refused(look, str(error.get("code")), str(error.get("message")), unfinished)
                continue
            gone.append(Row(look.path, Known(0, None, seen=True), None))
            self._status.count(deleted=1 if result.get("tombstone") else 0)
            unfinished.discard(look.path)
        self._state.put(gone)

    async def _refused(self, look: Look, code: str, message: str, unfinished: set[str]) -> None:
        """What a refusal of one item means: adopt what is there, try again on top of it, or let it be."""
        shown = printable(look.path)
        if code in _FINAL:
            self._status.refuse(shown, message)
            unfinished.discard(look.path)
        elif code in ("version-conflict", "version-not-found"):
            live = await self._newest(look.path)
            if live is not None and _asked_back(live, look) and not self._schedule.flushing:
                # The stream of changes brings that restore in a moment, and it decides what happens to this file.
                self._schedule.postpone(look.path, time.monotonic(), _RESTORE_WAIT)
                unfinished.discard(look.path)
                return
            alive = live is not None and not live.tombstone
            wanted = look.reading.sha256 if look.reading else None
            if alive and live is not None and live.sha256 == wanted:
                self._state.put([look.remembered(live.generation)])
                unfinished.discard(look.path)
            else:
                known = merge_live(Known(0, None, seen=True), live if alive else None)
                if known is not None:
                    self._state.put([Row(look.path, known, None)])
        else:
            self._status.error(code, message)
            self._schedule.postpone(look.path, time.monotonic(), _RETRY)
            unfinished.discard(look.path)

    async def _newest(self, path: str) -> Version | None:
        try:
            return next(iter(await self._client.versions(path, most=1)), None)
        except ServiceUnavailable:
            raise
        except PublicError as error:
            if error.status == 404:
                return None
            raise


def _announcement(look: Look) -> dict[str, Any]:
    reading = _reading(look)
    item: dict[str, Any] = {
        "path": look.path,
        "size": reading.stamp.size,
        "sha256": reading.sha256,
        "if_generation_match": str(look.match),
    }
    mtime = mtime_of(reading.stamp)
    return item if mtime is None else {**item, "mtime": time_text(mtime)}


def _asked_back(live: Version, look: Look) -> bool:
    """Whether a person restored this file since the agent last knew of it."""
    return live.origin is Origin.RESTORE and live.generation > look.match


def _reading(look: Look) -> Reading:
    if look.reading is None:
        raise ValueError("nothing was read")
    return look.reading


def _is_suspicious(look: Look) -> bool:
    """Whether the content went away, or is still to come: editors truncate or move a file before they write it."""
    if look.save is Save.DELETE:
        return True
    empty = look.save is Save.UPLOAD and look.reading is not None and look.reading.stamp.size == 0
    return empty and (look.row is None or look.row.known.sha256 != EMPTY_SHA256)
