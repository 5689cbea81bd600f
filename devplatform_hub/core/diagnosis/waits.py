"""How long each kind of waiting took in past starts, and so how long it usually takes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..quantities import format_duration
from .model import Waiting

_KEPT = 20
_MOST_KEYS = 500
_LEAST = 5.0  # seconds; what is shorter is not worth a word
_MOST = 86400.0
_LONGEST_KEY = 200


@dataclass(slots=True)
class WaitTimes:
    """The last `_KEPT` durations of each kind of waiting for each key (a profile and its place), in seconds."""

    _seen: dict[tuple[Waiting, str], list[float]] = field(default_factory=dict)

    def record(self, waiting: Waiting, key: str, seconds: float) -> None:
        """One more start waited this long. What is no duration, such as after a change of the clock, is passed over."""
        if not (math.isfinite(seconds) and 0 <= seconds <= _MOST):
            return
        key = key[:_LONGEST_KEY]
        if (waiting, key) not in self._seen and len(self._seen) >= _MOST_KEYS:
            self._seen.pop(next(iter(self._seen)))
        durations = self._seen.setdefault((waiting, key), [])
        durations.append(seconds)
        del durations[:-_KEPT]

    def usual(self, waiting: Waiting, key: str) -> str:
        """Such as `This usually takes 2 to 4 minutes.`; "" where nothing is known or it is too short to say."""
        durations = sorted(self._seen.get((waiting, key[:_LONGEST_KEY]), ()))
        if not durations:
            return ""
        low, high = durations[len(durations) // 4], durations[(len(durations) * 3) // 4]
        if high < _LEAST:
            return ""
        first, last = _rounded(low), _rounded(high)
        if first == last:
            return f"This usually takes about {format_duration(last)}."
        words = format_duration(last)
        number = format_duration(first)
        same_unit = number.split(" ")[1].rstrip("s") == words.split(" ")[1].rstrip("s")
        return f"This usually takes {number.split(' ')[0] if same_unit else number} to {words}."


def as_state(waited: Mapping[Waiting, float], key: str) -> dict[str, object]:
    """How one start waited, as JSON for the hub's database."""
    return {"key": key, "seconds": {kind.value: round(seconds, 1) for kind, seconds in waited.items()}}


def record_state(times: WaitTimes, state: object) -> None:
    """Take what `as_state` gave; anything else, such as of another release, is passed over."""
    if not isinstance(state, Mapping) or not isinstance(state.get("seconds"), Mapping):
        return
    known = {kind.value for kind in Waiting}
    for kind, seconds in state["seconds"].items():
        if kind in known and isinstance(seconds, int | float):
            times.record(Waiting(kind), str(state.get("key", "")), float(seconds))


def _rounded(seconds: float) -> int:
    """To 5 seconds below a minute, to 15 below five, to whole minutes above."""
    step = 5 if seconds < 60 else 15 if seconds < 120 else 60
    return max(step, round(seconds / step) * step)
