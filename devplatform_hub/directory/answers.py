"""Answers that are kept for a moment, and questions that are asked once however many people wait for them."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Answers(Generic[Key, Value]):
    """The last `size` answers, each for `lifetime` seconds. Only answers are kept: a failure is asked again."""

    def __init__(self, *, lifetime: float, size: int, clock: Callable[[], float]) -> None:
        self._lifetime, self._size, self._clock = lifetime, size, clock
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[Value]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Value:
        """The answer to `key`: a kept one, the one that somebody is waiting for already, or a new one."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < self._lifetime:
            return kept[1]
        task = self._asking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key, ask))
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        # One who stops waiting must not take the answer away from the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End what is still being asked, and forget everything."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._kept.clear()

    async def _ask(self, key: Key, ask: Callable[[], Awaitable[Value]]) -> Value:
        asked_at = self._clock()  # an answer is as old as its question
        value = await ask()
        if self._lifetime > 0:
            self._kept[key] = (asked_at, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value

    def _asked(self, key: Key, task: "asyncio.Task[Value]") -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
        if not task.cancelled():
            task.exception()  # taken note of, also where nobody waits any more
