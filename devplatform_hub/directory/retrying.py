"""How long to go on asking a directory that does not answer: the pauses between tries, decided without a clock."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same question may well be answered."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The tries that one question gets: `total` seconds with all their pauses, and at most `tries` of them."""

    total: float = 12.0
    tries: int = 4
    first_pause: float = 0.25
    longest_pause: float = 4.0

    def pause(self, failures: int, *, spent: float, asked: float, share: float) -> float | None:
        """Seconds to wait after so many failures and so much time; None when it is time to give up.

        `asked` is what the server wants (Retry-After) and is never undercut; `share` in [0, 1) is random, so that
        people who failed together do not come back together.
        """
        if failures >= self.tries:
            return None
        backoff = min(self.first_pause * 2.0 ** (failures - 1), self.longest_pause)
        wanted = max(backoff * (0.5 + share / 2), asked * (1 + share / 10))
        return wanted if spent + wanted < self.total else None


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Seconds that a server asks to wait, in either of the header's two forms (RFC 9110, 10.2.3); 0 if it does not."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    with suppress(ValueError, TypeError):  # TypeError: a date without a zone cannot be compared
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    return 0.0
