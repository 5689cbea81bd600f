"""What a place that keeps versions promises. One contract suite (tests/contracts) runs over every implementation.

Paths have gone through `devplatform_hub.core.workspace.parse_path`; `owner` is a slug of `core.names`.
Every method raises `VersionNotFound`, `PreconditionFailed` or `StoreUnavailable` from here, never a vendor's error.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol, runtime_checkable

from devplatform_hub.core.errors import DevPlatformError, PublicError

from .model import Change, FolderEntry, Origin, Page, Trace, Unchanged, UploadGrant, UploadRequest, Version, Visit

SIGNATURE_HEADER = "x-devplatform-signature"
"""Carries the signature of a granted upload, so that a URL in a log is no key."""
VISITS_KEPT = 1000
"""How many visits of one owner are kept. The audit has all of them."""


class VersionNotFound(PublicError):
    """No such file, generation or folder for this owner. Also what somebody else's file looks like."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was not found.", code="version-not-found", hint="It may have expired. Reload the page.", status=404
        )


class PreconditionFailed(PublicError):
    """The live version is not the one the caller had seen (GCS: 412). Nothing was written."""

    def __init__(self, path: str, live: Version | None) -> None:
        super().__init__(
            f"{path} has changed since you looked at it.",
            code="version-conflict",
            hint="Reload to see the newest version, then try again.",
            status=409,
        )
        self.live = live


class UploadRefused(PublicError):
    """This PUT was never granted, was granted for something else, or came too late."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"This upload is not allowed: {reason}.",
            code="upload-refused",
            hint="Ask for a new upload address and send exactly the headers that came with it.",
            status=403,
        )


class UploadMismatch(PublicError):
    """The bytes are not those that were announced (size or SHA-256). Nothing was stored."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The upload was not kept: {reason}.",
            code="upload-mismatch",
            hint="The file may have changed while it was read. Read it again, then upload it again.",
            status=400,
        )


class TokenInvalid(PublicError):
    """The `token` of a listing is not one that the same listing gave."""

    def __init__(self) -> None:
        super().__init__(
            "This page of the list cannot be found.", code="token-invalid", hint="Start again at the first page."
        )


class StoreUnavailable(DevPlatformError):
    """The store cannot be reached or written: disk full, credentials refused, service down. Try again later."""


@runtime_checkable
class VersionReader(Protocol):
    """Looking at versions. Listings come in pages of at most `limit` items."""

    async def list_folder(
        self, owner: str, folder: str, *, deleted: bool = False, token: str | None = None, limit: int = 500
    ) -> Page[FolderEntry]:
        """Folders and files directly in `folder` ("" is the workspace), by name; files whose newest version is a
        tombstone only with `deleted`. An empty page for a folder that never was."""
        ...

    async def list_versions(
        self, owner: str, path: str, *, token: str | None = None, limit: int = 500
    ) -> Page[Version]:
        """Versions and tombstones of one file, newest first. `VersionNotFound` when there never was one."""
        ...

    async def get_version(self, owner: str, path: str, generation: int | None = None) -> Version:
        """One version; None is the live one. `VersionNotFound` for a tombstone too."""
        ...

    def read(
        self, owner: str, path: str, generation: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """The bytes [start, end) of a version, in chunks of bounded size."""
        ...

    async def snapshot(
        self, owner: str, folder: str, at: datetime | None = None, *, token: str | None = None, limit: int = 1000
    ) -> Page[Version]:
        """What was live under `folder`, recursively, at that moment (None: now), by path."""
        ...

    async def changes(self, owner: str, since: int, *, limit: int = 1000) -> tuple[Change, ...]:
        """Versions and tombstones that were written after cursor `since`, oldest first."""
        ...


@runtime_checkable
class VersionWriter(Protocol):
    """Adding versions. Nothing here destroys one; only retention does."""

    async def grant_upload(self, owner: str, request: UploadRequest, author: str) -> UploadGrant | Unchanged:
        """Permission to put one version. `PreconditionFailed` when `if_generation_match` is not the live generation."""
        ...

    async def restore(
        self, owner: str, path: str, generation: int, author: str, *, if_generation_match: int | None = None
    ) -> Version:
        """A new live version with the bytes of an old one (0: only if the file is deleted now); the old one stays."""
        ...

    async def delete(
        self,
        owner: str,
        path: str,
        author: str,
        *,
        if_generation_match: int | None = None,
        origin: Origin = Origin.CAPTURE,
    ) -> Version | None:
        """The tombstone that ends the live version; None when there was no live version."""
        ...

    async def expire(self, owner: str, now: datetime) -> int:
        """Remove what the retention policy lets go; how many versions went (0 where a bucket's lifecycle does it)."""
        ...


@runtime_checkable
class VersionStore(VersionReader, VersionWriter, Protocol):
    """The whole of it, with a beginning and an end. `open` and `close` run on the event loop that uses the store."""

    async def open(self) -> None:
        """Make the store ready. `PublicError` with one clear sentence when what is there cannot be used."""
        ...

    async def close(self) -> None:
        """Finish what was begun and let go of every file, thread and connection."""
        ...


@runtime_checkable
class OwnerList(Protocol):
    """A store whose retention this service sweeps; a bucket's lifecycle needs nobody to."""

    async def owners(self) -> list[str]:
        """Everybody who has versions here."""
        ...


@runtime_checkable
class ContentTracker(Protocol):
    """A store that finds a content again under another name, without a listing. One that cannot is no tracker, and
    then nothing is said of renames."""

    async def traces(self, owner: str, content: Version, since: datetime, until: datetime) -> tuple[Trace, ...] | None:
        """Where exactly these bytes (SHA-256 and size) came to a path that had no live version, or went from one by a
        deletion, within [since, until], by time, the path of `content` among them. None when the content is so common
        that a store does not look: what is told is always all there is."""
        ...


@runtime_checkable
class VisitBook(Protocol):
    """A store that also keeps who looked into somebody's versions; over one that does not, nobody may look.

    A visit is a small value of its own, so a row will do, or an object in a bucket that is written with a
    precondition. The newest `VISITS_KEPT` of an owner are kept; retention has nothing to do with them."""

    async def add_visit(self, owner: str, visit: Visit) -> None:
        """Keep a new visit. It is durable when this returns, since access begins only then."""
        ...

    async def change_visit(
        self, owner: str, visit_id: str, *, ended: datetime | None = None, dismissed: bool = False
    ) -> bool:
        """Note that it has ended (which is noted once), or that the owner has put its notice away. Whether there is
        such a visit."""
        ...

    async def visits(self, owner: str) -> tuple[Visit, ...]:
        """All that are kept, newest first. Empty for an owner whom nobody visited."""
        ...


class UploadSink(Protocol):
    """Where the bytes of one granted upload go. Nothing is visible before `commit`; `abort` leaves no trace."""

    @property
    def owner(self) -> str:
        """Whose file it will be."""
        ...

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. `UploadMismatch` as soon as there are more than were granted."""
        ...

    async def commit(self) -> Version:
        """The new version, durable. `UploadMismatch` or `PreconditionFailed`: nothing was stored.

        A grant that was used already gives the version it made then, so that a PUT may be repeated."""
        ...

    async def abort(self) -> None:
        """Throw the bytes away. Allowed at any time and more than once, also after `commit`."""
        ...


@runtime_checkable
class UploadReceiver(Protocol):
    """A store whose granted URLs lead back to this service, as it is on one machine; a bucket takes the PUT itself."""

    upload_url: str
    """What every granted URL starts with, such as `/services/versions/local-upload/`. The service may set it."""

    async def accept_upload(self, token: str, signature: str) -> UploadSink:
        """The sink of a grant: `token` is the rest of its URL, `signature` the header `SIGNATURE_HEADER`.

        `UploadRefused` for what was not granted or has run out; `PreconditionFailed` already here for a large file
        whose precondition does not hold, so that its bytes need not be read."""
        ...
