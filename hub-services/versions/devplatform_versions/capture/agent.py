"""The agent: watches, waits until a save is over, captures, applies restores, and says how it is doing."""

import asyncio
import contextlib
import logging
import random
import time
from pathlib import Path

from devplatform_hub.core.errors import PublicError

from ..client import NotAllowed, ServiceUnavailable, VersionsClient
from .observer import Observer
from .restorer import Restorer
from .schedule import Schedule
from .settings import Settings
from .state import CaptureState
from .status import STATUS_FILE, Status
from .synchronise import synchronise
from .uploader import Uploader
from .walk import printable
from .workspace import Workspace

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

    def __init__(self, root: Path, client: VersionsClient, settings: Settings, state: Path) -> None:
        self._settings = settings
        self._client = client
        self._workspace = Workspace(root)
        self._database = state / DATABASE
        self._state = CaptureState(self._database)
        self._status = Status(state / STATUS_FILE)
        self._schedule = Schedule(settings)
        self._uploader = Uploader(self._workspace, self._state, client, self._schedule, settings, self._status)
        self._restorer = Restorer(self._workspace, self._state, client, self._schedule, self._status, self._capture_now)
        self._wake = asyncio.Event()
        self._observer = Observer(
            self._workspace, self._state, self._database, self._schedule, settings, self._status, self._wake.set
        )
        self._synchronised = asyncio.Event()
        self._stopping = asyncio.Event()
        self._failures = 0
        self._gave_up = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then make the last captures, within bounds."""
        work = [self._begin(), self._follow(), self._tell()]
        lanes = [asyncio.create_task(self._lane(bulk)) for bulk in (False, True)]
        tasks = [asyncio.create_task(part) for part in work]
        stopping = asyncio.create_task(_until(stop))
        try:
            await asyncio.wait({stopping, *tasks, *lanes}, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                self._stopping.set()
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
            self._observer.close()
            self._status.state = "stopped"
            self._status.queue = len(self._schedule)
            self._status.write(force=True)
            self._state.close()
            self._workspace.close()

    # Beginning and end.

    async def _begin(self) -> None:
        """Watch first, then compare with the service and with what is remembered; then only changes matter."""
        self._observer.load_rules()
        await self._observer.compare(only_watch=True)
        while True:
            try:
                await synchronise(self._client, self._state, self._restorer)
                break
            except (ServiceUnavailable, NotAllowed, OSError) as error:
                await self._back_off(error)
            except PublicError as error:
                await self._back_off(ServiceUnavailable(error.message))
        self._recovered()
        await self._observer.compare()
        self._synchronised.set()
        self._wake.set()
        await asyncio.gather(self._observer.adopt_folders(), self._observer.compare_again(), self._observer.poll())

    async def _finish(self, lanes: list[asyncio.Task[None]]) -> None:
        """The last captures: whatever changed until now, without waiting for anything."""
        if not self._synchronised.is_set():
            return
        await self._observer.compare()
        self._schedule.flush(time.monotonic())
        self._wake.set()
        await asyncio.wait(lanes)

    # Making versions.

    async def _lane(self, bulk: bool) -> None:
        """Capture what is due in one lane, batch after batch."""
        puts = asyncio.Semaphore(_PUTS[bulk])
        await self._synchronised.wait()
        while not (self._schedule.flushing and (self._gave_up or not len(self._schedule))):
            now = time.monotonic()
            paths = self._schedule.take(now, _BATCH[bulk], bulk=bulk)
            if not paths:
                await self._until_due(bulk, now)
                continue
            for path in [path for path in paths if self._observer.leaves_out(path)]:
                del paths[path]
                self._schedule.done(path)
            try:
                await self._uploader.capture(paths, puts, bulk=bulk)
                self._recovered()
            except (ServiceUnavailable, NotAllowed) as error:
                if self._schedule.flushing:
                    self._status.error(error.code, error.message)
                    self._gave_up = True  # what is left is found by comparing when the next session begins
                    return
                await self._back_off(error)
            # What was put back may be due in the other lane, which sleeps until it is told.
            self._wake.set()

    async def _until_due(self, bulk: bool, now: float) -> None:
        due = self._schedule.next_due(bulk=bulk)
        longest = 0.05 if self._schedule.flushing else 30.0
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest if due is None else min(max(due - now, 0.01), longest)):
                await self._wake.wait()

    async def _capture_now(self, path: str) -> None:
        await self._uploader.capture({path: True}, asyncio.Semaphore(1), bulk=False)

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
            await self._rest(_REFUSED_BACKOFF * random.uniform(0.5, 1))  # noqa: S311 - no secret
            return
        self._status.state = "waiting"
        if isinstance(error, PublicError):
            self._status.error(error.code, error.message)
        else:
            self._status.error("workspace-error", f"The workspace cannot be written: {printable(str(error))}")
        ceiling = min(_LONGEST_BACKOFF, 0.5 * 2 ** min(self._failures, 10))
        asked = error.retry_after if isinstance(error, ServiceUnavailable) else None
        await self._rest(max(asked or 0, ceiling * random.uniform(0.5, 1)))  # noqa: S311 - no secret

    async def _rest(self, seconds: float) -> None:
        """Sleep, but not into the end of the session."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _tell(self) -> None:
        while True:
            self._status.queue = len(self._schedule) + self._schedule.busy
            if self._observer.is_limited and not self._status.notes:
                self._status.notes = ["the machine's limit of watched folders is reached: changes are seen later"]
            self._status.write()
            await asyncio.sleep(1)


async def _until(event: asyncio.Event) -> None:
    await event.wait()
