"""`LocalVersionStore`: the version store of one machine, behind the ports of this package."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from traitlets import Any, Integer, Unicode
from traitlets.config import LoggingConfigurable

from devplatform_hub.ports import Clock

from ..announcements import check_announcement
from ..clock import SystemClock
from ..model import Change, FolderEntry, Origin, Page, Trace, Unchanged, UploadGrant, UploadRequest, Version, Visit
from ..ports import SIGNATURE_HEADER, PreconditionFailed, StoreUnavailable
from . import changes, grants, queries, visits
from .database import INLINE_BYTES
from .engine import Engine
from .rows import micros
from .upload import LocalUploadSink

G = TypeVar("G", int, int | None)
_MOST_ON_A_PAGE = 5000
_EXPIRED_AT_ONCE = 200
_MOST = 2**62  # above every time and size, and SQLite still holds it


class LocalVersionStore(LoggingConfigurable):
    """Keeps versions in one folder of this machine; satisfies all ports of this package."""

    root = Unicode(
        ".devplatform/versions",
        help="The folder of the store. It is made when missing, readable by its owner only. One process at a time.",
    ).tag(config=True)
    upload_url = Unicode(
        "/services/versions/local-upload/",
        help="What granted upload addresses start with, relative to the hub's origin: the service's own prefix.",
    ).tag(config=True)
    grant_seconds = Integer(
        900, min=1, help="How long a granted upload may be begun, in seconds. Short, because a log may hold its URL."
    ).tag(config=True)
    max_file_bytes = Integer(
        5 * 2**30, min=1, help="The largest file that is kept, in bytes, so that one upload cannot fill the disk."
    ).tag(config=True)
    clock = Any(help="Tells the time; tests choose it.")

    _engine: Engine | None = None

    def _clock_default(self) -> Clock:
        return SystemClock()

    async def open(self) -> None:
        """Make the folder ready, or refuse it with one clear sentence."""
        if self._engine is None:
            self._engine = await Engine.open(Path(self.root), self._micros, self.log)

    async def close(self) -> None:
        """Finish what was begun and let go of the folder."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    async def list_folder(
        self, owner: str, folder: str, *, deleted: bool = False, token: str | None = None, limit: int = 500
    ) -> Page[FolderEntry]:
        return await self._open_engine.ask(
            queries.list_folder, owner, folder, self._now(), deleted=deleted, token=token, limit=_bounded(limit)
        )

    async def list_versions(
        self, owner: str, path: str, *, token: str | None = None, limit: int = 500
    ) -> Page[Version]:
        return await self._open_engine.ask(
            queries.list_versions, owner, path, self._now(), token=token, limit=_bounded(limit)
        )

    async def get_version(self, owner: str, path: str, generation: int | None = None) -> Version:
        return await self._open_engine.ask(queries.get_version, owner, path, _possible(generation), self._now())

    async def read(
        self, owner: str, path: str, generation: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        engine = self._open_engine
        sha256, size, inline = await engine.ask(queries.locate, owner, path, _possible(generation))
        start, end = max(0, start), size if end is None else min(end, size)
        if inline is None:
            async with aclosing(engine.read_file(sha256, start, end)) as chunks:
                async for chunk in chunks:
                    yield chunk
        elif start < end:
            yield inline[start:end]

    async def snapshot(
        self, owner: str, folder: str, at: datetime | None = None, *, token: str | None = None, limit: int = 1000
    ) -> Page[Version]:
        return await self._open_engine.ask(
            queries.snapshot, owner, folder, at, self._now(), token=token, limit=_bounded(limit)
        )

    async def changes(self, owner: str, since: int, *, limit: int = 1000) -> tuple[Change, ...]:
        return await self._open_engine.ask(
            queries.changes, owner, min(max(0, since), _MOST), self._now(), limit=_bounded(limit)
        )

    async def traces(self, owner: str, content: Version, since: datetime, until: datetime) -> tuple[Trace, ...] | None:
        return await self._open_engine.ask(queries.traces, owner, content, since, until, self._now())

    async def grant_upload(self, owner: str, request: UploadRequest, author: str) -> UploadGrant | Unchanged:
        check_announcement(request, self.max_file_bytes)
        now = self._now()
        live, newest = await self._open_engine.ask(queries.standing, owner, request.path, now)
        wanted = request.if_generation_match
        if wanted is not None and wanted != (live.generation if live else 0):
            raise PreconditionFailed(request.path, live)
        if live is not None and (live.size, live.sha256) == (request.size, request.sha256):
            return Unchanged(live)
        expires = now + timedelta(seconds=self.grant_seconds)
        token, signature = grants.seal(
            grants.Granted(
                id=grants.new_grant_id(),
                owner=owner,
                path=request.path,
                size=request.size,
                sha256=request.sha256,
                author=author,
                origin=request.origin,
                mtime=None if request.mtime is None else micros(request.mtime),
                if_generation_match=wanted,
                base=newest,
                expires=micros(expires),
            ),
            self._open_engine.key,
        )
        headers = {SIGNATURE_HEADER: signature, "content-type": "application/octet-stream"}
        return UploadGrant(request.path, self.upload_url + token, headers, expires)

    async def accept_upload(self, token: str, signature: str) -> LocalUploadSink:
        """Where the bytes of a granted upload go. `UploadRefused` for what was not granted or has run out."""
        engine = self._open_engine
        granted = grants.unseal(token, signature, engine.key, self._micros())
        if granted.size > INLINE_BYTES:
            await engine.ask(queries.check_grant, granted, self._now())
        return LocalUploadSink(granted, engine.blobs, engine.writer, engine.executor)

    async def restore(
        self, owner: str, path: str, generation: int, author: str, *, if_generation_match: int | None = None
    ) -> Version:
        return await self._open_engine.writer.run(
            lambda batch: changes.restore(batch, owner, path, _possible(generation), author, if_generation_match)
        )

    async def delete(
        self,
        owner: str,
        path: str,
        author: str,
        *,
        if_generation_match: int | None = None,
        origin: Origin = Origin.CAPTURE,
    ) -> Version | None:
        return await self._open_engine.writer.run(
            lambda batch: changes.delete(batch, owner, path, author, if_generation_match, origin)
        )

    async def expire(self, owner: str, now: datetime) -> int:
        engine = self._open_engine
        removed, file = 0, 0
        while True:
            due, following = await engine.ask(queries.expired, owner, now, file, _EXPIRED_AT_ONCE)
            if due:
                removed += await engine.writer.run(partial(changes.purge, expired=due))
            if following is None:
                break
            file = following
        await engine.drop_abandoned()
        return removed

    async def owners(self) -> list[str]:
        """Everybody who has versions here, for those who expire them."""
        return await self._open_engine.ask(queries.owners)

    async def add_visit(self, owner: str, visit: Visit) -> None:
        await self._open_engine.writer.run(partial(visits.add, owner=owner, visit=visit))

    async def change_visit(
        self, owner: str, visit_id: str, *, ended: datetime | None = None, dismissed: bool = False
    ) -> bool:
        return await self._open_engine.writer.run(
            lambda batch: visits.change(batch, owner, visit_id, ended=ended, dismissed=dismissed)
        )

    async def visits(self, owner: str) -> tuple[Visit, ...]:
        return await self._open_engine.ask(visits.kept, owner)

    @property
    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise StoreUnavailable("The version store is not open.")
        return self._engine

    def _now(self) -> datetime:
        now: datetime = self.clock.now()
        return now

    def _micros(self) -> int:
        return micros(self._now())


def _bounded(limit: int) -> int:
    return min(max(limit, 1), _MOST_ON_A_PAGE)


def _possible(generation: G) -> G | int:
    """The generation, or 0, which is none, for a number that SQLite cannot even compare."""
    return generation if generation is None or 0 < generation <= _MOST else 0
