"""What was live under a folder, now or at a moment, by path and a page at a time."""

from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime

from ..listing_tokens import after, token_of
from ..model import Page, Version
from .api import GcsApi
from .history import history_of
from .names import NEXT, path_of, prefix_of
from .walks import Resource, Wanted, keys, pages

_KIND = "snapshot"
_GENERATIONS_AT_ONCE = 5000


async def snapshot(
    api: GcsApi, owner: str, folder: str, at: datetime | None, *, token: str | None, limit: int
) -> Page[Version]:
    """Versions after the path that `token` says. Raises `TokenInvalid`."""
    (last,) = after(_KIND, token, (str,)) or ("",)
    start = f"{prefix_of(owner)}{last}{NEXT}" if last else ""
    prefix = prefix_of(owner, folder)
    if at is None:
        found, more = await _now(api, owner, Wanted(prefix, start=start, at_once=limit), limit)
    else:
        wanted = Wanted(prefix, start=start, versions=True, at_once=_GENERATIONS_AT_ONCE)
        found, more = await _then(api, owner, wanted, at, limit)
    return Page(tuple(found), token_of(_KIND, found[-1].path) if more and found else None)


async def _now(api: GcsApi, owner: str, wanted: Wanted, limit: int) -> tuple[list[Version], bool]:
    """As many as fit, and whether the bucket has more names; a page of ours is a page of the bucket's."""
    found: list[Version] = []
    async with aclosing(pages(api, wanted)) as listing:
        async for items, _, follows in listing:
            for place, item in enumerate(items):
                path = path_of(owner, str(item["name"]))
                if path is None:
                    continue
                found += [version for version in history_of(path, owner, [item]) if version.live]
                if len(found) == limit:
                    return found, follows or place + 1 < len(items)
    return found, False


async def _then(api: GcsApi, owner: str, wanted: Wanted, at: datetime, limit: int) -> tuple[list[Version], bool]:
    found: list[Version] = []
    async with aclosing(keys(api, wanted)) as walk:
        async for name, generations in walk:
            path = path_of(owner, name)
            version = _live_at(owner, path, generations, at) if path else None
            if version is None:
                continue
            if len(found) == limit:
                return found, True
            found.append(version)
    return found, False


def _live_at(owner: str, path: str, generations: Sequence[Resource], at: datetime) -> Version | None:
    """Saved before or at that moment, and neither replaced nor deleted by it."""
    for version in history_of(path, owner, generations):
        ended = version.noncurrent_since
        if not version.tombstone and version.created <= at and (ended is None or ended > at):
            return version
    return None
