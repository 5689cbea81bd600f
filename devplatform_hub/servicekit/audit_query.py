"""Which events of the audit somebody asks for. Pure: reading them is `audit_log`'s."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from ..core.errors import PublicError

Event = Mapping[str, Any]
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Query:
    """What an event has to be like; what is empty may be anything.

    `action` is the action or its beginning at a dot ("person" or "person.sign-in"); `target` the target or what
    stands before its "/" ("alice" finds her servers too); `text` is anywhere in why, in any case. `since` and
    `until` have a zone; an event at `since` is in, one at `until` is not.
    """

    actor: str = ""
    target: str = ""
    action: str = ""
    outcome: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, event: Event) -> bool:
        """Whether this event is asked for. One without a time that can be read is in no limits of time."""
        return (
            (not self.actor or event.get("actor") == self.actor)
            and (not self.target or _begins(event.get("target"), self.target, "/"))
            and (not self.action or _begins(event.get("action"), self.action, "."))
            and (not self.outcome or event.get("outcome") == self.outcome)
            and (not self.text or self.text.casefold() in str(event.get("why", "")).casefold())
            and self._is_in_time(event)
        )

    def needles(self) -> tuple[bytes, ...]:
        """What is in every line that matches, as `audit.emit` writes it: quicker to look for than a line to read."""
        texts = (self.actor, self.target, self.action, self.outcome)
        return tuple(json.dumps(text)[:-1].encode() for text in texts if text)

    def _is_in_time(self, event: Event) -> bool:
        if self.since is None and self.until is None:
            return True
        at = time_of(event)
        return at is not None and (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def time_of(event: Event) -> datetime | None:
    """When it happened, with its zone; None where that cannot be read."""
    try:
        at = datetime.fromisoformat(str(event.get("time", "")))
    except ValueError:
        return None
    return at if at.tzinfo else None


def parse_moment(text: str, now: datetime, zone: tzinfo | None = None) -> datetime:
    """`2h`, `30m`, `7d` before `now`, or a date or time in ISO 8601, in `zone` (by default this machine's).

    Raises `PublicError` (`moment-invalid`).
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        at = datetime.fromisoformat(text.strip())
        return at if at.tzinfo else at.replace(tzinfo=zone) if zone else at.astimezone()
    except (ValueError, OverflowError):
        raise PublicError(
            f"{text[:40]!r} is no moment.",
            code="moment-invalid",
            hint="Write 30m, 2h or 7d for so long ago, or a date such as 2026-11-25 or 2026-11-25T14:30.",
        ) from None


def _begins(value: object, wanted: str, at: str) -> bool:
    return isinstance(value, str) and (value == wanted or value.startswith(wanted if wanted[-1] == at else wanted + at))
