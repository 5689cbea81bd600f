"""When a server is stopped, and why: a pure function of what is known about it and of the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from devplatform_hub.core.quantities import format_duration


class Cause(StrEnum):
    """Why a server is culled."""

    IDLE = "idle"
    TOO_OLD = "max-age"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One ready server. `last_activity` is what it reported itself: kernels, terminals and editors alike."""

    user: str
    name: str
    started: datetime
    last_activity: datetime | None


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a server may sit idle, and that it may run in all; None is without limit."""

    idle_timeout: int | None
    max_age: int | None


@dataclass(frozen=True, slots=True)
class Cull:
    """The decision to stop a server, in words for the audit and for its owner."""

    server: RunningServer
    cause: Cause
    why: str


def decide(server: RunningServer, limits: Limits, now: datetime) -> Cull | None:
    """The decision to stop `server`, or None to leave it alone.

    Age comes first: it holds whatever the server does. A server is never idle for longer than it has run,
    so activity that is older than the start (of an earlier server of the same name) does not count.
    """
    if limits.max_age is not None and now - server.started >= timedelta(seconds=limits.max_age):
        return Cull(
            server, Cause.TOO_OLD, f"it has run for {format_duration(limits.max_age)}, the most its profile allows"
        )
    active = max(server.started, server.last_activity or server.started)
    if limits.idle_timeout is not None and now - active >= timedelta(seconds=limits.idle_timeout):
        return Cull(server, Cause.IDLE, f"nothing has happened in it for {format_duration(limits.idle_timeout)}")
    return None
