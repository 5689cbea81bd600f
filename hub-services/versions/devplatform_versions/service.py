"""What every handler works with: the store, with waiting, auditing and rendering around it."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

from devplatform_hub.core.errors import PublicError
from devplatform_hub.ports import Clock
from devplatform_hub.servicekit import audit
from devplatform_hub.servicekit.identity import Person

from .changefeed import ChangeFeed, wait_for
from .folder_restoring import FolderResult, FolderSummary, apply_plan, make_plan
from .model import Change, Origin, Unchanged, UploadGrant, UploadRequest, Version
from .ports import UploadSink, VersionStore
from .rendering.client import Renderer

_REMEMBERED_DOWNLOADS = 1000
_ONE_DOWNLOAD_SECONDS = 60.0  # a program reads one file in many ranges: that is one download


@dataclass
class VersionsService:
    """One owner's files are changed only here, so that listeners wake up and the audit is complete."""

    store: VersionStore
    clock: Clock
    renderer: Renderer = field(default_factory=Renderer)
    feed: ChangeFeed = field(default_factory=ChangeFeed)
    monotonic: Callable[[], float] = time.monotonic
    _restoring: set[str] = field(default_factory=set)
    _downloads: "OrderedDict[tuple[str, str, int], float]" = field(default_factory=OrderedDict)

    def now(self) -> datetime:
        """The current time, UTC."""
        return self.clock.now()

    async def changes(self, owner: str, since: int, wait: float) -> tuple[Change, ...]:
        """What was written after a cursor; when that is nothing, what comes within `wait` seconds."""
        if wait <= 0:
            return await self.store.changes(owner, since)
        ticket = self.feed.ticket(owner)
        try:
            found = await self.store.changes(owner, since)
            if not found:
                await wait_for(ticket, wait)
                found = await self.store.changes(owner, since)
            return found
        finally:
            self.feed.forget(owner, ticket)

    async def grant_upload(self, person: Person, request: UploadRequest) -> UploadGrant | Unchanged:
        """Permission to put one version into the person's own files."""
        return await self.store.grant_upload(person.slug, request, person.name)

    async def commit_upload(self, sink: UploadSink) -> Version:
        """The version that an upload makes."""
        version = await sink.commit()
        self.feed.ring(sink.owner)
        return version

    async def delete(self, person: Person, path: str, if_generation_match: int | None, remote: str) -> Version | None:
        """The tombstone that ends the live version of a file, if it has one."""
        tombstone = await self.store.delete(
            person.slug, path, person.name, if_generation_match=if_generation_match, origin=Origin.CAPTURE
        )
        if tombstone is not None:
            self.feed.ring(person.slug)
            self._audit("version.delete", person, _target(person.slug, path, tombstone.generation), remote)
        return tombstone

    async def restore(
        self, person: Person, path: str, generation: int, if_generation_match: int | None, remote: str
    ) -> Version:
        """The new live version, with the bytes of an old one."""
        version = await self.store.restore(
            person.slug, path, generation, person.name, if_generation_match=if_generation_match
        )
        self.feed.ring(person.slug)
        self._audit("version.restore", person, _target(person.slug, path, generation), remote)
        return version

    async def plan_folder(self, owner: str, folder: str, at: datetime) -> FolderSummary:
        """What bringing a folder back to a moment would do."""
        if at > self.now():
            raise PublicError(
                "That moment has not come yet.", code="time-in-future", hint="Choose a moment in the past."
            )
        return await make_plan(self.store, owner, folder, at)

    async def restore_folder(
        self, person: Person, folder: str, at: datetime, remote: str, *, expected: str | None = None
    ) -> FolderResult | None:
        """Bring a folder back. With `expected`, the digest of the plan that was shown: None when it is another now."""
        if person.slug in self._restoring:
            raise PublicError(
                "A folder of yours is being restored already.",
                code="restore-running",
                hint="Wait until it is done.",
                status=409,
            )
        self._restoring.add(person.slug)
        try:
            summary = await self.plan_folder(person.slug, folder, at)
            if expected is not None and expected != summary.digest:
                return None
            ring = self.feed.ring
            result = await apply_plan(self.store, person.slug, person.name, summary, lambda: ring(person.slug))
        finally:
            self._restoring.discard(person.slug)
        counts = f"{len(result.restored)} restored, {len(result.deleted)} deleted, {len(result.failed)} failed"
        target = f"{person.slug}/{folder}"
        audit.emit(
            "version.restore-folder",
            actor=person.name,
            outcome="failed" if result.failed else "allowed",
            target=target,
            why=f"to {at.isoformat()}: {counts}",
            remote=remote,
        )
        return result

    def read(self, owner: str, version: Version, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a version."""
        return self.store.read(owner, version.path, version.generation, start=start, end=end)

    def note_download(self, person: Person, version: Version, remote: str) -> None:
        """One line of audit for a download, however many ranges it is read in."""
        key = (person.slug, version.path, version.generation)
        now = self.monotonic()
        seen = self._downloads.pop(key, None)
        self._downloads[key] = now
        while len(self._downloads) > _REMEMBERED_DOWNLOADS:
            self._downloads.popitem(last=False)
        if seen is None or now - seen > _ONE_DOWNLOAD_SECONDS:
            self._audit("version.download", person, _target(person.slug, version.path, version.generation), remote)

    def _audit(self, action: str, person: Person, target: str, remote: str) -> None:
        audit.emit(action, actor=person.name, outcome="allowed", target=target, remote=remote)


def _target(owner: str, path: str, generation: int) -> str:
    """The object of an audit line, with the generation first: a long path may be cut."""
    return f"{generation} {owner}/{path}"
