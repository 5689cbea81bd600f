"""What is directly in a folder, by name, a page at a time, whatever else the bucket holds.

A bucket's order is by key: `b`, `b-x`, `b/`. People's is by name, folders first: `b/`, `b`, `b-x`. A folder can so come
any number of keys later than it is wanted. Those that belong onto a page and are still to come at its end can only be
folders whose name is a beginning of the last key, followed there by something below a slash: few, each is asked for.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ..listing_tokens import after, token_of
from ..model import FolderEntry, Page
from .api import GcsApi
from .history import history_of
from .names import NEXT, path_of, prefix_of
from .walks import Resource, Wanted, keys

_KIND = "folder"
_SLASH = "/"


async def list_folder(
    api: GcsApi, owner: str, folder: str, *, deleted: bool, token: str | None, limit: int
) -> Page[FolderEntry]:
    """Entries after the one that `token` says. Raises `TokenInvalid`."""
    place = after(_KIND, token, (str, int))
    shown_until = (str(place[0]), int(place[1])) if place else ("", 0)
    found, last = await _walked(api, owner, folder, shown_until, deleted=deleted, limit=limit)
    if last is not None:
        late = await _still_to_come(api, prefix_of(owner, folder), last, deleted=deleted)
        found += [entry for entry in late if _position(entry) > shown_until]
    ordered = sorted(found, key=_position)
    page = tuple(ordered[:limit])
    more = last is not None or len(ordered) > limit
    return Page(page, token_of(_KIND, *_position(page[-1])) if more else None)


def _position(entry: FolderEntry) -> tuple[str, int]:
    return entry.name, 0 if entry.is_folder else 1


async def _walked(
    api: GcsApi, owner: str, folder: str, shown_until: tuple[str, int], *, deleted: bool, limit: int
) -> tuple[list[FolderEntry], str | None]:
    """At most `limit` entries in the bucket's order, and where there are more, the last key of these."""
    base = prefix_of(owner, folder)
    name, is_file = shown_until
    start = f"{base}{name}{NEXT if is_file else ''}" if name else ""
    found: list[FolderEntry] = []
    last = ""
    async with aclosing(keys(api, Wanted(base, start=start, versions=True, folders=True))) as walk:
        living = None if deleted else _Living(api, base, start)
        try:
            async for key, generations in walk:
                entry = _entry(owner, base, key, generations)
                if entry is None or _position(entry) <= shown_until:
                    continue
                if not deleted and (entry.deleted or (entry.is_folder and living and not await living.has(key))):
                    continue
                if len(found) == limit:
                    return found, last
                found.append(entry)
                last = key.removeprefix(base)
        finally:
            if living:
                await living.close()
    return found, None


def _entry(owner: str, base: str, key: str, generations: list[Resource]) -> FolderEntry | None:
    """What a key is here; None for a placeholder of the folder itself, and for names that no file can have."""
    path = path_of(owner, key.removesuffix(_SLASH) if not generations else key)
    if path is None:
        return None
    name = key.removeprefix(base).removesuffix(_SLASH)
    if not generations:
        return FolderEntry(name, True)
    history = history_of(path, owner, generations)
    return FolderEntry(name, False, history[0], sum(not version.tombstone for version in history))


async def _still_to_come(api: GcsApi, base: str, last: str, *, deleted: bool) -> list[FolderEntry]:
    """Folders with a later key than `last`, and an earlier name."""
    whole = [last] if not last.endswith(_SLASH) else []
    names = [last[:size] for size in range(1, len(last)) if last[size] < _SLASH] + whole

    async def is_there(name: str) -> bool:
        query = Wanted(f"{base}{name}{_SLASH}", versions=deleted).query()
        return bool((await api.page(**{**query, "maxResults": "1", "fields": "items(name)"})).get("items"))

    answers = await asyncio.gather(*(is_there(name) for name in names))
    return [FolderEntry(name, True) for name, there in zip(names, answers, strict=True) if there]


class _Living:
    """The folders in which something is live, in step with the walk through all."""

    def __init__(self, api: GcsApi, base: str, start: str) -> None:
        wanted = Wanted(base, start=start, folders=True, only_folders=True)
        self._walk: AsyncGenerator[tuple[str, list[Resource]], None] = keys(api, wanted)
        self._at: str | None = ""

    async def has(self, key: str) -> bool:
        """Whether this folder is one. To be asked for keys that rise."""
        while self._at is not None and self._at < key:
            step = await anext(self._walk, None)
            self._at = step[0] if step else None
        return self._at == key

    async def close(self) -> None:
        """End the walk."""
        await self._walk.aclose()
