"""The versions of a file in pages that overlap by one, with the renames that can be known."""

from collections.abc import Collection
from dataclasses import dataclass, field

from .model import Version
from .noise import named_reason
from .ports import ContentTracker, TokenInvalid, VersionReader
from .renames import WITHIN, Rename, clues, find_rename

_MARK = "o."
_MOST_CLUES = 20
"""So many sides of renames are looked up for a page: the newest; a file that is renamed more often has a program."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of versions, newest first, its neighbours beyond the page, and the token of the next page."""

    versions: tuple[Version, ...]
    newer: Version | None = None
    older: Version | None = None
    next_token: str | None = None
    renames: dict[int, Rename] = field(default_factory=dict)

    @property
    def pinned(self) -> Collection[int]:
        """Generations that tell of a rename, and so are no noise."""
        return self.renames.keys()


async def list_history(store: VersionReader, owner: str, path: str, token: str | None, limit: int) -> Listed:
    """One page of a file's versions. `VersionNotFound` when there never was one; a page may be one longer than `limit`.

    The token leads to the last version of this page, which the next one knows as `newer` and does not show. It names
    that version: should retention let go of it in between, nothing is missing. A page of one has no neighbour above.
    """
    overlap, start = _parse(token)
    wanted = limit + (overlap is not None)
    page = await store.list_versions(owner, path, token=start, limit=max(wanted - 1, 1))
    found, following = list(page.items), page.next_token
    older: Version | None = None
    if page.next_token is not None:
        rest = (await store.list_versions(owner, path, token=page.next_token, limit=1 if wanted == 1 else 2)).items
        if wanted > 1:
            found += rest[:1]
            rest = rest[1:]
            following = _format(found[-1], page.next_token)
        older = next(iter(rest), None)
    newer = found.pop(0) if found and found[0].generation == overlap else None
    renames = await _find_renames(store, owner, found, older)
    return Listed(tuple(found), newer, older, following if older else None, renames)


async def _find_renames(
    store: VersionReader, owner: str, versions: list[Version], older: Version | None
) -> dict[int, Rename]:
    if not isinstance(store, ContentTracker) or not versions or named_reason(versions[0].path) is not None:
        return {}
    renames: dict[int, Rename] = {}
    for clue in list(clues(versions, older, is_end=older is None))[:_MOST_CLUES]:
        traces = await store.traces(owner, clue.version, clue.at - 2 * WITHIN, clue.at + 2 * WITHIN)
        rename = None if traces is None else find_rename(clue, traces)
        if rename is not None:
            renames[(clue.tombstone or clue.version).generation] = rename
    return renames


def _format(overlap: Version, token: str) -> str:
    return f"{_MARK}{overlap.generation}.{token}"


def _parse(token: str | None) -> tuple[int | None, str | None]:
    """The generation that the page overlaps with, and the store's own token."""
    if token is None or not token.startswith(_MARK):
        return None, token
    generation, dot, rest = token.removeprefix(_MARK).partition(".")
    if not dot or not rest or not (generation.isascii() and generation.isdigit() and len(generation) < 20):
        raise TokenInvalid
    return int(generation), rest
