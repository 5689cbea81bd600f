"""Looking at the files of a batch: what each path asks for now. Runs in a thread, because it reads whole files."""

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .reconcile import Known, Save, decide_save
from .state import Row
from .walk import refusal
from .workspace import NotRegular, Reading, Stamp, Unsteady, Workspace

EMPTY_SHA256 = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Look:
    """One path, what was known of it, what is there, and the step that follows. `refused`: why there is none."""

    path: str
    row: Row | None
    save: Save
    reading: Reading | None = None
    refused: str | None = None
    unsteady: bool = False

    @property
    def match(self) -> int:
        """The generation that the version replaces; 0 for none. An unknown one is found out by the refusal."""
        return (self.row.known.generation if self.row else 0) or 0

    def remembered(self, generation: int) -> Row:
        """What to remember once this content is the live generation."""
        if self.reading is None:
            raise ValueError("nothing was read")
        return remembered(self.path, self.reading, generation)


def look_at_all(workspace: Workspace, rows: Sequence[tuple[str, Row | None]], limit: int) -> list[Look]:
    """A look at each path, in order."""
    return [look_at(workspace, path, row, limit) for path, row in rows]


def look_at(workspace: Workspace, path: str, row: Row | None, limit: int) -> Look:
    """What this path asks for. Reads the file only if its stamp is not the remembered one."""
    refused = refusal(path)
    if refused is not None:
        return Look(path, row, Save.NOTHING, refused=refused.reason)
    known = row.known if row else None
    try:
        found = workspace.look(path)
        if found is None or stat.S_ISDIR(found.st_mode):  # a folder took its name: the file is gone
            return Look(path, row, decide_save(known, None))
        if not stat.S_ISREG(found.st_mode):
            return _not_regular(path, row, "it is a link, a pipe, a socket or a device")
        if row is not None and row.stamp == Stamp.of(found) and row.known.generation:
            return Look(path, row, Save.NOTHING)
        if found.st_size > limit:
            return Look(path, row, Save.NOTHING, refused=f"it is larger than {limit} bytes")
        reading = workspace.read(path)
    except NotRegular as error:
        return _not_regular(path, row, str(error))
    except Unsteady:
        return Look(path, row, Save.NOTHING, unsteady=True)
    except OSError as error:
        return Look(path, row, Save.NOTHING, refused=f"it cannot be read: {error.strerror}")
    return Look(path, row, decide_save(known, reading.sha256 if reading else None), reading)


def _not_regular(path: str, row: Row | None, what: str) -> Look:
    """What was a file is gone from here, and what is here instead cannot be kept."""
    save = decide_save(row.known if row else None, None)
    return Look(path, row, save, refused=what if save is Save.NOTHING else None)


def remembered(path: str, reading: Reading, generation: int) -> Row:
    """The row of a file whose content is this live generation."""
    return Row(path, Known(generation, reading.sha256, seen=True), reading.stamp if reading.trusted else None)


def mtime_of(stamp: Stamp) -> datetime | None:
    """When the file was saved, if its time can be written down at all."""
    try:
        return datetime.fromtimestamp(stamp.mtime_ns / 1e9, UTC)
    except (OverflowError, ValueError, OSError):
        return None
