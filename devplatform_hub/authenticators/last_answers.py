"""When the directory last let somebody in: what they live on while it does not answer."""

import time
from collections import OrderedDict
from collections.abc import Callable

_CAPACITY = 20_000


class LastAnswers:
    """For each name the moment of the last decision that let them in, of the newest `capacity` people.

    It is in memory alone: after a restart of the hub nobody has one, and everybody waits for the directory.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, capacity: int = _CAPACITY) -> None:
        self._clock, self._capacity = clock, capacity
        self._at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._at)

    def put(self, name: str) -> None:
        """This person has just been let in."""
        self._at[name] = self._clock()
        self._at.move_to_end(name)
        while len(self._at) > self._capacity:
            self._at.popitem(last=False)

    def forget(self, name: str) -> None:
        """This person has just been kept out."""
        self._at.pop(name, None)

    def age(self, name: str) -> float | None:
        """Seconds since then; None without one."""
        at = self._at.get(name)
        return None if at is None else self._clock() - at
