"""Which object a file is, and back. Pure: nothing but these functions ever makes the name of an object.

`users/<slug>/<path>`: slugs have no slash and no dot, so that nobody's prefix is part of another's. Beside them, in
`visits/<slug>/`, is who looked into somebody's versions.
"""

import hashlib
import re

from devplatform_hub.core.workspace import STATE_FOLDER, VERSIONS_FOLDER

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ROOT = "users/"
NEXT = "\x01"
"""The first character that a longer name can go on with: behind a name and before every longer one."""
_UNUSUAL = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\0\r\n]")
"""An empty part, `.` or `..`, or a character that no path has (`core.workspace.parse_path`)."""


def is_owner(owner: str) -> bool:
    """Whether somebody can have this slug; nobody else has objects."""
    return _SLUG.fullmatch(owner) is not None


def prefix_of(owner: str, folder: str = "") -> str:
    """What the names of all objects below a folder begin with; "" is the whole workspace. Raises `ValueError`."""
    if not is_owner(owner):
        raise ValueError(f"{owner!r} is no slug")
    base = f"{_ROOT}{owner}/"
    return f"{base}{folder}/" if folder else base


def object_of(owner: str, path: str) -> str:
    """The object of a file. Raises `ValueError` for what is no slug, and for an empty path."""
    if not path:
        raise ValueError("a file has a name")
    return prefix_of(owner) + path


def path_of(owner: str, name: str) -> str | None:
    """The file of an object of this owner; None for what is none: a placeholder, an unusual name, our own folders."""
    base = prefix_of(owner)
    path = name[len(base) :] if name.startswith(base) else ""
    if not path or _UNUSUAL.search(path) or path.partition("/")[0] in (STATE_FOLDER, VERSIONS_FOLDER):
        return None
    return path


def visits_prefix(owner: str) -> str:
    """What the names of an owner's visits begin with. Raises `ValueError`."""
    return prefix_of(owner).replace(_ROOT, "visits/", 1)


def visit_object(owner: str, visit_id: str) -> str:
    """The object of a visit, whatever its id is. Raises `ValueError`."""
    return visits_prefix(owner) + hashlib.sha256(visit_id.encode()).hexdigest()[:32]
