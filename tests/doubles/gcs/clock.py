"""The double's time: the machine's, moved forward by whoever tests, in microseconds since 1970."""

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from .errors import invalid

SECOND = 1_000_000
DAY = 86_400 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Time that can be moved forward, never back. `at`, when given, is a moment at which it stands still."""

    def __init__(self, at: datetime | None = None) -> None:
        self._stands_at = micros(at) if at else None
        self._ahead = 0

    def now(self) -> int:
        """Microseconds since 1970."""
        return (self._stands_at if self._stands_at is not None else time.time_ns() // 1000) + self._ahead

    def move(self, seconds: float = 0, days: float = 0) -> None:
        """Let time pass."""
        if seconds < 0 or days < 0:
            raise ValueError("time goes forward")
        self._ahead += round(seconds * SECOND + days * DAY)


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=65536)
def _in_milliseconds(value: int) -> str:
    text = (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def written(moment: int) -> str:
    """RFC 3339 with milliseconds, as the JSON API writes times."""
    return _in_milliseconds(moment // 1000)


def read(text: object, field: str) -> int:
    """Microseconds of an RFC 3339 time or date. Raises ApiError (400)."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise invalid(f"Invalid value for {field}: {text}", field) from None
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
