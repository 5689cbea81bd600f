"""The folders of one person and of one server on this machine: made private, and never through a symbolic link."""

import errno
import json
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..core.diagnosis import full_disk
from ..core.errors import PublicError
from ..core.safe_start import SETTINGS_FILE, server_settings

_LONGEST_LOG = 5 * 2**20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_SAFE_PREFIX = "devplatform-safe-"


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one server: `root` is its HOME, `workspace` what editors open and what is captured."""

    root: Path
    workspace: Path


def prepare_home(data: Path, owner: str) -> Home:
    """The home of `owner` (a slug), made if it is missing, readable by this account only.

    Raises `PublicError`: `home-unsafe` where a folder is a symbolic link or somebody else's, `machine-disk-full`,
    `home-unusable`. A link would let its maker have the platform write, or show, what lies elsewhere.
    """
    root = data / "people" / owner
    home = Home(root, root / "workspace")
    for folder in (root.parent, root, home.workspace):
        _make_private(folder)
    return home


def make_safe_home(home: Home) -> Home:
    """A temporary HOME on this machine for a safe start, with the same workspace; `remove_safe_home` ends it.

    Raises `PublicError`, also `machine-disk-full`: then there is no place left at all.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=_SAFE_PREFIX))
        settings = safe_settings_folder(folder)
        settings.mkdir(mode=0o700)
        (settings / SETTINGS_FILE).write_text(json.dumps(server_settings()), "utf-8")
    except OSError as error:
        raise _explain(error, Path(tempfile.gettempdir())) from None
    return Home(folder, home.workspace)


def safe_settings_folder(root: Path) -> Path:
    """Where a temporary HOME has the settings of Jupyter for a safe start."""
    return root / ".safe-start"


def remove_safe_home(folder: str) -> None:
    """Remove what `make_safe_home` made, if it is there."""
    if Path(folder).name.startswith(_SAFE_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def explain_home(error: OSError) -> PublicError:
    """Why nothing could be written in a person's home."""
    if error.errno in _NO_ROOM:
        return PublicError(full_disk.CANNOT_START, code=full_disk.CODE, hint=full_disk.HINT, status=507)
    return _unusable(error)


def prepare_state(data: Path, key: str) -> Path:
    """The private folder of one server (a key of slugs) for what its supervisor leaves word of; empty."""
    folder = data / "run" / "servers" / key
    for path in (data / "run", folder.parent, folder):
        _make_private(path)
    for entry in os.scandir(folder):
        if not entry.is_dir(follow_symlinks=False):
            Path(entry.path).unlink()
    return folder


def open_log(data: Path, key: str) -> int:
    """A descriptor that appends to this server's log; the log before the last few megabytes is one file, `.1`."""
    _make_private(data / "logs")
    path = data / "logs" / f"server-{key}.log"
    try:
        if path.lstat().st_size > _LONGEST_LOG:
            path.replace(path.with_suffix(".log.1"))
    except FileNotFoundError:
        pass
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Opened first and looked at then, so that nothing can be exchanged in between.
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _explain(error, folder) from None
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise _unsafe(folder, "belongs to another account")
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def _explain(error: OSError, folder: Path) -> PublicError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
        return _unsafe(folder, "is not a folder of its own")
    if error.errno in _NO_ROOM:
        return PublicError(
            "The disk of this machine is full, so no server can start.",
            code="machine-disk-full",  # a safe start would not help
            hint="Ask an administrator to free some space. Nothing of yours was changed.",
            status=507,
        )
    return _unusable(error)


def _unusable(error: OSError) -> PublicError:
    return PublicError(
        f"Your folder on this machine cannot be used: {error.strerror}.",
        code="home-unusable",
        hint="Ask an administrator to look at the log of the hub.",
        status=503,
    )


def _unsafe(folder: Path, why: str) -> PublicError:
    return PublicError(
        f"The folder {folder.name!r} of your home on this machine {why}.",
        code="home-unsafe",
        hint="Ask an administrator to put a plain folder there; nothing was changed.",
        status=409,
    )
