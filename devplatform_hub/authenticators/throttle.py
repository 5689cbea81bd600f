"""How often somebody may guess: waits that grow, for a person's name and for an address, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

_FORGET_AFTER = 15 * 60.0
_LONGEST_WAIT = 60.0
_CAPACITY = 4096


@dataclass(slots=True)
class _Guesses:
    count: int
    last: float


class Throttle:
    """After `free` failures for a key, each further one doubles the wait, up to a minute.

    A wait is short, so that nobody can lock another person out for long; the memory holds the keys that failed
    most recently.
    """

    def __init__(self, free: int, clock: Callable[[], float], capacity: int = _CAPACITY) -> None:
        self._free = free
        self._clock = clock
        self._capacity = capacity
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()

    def __len__(self) -> int:
        return len(self._guesses)

    def wait(self, key: str) -> int:
        """Whole seconds until the next try; 0 when one is welcome now."""
        guesses = self._current(key)
        if guesses is None or guesses.count < self._free:
            return 0
        pause = min(2.0 ** (guesses.count - self._free + 1), _LONGEST_WAIT)
        return max(0, ceil(guesses.last + pause - self._clock()))

    def failed(self, key: str) -> None:
        """Count one wrong guess."""
        guesses = self._current(key) or _Guesses(0, 0.0)
        guesses.count = min(guesses.count + 1, self._free + 10)
        guesses.last = self._clock()
        self._guesses[key] = guesses
        self._guesses.move_to_end(key)
        while len(self._guesses) > self._capacity:
            self._guesses.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """Forget the wrong guesses of this key."""
        self._guesses.pop(key, None)

    def _current(self, key: str) -> _Guesses | None:
        guesses = self._guesses.get(key)
        if guesses and self._clock() - guesses.last > _FORGET_AFTER:
            del self._guesses[key]
            return None
        return guesses
