"""The names of old versions in `.versions/`: `report_2024-03-15_14-30-00.ipynb`. Pure.

`<stem>_<when it was saved, UTC><extension>`, so that an editor still knows the kind of file. The rules:

| file | version of 2024-03-15 14:30:00 UTC | why |
|---|---|---|
| `report.ipynb` | `report_2024-03-15_14-30-00.ipynb` | |
| the same, saved again in that second | `report_2024-03-15_14-30-00-2.ipynb` | in the order of generations |
| `Makefile` | `Makefile_2024-03-15_14-30-00` | no extension |
| `.bashrc` | `.bashrc_2024-03-15_14-30-00` | a leading dot starts no extension |
| `a.tar.gz` | `a_2024-03-15_14-30-00.tar.gz` | the extension of a compressed tar has two parts |
| `v1.2 final` | `v1.2 final_2024-03-15_14-30-00` | an extension is 1 to 16 ASCII letters and digits |
| 255 bytes long | `<cut>~<hash>_2024-03-15_14-30-00.txt` | a name holds 255 bytes; the hash keeps names apart |

Within a folder different versions have different names. Tombstones have none: there is no file to show.
Names come from the whole list of a file's versions: a newer version never renames an older one (only when retention
lets go of the first of several saves within one second do the others move up).
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC

from .model import Version

_MAX_BYTES = 255
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,16}\Z")
_TAR = re.compile(r"\.tar\.(?:gz|bz2|xz|zst|lz4|Z)\Z")
_HASH_LENGTH = 12


def split_name(name: str) -> tuple[str, str]:
    """A file name as stem and extension, as the table above says; joined they are the name again."""
    match = _TAR.search(name) or _EXTENSION.search(name)
    if match is None or not name[: match.start()].strip("."):
        return name, ""
    return name[: match.start()], match.group()


def version_names(versions: Iterable[Version]) -> dict[int, str]:
    """The name of every version, by generation: of one file, or of the files directly in one folder."""
    names: dict[int, str] = {}
    seen: dict[tuple[str, str], int] = {}
    for version in sorted(versions, key=lambda v: v.generation):
        if version.tombstone:
            continue
        stamp = version.created.astimezone(UTC).strftime("%Y-%m-%d_%H-%M-%S")
        count = seen[version.path, stamp] = seen.get((version.path, stamp), 0) + 1
        names[version.generation] = _join(version.path.rpartition("/")[2], stamp if count == 1 else f"{stamp}-{count}")
    return names


def generation_of(versions: Iterable[Version], name: str) -> int | None:
    """The generation that `version_names` gives this name, if any."""
    return next((generation for generation, given in version_names(versions).items() if given == name), None)


def _join(name: str, stamp: str) -> str:
    stem, extension = split_name(name)
    tail = f"_{stamp}{extension}"
    if len((stem + tail).encode()) <= _MAX_BYTES:
        return stem + tail
    tail = f"~{hashlib.sha256(name.encode()).hexdigest()[:_HASH_LENGTH]}{tail}"
    # A cut in the middle of a character leaves a piece that is not UTF-8: "ignore" drops just that piece.
    return stem.encode()[: _MAX_BYTES - len(tail.encode())].decode(errors="ignore") + tail
