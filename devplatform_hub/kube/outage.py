"""An API server that does not answer: how long to wait before the next try, and what the log says of it, once."""

from dataclasses import dataclass

from ..core.quantities import format_duration

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0
_LONGEST_ASKED = 60.0  # what a server may ask for with Retry-After
_REMIND = 600.0
"""So often a long outage is told again, with its cause of then: that may be another than the first."""


@dataclass(slots=True)
class Outage:
    """What is watched, since when it is out of reach, and what was told of that. It starts out of reach."""

    what: str
    lost_at: float | None
    failures: int = 0
    is_first: bool = True
    _told_at: float | None = None

    def stale_seconds(self, now: float) -> float:
        """For how long nothing was heard; 0 while the watch stands."""
        return 0.0 if self.lost_at is None else max(0.0, now - self.lost_at)

    def failed(self, reason: str, now: float) -> str | None:
        """Count a failure. The line to log, or None when it is told already or may be a mere hiccup."""
        self.failures += 1
        if self.lost_at is None:
            self.lost_at = now
        is_hiccup = self.failures == 1 and not self.is_first
        if is_hiccup or (self._told_at is not None and now - self._told_at < _REMIND):
            return None
        reminds = self._told_at is not None
        self._told_at = now
        since = f" for {format_duration(int(now - self.lost_at))} now" if reminds else ""
        if self.is_first:
            return f"Waiting{since} to watch {self.what}: {reason}. Nothing is started until that is possible."
        return f"The watch of {self.what} is interrupted{since}: {reason}. Servers run on; their state is as last seen."

    def stands(self, now: float) -> str | None:
        """The watch stands (again). The line to log when it was told that it did not."""
        told, lost_at = self._told_at, self.lost_at
        self.lost_at, self._told_at, self.is_first = None, None, False
        if told is None or lost_at is None:
            return None
        return f"The watch of {self.what} stands after {format_duration(int(now - lost_at))} and {self.failures} tries."

    def settled(self) -> None:
        """The watch has carried something, or has held for a while: the next failure is a first one again."""
        self.failures = 0

    def pause(self, asked: float, share: float) -> float:
        """Seconds until the next try: longer each time, what the server asked for at least, and not in step.

        `share` in [0, 1) is random. The first try after a break comes at once: mostly it was only a break.
        """
        if self.failures <= 1 and not asked:
            return _FIRST_PAUSE * share
        longest = min(_FIRST_PAUSE * 2.0 ** min(self.failures, 10), _LONGEST_PAUSE)
        return float(max(longest * (0.5 + share / 2), min(asked, _LONGEST_ASKED) * (1 + share / 4)))
