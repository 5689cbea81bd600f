"""What a check of the platform's settings found: one line for each step, with what is missing and what to do."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `devplatform check`: what was tried, whether it works, what is missing, what to do.

    `needed` is false for what the platform does without, such as a faster way that is not open.
    """

    step: str
    works: bool
    missing: str = ""
    remedy: str = ""
    needed: bool = True

    @property
    def mark(self) -> str:
        """`ok`, `missing`, or `note` for what is missing and not needed."""
        return "ok" if self.works else "missing" if self.needed else "note"

    def as_dict(self) -> dict[str, object]:
        """For a script."""
        return {
            "step": str(self.step),
            "works": self.works,
            "needed": self.needed,
            "missing": self.missing,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        if self.works:
            return f"{self.step}: works"
        return f"{self.step} is refused: {self.missing} is missing. {self.remedy}".rstrip()


def lines_of(findings: Iterable[Finding]) -> list[str]:
    """For a person at a terminal: what was tried, what it needs, what to do."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.mark:<8} {finding.step}")
        if not finding.works:
            lines.append(f"         needs {finding.missing.rstrip(',')}")
            lines.append(f"         {finding.remedy[:1].upper()}{finding.remedy[1:]}")
    return lines


def told(findings: Sequence[Finding], *, as_json: bool) -> str:
    """What a check prints."""
    if as_json:
        return json.dumps([finding.as_dict() for finding in findings], indent=2)
    return "\n".join(lines_of(findings))


def exit_status(findings: Iterable[Finding]) -> int:
    """How a check ends: 0 when nothing that is needed is missing, else 3."""
    return 3 if any(finding.needed and not finding.works for finding in findings) else 0
