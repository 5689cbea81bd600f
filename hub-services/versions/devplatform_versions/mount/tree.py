"""The tree of old versions, listed folder by folder when somebody looks, with bounded memory and bounded waiting."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from ..client import VersionsClient
from ..model import FolderEntry, Version
from ..naming import version_names

FRESH = 3.0
"""How long a listing is shown without asking again, in seconds."""
_STALE = 300.0
_FAILED = 5.0
_MOST_LISTINGS = 2000
_MOST_LEAVES = 100_000
_AT_ONCE = 12
BLOCK = 2 * 2**20
_CACHED_BYTES = 32 * 2**20


@dataclass(frozen=True, slots=True)
class Leaf:
    """One version as a file."""

    path: str
    generation: int
    size: int
    created_ns: int


Entry = Leaf | None
"""A file, or None for a folder."""


@dataclass(slots=True)
class Listing:
    """What is in a folder, and until when that may be shown."""

    entries: Mapping[str, Entry]
    read: float
    failed: float = float("-inf")

    def is_fresh(self, now: float) -> bool:
        """Whether there is no need to ask again; a service that just failed is left alone for a moment."""
        return now < self.read + FRESH or (now < self.failed + _FAILED and now < self.read + _STALE)


class VersionTree:
    """Lists and reads. Its methods run on the event loop of the client; `peek` may be called from any thread."""

    def __init__(self, client: VersionsClient) -> None:
        self._client = client
        self._listings: OrderedDict[str, Listing] = OrderedDict()
        self._leaves: OrderedDict[str, tuple[tuple[int, int], tuple[Version, ...]]] = OrderedDict()
        self._kept_leaves = 0
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._blocks: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()
        self._block_bytes = 0

    def peek(self, folder: str) -> Mapping[str, Entry] | None:
        """The entries of a folder, if they are known and fresh."""
        listing = self._listings.get(folder)
        return listing.entries if listing is not None and listing.is_fresh(time.monotonic()) else None

    def fall_back(self, folder: str) -> Mapping[str, Entry] | None:
        """The entries as they were a short while ago, when asking again failed or took too long."""
        listing = self._listings.get(folder)
        now = time.monotonic()
        if listing is None or now > listing.read + _STALE:
            return None
        listing.failed = now
        return listing.entries

    async def entries(self, folder: str) -> Mapping[str, Entry]:
        """What is in a folder; empty for one that never was."""
        lock = self._locks.setdefault(folder, asyncio.Lock())
        try:
            async with lock:
                known = self.peek(folder)
                if known is not None:
                    return known
                found = await self._client.folder(folder, deleted=True)
                entries = await self._as_entries(folder, found)
                self._listings[folder] = Listing(entries, time.monotonic())
                self._listings.move_to_end(folder)
                while len(self._listings) > _MOST_LISTINGS:
                    self._listings.popitem(last=False)
                return entries
        finally:
            if not lock.locked():
                self._locks.pop(folder, None)

    async def read(self, leaf: Leaf, offset: int, size: int) -> bytes:
        """The bytes [offset, offset + size) of a version, fewer at its end."""
        end = min(offset + size, leaf.size)
        parts: list[bytes] = []
        while offset < end:
            number, within = divmod(offset, BLOCK)
            block = await self._block(leaf, number)
            part = block[within : within + end - offset]
            if not part:
                raise EOFError(leaf.path)
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    async def _as_entries(self, folder: str, found: Iterable[FolderEntry]) -> dict[str, Entry]:
        found = list(found)
        prefix = f"{folder}/" if folder else ""
        files = [entry for entry in found if not entry.is_folder]
        histories = await asyncio.gather(*(self._versions(prefix + entry.name, entry) for entry in files))
        versions = [version for history in histories for version in history]
        entries: dict[str, Entry] = {}
        names = version_names(versions)
        for version in versions:
            if not version.tombstone:
                created = int(version.created.timestamp() * 1e6) * 1000
                entries[names[version.generation]] = Leaf(version.path, version.generation, version.size, created)
        # A folder of the very name of an old version wins: it leads to more files than one.
        entries.update({entry.name: None for entry in found if entry.is_folder})
        return entries

    async def _versions(self, path: str, entry: FolderEntry) -> tuple[Version, ...]:
        """The versions of a file. Asked for only when its newest one, or their number, is not what it was."""
        newest = entry.newest
        if newest is None:
            return ()
        if entry.versions == 1 and not newest.tombstone:
            return (newest,)
        key = (newest.generation, entry.versions)
        known = self._leaves.get(path)
        if known is not None and known[0] == key:
            self._leaves.move_to_end(path)
            return known[1]
        async with self._slots:
            versions = tuple(await self._client.versions(path))
        if known is not None:
            self._kept_leaves -= len(known[1])
        self._leaves[path] = (key, versions)
        self._leaves.move_to_end(path)
        self._kept_leaves += len(versions)
        while self._kept_leaves > _MOST_LEAVES and self._leaves:
            _, (_, dropped) = self._leaves.popitem(last=False)
            self._kept_leaves -= len(dropped)
        return versions

    async def _block(self, leaf: Leaf, number: int) -> bytes:
        key = (leaf.path, leaf.generation, number)
        block = self._blocks.get(key)
        if block is not None:
            self._blocks.move_to_end(key)
            return block
        start = number * BLOCK
        chunks: AsyncIterator[bytes] = self._client.content(
            leaf.path, leaf.generation, start=start, end=min(start + BLOCK, leaf.size)
        )
        block = b"".join([chunk async for chunk in chunks])
        # Two readers may have fetched it at once; the second adds nothing.
        self._block_bytes += len(block) - len(self._blocks.get(key, b""))
        self._blocks[key] = block
        while self._block_bytes > _CACHED_BYTES:
            _, dropped = self._blocks.popitem(last=False)
            self._block_bytes -= len(dropped)
        return block
