"""The agent: watches, waits until a save is over, captures, applies restores, and says how it is doing."""

import asyncio
import contextlib
import logging
import random
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import STATE_FOLDER

from ..client import NotAllowed, ServiceUnavailable, VersionsClient
from .ignore import IGNORE_FILE, IgnoreRules
from .restorer import Restorer
from .scan import Scan, scan_all, scan_folders
from .schedule import Schedule
from .settings import Settings
from .state import CaptureState
from .status import STATUS_FILE, Status
from .synchronise import synchronise
from .uploader import Uploader
from .walk import ENVIRONMENT_MARK, in_environment, printable, refusal
from .watch import LONGEST_DELAY, Watch
from .workspace import NotRegular, Workspace

_log = logging.getLogger("devplatform.capture")
DATABASE = "capture.db"
_BATCH = {False: 200, True: 100}
_PUTS = {False: 3, True: 5}
_LONGEST_BACKOFF = 60.0
_REFUSED_BACKOFF = 300.0
_LONG_POLL = 25
_POLL = 1.0
_MANY = 1000
_SCAN_SHARE = 0.01
"""Comparing the workspace, over and over, takes at most this share of the time."""


class Agent:
    """Captures one workspace until it is told to stop."""

    def __init__(self, root: Path, client: VersionsClient, settings: Settings) -> None:
        self._settings = settings
        self._client = client
        self._workspace = Workspace(root)
        self._database = root / STATE_FOLDER / DATABASE
        self._state = CaptureState(self._database)
        self._rules = IgnoreRules()
        self._status = Status(root / STATE_FOLDER / STATUS_FILE)
        self._schedule = Schedule(settings)
        self._uploader = Uploader(self._workspace, self._state, client, self._schedule, settings, self._status)
        self._restorer = Restorer(self._workspace, self._state, client, self._schedule, self._status, self._capture_now)
        self._watch = Watch(root, self._changed)
        self._polled: set[str] = set()
        self._new_folders: set[str] = set()
        self._walk_refused: set[str] = set()
        # Who changes the list of watched folders has looked at the folders with this held: no list undoes another.
        self._shape = asyncio.Lock()
        self._wake = asyncio.Event()
        self._structure = asyncio.Event()
        self._rescan = asyncio.Event()
        self._synchronised = asyncio.Event()
        self._failures = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then make the last captures, within bounds."""
        work = [self._begin(), self._follow(), self._adopt_folders(), self._compare_again(), self._poll(), self._tell()]
        lanes = [asyncio.create_task(self._lane(bulk)) for bulk in (False, True)]
        tasks = [asyncio.create_task(part) for part in work]
        stopping = asyncio.create_task(_until(stop))
        try:
            await asyncio.wait({stopping, *tasks, *lanes}, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                for task in tasks:
                    task.cancel()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.shutdown):
                        await self._finish(lanes)
            for task in (*tasks, *lanes):
                if task.done() and not task.cancelled():
                    task.result()  # a defect ends the agent, loudly
        finally:
            for task in (stopping, *tasks, *lanes):
                task.cancel()
            await asyncio.gather(stopping, *tasks, *lanes, return_exceptions=True)
            self._watch.close()
            self._status.state = "stopped"
            self._status.queue = len(self._schedule)
            self._status.write(force=True)
            self._state.close()
            self._workspace.close()

    # Beginning and end.

    async def _begin(self) -> None:
        """Watch first, then compare with the service and with what is remembered; then only changes matter."""
        self._load_rules()
        await self._compare(only_watch=True)
        while True:
            try:
                await synchronise(self._client, self._state, self._restorer)
                break
            except (ServiceUnavailable, NotAllowed, OSError) as error:
                await self._back_off(error)
            except PublicError as error:
                await self._back_off(ServiceUnavailable(error.message))
        self._recovered()
        await self._compare()
        self._synchronised.set()
        self._wake.set()
        await asyncio.Event().wait()

    async def _finish(self, lanes: list[asyncio.Task[None]]) -> None:
        """The last captures: whatever changed until now, without waiting for anything."""
        if not self._synchronised.is_set():
            return
        await self._compare()
        self._schedule.flush(time.monotonic())
        self._wake.set()
        await asyncio.wait(lanes)

    # What changed.

    def _load_rules(self) -> None:
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
        self._wake.set()

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
                self._load_rules()
                self._rescan.set()
            if path.rpartition("/")[2] == ENVIRONMENT_MARK and "/" in path:
                self._rescan.set()
            # It was reported a moment after it happened: that moment of rest counts.
            rest = min(max(time.time() - found.st_mtime, 0.0), LONGEST_DELAY)
            self._schedule.touch(path, now - rest)
            return
        elif path == IGNORE_FILE:
            self._load_rules()
            self._rescan.set()
        # The file or folder of that name, if there was one, is gone.
        if path in self._watch and found is None:
            self._watch.drop(path)
        if self._state.get(path) is not None:
            self._schedule.touch(path, now)
        for inner in self._state.below(path):
            self._schedule.touch(inner, now, bulk=True)

    async def _adopt_folders(self) -> None:
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

    async def _compare_again(self) -> None:
        """Compare everything from time to time, and soon after events were lost."""
        while True:
            begun = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2.0 if self._watch.limited else self._settings.rescan):
                    await self._rescan.wait()
                    await asyncio.sleep(1.0)
            if self._synchronised.is_set():
                self._rescan.clear()
                begun = time.monotonic()
                await self._compare()
            await asyncio.sleep((time.monotonic() - begun) / _SCAN_SHARE if self._synchronised.is_set() else 1)

    async def _poll(self) -> None:
        """Look every second into folders that cannot be watched, because a name in them is not UTF-8."""
        while True:
            await asyncio.sleep(_POLL)
            if self._polled and self._synchronised.is_set():
                self._take_in(await self._scan(self._polled, deep=False), bulk=False)

    async def _compare(self, *, only_watch: bool = False) -> None:
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
        self._wake.set()

    # Making versions.

    async def _lane(self, bulk: bool) -> None:
        """Capture what is due in one lane, batch after batch."""
        puts = asyncio.Semaphore(_PUTS[bulk])
        await self._synchronised.wait()
        while not (self._schedule.flushing and not len(self._schedule)):
            now = time.monotonic()
            paths = self._schedule.take(now, _BATCH[bulk], bulk=bulk)
            if not paths:
                await self._until_due(bulk, now)
                continue
            for path in [path for path in paths if self._is_left_out(path)]:
                del paths[path]
                self._schedule.done(path)
            try:
                await self._uploader.capture(paths, puts, bulk=bulk)
                self._recovered()
            except (ServiceUnavailable, NotAllowed) as error:
                if self._schedule.flushing:
                    self._status.error(error.code, error.message)
                    return
                await self._back_off(error)

    async def _until_due(self, bulk: bool, now: float) -> None:
        due = self._schedule.next_due(bulk=bulk)
        longest = 0.05 if self._schedule.flushing else 30.0
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest if due is None else min(max(due - now, 0.01), longest)):
                await self._wake.wait()

    async def _capture_now(self, path: str) -> None:
        await self._uploader.capture({path: True}, asyncio.Semaphore(1), bulk=False)

    def _is_left_out(self, path: str) -> bool:
        return self._rules.ignores_file(path) or (
            "/" in path and in_environment(self._workspace, path.rpartition("/")[0])
        )

    # Applying restores.

    async def _follow(self) -> None:
        """Wait for restores and apply each batch; only then it counts as seen."""
        await self._synchronised.wait()
        cursor = int(self._state.value("cursor") or 0)
        while True:
            try:
                changes, following = await self._client.changes(cursor, wait=_LONG_POLL)
                await self._restorer.apply_all(change.version for change in changes)
            except (ServiceUnavailable, NotAllowed, OSError) as error:
                await self._back_off(error)
                continue
            except PublicError as error:
                await self._back_off(ServiceUnavailable(error.message))
                continue
            if following != cursor:
                cursor = following
                self._state.set_value("cursor", str(cursor))
            self._wake.set()

    # How it is going.

    def _recovered(self) -> None:
        self._failures = 0
        self._status.state = "watching"

    async def _back_off(self, error: PublicError | OSError) -> None:
        """Wait longer with each failure, by chance, so that not all agents come back at once."""
        self._failures += 1
        if isinstance(error, NotAllowed):
            self._status.state = "refused"
            self._status.error(error.code, error.message)
            await asyncio.sleep(_REFUSED_BACKOFF * random.uniform(0.5, 1))  # noqa: S311 - no secret
            return
        self._status.state = "waiting"
        if isinstance(error, PublicError):
            self._status.error(error.code, error.message)
        else:
            self._status.error("workspace-error", f"The workspace cannot be written: {printable(str(error))}")
        ceiling = min(_LONGEST_BACKOFF, 0.5 * 2 ** min(self._failures, 10))
        asked = error.retry_after if isinstance(error, ServiceUnavailable) else None
        await asyncio.sleep(max(asked or 0, ceiling * random.uniform(0.5, 1)))  # noqa: S311 - no secret

    async def _tell(self) -> None:
        while True:
            self._status.queue = len(self._schedule) + self._schedule.busy
            if self._watch.limited and not self._status.notes:
                self._status.notes = ["the machine's limit of watched folders is reached: changes are seen later"]
            self._status.write()
            await asyncio.sleep(1)


async def _until(event: asyncio.Event) -> None:
    await event.wait()
