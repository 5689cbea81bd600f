"""What one page that shows a start reads, line by line, as the start goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from ..core.diagnosis.narrative import Narrator
from ..core.diagnosis.waits import WaitTimes
from .starting import Story

_SAY_AGAIN = 10.0


async def tell(story_now: Callable[[], Story | None], times: WaitTimes, key: str) -> AsyncIterator[dict[str, object]]:
    """Events as `Spawner.progress` yields them, until `story_now` gives None: then the start is over.

    `key` is the one by which `times` knows how long starts like this one wait.
    """
    narrator = Narrator()
    while (story := story_now()) is not None:
        changed, now = story.changed, time.monotonic()
        for sentence in narrator.moved(story.moved):
            yield sentence.as_event()
        kind, since = story.since or (None, now)
        usual = times.usual(kind, key) if kind else ""
        line = narrator.tell(story.findings, usual, int(now - since))
        if line:
            yield line.as_event()
        try:
            await asyncio.wait_for(changed.wait(), _SAY_AGAIN)
        except TimeoutError:
            continue
