"""When which file is captured: one save is one version, bursts wait in a queue, busy files are thinned. Pure.

Two lanes: what changes alone (somebody saved) does not wait behind what changes with many around it (a tool ran).
Time comes in as an argument, in seconds of any clock that only rises.
"""

import heapq
from dataclasses import dataclass, field

from .settings import Settings

BULK_RATE = 30
"""More new paths than this within a second, in one folder or below it, are a tool's work, not a person's."""
DELIBERATE_REST = 2.0
"""A file that rests so long after a save was saved by somebody, not by an editor that saves with every pause ..."""
RESERVE = 40
"""... and is not thinned, so many times beyond the burst, so that nobody saves by hand faster than is kept ..."""
RESERVE_REFILL = 30.0
"""... and once more in each such time; a program that writes every few seconds all day is thinned in the end."""
_MOST_BUCKETS = 20_000
_ROUNDING = 1e-6


@dataclass(slots=True)
class _Pending:
    first: float
    last: float
    bulk: bool
    not_before: float = 0.0
    suspicious: bool = False


@dataclass(slots=True)
class _Bucket:
    """A token bucket: how many versions of a file may still follow at once; its reserve is for deliberate saves."""

    tokens: float
    reserve: float
    at: float


@dataclass(slots=True)
class _Arrivals:
    """New paths of this second and the one before, by every folder around them but the workspace as a whole."""

    second: int = 0
    current: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)

    def count(self, path: str, now: float) -> int:
        """Count one, and give the largest number that a folder around it has."""
        if int(now) != self.second:
            self.before = self.current if int(now) == self.second + 1 else {}
            self.second, self.current = int(now), {}
        folder = path.rpartition("/")[0]
        most = 0
        while True:
            self.current[folder] = self.current.get(folder, 0) + 1
            most = max(most, self.current[folder] + self.before.get(folder, 0))
            if "/" not in folder:
                return most
            folder = folder.rpartition("/")[0]


@dataclass(slots=True)
class Schedule:
    """Paths that wait to be captured. A path that is being captured is not given out again before `done`."""

    settings: Settings = field(default_factory=Settings)
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _lanes: tuple[list[tuple[float, str]], list[tuple[float, str]]] = field(default_factory=lambda: ([], []))
    _busy: set[str] = field(default_factory=set)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _arrivals: _Arrivals = field(default_factory=_Arrivals)
    _flushing: bool = False

    def __len__(self) -> int:
        return len(self._pending)

    def __contains__(self, path: str) -> bool:
        return path in self._pending

    @property
    def flushing(self) -> bool:
        """Whether the session ends and nothing waits any longer."""
        return self._flushing

    @property
    def busy(self) -> int:
        """How many paths are being captured right now."""
        return len(self._busy)

    def touch(self, path: str, now: float, *, bulk: bool = False) -> None:
        """This path changed."""
        pending = self._pending.get(path)
        if pending is not None:
            before, pending.last = self._due(path, pending), now
            if pending.suspicious:  # the write that was waited for
                pending.suspicious, pending.not_before = False, 0.0
                self._push(path, pending)
            elif self._due(path, pending) < before:  # its reserve has come back
                self._push(path, pending)
            return
        is_busy = self._arrivals.count(path, now) > BULK_RATE
        pending = self._pending[path] = _Pending(now, now, bulk or is_busy)
        self._push(path, pending)

    def postpone(self, path: str, now: float, delay: float, *, bulk: bool = False) -> None:
        """Look at this path again, `delay` from now at the earliest."""
        pending = self._pending.setdefault(path, _Pending(now, now, bulk))
        pending.not_before = now + delay
        self._push(path, pending)

    def doubt(self, path: str, now: float) -> bool:
        """Wait a little longer, because the file is empty or gone and was not before; False when there is no time."""
        if self._flushing:
            return False
        if path not in self._pending:  # else it changed again already
            pending = self._pending[path] = _Pending(now, now, bulk=False, suspicious=True)
            pending.not_before = now + self.settings.suspicious_quiet
            self._push(path, pending)
        return True

    def take(self, now: float, limit: int, *, bulk: bool) -> dict[str, bool]:
        """At most `limit` paths of a lane whose time has come, each with whether it was doubted before."""
        lane = self._lanes[bulk]
        taken: dict[str, bool] = {}
        later: list[tuple[float, str]] = []
        while lane and lane[0][0] <= now and len(taken) < limit:
            _, path = heapq.heappop(lane)
            pending = self._pending.get(path)
            if pending is None or pending.bulk != bulk or path in taken:
                continue
            due = self._due(path, pending)
            if path in self._busy:
                due = max(due, now + self.settings.quiet)
            if due > now:
                later.append((due, path))
                continue
            taken[path] = pending.suspicious
            self._busy.add(path)
            del self._pending[path]
        for entry in later:
            heapq.heappush(lane, entry)
        return taken

    def claim(self, path: str) -> bool:
        """Keep this path from being captured until `done`; False while it is being captured."""
        if path in self._busy:
            return False
        self._busy.add(path)
        return True

    def done(self, path: str) -> None:
        """This path is not being captured any longer."""
        self._busy.discard(path)

    def count_version(self, path: str, now: float) -> None:
        """A version of this path was made: it takes a token, of the reserve when there is no other."""
        if len(self._buckets) >= _MOST_BUCKETS:
            self._buckets = {p: b for p, b in self._buckets.items() if not self._is_full(b, now)}
        bucket = self._buckets.get(path) or self._full(now)
        tokens, reserve = self._tokens(bucket, now), _reserve(bucket, now)
        is_deliberate = tokens < 1 - _ROUNDING and reserve >= 1
        self._buckets[path] = _Bucket(tokens - (not is_deliberate), reserve - is_deliberate, now)

    def next_due(self, *, bulk: bool) -> float | None:
        """When `take` may have something for a lane; None when nothing waits."""
        lane = self._lanes[bulk]
        return lane[0][0] if lane else None

    def flush(self, now: float) -> None:
        """From now on nothing waits: the session ends."""
        self._flushing = True
        for path, pending in self._pending.items():
            heapq.heappush(self._lanes[pending.bulk], (now, path))

    def _due(self, path: str, pending: _Pending) -> float:
        if self._flushing:
            return 0.0
        due = min(pending.last + self.settings.quiet, pending.first + self.settings.longest_wait)
        bucket = self._buckets.get(path)
        if bucket is not None and (missing := 1 - self._tokens(bucket, pending.last)) > 0:
            wait = missing * self.settings.refill
            if _reserve(bucket, pending.last) >= 1:
                wait = min(wait, DELIBERATE_REST)
            due = max(due, pending.last + wait)
        return max(due, pending.not_before)

    def _push(self, path: str, pending: _Pending) -> None:
        heapq.heappush(self._lanes[pending.bulk], (self._due(path, pending), path))

    def _tokens(self, bucket: _Bucket, now: float) -> float:
        return min(float(self.settings.burst), bucket.tokens + (now - bucket.at) / self.settings.refill)

    def _full(self, now: float) -> _Bucket:
        return _Bucket(float(self.settings.burst), float(RESERVE), now)

    def _is_full(self, bucket: _Bucket, now: float) -> bool:
        return self._tokens(bucket, now) >= self.settings.burst and _reserve(bucket, now) >= RESERVE


def _reserve(bucket: _Bucket, now: float) -> float:
    return min(float(RESERVE), bucket.reserve + (now - bucket.at) / RESERVE_REFILL)
