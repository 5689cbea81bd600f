"""What bringing a folder back to a moment means, file by file. Pure: two snapshots in, a plan out."""

from collections.abc import Iterable
from dataclasses import dataclass

from .model import Version


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring back one old version. The precondition is what was live when the plan was made (0: nothing)."""

    path: str
    generation: int
    if_generation_match: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """End one file that did not exist at that moment; its versions stay."""

    path: str
    if_generation_match: int


@dataclass(frozen=True, slots=True)
class FolderRestorePlan:
    """Every step, by path, with a precondition each: what is saved meanwhile is never overwritten."""

    restores: tuple[Restore, ...]
    deletions: tuple[Deletion, ...]
    unchanged: int


def plan_folder_restore(then: Iterable[Version], now: Iterable[Version]) -> FolderRestorePlan:
    """The steps from the snapshot `now` to the content of the snapshot `then`.

    A file that has the bytes of that moment is left alone, even when it was changed and changed back since.
    """
    wanted = {version.path: version for version in then}
    present = {version.path: version for version in now}
    restores: list[Restore] = []
    unchanged = 0
    for path, old in sorted(wanted.items()):
        live = present.get(path)
        if live is not None and (live.size, live.sha256) == (old.size, old.sha256):
            unchanged += 1
        else:
            restores.append(Restore(path, old.generation, live.generation if live else 0))
    deletions = tuple(Deletion(path, live.generation) for path, live in sorted(present.items()) if path not in wanted)
    return FolderRestorePlan(tuple(restores), deletions, unchanged)
