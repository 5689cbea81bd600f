"""Writing what a person asked back into the workspace, after capturing what it would replace."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable

from devplatform_hub.core.errors import PublicError

from ..client import ServiceUnavailable, VersionsClient
from ..model import Origin, Version
from .looking import mtime_of, remembered
from .reconcile import Arrival, Known, decide_arrival
from .schedule import Schedule
from .state import CaptureState, Row
from .status import Status
from .walk import printable, refusal
from .workspace import NotRegular, Reading, Stamp, Unsteady, Workspace

_log = logging.getLogger("devplatform.capture")
_TRIES = 20
_AT_ONCE = 4


class Restorer:
    """Applies restored versions, and the tombstones of restored folders, to the files they are of."""

    def __init__(
        self,
        workspace: Workspace,
        state: CaptureState,
        client: VersionsClient,
        schedule: Schedule,
        status: Status,
        capture: Callable[[str], Awaitable[None]],
    ) -> None:
        self._workspace = workspace
        self._state = state
        self._client = client
        self._schedule = schedule
        self._status = status
        self._capture = capture
        """Makes a version of one path right now."""

    async def apply_all(self, versions: Iterable[Version]) -> None:
        """Apply the newest change of each path, where it is a restore. `ServiceUnavailable` or `OSError`: try again."""
        newest = {version.path: version for version in versions}
        due = [version for version in newest.values() if version.origin is Origin.RESTORE]
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(version: Version) -> None:
            async with slots:
                await self._apply(version)

        outcomes = await asyncio.gather(*map(one, due), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _apply(self, version: Version) -> None:
        shown = printable(version.path)
        refused = refusal(version.path)
        if refused is not None:
            self._status.refuse(shown, refused.reason)
            return
        try:
            for _ in range(_TRIES):
                await self._claim(version.path)
                try:
                    if await self._step(version):
                        return
                finally:
                    self._schedule.done(version.path)
            self._status.error("restore-postponed", f"{shown} changes all the time: it was not restored.")
        except NotRegular as error:
            self._status.refuse(shown, f"it cannot be restored: {error}")
        except ServiceUnavailable:
            raise
        except PublicError as error:
            if error.status in (401, 403):
                raise
            self._status.error(error.code, f"{shown} was not restored: {error.message}")

    async def _step(self, version: Version) -> bool:
        """One try; False when the file changed meanwhile."""
        row = self._state.get(version.path)
        known = row.known if row else None
        try:
            reading = await asyncio.to_thread(self._workspace.read, version.path)
        except Unsteady:
            return False
        local = reading.sha256 if reading else None
        mtime = mtime_of(reading.stamp) if reading else None
        arrival = decide_arrival(known, local, mtime, version)
        if arrival is Arrival.NOTHING:
            return True
        if arrival is Arrival.ADOPT:
            self._state.put([_row(version, reading)])
            return True
        if arrival is Arrival.WRITE:
            if not await self._write(version, reading.stamp if reading else None):
                return False
            self._state.put([_row(version, None)])
        else:
            # From here on the restored version is what local changes are put on top of.
            self._state.put([_row(version, None)])
            if arrival is Arrival.CAPTURE:
                self._schedule.postpone(version.path, time.monotonic(), 0.0)
                return True
            if not await self._capture_then_write(version):
                self._status.error(
                    "restore-postponed", f"{printable(version.path)} has changes that cannot be kept: not restored."
                )
                return True
        self._status.restored += 1
        _log.info("Restored %s from version %s", printable(version.path), version.restored_from or "none")
        return True

    async def _capture_then_write(self, version: Version) -> bool:
        """Make a version of the local changes, then replace them; what is there then becomes the newest version."""
        for attempt in range(_TRIES):
            await asyncio.sleep(0.1 * attempt)
            await self._capture(version.path)
            await self._claim(version.path)
            row = self._state.get(version.path)
            try:
                reading = await asyncio.to_thread(self._workspace.read, version.path)
            except Unsteady:
                continue
            captured = row is not None and reading is not None and row.known.sha256 == reading.sha256
            if (reading is None or captured) and await self._write(version, reading.stamp if reading else None):
                self._schedule.touch(version.path, time.monotonic())
                return True
        return False

    async def _write(self, version: Version, expected: Stamp | None) -> bool:
        """Make the file what the version is; False, and nothing done, when it is not the one expected any longer."""
        if version.tombstone:
            return await asyncio.to_thread(self._workspace.remove, version.path, expected)
        replacement = await asyncio.to_thread(self._workspace.begin_write, version.path)
        try:
            digest = hashlib.sha256()
            async for chunk in self._client.content(version.path, version.generation):
                digest.update(chunk)
                await asyncio.to_thread(replacement.write, chunk)
            if digest.hexdigest() != version.sha256:
                raise ServiceUnavailable("the bytes of a version were not complete")
            return await asyncio.to_thread(replacement.commit, expected) is not None
        finally:
            replacement.abort()

    async def _claim(self, path: str) -> None:
        """Wait until nobody captures this path."""
        while not self._schedule.claim(path):  # noqa: ASYNC110 - captures end within moments; an event for each is more
            await asyncio.sleep(0.05)


def _row(version: Version, reading: Reading | None) -> Row:
    """What to remember of a path whose live version is this one."""
    if version.tombstone:
        return Row(version.path, Known(0, None, seen=True), None)
    if reading is not None:
        return remembered(version.path, reading, version.generation)
    return Row(version.path, Known(version.generation, version.sha256, seen=True), None)
