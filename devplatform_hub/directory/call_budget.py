"""A bound on calls a minute, so that a full hub stays below what a directory allows everybody together."""

import asyncio
from collections.abc import Awaitable, Callable

from ..ports import DirectoryUnavailable


class CallBudget:
    """At most `per_minute` calls in any minute, half of them at once; callers wait their turn in order."""

    def __init__(
        self,
        per_minute: int,
        *,
        longest_wait: float,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        # What a full bucket lets through at once has to come out of the same minute's steady flow. Half and half:
        # one person may be in hundreds of groups, and people come in the morning together.
        burst = max(1, per_minute // 2)
        self._interval = 60.0 / max(1, per_minute - burst)
        self._ahead = (burst - 1) * self._interval
        self._longest_wait = longest_wait
        self._clock, self._sleep = clock, sleep
        self._next = float("-inf")

    async def take(self) -> None:
        """Wait for a turn. Raises `DirectoryUnavailable` when that would take longer than anybody waits."""
        now = self._clock()
        turn = max(self._next, now)
        wait = turn - self._ahead - now
        if wait > self._longest_wait:
            raise DirectoryUnavailable(f"so many calls are waiting that the next would wait {wait:.0f} s")
        self._next = turn + self._interval
        if wait > 0:
            await self._sleep(wait)
