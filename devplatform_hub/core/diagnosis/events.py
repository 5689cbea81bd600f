"""Events of the API as the few things that count, whichever of its two forms they come in. Hostile text is bounded."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

LONGEST = 300
_READ = 2000  # characters of a message that are looked at; the API server keeps about half of that
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What an event says, word for word, whichever of the API's two forms it has; "" for what it does not say."""

    reason: str
    message: str
    component: str
    first: str
    last: str
    count: int


@dataclass(frozen=True, slots=True)
class Said:
    """One event: `reason` is Kubernetes' word for its kind; `first` and `last` are when it was seen, `count` how often.

    `about` is the uid of the object that it is about, "" where it is not told.
    """

    reason: str
    message: str
    component: str = ""
    first: datetime | None = None
    last: datetime | None = None
    count: int = 1
    about: str = ""

    @property
    def detail(self) -> str:
        """What it says, as a line for an administrator, with how often it was said."""
        return text(self.message) + (f" ({self.count} times)" if self.count > 1 else "")


def written(event: Json) -> Written:
    """The two forms differ in names, and in where they count what is repeated."""
    series, source = mapping(event.get("series")), mapping(event.get("source"))
    once = event.get("eventTime") or mapping(event.get("metadata")).get("creationTimestamp")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("deprecatedLastTimestamp")
    first = event.get("firstTimestamp") or event.get("deprecatedFirstTimestamp")
    count = series.get("count") or event.get("count") or event.get("deprecatedCount")
    return Written(
        reason=str(event.get("reason") or ""),
        message=str(event.get("message") or event.get("note") or "")[:_READ],
        component=str(event.get("reportingComponent") or source.get("component") or ""),
        first=str(first or once or ""),
        last=str(last or once or ""),
        count=count if isinstance(count, int) and count > 0 else 1,
    )


def said(events: Sequence[Json]) -> list[Said]:
    """These events by when they were last seen. One that is counted up keeps its uid, and comes later for it.

    What has no time stays behind what it came after.
    """
    told = [_said(event) for event in events]
    keys: list[datetime] = []
    for one in told:
        keys.append(one.last or (keys[-1] if keys else datetime.min.replace(tzinfo=UTC)))
    return [told[index] for index in sorted(range(len(told)), key=keys.__getitem__)]


def latest(heard: Sequence[Said], *reasons: str) -> Said | None:
    """The last of these kinds of event."""
    return next((one for one in reversed(heard) if one.reason in reasons), None)


def since(heard: Sequence[Said], reasons: Collection[str]) -> list[Said]:
    """The events after the last one of these kinds; all where there is none."""
    last = max((index for index, one in enumerate(heard) if one.reason in reasons), default=-1)
    return list(heard[last + 1 :])


def mapping(value: object) -> Json:
    """`value`, or an empty mapping where the API left it out."""
    return value if isinstance(value, Mapping) else {}


def entries(value: object) -> list[Json]:
    """The mappings in a list that may be left out."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list | tuple) else []


def condition(status: Json, kind: str) -> Json:
    """The condition of a pod of this type, or an empty mapping."""
    return next((one for one in entries(status.get("conditions")) if one.get("type") == kind), {})


def text(value: object) -> str:
    """One line of at most `LONGEST` printable characters."""
    line = " ".join(str(value or "")[: LONGEST * 4].split())
    return "".join(character for character in line if character.isprintable())[:LONGEST]


def last_words(value: object) -> str:
    """The end of what a program said before it ended, in one line of at most `LONGEST` printable characters."""
    line = " ".join(str(value or "")[-LONGEST * 4 :].split())
    return "".join(character for character in line if character.isprintable())[-LONGEST:]


def time_of(value: object) -> datetime | None:
    """The moment that an RFC 3339 text names, UTC; None where it names none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _said(event: Json) -> Said:
    found = written(event)
    about = mapping(event.get("involvedObject")) or mapping(event.get("regarding"))
    return Said(
        text(found.reason),
        " ".join(found.message.split()),
        text(found.component),
        time_of(found.first) or time_of(found.last),
        time_of(found.last),
        found.count,
        text(about.get("uid")),
    )
