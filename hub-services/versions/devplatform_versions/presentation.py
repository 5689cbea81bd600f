"""How names, sizes and files are shown and offered for download. Pure: everything a person can name is tamed here."""

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import quote

from .model import Version
from .naming import version_names
from .policy import RETENTION, Kept

_STEPS = ("B", "KB", "MB", "GB", "TB")
_TEXT_LIMIT = 2**20
_IMAGE_LIMIT = 20 * 2**20
_NOTEBOOK_LIMIT = 20 * 2**20
# C0 and C1 controls, and characters that reorder or hide what follows: a name must look like what it is.
_DECEIVING = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]"
)
_IMAGE_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)
_IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg"})


def display_name(name: str) -> str:
    """The name with invisible and direction-changing characters written out, such as `{U+202E}`."""
    return _DECEIVING.sub(lambda match: f"{{U+{ord(match.group()):04X}}}", name)


def display_size(size: int) -> str:
    """A size for reading: `17 B`, `1.5 KB`, `20 MB` (steps of 1,024)."""
    value, step = float(size), 0
    while value >= 1023.95 and step < len(_STEPS) - 1:
        value, step = value / 1024, step + 1
    return f"{size} B" if step == 0 else f"{value:.1f} {_STEPS[step]}"


def display_change(size: int, before: int | None) -> str:
    """How a size differs from the one before: `+1.2 KB`, `-3 B`, `±0`; empty when there was none."""
    if before is None:
        return ""
    if size == before:
        return "±0"
    # U+2212, the minus sign: a hyphen is not read as one.
    return f"{'+' if size > before else chr(0x2212)}{display_size(abs(size - before))}"


def attachment(name: str) -> str:
    """`Content-Disposition` of a download (RFC 6266): an ASCII name for old clients, the whole one in UTF-8."""
    plain = re.sub(r"[^ !#$&+\-.0-9A-Z^_a-z~()\[\]]", "_", name.encode("ascii", "replace").decode("ascii"))
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def download_name(version: Version) -> str:
    """The name a version is saved under: its own while it is live, with its time (as in `.versions/`) otherwise."""
    if version.live:
        return PurePosixPath(version.path).name
    return version_names([version]).get(version.generation, PurePosixPath(version.path).name)


def kind_of(path: str) -> str:
    """What a name promises: `notebook`, `image`, or `text` (which may turn out to be binary)."""
    ending = PurePosixPath(path).suffix.lower()
    if ending == ".ipynb":
        return "notebook"
    return "image" if ending in _IMAGE_ENDINGS else "text"


def image_type(path: str, head: bytes) -> str | None:
    """The media type of an image that a browser may show: by its first bytes; SVG, which is text, by its name too."""
    for signature, media_type in _IMAGE_SIGNATURES:
        if signature.match(head):
            return media_type
    if PurePosixPath(path).suffix.lower() == ".svg" and b"<svg" in head.lower():
        return "image/svg+xml"
    return None


def preview_limit(kind: str) -> int:
    """The largest file of a kind, bytes, that is shown in the browser; of text, how much of it."""
    return {"notebook": _NOTEBOOK_LIMIT, "image": _IMAGE_LIMIT}.get(kind, _TEXT_LIMIT)


def display_time(moment: datetime) -> str:
    """A moment without a script to make it local: `2026-03-15 14:30 UTC`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def display_span(span: timedelta) -> str:
    """How long something took, rounded up: `40 seconds`, `20 minutes`."""
    seconds = max(math.ceil(span.total_seconds()), 1)
    count, unit = (seconds, "second") if seconds < 60 else (math.ceil(seconds / 60), "minute")
    return f"{count} {unit}{'' if count == 1 else 's'}"


def display_kept(kept: Kept) -> str:
    """Until when a version is kept, on a page: `kept until 2027-03-16`."""
    return f"kept until {_day(kept.at_most)}"


def explain_kept(kept: Kept) -> str:
    """The same in whole sentences."""
    if kept.at_most == kept.surely:
        return f"For {RETENTION.kept_always_days} days: {RETENTION.kept_versions} or more versions are newer."
    return (
        f"Surely until {_day(kept.surely)}; after that until {_day(kept.at_most)}, while fewer than "
        f"{RETENTION.kept_versions} versions are newer."
    )


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d")
