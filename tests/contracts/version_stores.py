"""The implementations that the contract of `VersionStore` runs over, each behind the same few words.

A new implementation adds a class with these methods and its name to `KINDS`.
"""

import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from devplatform_versions.gcs.store import GCSVersionStore
from devplatform_versions.lifecycle import bucket_lifecycle
from devplatform_versions.local.store import LocalVersionStore
from devplatform_versions.model import Origin, Unchanged, UploadGrant, UploadRequest, Version
from devplatform_versions.ports import SIGNATURE_HEADER, PreconditionFailed, UploadMismatch, VersionStore
from tests.doubles.gcs import Clock, GcsServer
from tests.doubles.gcs.store import Place

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


class StoreUnderTest:
    """What a test does with a store of any kind. A kind gives `open`, `reopen`, `shut`, `send` and `expire`."""

    clock: MovableClock
    store: VersionStore
    sweeps_everybody = False
    """Whether retention is the place's own business, and nobody can ask it for one owner."""

    def __init__(self, folder: Path) -> None:
        raise NotImplementedError

    async def open(self) -> None:
        raise NotImplementedError

    async def reopen(self) -> None:
        """What a restart of the service does."""
        await self.store.close()
        await self.open()

    async def shut(self) -> None:
        """The end of the test."""
        await self.store.close()

    async def send(self, grant: UploadGrant, data: bytes, chunk: int = 65536) -> Version:
        """Do the PUT of a grant."""
        raise NotImplementedError

    async def expire(self, owner: str) -> int:
        """Let retention happen, now; how many versions of this owner went."""
        return await self.store.expire(owner, self.clock.now())

    async def put(
        self, owner: str, path: str, data: bytes, *, match: int | None = None, author: str = "alice"
    ) -> Version:
        """Save a file, one second after the last thing that happened."""
        self.clock.move(seconds=1)
        grant = await self.store.grant_upload(owner, request(path, data, match), author)
        if isinstance(grant, Unchanged):
            return grant.version
        return await self.send(grant, data)


class LocalUnderTest(StoreUnderTest):
    """`LocalVersionStore` in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovableClock()
        self._folder = folder
        self.local: LocalVersionStore

    async def open(self) -> None:
        self.local = LocalVersionStore(root=str(self._folder / "versions"), clock=self.clock)
        self.store = self.local
        await self.store.open()

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


class _ServersClock(MovableClock):
    """The bucket's clock and the service's, which agree, as what is signed in another year is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Clock(START)

    def move(self, **by: float) -> datetime:
        seconds = max(0.0, timedelta(**by).total_seconds())
        self.server.move(seconds=seconds)
        return super().move(seconds=seconds)


class _Identity:
    """The service's account at the double: tokens, and signatures by IAM Credentials' own key."""

    EMAIL = "versions@project.iam.gserviceaccount.com"

    def __init__(self, server: GcsServer) -> None:
        self._account = server.accounts.add(self.EMAIL)
        self._token = server.accounts.token(self._account.member)

    async def token(self) -> str:
        return self._token

    async def email(self) -> str:
        return self.EMAIL

    async def sign(self, text: bytes) -> bytes:
        return self._account.sign(text)


class GcsUnderTest(StoreUnderTest):
    """`GCSVersionStore` on a bucket with the policy's lifecycle."""

    BUCKET = "workspaces"
    sweeps_everybody = True

    def __init__(self, folder: Path) -> None:
        self.clock: _ServersClock = _ServersClock()
        self.server = GcsServer(self.clock.server)
        self._http: aiohttp.ClientSession | None = None
        self._swept: Counter[str] = Counter()

    async def open(self, **settings: Any) -> None:
        if self._http is None:
            await self.server.start()
            self.server.make_bucket(self.BUCKET, lifecycle=bucket_lifecycle())
            self._http = aiohttp.ClientSession(requote_redirect_url=False)
        self.gcs = GCSVersionStore(
            bucket=self.BUCKET, api_root=self.server.url, identity=_Identity(self.server), clock=self.clock, **settings
        )
        self.store = self.gcs
        await self.store.open()

    async def reopen(self, **settings: Any) -> None:
        await self.store.close()
        await self.open(**settings)

    def save_behind(self, name: str, data: bytes) -> None:
        """Somebody else puts an object, past the store."""
        place = Place(self.server.store.bucket(self.BUCKET), name)
        self.server.store.write(place, data, {"contentType": "text/plain"}, None)

    async def raw(self, method: str, url: str, headers: Mapping[str, str], data: bytes) -> int:
        """The status of one request that anybody could send."""
        assert self._http
        async with self._http.request(method, URL(url, encoded=True), data=data, headers=headers) as answer:
            return answer.status

    async def shut(self) -> None:
        await super().shut()
        if self._http:
            await self._http.close()
            await self.server.stop()

    async def send(self, grant: UploadGrant, data: bytes, chunk: int = 65536) -> Version:
        assert self._http
        owner = grant.url.partition("/users/")[2].partition("/")[0]
        async with self._http.put(URL(grant.url, encoded=True), data=BytesIO(data), headers=grant.headers) as answer:
            status, generation = answer.status, answer.headers.get("x-goog-generation", "0")
        if status == 412:
            return await self._repeated(owner, grant)
        if status != 200:
            raise UploadMismatch(f"the bucket answered {status}")
        return await self.store.get_version(owner, grant.path, int(generation))

    async def _repeated(self, owner: str, grant: UploadGrant) -> Version:
        """What the agent does: it looks whether these bytes are there by now."""
        listed = (await self.store.list_versions(owner, grant.path)).items
        for version in listed:
            if version.sha256 == grant.headers["x-goog-content-sha256"]:
                return version
        raise PreconditionFailed(grant.path, listed[0] if listed[0].live else None)

    async def expire(self, owner: str) -> int:
        for applied in self.server.apply_lifecycle(self.BUCKET):
            if applied.action == "deleted":
                self._swept[applied.name.split("/")[1]] += 1
        return self._swept.pop(owner, 0)


KINDS: dict[str, type[StoreUnderTest]] = {"local": LocalUnderTest, "gcs": GcsUnderTest}


@contextlib.asynccontextmanager
async def opened(kind: str, folder: Path) -> AsyncIterator[Any]:
    """A store of this kind, empty, closed at the end."""
    under_test = KINDS[kind](folder)
    await under_test.open()
    try:
        yield under_test
    finally:
        await under_test.shut()


async def content(store: VersionStore, version: Version, owner: str = "alice") -> bytes:
    """All bytes of a version."""
    return b"".join([chunk async for chunk in store.read(owner, version.path, version.generation)])
