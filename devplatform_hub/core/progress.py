"""What a person reads while their server starts. A spawner says which stage it is in; the words are here."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from .quantities import format_cpu, format_duration, format_size
from .safe_start import STARTING
from .session import SessionPlan

_LATE = 20  # seconds in one stage; from then on people are told that it goes on
_ROUND = 10


class Stage(Enum):
    """The stages of a start in their order. The value is how far the bar is when the stage begins, in percent."""

    WORKSPACE = 5
    LIMITS = 20
    EDITOR = 35
    ANSWER = 60


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line of the page that shows a start: `percent` of the bar, and what happens."""

    percent: int
    message: str

    def as_event(self) -> dict[str, object]:
        """The form that `Spawner.progress` yields."""
        return {"progress": self.percent, "message": self.message}


def describe(stage: Stage, plan: SessionPlan) -> Sentence:
    """What happens in this stage of starting this server."""
    editor, workspace = plan.editor.display_name, "Preparing your workspace."
    message = {
        Stage.WORKSPACE: f"{STARTING} {workspace}" if plan.safe else workspace,
        Stage.LIMITS: f"Setting the limits of {plan.display_name}: {resources(plan)}.",
        Stage.EDITOR: f"Starting {editor}.",
        Stage.ANSWER: f"Waiting for {editor} to answer.",
    }[stage]
    return Sentence(stage.value, message)


def describe_wait(stage: Stage, plan: SessionPlan, seconds: int, *, at_most: int) -> Sentence | None:
    """The sentence for a stage that goes on for `seconds`, in tens; None while that is nothing unusual.

    `at_most` is when the start is given up. The bar creeps to the next stage and never reaches it.
    """
    if seconds < _LATE:
        return None
    seconds -= seconds % _ROUND
    later = [other.value for other in Stage if other.value > stage.value]
    room = (min(later) if later else 95) - stage.value
    share = min(seconds / at_most, 1.0) if at_most > 0 else 1.0
    message = (
        f"{describe(stage, plan).message.removesuffix('.')}, for {format_duration(seconds)} now. "
        f"The start is given up after {format_duration(at_most)}."
    )
    return Sentence(stage.value + int(share * (room - 1)), message)


def describe_until(stage: Stage, plan: SessionPlan, *, told: Stage | None) -> Iterator[Sentence]:
    """Every stage after `told` up to this one, so that a page that asks late has the whole story in its log."""
    return (describe(s, plan) for s in Stage if (told.value if told else 0) < s.value <= stage.value)


def resources(plan: SessionPlan) -> str:
    """What the server really gets, after options and the machine's own limits: `2 CPU, 8 GB memory, 1 NVIDIA GPU`."""
    parts = [format_cpu(plan.cpu), f"{format_size(plan.memory)} memory"]
    if plan.gpu:
        parts.append(plan.gpu.display_name)
    return ", ".join(parts)
