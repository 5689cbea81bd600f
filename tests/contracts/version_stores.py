"""The implementations that the contract of `VersionStore` runs over, each behind the same few words.

A new implementation adds a class with these methods and its name to `KINDS`.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devplatform_versions.local.store import LocalVersionStore
from devplatform_versions.model import Origin, Unchanged, UploadGrant, UploadRequest, Version
from devplatform_versions.ports import SIGNATURE_HEADER, VersionStore

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def move(self, **by: float) -> datetime:
        """Go on (or back) by a `timedelta`; the new time."""
        self._now += timedelta(**by)
        return self._now


def request(path: str, data: bytes, match: int | None = None, mtime: datetime | None = None) -> UploadRequest:
    """The announcement of these bytes."""
    return UploadRequest(path, len(data), hashlib.sha256(data).hexdigest(), mtime, match, Origin.CAPTURE)


class LocalUnderTest:
    """`LocalVersionStore` in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovableClock()
        self._folder = folder
        self.store: VersionStore
        self.local: LocalVersionStore

    async def open(self) -> None:
        self.local = LocalVersionStore(root=str(self._folder / "versions"), clock=self.clock)
        self.store = self.local
        await self.store.open()

    async def reopen(self) -> None:
        """What a restart of the service does."""
        await self.store.close()
        await self.open()

    async def send(self, grant: UploadGrant, data: bytes, chunk: int = 65536) -> Version:
        """Do the PUT of a grant."""
        token = grant.url.removeprefix(self.local.upload_url)
        sink = await self.local.accept_upload(token, grant.headers[SIGNATURE_HEADER])
        try:
            for start in range(0, len(data), chunk):
                await sink.write(data[start : start + chunk])
            return await sink.commit()
        finally:
            await sink.abort()

    async def put(
        self, owner: str, path: str, data: bytes, *, match: int | None = None, author: str = "alice"
    ) -> Version:
        """Save a file, one second after the last thing that happened."""
        self.clock.move(seconds=1)
        grant = await self.store.grant_upload(owner, request(path, data, match), author)
        if isinstance(grant, Unchanged):
            return grant.version
        return await self.send(grant, data)


KINDS = {"local": LocalUnderTest}


@contextlib.asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[LocalUnderTest]:
    """A store of this kind, empty, closed at the end."""
    under_test = KINDS[kind](folder)
    await under_test.open()
    try:
        yield under_test
    finally:
        await under_test.store.close()


async def content(store: VersionStore, version: Version, owner: str = "alice") -> bytes:
    """All bytes of a version."""
    return b"".join([chunk async for chunk in store.read(owner, version.path, version.generation)])
