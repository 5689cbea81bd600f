"""Events of the API as the few things that count, whichever of its two forms they come in. Hostile text is bounded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST = 300
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One event: `reason` is Kubernetes' word for its kind; `first` and `last` are when it was seen."""

    reason: str
    message: str
    component: str
    first: datetime | None
    last: datetime | None


def said(events: Sequence[Json]) -> list[Said]:
    """These events, in their order."""
    return [_said(event) for event in events]


def mapping(value: object) -> Json:
    """`value`, or an empty mapping where the API left it out."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> list[Json]:
    """The mappings in a list that may be left out."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []


def text(value: object) -> str:
    """One line of at most `LONGEST` printable characters."""
    line = " ".join(str(value or "").split())
    return "".join(character for character in line if character.isprintable())[:LONGEST]


def _said(event: Json) -> Said:
    series, source = mapping(event.get("series")), mapping(event.get("source"))
    created = mapping(event.get("metadata")).get("creationTimestamp")
    last = event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or created
    first = event.get("firstTimestamp") or event.get("eventTime") or created or last
    component = event.get("reportingComponent") or source.get("component")
    words = " ".join(str(event.get("message") or event.get("note") or "").split())[:2000]
    return Said(text(event.get("reason")), words, text(component), time_of(first), time_of(last))


def time_of(value: object) -> datetime | None:
    """The moment that an RFC 3339 text names, UTC; None where it names none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
