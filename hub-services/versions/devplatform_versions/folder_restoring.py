"""Bringing a folder back to a moment: the plan from two snapshots read in step, and carrying it out."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime

from devplatform_hub.core.errors import PublicError

from .folder_restore import Deletion, FolderRestorePlan, Restore, plan_folder_restore
from .model import Origin, Version
from .ports import StoreUnavailable, VersionStore

_AT_ONCE = 16
_BATCH = 1000
_MOST_STEPS = 50_000


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """A plan with a digest of it, so that a person confirms what they saw."""

    plan: FolderRestorePlan
    digest: str


@dataclass(slots=True)
class FolderResult:
    """What became of every step, by path."""

    restored: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: int = 0
    failed: list[tuple[str, PublicError]] = field(default_factory=list)


async def make_plan(store: VersionStore, owner: str, folder: str, at: datetime) -> FolderSummary:
    """The plan for a folder. Both snapshots are read a page at a time: only what differs is kept in memory."""
    restores: list[Restore] = []
    deletions: list[Deletion] = []
    unchanged = 0
    async for then, now in _batches(_snapshot(store, owner, folder, at), _snapshot(store, owner, folder, None)):
        part = plan_folder_restore(then, now)
        restores += part.restores
        deletions += part.deletions
        unchanged += part.unchanged
        if len(restores) + len(deletions) > _MOST_STEPS:
            raise PublicError(
                f"More than {_MOST_STEPS} files would change.",
                code="folder-too-large",
                hint="Restore the folders inside it one at a time.",
                status=413,
            )
    digest = hashlib.sha256()
    for step in (*restores, *deletions):
        digest.update(f"{step!r}\n".encode())
    return FolderSummary(FolderRestorePlan(tuple(restores), tuple(deletions), unchanged), digest.hexdigest())


async def apply_plan(
    store: VersionStore, owner: str, author: str, summary: FolderSummary, written: Callable[[], None]
) -> FolderResult:
    """Carry out a plan, 16 files at a time; `written` is called now and then, and at the end.

    A step whose precondition no longer holds fails alone. Stopped in the middle, what was done stays done.
    """
    plan = summary.plan
    result = FolderResult(unchanged=plan.unchanged)
    # Deletions first: a file may stand where a folder has to be.
    for steps in (plan.deletions, plan.restores):
        remaining = iter(steps)

        async def work(remaining=remaining) -> None:  # type: ignore[no-untyped-def]
            for number, step in enumerate(remaining, 1):
                await _apply(store, owner, author, step, result)
                if number % 100 == 0:
                    written()

        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_ONCE, len(steps))):
                group.create_task(work())
    written()
    result.restored.sort()
    result.deleted.sort()
    result.failed.sort(key=lambda failure: failure[0])
    return result


async def _apply(store: VersionStore, owner: str, author: str, step: Restore | Deletion, result: FolderResult) -> None:
    try:
        if isinstance(step, Restore):
            await store.restore(owner, step.path, step.generation, author, if_generation_match=step.if_generation_match)
            result.restored.append(step.path)
        else:
            # Its origin tells the capture agent that the file in the workspace is meant to go.
            match = step.if_generation_match
            await store.delete(owner, step.path, author, if_generation_match=match, origin=Origin.RESTORE)
            result.deleted.append(step.path)
    except PublicError as error:
        result.failed.append((step.path, error))
    except StoreUnavailable as error:
        result.failed.append((step.path, unavailable(error)))


def unavailable(error: StoreUnavailable) -> PublicError:
    """What a person sees of a store that does not answer; `error` is for the log."""
    del error
    return PublicError(
        "The store of file versions cannot be used right now.",
        code="store-unavailable",
        hint="Your files are safe. Try again in a minute; if it stays, tell an administrator.",
        status=503,
    )


async def _snapshot(store: VersionStore, owner: str, folder: str, at: datetime | None) -> AsyncIterator[Version]:
    token: str | None = None
    while True:
        page = await store.snapshot(owner, folder, at, token=token, limit=_BATCH)
        for version in page.items:
            yield version
        token = page.next_token
        if token is None:
            return


async def _batches(
    then: AsyncIterator[Version], now: AsyncIterator[Version]
) -> AsyncIterator[tuple[list[Version], list[Version]]]:
    """Two listings by path, cut at the same places: what is about one path is always in one batch."""
    old, live = await anext(then, None), await anext(now, None)
    left: list[Version] = []
    right: list[Version] = []
    while old is not None or live is not None:
        path = min(version.path for version in (old, live) if version is not None)
        if old is not None and old.path == path:
            left.append(old)
            old = await anext(then, None)
        if live is not None and live.path == path:
            right.append(live)
            live = await anext(now, None)
        if len(left) + len(right) >= _BATCH:
            yield left, right
            left, right = [], []
    yield left, right
