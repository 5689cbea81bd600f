"""Groups of groups: everything that can be reached upwards, breadth first, each group asked once."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..ports import DirectoryUnavailable

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class WalkLimits:
    """Where a walk gives up, as a whole: it never gives the part it has seen."""

    groups: int
    depth: int


async def walk(
    first: Iterable[str], parents: Callable[[str], Awaitable[Collection[str]]], limits: WalkLimits
) -> frozenset[str]:
    """`first` and every group above them; loops are no trouble. Raises `DirectoryUnavailable` beyond the limits."""
    found: set[str] = set(first)
    level = sorted(found)
    depth = 0
    while level:
        depth += 1
        if len(found) > limits.groups:
            raise DirectoryUnavailable(f"there are more than {limits.groups} groups (groups_at_most)")
        if depth > limits.depth:
            raise DirectoryUnavailable(f"groups are nested more than {limits.depth} deep (depth_at_most)")
        above = await all_of(_ask(parents, group) for group in level)
        level = sorted({group for groups in above for group in groups} - found)
        found.update(level)
    return frozenset(found)


async def all_of(calls: Iterable[Coroutine[Any, Any, Found]]) -> list[Found]:
    """The results of all calls at once, or the first failure; no call outlives it."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(parents: Callable[[str], Awaitable[Collection[str]]], group: str) -> Collection[str]:
    return await parents(group)
