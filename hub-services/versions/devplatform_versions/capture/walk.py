"""Going through the workspace: its folders, its regular files, and what is refused, without following a link."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path

from .ignore import IgnoreRules
from .workspace import NotRegular, Stamp, Workspace

ENVIRONMENT_MARK = "pyvenv.cfg"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is not ignored. `undecodable`: a name in it is not UTF-8, which inotify's binding cannot take."""

    path: str
    undecodable: bool


@dataclass(frozen=True, slots=True)
class File:
    """A regular file that is not ignored and has a name that can be kept."""

    path: str
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that cannot be captured, printable, and why."""

    path: str
    reason: str


Found = Folder | File | Refused


def walk(workspace: Workspace, rules: IgnoreRules, start: str = "", *, deep: bool = True) -> Iterator[Found]:
    """All that is in a folder; with `deep` also below. A folder comes before what is in it."""
    device = os.stat(workspace.root).st_dev
    waiting = [start]
    while waiting:
        path = waiting.pop()
        try:
            with workspace.folder(path) as descriptor:
                if os.fstat(descriptor).st_dev != device:
                    yield Refused(printable(path), "it is another file system")
                    continue
                names = os.listdir(descriptor)
                if path and ENVIRONMENT_MARK in names:
                    continue
                yield Folder(path, any(not decodable(name) for name in names))
                for name in names:
                    found = _look(descriptor, path, name, rules)
                    if isinstance(found, str):
                        waiting.append(found)
                    elif found is not None:
                        yield found
                if not deep:
                    return
        except (FileNotFoundError, NotRegular):  # it went, or became a link, since it was listed
            continue
        except PermissionError:
            yield Refused(printable(path), "it may not be read")


def in_environment(workspace: Workspace, path: str) -> bool:
    """Whether a folder around this path, or it itself, is a Python virtual environment."""
    parts = path.split("/")
    return any(
        os.path.lexists(workspace.root.joinpath(*parts[:count], ENVIRONMENT_MARK)) for count in range(1, len(parts) + 1)
    )


def decodable(name: str) -> bool:
    """Whether a name from the file system is UTF-8 (Python marks other bytes with surrogates)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(path: str) -> str:
    """A path for a log line or a terminal: escaped, bounded, on one line."""
    return ascii(path)[1:-1][:300]


def refusal(path: str) -> Refused | None:
    """Why this name cannot be kept, if it cannot."""
    try:
        parse_path(path)
    except PublicError as error:
        return Refused(printable(path), error.message)
    return None


def _look(folder: int, path: str, name: str, rules: IgnoreRules) -> File | Refused | str | None:
    """A file, a refusal, the path of a folder to go into, or None for what is left out."""
    inner = f"{path}/{name}" if path else name
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        if rules.ignores_folder(inner):
            return None
        return refusal(inner) or inner
    if not stat.S_ISREG(found.st_mode) or rules.ignores_file(inner):
        return None
    return refusal(inner) or File(inner, Stamp.of(found))
