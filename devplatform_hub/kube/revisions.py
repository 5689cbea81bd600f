"""Who waits for which object: a revision for each key, and waiters that only a change of their own keys wakes."""

import asyncio
import math
from collections.abc import Collection
from typing import Any, Generic, TypeVar

Key = TypeVar("Key")
_STEP = 0.05


class Revisions(Generic[Key]):
    """Numbers that grow with every change. They are local to this process and mean nothing to the API server."""

    def __init__(self) -> None:
        self._latest = 0
        self._of: dict[Key, int] = {}
        self._waiting: dict[Key, set[asyncio.Future[None]]] = {}

    def of(self, *keys: Key) -> int:
        """The revision of the newest change of any of these keys; 0 when none was ever seen."""
        return max((self._of.get(key, 0) for key in keys), default=0)

    def changed(self, key: Key) -> None:
        """Count a change, and wake whoever waits for this key."""
        self._latest += 1
        self._of[key] = self._latest
        for waiter in self._waiting.get(key, ()):
            if not waiter.done():
                waiter.set_result(None)

    def is_awaited(self, key: Key) -> bool:
        """Whether somebody waits for this key now."""
        return key in self._waiting

    def forget(self, key: Key) -> None:
        """Keep no number for this key: it counts as never seen."""
        self._of.pop(key, None)

    async def change(self, keys: Collection[Key], since: int, within: float) -> int:
        """The revision of these keys as soon as it is another than `since`; the same one after `within` seconds."""
        await any_change(within, (self, keys, since))
        return self.of(*keys)

    def enter(self, keys: Collection[Key], waiter: "asyncio.Future[None]") -> None:
        """Let any change of these keys wake this waiter, until it leaves."""
        for key in keys:
            self._waiting.setdefault(key, set()).add(waiter)

    def leave(self, keys: Collection[Key], waiter: "asyncio.Future[None]") -> None:
        """It waits no more."""
        for key in keys:
            others = self._waiting[key]
            others.discard(waiter)
            if not others:
                del self._waiting[key]


Awaited = tuple[Revisions[Any], Collection[Any], int]
"""Keys of some revisions, and the revision at which they were last seen."""


async def any_change(within: float, *awaited: Awaited) -> None:
    """Return as soon as one of these has another revision than it was seen at, or after `within` seconds.

    One waiter for all of them: a task for each would cost a start more than what it waits for.
    """
    if any(revisions.of(*keys) != since for revisions, keys, since in awaited):
        return
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    for revisions, keys, _ in awaited:
        revisions.enter(keys, waiter)
    # In steps, so that hundreds who wait a second each wake the process together and not one by one.
    timer = loop.call_at(math.ceil((loop.time() + within) / _STEP) * _STEP, _wake, waiter)
    try:
        await waiter
    finally:
        timer.cancel()
        for revisions, keys, _ in awaited:
            revisions.leave(keys, waiter)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
