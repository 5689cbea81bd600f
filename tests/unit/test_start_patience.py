"""How long a start may take, what does not count, and what a person reads when it was too long."""

import pytest

from devplatform_hub.core.diagnosis.model import Finding, Waiting
from devplatform_hub.core.diagnosis.start import timed_out
from devplatform_hub.kube.starting import Story

QUEUED = Finding(
    "queued", "Your server waits in the queue for its turn.", "It starts by itself.", waiting=Waiting.QUEUE
)
NO_ROOM = Finding("no-room", "All machines are in use.", "Try a smaller profile.", waiting=Waiting.NODE, detail="0/3")
STARTING = Finding("starting", "Starting your server.", waiting=Waiting.SERVER)
AGAIN = "Start it again, and tell an administrator if that does not help."


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param((), ("Your server did not start within 5 minutes.", AGAIN, ""), id="nothing is known"),
        pytest.param(
            (NO_ROOM, STARTING),
            ("Your server did not start within 5 minutes. All machines are in use.", "Try a smaller profile.", "0/3"),
            id="what it waited for",
        ),
        pytest.param(
            (STARTING,), ("Your server did not start within 5 minutes. Starting your server.", AGAIN, ""), id="no hint"
        ),
    ],
)
def test_the_last_cause_is_told(findings: tuple[Finding, ...], expected: tuple[str, str, str]) -> None:
    """Not only that it took too long."""
    message, hint, detail = expected
    assert timed_out(findings, 300.0) == Finding("start-timeout", message, hint, fatal=True, detail=detail)


@pytest.mark.parametrize(
    ("steps", "now", "late"),
    [
        pytest.param([(0, STARTING)], 99, False, id="in time"),
        pytest.param([(0, STARTING)], 101, True, id="too long"),
        pytest.param([(0, QUEUED)], 900, False, id="in the queue"),
        pytest.param([(0, QUEUED)], 1001, True, id="too long in the queue"),
        pytest.param([(0, QUEUED), (900, STARTING)], 999, False, id="the queue does not count afterwards"),
        pytest.param([(0, QUEUED), (900, STARTING)], 1001, True, id="too long after the queue"),
        pytest.param([(0, STARTING), (90, QUEUED), (500, STARTING)], 505, False, id="in between"),
    ],
)
def test_what_is_waited_in_a_queue_does_not_count(steps: list[tuple[int, Finding]], now: int, late: bool) -> None:
    """A start has 100 seconds here, and 1,000 in a queue."""
    story = Story((None,), within=100, queued_within=1000, begun=0)
    for at, finding in steps:
        story.find((finding,), at)
    found = story.overdue(now)
    assert (found.code if found else "") == ("start-timeout" if late else "")
