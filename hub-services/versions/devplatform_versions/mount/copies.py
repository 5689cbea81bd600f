"""Old versions as copies in `.versions`, where FUSE cannot be used: the newest of the files that changed last."""

import asyncio
import contextlib
import heapq
import logging
import os
import random
import stat
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from devplatform_hub.core.errors import PublicError

from ..capture.workspace import NotRegular, Stamp, Workspace
from ..client import VersionsClient
from ..model import Version
from .mountpoint import MARK
from .selection import Bounds, select_copies

_log = logging.getLogger("devplatform.mount")
_LONG_POLL = 25
_SETTLE = 2.0
README = "README.txt"


class Copies:
    """Keeps the folder as the bounds want it, until cancelled."""

    def __init__(self, folder: Path, client: VersionsClient, bounds: Bounds) -> None:
        self._folder = folder
        self._client = client
        self._bounds = bounds
        self._place = Workspace(folder)
        self._histories: OrderedDict[str, list[Version]] = OrderedDict()
        self._present: dict[str, tuple[int, Stamp]] = {}

    async def run(self) -> None:
        """Fill the folder, then follow the changes."""
        (self._folder / MARK).write_text("Everything in this folder is made and removed by the platform.\n")
        self._write_readme()
        cursor = 0
        known = False
        failures = 0
        while True:
            try:
                if not known:
                    cursor = await self._begin()
                    known = True
                changes, following = await self._client.changes(cursor, wait=_LONG_POLL)
                for path in dict.fromkeys(change.version.path for change in changes):
                    await self._learn(path)
                await self._bring_about(select_copies(self._histories.values(), self._bounds))
                cursor, failures = following, 0
                if changes:
                    await asyncio.sleep(_SETTLE)  # one save is often followed by others
            except (PublicError, OSError) as error:
                failures += 1
                _log.warning("The copies in .versions are not up to date: %s", error)
                await asyncio.sleep(min(60, 2**failures) * random.uniform(0.5, 1))  # noqa: S311 - no secret

    def close(self) -> None:
        """Let go of the folder; the copies stay for the next session to replace."""
        self._place.close()

    async def _begin(self) -> int:
        """Learn the files that changed last; the cursor from which to follow."""
        cursor = 0
        while True:
            changes, following = await self._client.changes(cursor)
            if not changes or following == cursor:
                break
            cursor = following
        newest: list[tuple[int, str]] = []
        async for version in self._client.snapshot(""):
            entry = (version.generation, version.path)
            if len(newest) < self._bounds.files:
                heapq.heappush(newest, entry)
            else:
                heapq.heappushpop(newest, entry)
        for _, path in sorted(newest):
            await self._learn(path)
        await self._bring_about(select_copies(self._histories.values(), self._bounds))
        return cursor

    async def _learn(self, path: str) -> None:
        """The versions of a file, which is the newest one now."""
        try:
            # Twice as many as are shown, because tombstones among them are not.
            history = await self._client.versions(path, most=2 * self._bounds.versions)
        except PublicError as error:
            if error.status != 404:
                raise
            self._histories.pop(path, None)
            return
        self._histories[path] = history
        self._histories.move_to_end(path)
        while len(self._histories) > self._bounds.files:
            self._histories.popitem(last=False)

    async def _bring_about(self, wanted: Mapping[str, Version]) -> None:
        for path, (generation, stamp) in list(self._present.items()):
            if path not in wanted or wanted[path].generation != generation:
                with contextlib.suppress(NotRegular):
                    await asyncio.to_thread(self._place.remove, path, stamp)
                del self._present[path]
        for path, version in wanted.items():
            if path not in self._present:
                try:
                    await self._copy(path, version)
                except NotRegular as error:
                    _log.warning("Not copied: %s: %s", ascii(path)[:300], error)

    async def _copy(self, path: str, version: Version) -> None:
        replacement = await asyncio.to_thread(self._place.begin_write, path)
        try:
            async for chunk in self._client.content(version.path, version.generation):
                await asyncio.to_thread(replacement.write, chunk)
            found = await asyncio.to_thread(self._place.look, path)
            stamp = await asyncio.to_thread(replacement.commit, Stamp.of(found) if found else None)
        finally:
            replacement.abort()
        if stamp is not None:
            self._protect(path, version)
            after = self._place.look(path)
            self._present[path] = (version.generation, Stamp.of(after) if after else stamp)

    def _protect(self, path: str, version: Version) -> None:
        above, _, name = path.rpartition("/")
        saved = version.created.timestamp()
        with self._place.folder(above) as folder:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                os.fchmod(descriptor, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
                os.utime(descriptor, (saved, saved))
            finally:
                os.close(descriptor)

    def _write_readme(self) -> None:
        bounds = self._bounds
        (self._folder / README).write_text(
            "Old versions of your files, as copies\n"
            "=====================================\n\n"
            "This machine cannot show all old versions as a file system (FUSE), so this folder holds copies of some:\n"
            f"at most {bounds.versions} versions of each of the {bounds.files} files that were saved last, none over "
            f"{bounds.file_bytes // 2**20} MiB,\n"
            f"{bounds.total_bytes // 2**20} MiB in all. They follow your saves within seconds.\n\n"
            "Times in the names are UTC. Copy what you need: cp .versions/NAME .\n"
            "What you change in here is lost: the platform writes and removes these files.\n\n"
            "Every version there is:\n\n"
            "    devplatform versions ls --deleted\n"
            "    devplatform versions log FILE\n"
            "    devplatform versions get FILE --at '2024-03-15 14:30'\n"
            "    devplatform versions restore FILE --version NUMBER\n"
        )
