"""The HTTP API (API.md), apart from bytes: listings, changes, comparing, batches, restoring."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path

from .comparing import compare_as_text
from .folder_restoring import FolderResult, FolderSummary, unavailable
from .handlers import OwnedHandler, VersionsHandler
from .history import arrange
from .listing import list_history
from .model import Unchanged
from .ports import StoreUnavailable
from .wire import (
    change_json,
    entry_json,
    grant_json,
    notes_json,
    parse_generation,
    parse_item_path,
    parse_items,
    parse_precondition,
    parse_time,
    parse_upload,
    version_json,
)

_MOST_ITEMS = 200
_AT_ONCE = 16
_LONGEST_WAIT = 25


class MeHandler(VersionsHandler):
    """Who the caller is here."""

    def get(self) -> None:
        self.send_json({"name": self.person.name, "owner": self.person.slug})


class FolderHandler(OwnedHandler):
    """What is directly in a folder."""

    async def get(self, owner: str) -> None:
        page = await self.store.list_folder(
            owner,
            self.folder_path(),
            deleted=self.flag("deleted"),
            token=self.text_argument("token"),
            limit=self.limit(500),
        )
        self.send_json({"entries": [entry_json(entry) for entry in page.items], "next": page.next_token})


class VersionsListHandler(OwnedHandler):
    """The versions of a file, newest first."""

    async def get(self, owner: str) -> None:
        path, token, limit = self.file_path(), self.text_argument("token"), self.limit(500)
        if self.flag("notes"):
            listed = await list_history(self.store, owner, path, token, limit)
            history = arrange(listed.versions, newer=listed.newer, older=listed.older, pinned=listed.pinned)
            versions = [version_json(version) for version in listed.versions]
            notes = notes_json(history, listed.newer, listed.renames)
            self.send_json({"versions": versions, "next": listed.next_token, "notes": notes})
            return
        page = await self.store.list_versions(owner, path, token=token, limit=limit)
        self.send_json({"versions": [version_json(version) for version in page.items], "next": page.next_token})


class SnapshotHandler(OwnedHandler):
    """What was live under a folder at a moment."""

    async def get(self, owner: str) -> None:
        page = await self.store.snapshot(
            owner,
            self.folder_path(),
            self.optional_time("at"),
            token=self.text_argument("token"),
            limit=self.limit(1000),
        )
        self.send_json({"versions": [version_json(version) for version in page.items], "next": page.next_token})


class ChangesHandler(OwnedHandler):
    """What was written after a cursor; waits until there is something, if asked to."""

    _waiting: "asyncio.Task[None] | None" = None

    async def get(self, owner: str) -> None:
        since = self.optional_generation("since") or 0
        wait = min(self.optional_generation("wait") or 0, _LONGEST_WAIT)
        self._waiting = asyncio.current_task()
        changes = await self.service.changes(owner, since, wait)
        self._waiting = None
        cursor = changes[-1].cursor if changes else since
        self.send_json({"changes": [change_json(change) for change in changes], "cursor": str(cursor)})

    def on_connection_close(self) -> None:
        """Nobody listens any longer: stop waiting."""
        if self._waiting is not None:
            self._waiting.cancel()


class DiffHandler(OwnedHandler):
    """How two versions of a file differ, as text."""

    async def get(self, owner: str) -> None:
        path, a, b = self.file_path(), self.generation("a"), self.generation("b")
        self.send_json(await compare_as_text(self.service, owner, path, a, b))


class UploadsHandler(OwnedHandler):
    """Permission to put versions."""

    async def post(self, owner: str) -> None:  # noqa: ARG002 - it is the person
        async def grant(item: Any) -> dict[str, Any]:
            answer = await self.service.grant_upload(self.person, parse_upload(item))
            if isinstance(answer, Unchanged):
                return {"unchanged": version_json(answer.version)}
            return {"grant": grant_json(answer)}

        items = parse_items(self.json_body(), _MOST_ITEMS)
        self.send_json({"results": await each(items, grant)})


class DeletionsHandler(OwnedHandler):
    """Tombstones for files that are gone from the workspace."""

    async def post(self, owner: str) -> None:  # noqa: ARG002 - it is the person
        async def delete(item: Any) -> dict[str, Any]:
            path = parse_item_path(item)
            tombstone = await self.service.delete(self.person, path, parse_precondition(item), self.remote)
            return {"tombstone": version_json(tombstone) if tombstone else None}

        items = parse_items(self.json_body(), _MOST_ITEMS)
        self.send_json({"results": await each(items, delete)})


class RestoreHandler(OwnedHandler):
    """An old version made the newest."""

    async def post(self, owner: str) -> None:  # noqa: ARG002 - it is the person
        body = self.json_body()
        version = await self.service.restore(
            self.person,
            parse_item_path(body),
            parse_generation(body.get("generation")),
            parse_precondition(body),
            self.remote,
        )
        self.send_json({"version": version_json(version)})


class RestoreFolderHandler(OwnedHandler):
    """A folder brought back to a moment, or what that would do."""

    async def post(self, owner: str) -> None:
        body = self.json_body()
        raw = body.get("path", "")
        folder = parse_path(raw, allow_root=True) if isinstance(raw, str) else parse_item_path(body)
        at = parse_time(body.get("at"), "at")
        dry_run = body.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise PublicError("The value of dry_run is not valid.", code="value-invalid", hint="Send true or false.")
        if dry_run:
            self.send_json(plan_json(await self.service.plan_folder(owner, folder, at)))
            return
        result = await self.service.restore_folder(self.person, folder, at, self.remote)
        assert result is not None  # noqa: S101 - nothing was expected of the plan
        self.send_json(result_json(result))


async def each(items: list[Any], work: Callable[[Any], Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The result of every item of a batch, in order; what goes wrong with one is that item's `error`."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Any) -> dict[str, Any]:
        path = item.get("path") if isinstance(item, dict) else None
        named = {"path": path if isinstance(path, str) else None}
        async with free:
            try:
                return named | await work(item)
            except PublicError as error:
                return named | {"error": error.as_dict()}
            except StoreUnavailable as error:
                return named | {"error": unavailable(error).as_dict()}

    return list(await asyncio.gather(*(one(item) for item in items)))


def plan_json(summary: FolderSummary) -> dict[str, Any]:
    """A dry run: what would be restored and deleted."""
    return {
        "restored": [step.path for step in summary.plan.restores],
        "deleted": [step.path for step in summary.plan.deletions],
        "unchanged": summary.plan.unchanged,
        "failed": [],
    }


def result_json(result: FolderResult) -> dict[str, Any]:
    """What was restored and deleted, and what was not, with the reason."""
    return {
        "restored": result.restored,
        "deleted": result.deleted,
        "unchanged": result.unchanged,
        "failed": [{"path": path, "error": error.as_dict()} for path, error in result.failed],
    }
