"""What programs leave behind while they save, and why a browser hides it unless asked. Pure.

A name or a short life makes a version *look* like noise. Whether it is hidden is decided with its neighbours at hand:
of a file's versions in `history`, of a folder's entries here in `quiet_entries`. Both count what they hide.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum

from .model import FolderEntry, Version

SHORT_LIFE = timedelta(seconds=2)
"""What was replaced sooner was never seen by a person: shells and gcsfuse write an empty file, then the content."""
_LOCK_MARKER_BYTES = 64  # a process id and a host name; a lock file of dependencies is far longer


class Reason(StrEnum):
    """Why something is hidden. The values are part of the API."""

    EMPTY = "empty"
    REPLACED = "replaced"
    LOCK = "lock"
    SIDE_FILE = "side-file"
    JOURNAL = "journal"
    CHECKPOINT = "checkpoint"
    REPOSITORY = "repository"


_WORDS = {
    Reason.EMPTY: ("empty version that a program wrote before the content", "empty versions before the content"),
    Reason.REPLACED: ("step of a save that was replaced at once", "steps of saves that were replaced at once"),
    Reason.LOCK: ("lock marker", "lock markers"),
    Reason.SIDE_FILE: ("side file of an editor", "side files of editors"),
    Reason.JOURNAL: ("journal of a database", "journals of databases"),
    Reason.CHECKPOINT: ("item with checkpoints", "items with checkpoints"),
    Reason.REPOSITORY: ("item of Git's own", "items of Git's own"),
}
_FOLDERS = {".git": Reason.REPOSITORY, ".ipynb_checkpoints": Reason.CHECKPOINT}
_PREFIXES = ((".~lock.", Reason.LOCK), (".~", Reason.SIDE_FILE), (".nfs", Reason.SIDE_FILE))
_SUFFIXES = (
    ("-journal", Reason.JOURNAL),
    ("-wal", Reason.JOURNAL),
    ("-shm", Reason.JOURNAL),
    (".swp", Reason.SIDE_FILE),
    (".swx", Reason.SIDE_FILE),
    ("~", Reason.SIDE_FILE),
)


def words(hidden: Mapping[Reason, int]) -> str:
    """What is hidden, for a person: `2 lock markers, 1 journal of a database`; empty when nothing is."""
    return ", ".join(
        f"{hidden[reason]} {_WORDS[reason][hidden[reason] != 1]}" for reason in Reason if hidden.get(reason)
    )


def word(reason: Reason) -> str:
    """What one of these is: `lock marker`."""
    return _WORDS[reason][0]


def named_reason(path: str) -> Reason | None:
    """What the name of a file says: git's and checkpoints' folders, editors' and databases' side files."""
    *folders, name = path.split("/")
    for folder in folders:
        if folder in _FOLDERS:
            return _FOLDERS[folder]
    for prefix, reason in _PREFIXES:
        if name.startswith(prefix):
            return reason
    return next((reason for suffix, reason in _SUFFIXES if name.endswith(suffix)), None)


def reason_of(version: Version) -> Reason | None:
    """What this version looks like by itself, by its name or its life; None: like somebody's work."""
    reason = named_reason(version.path)
    if reason is not None or version.tombstone:
        return reason
    if version.path.endswith(".lock") and version.size <= _LOCK_MARKER_BYTES:
        return Reason.LOCK
    if version.size > 0 or version.noncurrent_since is None:
        return None
    passing = timedelta(0) <= version.noncurrent_since - version.created < SHORT_LIFE
    return Reason.EMPTY if passing else None


def is_noise(version: Version) -> bool:
    """Whether this version looks like noise by itself."""
    return reason_of(version) is not None


def is_noise_folder(name: str) -> bool:
    """Whether everything in a folder of this name is noise."""
    return name in _FOLDERS


def quiet_entries(folder: str, entries: Iterable[FolderEntry]) -> tuple[list[FolderEntry], dict[Reason, int]]:
    """The entries of a folder to show, in their order, and how many are hidden for which reason.

    A side file is hidden beside the file that it belongs to; alone it may be all that is left of somebody's work (or
    it only has such a name, as `lab-journal` does). What a person restored or uploaded is shown whatever its name, and
    somebody who is inside a folder of git or of checkpoints wants to see it. On a page of a long folder the file may
    be on another page than its side file: then both are shown.
    """
    entries = list(entries)
    if any(is_noise_folder(part) for part in folder.split("/")):
        return entries, {}
    beside = {entry.name: entry.deleted for entry in entries if not entry.is_folder}
    shown: list[FolderEntry] = []
    hidden: dict[Reason, int] = {}
    for entry in entries:
        reason = _entry_reason(entry, beside)
        if reason is None:
            shown.append(entry)
        else:
            hidden[reason] = hidden.get(reason, 0) + 1
    return shown, hidden


def _entry_reason(entry: FolderEntry, beside: Mapping[str, bool]) -> Reason | None:
    if entry.is_folder:
        return _FOLDERS.get(entry.name)
    newest = entry.newest
    if newest is None or not newest.origin.is_a_save:
        return None
    reason = reason_of(newest)
    if reason is None or reason is Reason.EMPTY:  # an empty newest version is all that the file has
        return None
    owner = _belongs_to(entry.name)
    if owner is None:
        return reason
    owner_deleted = beside.get(owner)
    return None if owner_deleted is None or (owner_deleted and not entry.deleted) else reason


def _belongs_to(name: str) -> str | None:
    """The name of the file that a side file is about; None when it belongs to no file in particular."""
    if name.startswith(".~lock."):
        return name.removeprefix(".~lock.").removesuffix("#")
    if name.startswith(".~"):
        return name.removeprefix(".~")
    if name.endswith((".swp", ".swx")):
        return name[:-4].removeprefix(".")
    for suffix in ("-journal", "-wal", "-shm", "~"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return None
