"""Comparing the workspace with what is remembered: what changed while nobody watched. Runs in a thread."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .ignore import IgnoreRules
from .state import CaptureState
from .walk import Folder, Refused, refusal, walk
from .workspace import NotRegular, Workspace


@dataclass(slots=True)
class Scan:
    """What was found. `folders` are to be watched, `polled` cannot be; `changed` is to be looked at."""

    folders: list[str] = field(default_factory=list)
    polled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def scan_all(workspace: Workspace, rules: IgnoreRules, database: Path) -> Scan:
    """The whole workspace: new and changed files, known files that are gone, known files that are ignored now."""
    state = CaptureState(database, readonly=True)
    try:
        scan = _scan(workspace, rules, state, [""], deep=True)
        for path in state.paths():
            if rules.ignores_file(path):
                scan.ignored.append(path)
            elif refusal(path) is None and not _is_there(workspace, path):
                row = state.get(path)
                if row is not None and row.known.seen and row.known.generation != 0:
                    scan.changed.append(path)
        return scan
    finally:
        state.close()


def scan_folders(
    workspace: Workspace, rules: IgnoreRules, database: Path, folders: Iterable[str], *, deep: bool
) -> Scan:
    """New and changed files in these folders."""
    state = CaptureState(database, readonly=True)
    try:
        return _scan(workspace, rules, state, folders, deep=deep)
    finally:
        state.close()


def _scan(workspace: Workspace, rules: IgnoreRules, state: CaptureState, folders: Iterable[str], *, deep: bool) -> Scan:
    scan = Scan()
    for start in folders:
        for found in walk(workspace, rules, start, deep=deep):
            if isinstance(found, Folder):
                (scan.polled if found.undecodable else scan.folders).append(found.path)
            elif isinstance(found, Refused):
                scan.refused.append(found)
            else:
                row = state.get(found.path)
                if row is None or row.stamp != found.stamp or not row.known.generation:
                    scan.changed.append(found.path)
    return scan


def _is_there(workspace: Workspace, path: str) -> bool:
    try:
        return workspace.look(path) is not None
    except NotRegular:
        return False
