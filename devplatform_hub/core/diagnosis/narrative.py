"""What the page says that shows a start on a cluster: findings as sentences, and a bar that never goes back."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..progress import Sentence
from ..quantities import format_duration
from .model import Finding, Waiting

_PERCENT = {
    Waiting.QUEUE: 5,
    Waiting.SCHEDULER: 10,
    Waiting.NODE: 20,
    Waiting.VOLUME: 35,
    Waiting.IMAGE: 45,
    Waiting.SIDECAR: 65,
    Waiting.CONTAINER: 70,
    Waiting.SERVER: 85,
}
_END = 95
_LATE = 20
_ROUND = 10
_HALF_WAY = 60
"""After so many seconds the bar is half way through the stage that goes on; it never gets to the next."""


@dataclass(slots=True)
class Narrator:
    """Tells one page the story of one start; each page has its own."""

    percent: int = 0
    told: str = ""
    moves: int = 0

    def moved(self, moved: Sequence[tuple[str, Finding]]) -> list[Sentence]:
        """A sentence for every place that was given up since this page was last told: its name, and why."""
        new, self.moves = moved[self.moves :], len(moved)
        return [
            Sentence(self.percent, f"{finding.message} Trying the next place instead of {name or 'the first'}.")
            for name, finding in new
        ]

    def tell(self, findings: Sequence[Finding], usual: str = "", seconds: int = 0) -> Sentence | None:
        """The most important finding, when it is news, or goes on for long; `seconds` it has gone on."""
        if not findings:
            return None
        finding = findings[0]
        self.percent = max(self.percent, _reached(finding.waiting, max(seconds, 0)))
        text = " ".join(part for part in (finding.message, finding.hint, usual) if part)
        if text == self.told:
            late = seconds - seconds % _ROUND
            if late < _LATE:
                return None
            text = f"{finding.message.removesuffix('.')}, for {format_duration(late)} now. {usual}".strip()
            return Sentence(self.percent, text)
        self.told = text
        return Sentence(self.percent, text)


def _reached(waiting: Waiting | None, seconds: int) -> int:
    """How far the bar is when a stage has gone on for so long."""
    if waiting is None:
        return 0
    begin = _PERCENT[waiting]
    end = min((percent for percent in _PERCENT.values() if percent > begin), default=_END)
    return begin + int((end - begin) * seconds / (seconds + _HALF_WAY))
