"""Where the start of one server is, for every page that follows it. The words are in `core.progress`."""

import asyncio
import time
from collections.abc import AsyncIterator

from ..core.progress import Stage, describe_until, describe_wait
from ..core.session import SessionPlan

_SAY_AGAIN = 10.0  # seconds


class StartProgress:
    """Stages as the spawner enters them, and the sentences that follow from them."""

    def __init__(self) -> None:
        self._now: tuple[Stage, SessionPlan, float] | None = None
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """Forget the start before."""
        self._now = None

    def enter(self, stage: Stage, plan: SessionPlan) -> None:
        """Say that this stage begins now."""
        self._now = (stage, plan, time.monotonic())
        self._changed.set()
        self._changed = asyncio.Event()  # whoever waits has the old one

    async def follow(self, *, at_most: int, again: float = _SAY_AGAIN) -> AsyncIterator[dict[str, object]]:
        """Events for `Spawner.progress`, without an end: the hub stops reading when the start is over."""
        told: Stage | None = None
        while True:
            changed = self._changed
            if self._now:
                stage, plan, since = self._now
                for sentence in describe_until(stage, plan, told=told):
                    yield sentence.as_event()
                late = describe_wait(stage, plan, int(time.monotonic() - since), at_most=at_most)
                if late and stage is told:
                    yield late.as_event()
                told = stage
            try:
                await asyncio.wait_for(changed.wait(), again)
            except TimeoutError:
                continue
