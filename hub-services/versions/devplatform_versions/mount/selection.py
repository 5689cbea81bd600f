"""Which versions are copied into `.versions` where FUSE cannot be used. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..history import arrange
from ..model import Version
from ..naming import version_names


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the folder of copies may hold at most."""

    files: int = 200
    versions: int = 5
    total_bytes: int = 256 * 2**20
    file_bytes: int = 32 * 2**20


def select_copies(histories: Iterable[Iterable[Version]], bounds: Bounds) -> dict[str, Version]:
    """Path in `.versions` -> version: the newest versions of the files that changed last, within the bounds.

    Every file's newest version comes before any file's second newest.
    """
    recent = sorted(
        (sorted(history, key=lambda v: -v.generation) for history in map(list, histories) if history),
        key=lambda history: -history[0].generation,
    )[: bounds.files]
    chosen: dict[str, Version] = {}
    left = bounds.total_bytes
    names = [_paths(history) for history in recent]
    # A step of a program's save takes nobody's place.
    kept_of = {
        history[0].path: [row.version for row in arrange(history).rows if not row.version.tombstone]
        for history in recent
    }
    for rank in range(bounds.versions):
        for history, paths in zip(recent, names, strict=True):
            kept = kept_of[history[0].path]
            if rank < len(kept) and kept[rank].size <= min(left, bounds.file_bytes):
                chosen[paths[kept[rank].generation]] = kept[rank]
                left -= kept[rank].size
    return chosen


def _paths(history: list[Version]) -> Mapping[int, str]:
    folder, slash, _ = history[0].path.rpartition("/")
    return {generation: folder + slash + name for generation, name in version_names(history).items()}
