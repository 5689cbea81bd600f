"""Deciding again about everybody who has a server, whether or not anything of theirs asks the hub."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from math import floor
from typing import Any

_AT_ONCE = 16
"""Below the calls that a directory allows at once, so that a review never stands before a sign-in for long."""
_LOOKS = 64
_LONGEST_PAUSE = 1.0
_GOLDEN = 0.6180339887498949


def is_due(number: int, since: float, until: float, interval: float) -> bool:
    """Whether the moment of this person lies in (since, until]: one in every interval, always the same.

    Multiples of the golden ratio spread numbers that follow each other evenly over the interval, however many
    there are. A moment of one's own keeps the time between two reviews at one interval while others come and go.
    """
    moment = (number * _GOLDEN) % 1.0 * interval
    return floor((until - moment) / interval) > floor((since - moment) / interval)


class Review:
    """Calls `decide` for everybody of `people` once in each `interval` seconds, spread over it.

    At most `at_once` are decided about at the same time, nobody twice at the same time, and what goes wrong with one
    is logged and keeps nobody else waiting. When decisions take long, the next one of the same person comes later.
    """

    def __init__(
        self,
        people: Callable[[], Iterable[Any]],
        decide: Callable[[Any], Awaitable[None]],
        *,
        interval: float,
        log: Any,
        at_once: int = _AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._people, self._decide, self._interval, self._log = people, decide, interval, log
        self._at_once = asyncio.Semaphore(at_once)
        self._clock, self._sleep = clock, sleep
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the running loop."""
        self._running = asyncio.get_running_loop().create_task(self.run())

    async def close(self) -> None:
        """End it, with every decision that is under way."""
        tasks = [*filter(None, [self._running]), *self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self) -> None:
        """Look who is due, until cancelled."""
        pause = min(self._interval / _LOOKS, _LONGEST_PAUSE)
        since = self._clock()
        while True:
            await self._sleep(pause)
            until = self._clock()
            for person in list(self._people()):
                if person.id not in self._under_way and is_due(person.id, since, until, self._interval):
                    self._begin(person)
            since = until

    def _begin(self, person: Any) -> None:
        number = person.id
        task = asyncio.get_running_loop().create_task(self._reviewed(person))
        self._under_way[number] = task
        task.add_done_callback(lambda _done: self._under_way.pop(number, None))

    async def _reviewed(self, person: Any) -> None:
        async with self._at_once:
            try:
                await self._decide(person)
            except Exception:
                self._log.exception("The review of %s failed; the next one comes in %g s", person.name, self._interval)
