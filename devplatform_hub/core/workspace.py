"""Paths inside a person's workspace. Every path that comes from outside goes through `parse_path` first."""

from .errors import PublicError

VERSIONS_FOLDER = ".versions"
"""Where the read-only view of old versions is shown; never captured."""
STATE_FOLDER = ".devplatform"
"""Where the agent keeps its own state; never captured, never shown."""

_MAX_COMPONENT_BYTES = 255  # NAME_MAX of ext4, xfs and overlayfs
_MAX_PATH_BYTES = 900  # a GCS object name holds 1,024 bytes, of which `users/<slug>/` takes some


def parse_path(raw: str | bytes, *, allow_root: bool = False) -> str:
    """`raw` as a normal relative path with `/`, exactly as it was typed if it is acceptable.

    Raises `PublicError` (`path-invalid`, 400) for what could leave the workspace or cannot be stored:
    an absolute path, `.` and `..` and empty components, NUL, carriage return or line feed,
    anything that is not UTF-8, a component over 255 bytes, a whole over 900 bytes, and the two reserved folders.
    The empty string is the workspace itself, accepted only with `allow_root`.
    """
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        size = len(text.encode("utf-8"))
    except UnicodeError:
        raise _refuse("its name is not UTF-8", "Rename it with letters that UTF-8 can hold.") from None
    if text == "":
        if allow_root:
            return text
        raise _refuse("it is empty", "Name a file.")
    if size > _MAX_PATH_BYTES:
        raise _refuse(f"it is longer than {_MAX_PATH_BYTES} bytes", "Shorten a folder or the file name.")
    if any(character in text for character in "\0\r\n"):
        raise _refuse("it has a NUL or a line break in it", "Rename it without one.")
    components = text.split("/")
    if text.startswith("/"):
        raise _refuse("it is absolute", "Give it relative to your workspace, such as reports/june.ipynb.")
    if any(component in ("", ".", "..") for component in components):
        raise _refuse("it has an empty, '.' or '..' part", "Give it relative to your workspace, without '..'.")
    if any(len(component.encode("utf-8")) > _MAX_COMPONENT_BYTES for component in components):
        raise _refuse(f"a part of it is longer than {_MAX_COMPONENT_BYTES} bytes", "Shorten that part.")
    if components[0] in (VERSIONS_FOLDER, STATE_FOLDER):
        raise _refuse(f"{components[0]} belongs to the platform", "Name a file of your own.")
    return text


def _refuse(reason: str, hint: str) -> PublicError:
    return PublicError(f"That path cannot be used: {reason}.", code="path-invalid", hint=hint)
