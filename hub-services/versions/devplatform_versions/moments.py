"""Moments as people type them: `2024-03-15 14:30`, `2024-03-15_14-30-00`, `3h`, `yesterday`. Pure."""

import re
from datetime import UTC, datetime, timedelta

from devplatform_hub.core.errors import PublicError

_AGO = re.compile(r"(\d{1,6})\s*(s|sec|m|min|h|d|w)(?:\s+ago)?")
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_IN_NAMES = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)-(\d\d)-(\d\d)")


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that `text` names, in UTC; one without a zone is UTC too, as the names in `.versions` are.

    `PublicError` (`time-invalid`) for anything else, and for the future.
    """
    moment = _parse(text.strip(), now)
    if moment is None:
        raise PublicError(
            f"{text!r} is not a time.",
            code="time-invalid",
            hint="Write 2024-03-15T14:30:00Z, '2024-03-15 14:30' (UTC), 2024-03-15_14-30-00 (UTC), or 30m, 3h, 2d ago.",
        )
    if moment > now:
        raise PublicError("That moment is in the future.", code="time-invalid", hint="Times without a zone are UTC.")
    return moment


def _parse(text: str, now: datetime) -> datetime | None:
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        if text == "yesterday":
            return now - timedelta(days=1)
        in_names = _IN_NAMES.fullmatch(text)
        if in_names is not None:
            # A name says the second; what was saved within it is meant too.
            moment = datetime.fromisoformat(f"{in_names[1]}T{in_names[2]}:{in_names[3]}:{in_names[4]}+00:00")
            return min(moment + timedelta(microseconds=999_999), max(now, moment))
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
