"""The pages at /services/versions/: folders, the versions of a file, comparing, restoring."""

from datetime import UTC, datetime, timedelta
from typing import Any

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit.handlers import PageHandler

from .comparing import compare_for_page, head_of, two_versions
from .handlers import VersionsHandler
from .history import Row, arrange
from .listing import list_history
from .model import FolderEntry, Origin, Page, Version
from .noise import quiet_entries
from .owned_page import OwnedPage
from .policy import RETENTION
from .ports import PreconditionFailed
from .presentation import image_type, kind_of, preview_limit

_ROWS = 500
_VERSION_ROWS = 100
_SEARCHED = 100_000
_LISTED_STEPS = 500
_MOMENTS = (
    ("An hour ago", timedelta(hours=1)),
    ("Yesterday", timedelta(days=1)),
    ("A week ago", timedelta(days=7)),
    ("A month ago", timedelta(days=30)),
)


class HomePage(PageHandler, VersionsHandler):
    """The way to one's own workspace."""

    def get(self) -> None:
        self.redirect(f"{self.service_prefix}w/{self.person.slug}/folder")


class FolderPage(OwnedPage):
    """What is in a folder."""

    open_to_visits = True

    async def get(self, owner: str) -> None:
        folder = self.folder_path()
        deleted, everything = self.flag("deleted"), self.flag("all")
        search = (self.text_argument("q") or "").strip()[:200]
        if search:
            page, complete = await self._search(folder, search, deleted)
        else:
            token = self.text_argument("token")
            page = await self.store.list_folder(owner, folder, deleted=deleted, token=token, limit=_ROWS)
            complete = True
        entries = page.items
        quiet, hidden = quiet_entries(folder, entries)
        shown = list(entries) if everything else quiet
        if page.next_token is None and not self.text_argument("token"):
            shown.sort(key=lambda entry: not entry.is_folder)  # folders first, where that is no matter of pages
        self.show(
            "folder.html",
            path=folder,
            entries=shown,
            hidden={} if everything else hidden,
            following=page.next_token,
            is_first=not self.text_argument("token"),
            complete=complete,
            search=search,
            deleted=deleted,
            everything=everything,
            is_empty=not folder and not entries and not search and await self._has_nothing(owner),
        )

    async def _search(self, folder: str, search: str, deleted: bool) -> tuple[Page[FolderEntry], bool]:
        """The first 500 entries with `search` in the name, and whether these are all."""
        found: list[FolderEntry] = []
        token: str | None = None
        looked_at = 0
        wanted = search.casefold()
        while looked_at < _SEARCHED:
            page = await self.store.list_folder(self.owner, folder, deleted=deleted, token=token, limit=5000)
            looked_at += len(page.items)
            found += [entry for entry in page.items if wanted in entry.name.casefold()]
            token = page.next_token
            if token is None or len(found) > _ROWS:
                break
        return Page(tuple(found[:_ROWS])), token is None and len(found) <= _ROWS

    async def _has_nothing(self, owner: str) -> bool:
        return not (await self.store.list_folder(owner, "", deleted=True, limit=1)).items


class FilePage(OwnedPage):
    """The versions of a file."""

    open_to_visits = True

    async def get(self, owner: str) -> None:
        path = self.file_path()
        token = self.text_argument("token")
        page = await list_history(self.store, owner, path, token, _VERSION_ROWS)
        everything = self.flag("all")
        history = arrange(
            page.versions,
            newer=page.newer,
            older=page.older,
            newer_count=0 if token is None else RETENTION.kept_versions,  # a page has more than those
            pinned=page.pinned,
            reveal=everything,
        )
        unfolded = [item for item in history.items if isinstance(item, Row)]
        contents = [row.version for row in (*unfolded, *history.rows) if not row.version.tombstone]
        sides = sorted(list(dict.fromkeys(version.generation for version in contents))[:2])
        restored = self.optional_generation("restored")
        self.show(
            "file.html",
            path=path,
            items=history.items,
            hidden=history.hidden_counts,
            renames=page.renames,
            everything=everything,
            following=page.next_token,
            is_first=token is None,
            live_generation=await self.live_generation(path),
            latest=contents[0] if contents else None,
            chosen=sides if len(sides) == 2 else None,
            restored=next((v for v in contents if v.generation == restored and v.restored_from is not None), None),
            is_mounted=any(v.origin is Origin.MOUNT for v in contents),
        )


class ComparePage(OwnedPage):
    """Two versions of a file side by side."""

    open_to_visits = True

    async def get(self, owner: str) -> None:
        path = self.file_path()
        a, b = sorted((self.generation("a"), self.generation("b")))
        old, new = await two_versions(self.service, owner, path, a, b)
        problem: PublicError | None = None
        result: dict[str, Any] = {"kind": "none"}
        if old.sha256 == new.sha256:
            result = {"kind": "equal"}
        elif kind_of(path) == "image" and await self._are_images(owner, old, new):
            result = {"kind": "image"}
        else:
            try:
                result = await compare_for_page(self.service, owner, old, new)
            except PublicError as error:
                problem = error
        view = "unified" if self.text_argument("view") == "unified" else "split"
        self.show(
            "compare.html",
            path=path,
            old=old,
            new=new,
            result=result,
            view=view,
            problem=problem,
            live_generation=await self.live_generation(path),
        )

    async def _are_images(self, owner: str, *versions: Version) -> bool:
        heads = [await head_of(self.service, owner, version) for version in versions]
        small = all(version.size <= preview_limit("image") for version in versions)
        return small and all(image_type(v.path, head) for v, head in zip(versions, heads, strict=True))


class RestorePage(OwnedPage):
    """Where the button of a version leads: the version becomes the newest, unless the file changed meanwhile."""

    async def post(self, owner: str) -> None:
        path, generation = self.file_path(), self.generation()
        precondition = self.generation("if_generation_match")
        try:
            version = await self.service.restore(self.person, path, generation, precondition, self.remote)
        except PreconditionFailed:
            wanted = await self.store.get_version(owner, path, generation)
            live_generation = await self.live_generation(path)
            live = await self.store.get_version(owner, path, live_generation) if live_generation else None
            self.set_status(409)
            self.show("conflict.html", path=path, wanted=wanted, live=live, live_generation=live_generation)
            return
        self.go_to("file", path=path, restored=str(version.generation))


class RestoreFolderPage(OwnedPage):
    """A folder brought back to a moment: choose it, see what would change, confirm."""

    async def get(self, owner: str) -> None:  # noqa: ARG002 - it is the person
        folder, at = self.folder_path(), self._moment()
        if at is None:
            now = self.service.now()
            moments = [(label, now - ago) for label, ago in _MOMENTS]
            self.show("restore_folder.html", path=folder, moments=moments, now=now)
            return
        await self._show_plan(folder, at, is_changed=False)

    async def post(self, owner: str) -> None:  # noqa: ARG002 - it is the person
        folder, at = self.folder_path(), self._moment()
        if at is None:
            raise PublicError("No moment was chosen.", code="time-missing", hint="Go back and choose one.")
        expected = self.text_argument("plan") or ""
        result = await self.service.restore_folder(self.person, folder, at, self.remote, expected=expected)
        if result is None:
            self.set_status(409)
            await self._show_plan(folder, at, is_changed=True)
            return
        self.show("restore_done.html", path=folder, at=at, result=result, listed=_LISTED_STEPS)

    async def _show_plan(self, folder: str, at: datetime, *, is_changed: bool) -> None:
        summary = await self.service.plan_folder(self.owner, folder, at)
        self.show(
            "restore_plan.html",
            path=folder,
            at=at,
            plan=summary.plan,
            digest=summary.digest,
            is_changed=is_changed,
            listed=_LISTED_STEPS,
        )

    def _moment(self) -> datetime | None:
        """`at` in RFC 3339, as the script sends it; else the picker's own value, which the page then calls UTC."""
        at = self.optional_time("at")
        local = self.text_argument("local")
        if at is not None or local is None:
            return at
        try:
            return datetime.fromisoformat(local[:19]).replace(tzinfo=UTC)
        except ValueError:
            raise PublicError(
                "That is not a moment.", code="time-invalid", hint="Go back and choose a date and a time."
            ) from None
