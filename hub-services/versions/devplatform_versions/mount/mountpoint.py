"""Where `.versions` is, whether FUSE can be used here, and getting rid of what a killed process left mounted."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import VERSIONS_FOLDER

MARK = ".devplatform-copies"
"""A file that says: everything in this folder was put here by this program."""
_DEVICE = "/dev/fuse"
_MNT_DETACH = 2


def why_not_fuse() -> str | None:
    """Why FUSE cannot be used by this process; None when it can, as far as can be told without mounting."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} cannot be opened here"
    if os.geteuid() != 0 and shutil.which("fusermount3") is None:
        return "fusermount3 is not installed"
    try:
        import mfusepy  # noqa: F401 - loads libfuse
    except (OSError, ImportError, AttributeError) as error:
        return f"libfuse cannot be loaded: {error}"
    return None


def prepare(root: Path) -> Path:
    """The folder `.versions`, empty and not mounted. `PublicError` when something else is there."""
    mountpoint = root / VERSIONS_FOLDER
    unmount_stale(mountpoint)
    try:
        mountpoint.mkdir(mode=0o755, exist_ok=True)
        if mountpoint.is_symlink():
            raise _taken("it is a link")
        if any(mountpoint.iterdir()):
            if not (mountpoint / MARK).is_file():
                raise _taken("it holds files that the platform did not put there")
            shutil.rmtree(mountpoint)
            mountpoint.mkdir(mode=0o755)
    except OSError as error:
        raise _taken(error.strerror or str(error)) from error
    return mountpoint


def unmount_stale(mountpoint: Path) -> None:
    """Take away every mount of ours that is still there. Only whoever holds the lock of the view may call this."""
    for _ in range(8):  # a mount may lie on another
        if not is_mounted(mountpoint):
            return
        unmount(mountpoint)


def unmount(mountpoint: Path) -> None:
    """Unmount lazily: whoever still has a file open keeps that, nobody else sees it."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(os.fsencode(mountpoint), _MNT_DETACH) == 0:
            return
    program = shutil.which("fusermount3") or shutil.which("fusermount")
    if program is not None:
        subprocess.run([program, "-u", "-z", "--", str(mountpoint)], check=False, capture_output=True, timeout=10)


def is_mounted(mountpoint: Path) -> bool:
    """Whether something is mounted there, alive or not. Asks the kernel's table, never the mount itself."""
    wanted = os.fsencode(mountpoint)
    with open("/proc/self/mountinfo", "rb") as table:
        return any(_unescape(line.split(b" ")[4]) == wanted for line in table)


def _unescape(field: bytes) -> bytes:
    for escaped, meant in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escaped, meant)
    return field


def _taken(why: str) -> PublicError:
    return PublicError(
        f"Old versions are not shown in {VERSIONS_FOLDER}: {why}.",
        code="versions-folder-taken",
        hint=f"Rename {VERSIONS_FOLDER} and start the session again. `devplatform versions` works without it.",
    )
