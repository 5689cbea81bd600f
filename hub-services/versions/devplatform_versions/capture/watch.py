"""Noticing changes with watchfiles: each folder that is not ignored is watched by itself.

Not one recursive watch, because that goes into `node_modules`, through links out of the workspace, and into the mount
`.versions`. A new list of folders makes a new watcher before the old one ends, so that nothing is missed in between.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

_log = logging.getLogger("devplatform.capture")
_STEP_MS = 50
_GROUP_MS = 200
_ROUND_MS = 1000
LONGEST_DELAY = (_GROUP_MS + _STEP_MS) / 1000
"""So much later than it happened a change is reported at most, in seconds."""
_MOST_SHARE = 0.2
"""Building watchers anew, as folders come and go, takes at most this share of the time."""

Report = Callable[[set[str], bool], None]
"""Takes the paths that changed, relative to the workspace, and whether events were lost."""


class _Watcher(threading.Thread):
    """One list of folders under watch."""

    def __init__(self, root: Path, folders: list[str], report: Callable[[set[str], bool], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._prefix = f"{root}/"
        self._report = report
        self._ended = threading.Event()
        # Not recursive; a folder that may not be read is left out rather than an end of everything.
        self._notify = RustNotify([str(root / folder) for folder in folders], False, False, 300, False, True)
        self.start()

    def run(self) -> None:
        lost = is_last = False
        while not is_last:
            # What the kernel has told when the end comes is still reported: one more round, and not the binding's own
            # stop event, which throws away what it has gathered.
            is_last = self._ended.is_set()
            try:
                changes = self._notify.watch(_GROUP_MS, _STEP_MS, _ROUND_MS, None)
            except WatchfilesRustInternalError as error:
                # A name that is not UTF-8: this watcher gives nothing any longer.
                _log.info("The file watcher starts anew: %s", ascii(str(error))[:200])
                lost = True
                break
            if changes == "signal":
                lost = True
                break
            if isinstance(changes, set) and changes:
                inside = {path.removeprefix(self._prefix) for _, path in changes if path.startswith(self._prefix)}
                self._report(inside, False)
        if lost and not self._ended.is_set():
            self._report(set(), True)

    def end(self) -> None:
        """Report what there is, then stop; without waiting for that."""
        self._ended.set()


class Watch:
    """Watches a set of folders that may change. `report` is called on the event loop."""

    def __init__(self, root: Path, report: Report) -> None:
        self._root = root
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._watcher: _Watcher | None = None
        self._folders: set[str] = set()
        self._built = 0.0
        self._cost = 0.0
        self.limited = False
        """Whether the machine's limit of watched folders is reached; then only rescans see changes."""

    def __contains__(self, folder: str) -> bool:
        return folder in self._folders

    def __len__(self) -> int:
        return len(self._folders)

    def drop(self, folder: str) -> None:
        """This folder is gone; a new one of the same name is another folder."""
        self._folders -= {known for known in self._folders if known == folder or known.startswith(f"{folder}/")}

    async def rebuild(self, folders: Iterable[str]) -> None:
        """Watch exactly these folders; when this returns every later change in them is seen."""
        pause = self._built + self._cost / _MOST_SHARE - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        wanted = sorted(set(folders))
        begun = time.monotonic()
        old = self._watcher
        self._watcher = await asyncio.to_thread(self._build, wanted)
        self._folders = set(wanted)
        self._built = time.monotonic()
        self._cost = self._built - begun
        if old is not None:
            old.end()

    async def add(self, folders: Iterable[str]) -> None:
        """Watch these too."""
        await self.rebuild(self._folders.union(folders))

    def close(self) -> None:
        """Watch nothing."""
        if self._watcher is not None:
            self._watcher.end()
            self._watcher = None

    def _build(self, wanted: list[str]) -> _Watcher | None:
        self.limited = False
        for _ in range(5):
            try:
                return _Watcher(self._root, [folder for folder in wanted if self._is_folder(folder)], self._tell)
            except FileNotFoundError:  # one of them went between the look and the watch
                continue
            except (OSError, WatchfilesRustInternalError) as error:
                self.limited = True
                _log.warning("Folders cannot be watched, they are compared instead: %s", ascii(str(error))[:200])
                return None
        return None

    def _is_folder(self, folder: str) -> bool:
        path = self._root / folder
        return path.is_dir() and (not folder or not path.is_symlink())

    def _tell(self, paths: set[str], lost: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop ended first
            self._loop.call_soon_threadsafe(self._report, paths, lost)
