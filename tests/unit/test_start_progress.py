"""What a person reads while a server starts."""

import asyncio
from dataclasses import replace

import pytest

from devplatform_hub.core.profiles import Editor, Gpu
from devplatform_hub.core.progress import Sentence, Stage, describe, describe_until, describe_wait
from devplatform_hub.core.session import SessionPlan
from devplatform_hub.embedded.start_progress import StartProgress

PLAN = SessionPlan("gpu", "Big", Editor.VSCODE, 8, 32 * 2**30, Gpu(2), "/vscode/", None, None, {}, {})


def test_every_stage_has_its_sentence_and_the_bar_only_grows() -> None:
    """Plain words, with what the server really gets."""
    assert [describe(stage, PLAN) for stage in Stage] == [
        Sentence(5, "Preparing your workspace."),
        Sentence(20, "Setting the limits of Big: 8 CPU, 32 GB memory, 2 NVIDIA GPUs."),
        Sentence(35, "Starting VS Code."),
        Sentence(60, "Waiting for VS Code to answer."),
    ]


def test_a_safe_start_says_what_it_is() -> None:
    """First of all, where files are and what is not kept."""
    assert describe(Stage.WORKSPACE, replace(PLAN, safe=True)).message == (
        "This is a safe start: your files are in their usual place, and settings that you change are not kept. "
        "Preparing your workspace."
    )


def test_a_page_that_asks_late_has_the_whole_story() -> None:
    """And nothing is told twice."""
    assert [s.percent for s in describe_until(Stage.EDITOR, PLAN, told=None)] == [5, 20, 35]
    assert [s.percent for s in describe_until(Stage.ANSWER, PLAN, told=Stage.EDITOR)] == [60]
    assert list(describe_until(Stage.ANSWER, PLAN, told=Stage.ANSWER)) == []


@pytest.mark.parametrize(
    ("stage", "seconds", "expected"),
    [
        pytest.param(Stage.ANSWER, 19, None, id="nothing unusual"),
        pytest.param(
            Stage.ANSWER,
            34,
            Sentence(77, "Waiting for VS Code to answer, for 30 seconds now. The start is given up after 1 minute."),
            id="half of the time",
        ),
        pytest.param(
            Stage.WORKSPACE,
            600,
            Sentence(19, "Preparing your workspace, for 10 minutes now. The start is given up after 1 minute."),
            id="never as far as the next stage",
        ),
    ],
)
def test_says_when_it_takes_long(stage: Stage, seconds: int, expected: Sentence | None) -> None:
    """A stage that goes on is said to, with the moment at which it ends."""
    assert describe_wait(stage, PLAN, seconds, at_most=60) == expected


async def test_pages_follow_a_start_wherever_they_come_in() -> None:
    """One that was there from the beginning and one that came later read the same sentences."""
    progress = StartProgress()
    early = progress.follow(at_most=60)
    first = asyncio.ensure_future(anext(early))
    await asyncio.sleep(0)
    progress.enter(Stage.WORKSPACE, PLAN)
    story = [await first]
    progress.enter(Stage.ANSWER, PLAN)
    story += [await anext(early) for _ in range(3)]
    late = progress.follow(at_most=60)
    assert [await anext(late) for _ in range(4)] == story
    assert [event["progress"] for event in story] == [5, 20, 35, 60]
    progress.begin()
    waiting = asyncio.ensure_future(anext(progress.follow(at_most=60)))
    await asyncio.sleep(0.01)
    assert not waiting.done()  # the start before is forgotten
    waiting.cancel()
    await early.aclose()  # type: ignore[attr-defined]
    await late.aclose()  # type: ignore[attr-defined]
