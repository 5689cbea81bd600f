"""Events of the audit as lines for a terminal. Pure: whatever a name holds, it moves no cursor and hides nothing."""

import unicodedata
from datetime import tzinfo

from ..servicekit.audit_query import Event, time_of

_COLUMNS = (("TIME", 19), ("ACTOR", 20), ("ACTION", 18), ("OUTCOME", 7), ("TARGET", 24))
_LEAST_WHY = 20
_CUT = "\N{HORIZONTAL ELLIPSIS}"


_MORE = (("on_behalf_of", "for"), ("remote", "from"))


def heading() -> str:
    """The names of the columns."""
    return _row([name for name, _ in _COLUMNS], "WHY", None)


def row(event: Event, *, zone: tzinfo | None = None, width: int | None = None) -> str:
    """One event. The time is of `zone`, by default this machine's; `width` columns at most, all of it without."""
    at = time_of(event)
    when = f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at else "?"
    cells = [when, *(readable(event.get(name, "")) for name in ("actor", "action", "outcome", "target"))]
    more = [readable(event.get("why", ""))]
    more += [f"{name} {readable(event[key])}" for key, name in _MORE if event.get(key)]
    return _row(cells, ", ".join(text for text in more if text), width)


def readable(value: object) -> str:
    """The text with everything written out that a terminal would obey or hide: `\\x1b`, `\\u202e`."""
    text = value if isinstance(value, str) else repr(value)
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in text)


def _row(cells: list[str], why: str, width: int | None) -> str:
    line = " ".join(
        _fit(cell, columns, cut=width is not None) for cell, (_, columns) in zip(cells, _COLUMNS, strict=True)
    )
    if width is not None:
        why = _cut(why, max(_LEAST_WHY, width - columns_of(line) - 1))
    return f"{line} {why}".rstrip()


def _fit(text: str, columns: int, *, cut: bool) -> str:
    text = _cut(text, columns) if cut else text
    return text + " " * (columns - columns_of(text))


def _cut(text: str, columns: int) -> str:
    if columns_of(text) <= columns:
        return text
    kept, taken = "", 0
    for character in text:
        taken += columns_of(character)
        if taken >= columns:
            break
        kept += character
    return kept + _CUT


def columns_of(text: str) -> int:
    """How many columns of a terminal this takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )
