"""FUSE file systems inside a workspace: found and taken down, also when the process behind them is gone."""

import os
import re
import shutil
import subprocess
from pathlib import Path

_ESCAPE = re.compile(r"\\([0-7]{3})")


def fuse_mounts_below(folder: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """Mount points of FUSE file systems inside `folder`, the deepest first."""
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), before.split()[4])
        if after.startswith("fuse") and point.startswith(f"{folder}{os.sep}"):
            found.append(Path(point))
    return sorted(found, reverse=True)


def unmount_below(folder: Path) -> None:
    """Unmount every FUSE file system inside `folder`; one that is still in use goes when its last user does."""
    for point in fuse_mounts_below(folder):
        program = shutil.which("fusermount3") or shutil.which("fusermount")
        if program:
            subprocess.run([program, "-u", "-z", "--", str(point)], check=False, capture_output=True, timeout=10)
