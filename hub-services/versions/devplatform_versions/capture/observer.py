"""Noticing what changes in the workspace: watching folders, comparing from time to time, and the rules of both."""

import asyncio
import contextlib
import logging
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .ignore import IGNORE_FILE, IgnoreRules
from .scan import Scan, scan_all, scan_folders
from .schedule import Schedule
from .settings import Settings
from .state import CaptureState
from .status import Status
from .walk import ENVIRONMENT_MARK, in_environment, refusal
from .watch import LONGEST_DELAY, Watch
from .workspace import NotRegular, Workspace

_log = logging.getLogger("devplatform.capture")
_POLL = 1.0
_MANY = 1000
_SETTLE = 1.0
_WHEN_LIMITED = 2.0
_SCAN_SHARE = 0.01
"""Comparing the workspace, over and over, takes at most this share of the time."""


class Observer:
    """Puts every path that may have changed on the schedule. `wake` is called when there is something on it."""

    def __init__(
        self,
        workspace: Workspace,
        state: CaptureState,
        database: Path,
        schedule: Schedule,
        settings: Settings,
        status: Status,
        wake: Callable[[], None],
    ) -> None:
        self._workspace = workspace
        self._state = state
        self._database = database
        self._schedule = schedule
        self._settings = settings
        self._status = status
        self._wake = wake
        self._rules = IgnoreRules()
        self._watch = Watch(workspace.root, self._changed)
        self._polled: set[str] = set()
        self._new_folders: set[str] = set()
        self._walk_refused: set[str] = set()
        # Who changes the list of watched folders has looked at the folders with this held: no list undoes another.
        self._shape = asyncio.Lock()
        self._structure = asyncio.Event()
        self._rescan = asyncio.Event()

    @property
    def is_limited(self) -> bool:
        """Whether the machine's limit of watched folders is reached."""
        return self._watch.limited

    def close(self) -> None:
        """Watch nothing any longer."""
        self._watch.close()

    def load_rules(self) -> None:
        """Take the rules of `.devplatformignore`."""
        try:
            reading = self._workspace.read(IGNORE_FILE)
            content = (reading.content if reading else None) or b""
            self._rules = IgnoreRules(content.decode(errors="replace").splitlines())
        except (OSError, NotRegular) as error:
            self._rules = IgnoreRules()
            self._rules.problems.append(f"{IGNORE_FILE} is not used: {error}")
        self._status.notes = self._rules.problems[:20]
        for problem in self._rules.problems[:20]:
            _log.warning("%s", problem)

    def _changed(self, paths: set[str], lost: bool) -> None:
        """The watcher saw something. Paths are hints: what is there now decides."""
        now = time.monotonic()
        if lost or len(paths) > _MANY or self._watch.limited:
            self._rescan.set()
        for path in paths:
            self._changed_path(path, now)
        self._wake()

    def _changed_path(self, path: str, now: float) -> None:
        if self._rules.ignores_file(path):
            return
        refused = refusal(path)
        if refused is not None:
            self._status.refuse(refused.path, refused.reason)
            return
        try:
            found = self._workspace.look(path)
        except (NotRegular, OSError):
            found = None
        if found is not None and stat.S_ISDIR(found.st_mode):
            if not self._rules.ignores_folder(path):
                self._new_folders.add(path)
                self._structure.set()
        elif found is not None and stat.S_ISREG(found.st_mode):
            if path == IGNORE_FILE:
                self.load_rules()
                self._rescan.set()
            if path.rpartition("/")[2] == ENVIRONMENT_MARK and "/" in path:
                self._rescan.set()
            # It was reported a moment after it happened: that moment of rest counts.
            rest = min(max(time.time() - found.st_mtime, 0.0), LONGEST_DELAY)
            self._schedule.touch(path, now - rest)
            return
        elif path == IGNORE_FILE:
            self.load_rules()
            self._rescan.set()
        # The file or folder of that name, if there was one, is gone.
        if path in self._watch and found is None:
            self._watch.drop(path)
        if self._state.get(path) is not None:
            self._schedule.touch(path, now)
        for inner in self._state.below(path):
            self._schedule.touch(inner, now, bulk=True)

    async def adopt_folders(self) -> None:
        """Watch new folders, then look at what came into them before they were watched."""
        while True:
            await self._structure.wait()
            self._structure.clear()
            new, self._new_folders = self._new_folders, set()
            async with self._shape:
                scan = await self._scan(new)
                await self._watch.add(scan.folders)
            again = await self._scan(new)
            self._take_in(again, bulk=len(again.changed) > 20)
            if missed := set(again.folders).difference(scan.folders):
                self._new_folders |= missed
                self._structure.set()
            self._rescan.set()

    async def compare_again(self) -> None:
        """Compare everything from time to time, and soon after events were lost."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WHEN_LIMITED if self._watch.limited else self._settings.rescan):
                    await self._rescan.wait()
                    await asyncio.sleep(_SETTLE)
            self._rescan.clear()
            begun = time.monotonic()
            await self.compare()
            await asyncio.sleep((time.monotonic() - begun) / _SCAN_SHARE)

    async def poll(self) -> None:
        """Look every second into folders that cannot be watched, because a name in them is not UTF-8."""
        while True:
            await asyncio.sleep(_POLL)
            if self._polled:
                self._take_in(await self._scan(self._polled, deep=False), bulk=False)

    async def compare(self, *, only_watch: bool = False) -> None:
        """Compare the whole workspace with what is remembered; watch the folders that there are."""
        async with self._shape:
            scan = await asyncio.to_thread(scan_all, self._workspace, self._rules, self._database)
            if len(self._watch) != len(scan.folders) or any(folder not in self._watch for folder in scan.folders):
                await self._watch.rebuild(scan.folders)
                # What changed before these folders were watched.
                scan = await asyncio.to_thread(scan_all, self._workspace, self._rules, self._database)
                self._new_folders.update(folder for folder in scan.folders if folder not in self._watch)
                if self._new_folders:
                    self._structure.set()
        self._status.folders = len(scan.folders)
        if only_watch:
            return
        self._state.forget(scan.ignored)
        refused = {found.path for found in scan.refused}
        for path in self._walk_refused - refused:
            self._status.accept(path)
        self._walk_refused = refused
        self._polled = set(scan.polled)
        self._take_in(scan, bulk=len(scan.changed) > 20)

    async def _scan(self, folders: Iterable[str], *, deep: bool = True) -> Scan:
        return await asyncio.to_thread(
            scan_folders, self._workspace, self._rules, self._database, sorted(folders), deep=deep
        )

    def _take_in(self, scan: Scan, *, bulk: bool) -> None:
        now = time.monotonic()
        for refused in scan.refused:
            self._status.refuse(refused.path, refused.reason)
        self._polled.update(scan.polled)
        for path in scan.changed:
            self._schedule.touch(path, now, bulk=bulk)
        self._wake()

    def leaves_out(self, path: str) -> bool:
        """Whether this path is not to be captured, by the rules in force now."""
        return self._rules.ignores_file(path) or (
            "/" in path and in_environment(self._workspace, path.rpartition("/")[0])
        )
