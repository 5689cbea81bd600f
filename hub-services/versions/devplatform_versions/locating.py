"""From a path as the shell has it to a path in the workspace."""

import os
from collections.abc import Mapping
from pathlib import Path

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import STATE_FOLDER, parse_path


def workspace(environment: Mapping[str, str] = os.environ) -> Path:
    """The workspace of this session, without links. `PublicError` outside of one."""
    given = environment.get("DEVPLATFORM_WORKSPACE")
    if given and os.path.isdir(given):
        return Path(os.path.realpath(given))
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / STATE_FOLDER / "capture.db").is_file():
            return folder
    raise PublicError(
        "There is no workspace here.",
        code="no-workspace",
        hint="Run it in a terminal of a session that the platform started.",
    )


def place(path: str, *, allow_root: bool = False) -> str:
    """The path in the workspace that `path`, relative to the current folder, means. The file need not exist."""
    root = workspace()
    full = os.path.normpath(os.path.join(os.getcwd(), path))
    above = os.path.realpath(os.path.dirname(full))  # a link to the workspace is a way into it
    if full == str(root) or os.path.realpath(full) == str(root):
        inside = ""
    else:
        inside = os.path.relpath(os.path.join(above, os.path.basename(full)), root)
    if inside == ".." or inside.startswith("../"):
        raise PublicError(
            f"{path} is not in the workspace.", code="outside-workspace", hint=f"The workspace is {root}."
        )
    return parse_path(inside, allow_root=allow_root)
