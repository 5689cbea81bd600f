"""When servers are stopped: the policy as a table, and a sweep over a hub that answers as JupyterHub does."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devplatform_culler.policy import Cause, Cull, Limits, RunningServer, decide
from devplatform_culler.sweep import profile_limits, sweep
from devplatform_hub.core.profiles import Catalog, Profile
from devplatform_hub.servicekit.hub import HubUnavailable

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def server(started: float, active: float | None) -> RunningServer:
    return RunningServer("alice", "", ago(started), None if active is None else ago(active))


@pytest.mark.parametrize(
    ("started", "active", "idle_timeout", "max_age", "cause"),
    [
        pytest.param(9999, 100, 600, None, None, id="active a moment ago"),
        pytest.param(9999, 599, 600, None, None, id="one second before the limit"),
        pytest.param(9999, 600, 600, None, Cause.IDLE, id="idle for exactly the limit"),
        pytest.param(9999, 9000, None, None, None, id="no limit at all"),
        pytest.param(500, None, 600, None, None, id="no activity reported yet, just started"),
        pytest.param(700, None, 600, None, Cause.IDLE, id="never any activity"),
        pytest.param(100, 9999, 600, None, None, id="activity of an earlier server does not count"),
        pytest.param(9999, -30, 600, None, None, id="a clock that is ahead"),
        pytest.param(7200, 1, 600, 7200, Cause.TOO_OLD, id="too old although it is busy"),
        pytest.param(7199, 1, 600, 7200, None, id="one second before its maximum age"),
        pytest.param(7200, 7200, 600, 7200, Cause.TOO_OLD, id="both: age is the stronger reason"),
    ],
)
def test_decides_by_idle_time_and_age(
    started: float, active: float | None, idle_timeout: int | None, max_age: int | None, cause: Cause | None
) -> None:
    """A server is stopped at its profile's idle time or maximum age, and not a second earlier."""
    cull = decide(server(started, active), Limits(idle_timeout, max_age), NOW)
    assert (cull.cause if cull else None) == cause


def test_says_why_in_plain_words() -> None:
    """The reason can be shown to the server's owner."""
    idle = server(9999, 3600)
    expected = Cull(idle, Cause.IDLE, "nothing has happened in it for 1 hour")
    assert decide(idle, Limits(3600, None), NOW) == expected


class TableHub:
    """`HubApi` over a list of user models; stops of the names in `broken` fail."""

    def __init__(self, users: list[dict[str, Any]], broken: frozenset[str] = frozenset()) -> None:
        self._users = users
        self._broken = broken
        self.stopped: list[tuple[str, str]] = []

    async def users(self, *, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        assert state == "active"
        for user in self._users:
            yield user

    async def stop_server(self, user: str, server: str) -> bool:
        if user in self._broken:
            raise HubUnavailable("the hub answered 500")
        self.stopped.append((user, server))
        return True


def model(name: str = "", *, profile: str = "standard", active: float = 99999, **changes: Any) -> dict[str, Any]:
    """A server as `GET /users` shows it."""
    return {
        "name": name,
        "ready": True,
        "pending": None,
        "started": ago(99999).isoformat().replace("+00:00", "Z"),
        "last_activity": ago(active).isoformat().replace("+00:00", "Z"),
        "user_options": {"profile": profile, "editor": "jupyterlab", "options": {}},
    } | changes


def catalog() -> Catalog:
    standard = Profile("standard", "Standard", "", 2, 8, default=True, idle_timeout=3600)
    patient = Profile("patient", "Patient", "", 2, 8, idle_timeout=None)
    return Catalog((standard, patient))


async def test_stops_what_the_policy_names_and_nothing_else() -> None:
    """Each server has the limits of its own profile; one that is starting or stopping is left alone."""
    hub = TableHub(
        [
            {"name": "alice", "servers": {"": model(), "lab": model("lab", active=10)}},
            {"name": "bob", "servers": {"": model(profile="patient"), "gone": model("gone", profile="removed")}},
            {"name": "carol", "servers": {"": model(ready=False, pending="spawn"), "b": model("b", pending="stop")}},
            {"name": "dave", "servers": None},
        ]
    )
    report = await sweep(hub, profile_limits(catalog()), NOW)
    assert hub.stopped == [("alice", ""), ("bob", "gone")]
    assert (report.seen, len(report.stopped), report.failed) == (4, 2, ())


async def test_one_stop_that_fails_stops_no_other() -> None:
    """The sweep goes on and reports the failure."""
    users = [{"name": name, "servers": {"": model()}} for name in ("alice", "bob", "carol")]
    hub = TableHub(users, broken=frozenset({"bob"}))
    report = await sweep(hub, profile_limits(catalog()), NOW)
    assert hub.stopped == [("alice", ""), ("carol", "")]
    assert [cull.server.user for cull in report.failed] == ["bob"]


@pytest.mark.parametrize(
    "options", [None, "text", {}, {"profile": None}], ids=["none", "text", "empty", "null profile"]
)
async def test_odd_options_get_the_default_limits(options: object) -> None:
    """A server that was started in some other way is still culled."""
    hub = TableHub([{"name": "alice", "servers": {"": model(user_options=options)}}])
    await sweep(hub, profile_limits(catalog()), NOW)
    assert hub.stopped == [("alice", "")]
