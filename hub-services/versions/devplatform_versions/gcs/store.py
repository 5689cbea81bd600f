"""`GCSVersionStore`: the version store of a cluster, behind the ports of this package."""

import heapq
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any as AnyType

from traitlets import Any, Float, Integer, TraitError, Unicode
from traitlets.config import LoggingConfigurable

from devplatform_hub.ports import Clock

from ..announcements import SHA256, check_announcement
from ..clock import SystemClock
from ..listing_tokens import after, token_of
from ..model import Change, FolderEntry, Origin, Page, Unchanged, UploadGrant, UploadRequest, Version, Visit
from ..ports import PreconditionFailed, StoreUnavailable, VersionNotFound
from . import visits
from .api import ROOT, ApiSettings, GcsApi
from .credentials import IAM_ROOT, GoogleIdentity
from .folder import list_folder
from .history import FIELDS, Ended, ended_metadata, grant_of, history_of, metadata_of, upload_headers, version_of
from .moments import snapshot
from .names import NEXT, is_owner, object_of, path_of, prefix_of
from .signing import SignedRequest, signed_url
from .walks import Resource, Wanted, keys, pages

_MOST_ON_A_PAGE = 5000
_MOST = 2**62


class GCSVersionStore(LoggingConfigurable):
    """Keeps versions as generations in one bucket with Object Versioning; satisfies `VersionStore` and `VisitBook`."""

    bucket = Unicode(help="The bucket: versioned, flat, with the lifecycle of the policy.").tag(config=True)
    api_root = Unicode(ROOT, help="Where Cloud Storage is, such as a private endpoint.").tag(config=True)
    iam_root = Unicode(IAM_ROOT, help="Where IAM Credentials is.").tag(config=True)
    signer_email = Unicode(
        help="The service account that upload addresses are signed as. By default the service's own."
    ).tag(config=True)
    grant_seconds = Integer(
        900, min=1, max=604_800, help="How long a granted upload may be begun, in seconds. A log may hold its URL."
    ).tag(config=True)
    timeout = Float(20, min=0.1, help="Seconds that one call to Cloud Storage may take.").tag(config=True)
    patience = Float(45, min=0.1, help="Seconds after which a call with all its tries is given up.").tag(config=True)
    max_file_bytes = Integer(5 * 2**30, min=1, help="The largest file that is kept, in bytes.").tag(config=True)
    clock = Any(help="Tells the time; tests choose it.")
    identity = Any(help="Gives tokens and signatures; tests choose it.")

    _api: GcsApi | None = None

    def _clock_default(self) -> Clock:
        return SystemClock()

    def _identity_default(self) -> GoogleIdentity:
        return GoogleIdentity(self.signer_email, self.iam_root)

    async def open(self) -> None:
        """Get ready to ask. Nothing is asked yet: a bucket that is away for a moment keeps no service from starting."""
        if not self.bucket:
            raise TraitError("GCSVersionStore.bucket is needed: the bucket that keeps versions.")
        if self._api is None:
            root = self.api_root.rstrip("/")
            settings = ApiSettings(self.bucket, root, timeout=self.timeout, patience=self.patience)
            self._api = GcsApi(settings, self.identity.token)

    async def close(self) -> None:
        """End the connections."""
        api, self._api = self._api, None
        if api is not None:
            await api.close()

    # Looking.

    async def list_folder(
        self, owner: str, folder: str, *, deleted: bool = False, token: str | None = None, limit: int = 500
    ) -> Page[FolderEntry]:
        if not is_owner(owner):
            return Page(())
        return await list_folder(self.api, owner, folder, deleted=deleted, token=token, limit=_bounded(limit))

    async def list_versions(
        self, owner: str, path: str, *, token: str | None = None, limit: int = 500
    ) -> Page[Version]:
        (before,) = after("versions", token, (int,)) or (_MOST * 2,)
        history = await self._history(owner, path)
        if not history:
            raise VersionNotFound(path)
        versions = [version for version in history if version.generation < before]
        return _page(versions, _bounded(limit), lambda version: token_of("versions", version.generation))

    async def get_version(self, owner: str, path: str, generation: int | None = None) -> Version:
        resource = await self._resource(owner, path, generation)
        if resource is None:
            raise VersionNotFound(path if generation is None else f"Version {generation} of {path}")
        return version_of(path, owner, resource)

    async def read(
        self, owner: str, path: str, generation: int, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[bytes]:
        missing = VersionNotFound(f"Version {generation} of {path}")
        if not is_owner(owner) or not 0 < generation <= _MOST:
            raise missing
        start, end = min(max(0, start), _MOST), None if end is None else min(max(0, end), _MOST)
        if end is not None and start >= end:
            await self.get_version(owner, path, generation)  # nothing of it is read, and it is there all the same
            return
        try:
            async with aclosing(self.api.read(object_of(owner, path), generation, start, end)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except FileNotFoundError:
            raise missing from None

    async def snapshot(
        self, owner: str, folder: str, at: datetime | None = None, *, token: str | None = None, limit: int = 1000
    ) -> Page[Version]:
        if not is_owner(owner):
            return Page(())
        return await snapshot(self.api, owner, folder, at, token=token, limit=_bounded(limit))

    async def changes(self, owner: str, since: int, *, limit: int = 1000) -> tuple[Change, ...]:
        if not is_owner(owner):
            return ()
        newest: list[tuple[int, int, Version]] = []  # a heap of the oldest `limit`, the newest of them on top
        number = 0
        async with aclosing(keys(self.api, Wanted(prefix_of(owner), versions=True))) as walk:
            async for name, generations in walk:
                path = path_of(owner, name)
                for version in history_of(path, owner, generations) if path else ():
                    if version.generation <= since:
                        break
                    number += 1
                    heapq.heappush(newest, (-version.generation, number, version))
                    if len(newest) > _bounded(limit):
                        heapq.heappop(newest)
        return tuple(Change(-place, version) for place, _, version in sorted(newest, reverse=True))

    # Adding.

    async def grant_upload(self, owner: str, request: UploadRequest, author: str) -> UploadGrant | Unchanged:
        check_announcement(request, self.max_file_bytes)
        live = await self._live(owner, request.path)
        standing = live.generation if live else 0
        if request.if_generation_match not in (None, standing):
            raise PreconditionFailed(request.path, live)
        if live is not None and (live.size, live.sha256) == (request.size, request.sha256):
            return Unchanged(live)
        headers = upload_headers(request, author, standing, grant=secrets.token_urlsafe(12))
        now: datetime = self.clock.now()
        signed = SignedRequest("PUT", self.bucket, object_of(owner, request.path), headers, self.grant_seconds, {})
        email = await self.identity.email()
        url = await signed_url(signed, self.api_root.rstrip("/"), email, now, self.identity.sign)
        return UploadGrant(request.path, url, headers, now + timedelta(seconds=self.grant_seconds))

    async def restore(
        self, owner: str, path: str, generation: int, author: str, *, if_generation_match: int | None = None
    ) -> Version:
        old = await self.get_version(owner, path, generation)
        name, now = object_of(owner, path), self.clock.now()
        metadata = metadata_of(
            sha256=old.sha256 if SHA256.fullmatch(old.sha256) else "",
            author=author,
            origin=Origin.RESTORE,
            mtime=old.mtime,
            restored_from=generation,
            grant=(mark := secrets.token_urlsafe(12)),
        )
        # gcsfuse shows this as the time of the file: with the old one, editors and make would see no change.
        metadata["gcsfuse_mtime"] = now.isoformat().replace("+00:00", "Z")
        condition = await self._condition(owner, path, if_generation_match)
        answer = await self.api.rewrite(
            name,
            name,
            {"metadata": metadata, "contentType": "application/octet-stream"},
            sourceGeneration=str(generation),
            ifSourceGenerationMatch=str(generation),
            ifGenerationMatch=condition,
            fields=f"done,rewriteToken,resource({FIELDS})",
        )
        if answer.status == 412:
            there = await self._resource(owner, path, None)
            live = version_of(path, owner, there) if there else None
            if there and live and grant_of(there) == mark:  # done by a call whose answer was lost
                return live
            raise PreconditionFailed(path, live)
        if answer.status != 200:
            raise VersionNotFound(f"Version {generation} of {path}")
        return version_of(path, owner, answer.body["resource"])

    async def delete(
        self,
        owner: str,
        path: str,
        author: str,
        *,
        if_generation_match: int | None = None,
        origin: Origin = Origin.CAPTURE,
    ) -> Version | None:
        live = await self._live(owner, path)
        if if_generation_match is not None and if_generation_match != (live.generation if live else 0):
            raise PreconditionFailed(path, live)
        if live is None:
            return None
        name, match = object_of(owner, path), str(live.generation)
        note = ended_metadata(Ended(author, origin, self.clock.now()))
        noted = await self.api.patch(name, {"metadata": note}, ifGenerationMatch=match, fields="generation")
        if noted.status == 200:
            await self.api.delete(name, ifGenerationMatch=match)
        # Not by that answer: a call whose answer was lost has deleted it, and is refused when it is repeated.
        history = await self._history(owner, path)
        place = next((at for at, version in enumerate(history) if version.generation == live.generation), 0)
        if place == 0 or not history[place - 1].tombstone:
            raise PreconditionFailed(path, next((version for version in history if version.live), None))
        return history[place - 1]

    async def expire(self, owner: str, now: datetime) -> int:  # noqa: ARG002
        """Nothing: the bucket's lifecycle does it."""
        return 0

    # Visits.

    async def add_visit(self, owner: str, visit: Visit) -> None:
        await visits.add(self.api, owner, visit)

    async def change_visit(
        self, owner: str, visit_id: str, *, ended: datetime | None = None, dismissed: bool = False
    ) -> bool:
        return is_owner(owner) and await visits.change(self.api, owner, visit_id, ended=ended, dismissed=dismissed)

    async def visits(self, owner: str) -> tuple[Visit, ...]:
        return await visits.kept_of(self.api, owner) if is_owner(owner) else ()

    # Asking.

    @property
    def api(self) -> GcsApi:
        """The bucket. Raises `StoreUnavailable` before `open` and after `close`."""
        if self._api is None:
            raise StoreUnavailable("The version store is not open.")
        return self._api

    async def _resource(self, owner: str, path: str, generation: int | None) -> Resource | None:
        if not is_owner(owner) or (generation is not None and not 0 < generation <= _MOST):
            return None
        which = {} if generation is None else {"generation": str(generation)}
        answer = await self.api.get(object_of(owner, path), fields=FIELDS, projection="noAcl", **which)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise StoreUnavailable(f"Cloud Storage refuses to tell of an object (status {answer.status})")
        resource: Resource = answer.body
        return resource

    async def _live(self, owner: str, path: str) -> Version | None:
        resource = await self._resource(owner, path, None)
        return version_of(path, owner, resource) if resource is not None else None

    async def _condition(self, owner: str, path: str, match: int | None) -> str:
        """What a write is bound to: what the caller saw, else what is there, so that no repetition writes twice."""
        if match is None:
            live = await self._live(owner, path)
            return str(live.generation if live else 0)
        if not 0 <= match <= _MOST:
            raise PreconditionFailed(path, await self._live(owner, path))
        return str(match)

    async def _history(self, owner: str, path: str) -> list[Version]:
        if not is_owner(owner):
            return []
        name = object_of(owner, path)
        found: list[Resource] = []
        wanted = Wanted(name, end=f"{name}{NEXT}", versions=True)
        async with aclosing(pages(self.api, wanted)) as listing:
            async for items, _, _ in listing:
                found += [item for item in items if item["name"] == name]
        return history_of(path, owner, found)


def _page(items: list[Version], limit: int, token: AnyType) -> Page[Version]:
    return Page(tuple(items[:limit]), token(items[limit - 1]) if len(items) > limit else None)


def _bounded(limit: int) -> int:
    return min(max(limit, 1), _MOST_ON_A_PAGE)
