"""Which events a query asks for, and what a moment is."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit.audit_query import Query, parse_moment

EVENT = {
    "time": "2026-05-01T12:00:00.000001+00:00",
    "action": "person.sign-in",
    "actor": "alice",
    "outcome": "refused",
    "target": "bob/lab",
    "why": "Is not a member of STRASSE",
}
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        pytest.param({}, True, id="everything"),
        pytest.param({"actor": "alice"}, True, id="actor"),
        pytest.param({"actor": "ali"}, False, id="a part of an actor"),
        pytest.param({"target": "bob"}, True, id="a person's server"),
        pytest.param({"target": "bob/lab"}, True, id="target"),
        pytest.param({"target": "bob/"}, True, id="any server of theirs"),
        pytest.param({"target": "bo"}, False, id="a part of a target"),
        pytest.param({"target": "bob/la"}, False, id="a part of a server"),
        pytest.param({"action": "person"}, True, id="the beginning of an action"),
        pytest.param({"action": "person.sign-in"}, True, id="action"),
        pytest.param({"action": "person.sign"}, False, id="a part of a word of an action"),
        pytest.param({"action": "perso"}, False, id="a part of a word"),
        pytest.param({"outcome": "refused"}, True, id="outcome"),
        pytest.param({"outcome": "allowed"}, False, id="another outcome"),
        pytest.param({"text": "MEMBER of stra\u00dfe"}, True, id="text in any case"),
        pytest.param({"text": "guest"}, False, id="another text"),
        pytest.param({"since": NOON + TICK}, True, id="since is in"),
        pytest.param({"since": NOON + 2 * TICK}, False, id="before"),
        pytest.param({"until": NOON + TICK}, False, id="until is out"),
        pytest.param({"until": NOON + 2 * TICK}, True, id="just before"),
        pytest.param({"since": NOON.astimezone(timezone(timedelta(hours=5)))}, True, id="another zone"),
        pytest.param({"actor": "alice", "target": "carol"}, False, id="all of it has to be"),
    ],
)
def test_what_is_asked_for(asked: dict[str, Any], matches: bool) -> None:
    """Names are whole, or end where their parts do."""
    query = Query(**asked)
    assert query.matches(EVENT) is matches
    assert not query.matches({}) or asked == {}


@pytest.mark.parametrize("time", [None, "", "yesterday", 5, "2026-05-01T12:00:00", []], ids=repr)
def test_a_time_that_cannot_be_read_is_in_no_limits(time: object) -> None:
    """Without limits such an event is shown."""
    event = EVENT | {"time": time}
    assert Query().matches(event)
    assert not Query(since=NOON - timedelta(days=9999)).matches(event)
    assert not Query(until=NOON + timedelta(days=9999)).matches(event)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90s", NOON - timedelta(seconds=90)),
        ("30m", NOON - timedelta(minutes=30)),
        ("2h", NOON - timedelta(hours=2)),
        (" 7d ", NOON - timedelta(days=7)),
        ("2w", NOON - timedelta(days=14)),
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-25 14:30", datetime(2026, 11, 25, 14, 30, tzinfo=UTC)),
        ("2026-11-25T14:30Z", datetime(2026, 11, 25, 14, 30, tzinfo=UTC)),
        ("2026-11-25T14:30+02:00", datetime(2026, 11, 25, 12, 30, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    """So long ago, or a date, or a time."""
    assert parse_moment(text, NOON, UTC) == moment
    assert parse_moment(text, NOON).tzinfo is not None


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "2y", "999999w", "yesterday", "2026-13-01", "1" * 5000 + "h"])
def test_what_is_no_moment(text: str) -> None:
    """Said with what to write."""
    with pytest.raises(PublicError) as refused:
        parse_moment(text, NOON, UTC)
    assert (refused.value.code, len(refused.value.message) < 80) == ("moment-invalid", True)
