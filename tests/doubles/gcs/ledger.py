"""What the use of the double would have cost: operations by class, and minimum durations that were not served."""

from collections import Counter
from dataclasses import dataclass

from .clock import DAY
from .generations import Generation

COLDNESS = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
MINIMUM_DAYS = {"NEARLINE": 30, "COLDLINE": 90, "ARCHIVE": 365}
"""https://cloud.google.com/storage/pricing: how long an object of a class is paid for at least."""


@dataclass(frozen=True, slots=True)
class EarlyDeletion:
    """A generation that went before its class's minimum was over; `days` were not served, and are paid."""

    bucket: str
    name: str
    generation: int
    storage_class: str
    size: int
    days: float


class Ledger:
    """`operations` counts by the method's name, `classes` by "A", "B" and "free"."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.classes: Counter[str] = Counter()
        self.early: list[EarlyDeletion] = []

    def count(self, operation: str, price: str) -> None:
        """One operation was done."""
        self.operations[operation] += 1
        self.classes[price] += 1

    def removed(self, bucket: str, name: str, one: Generation, now: int) -> None:
        """A generation left the bucket. The time counts from when it was added, whatever class it had then."""
        lacking = MINIMUM_DAYS.get(one.storage_class, 0) - (now - one.created) / DAY
        if lacking > 0:
            self.early.append(EarlyDeletion(bucket, name, one.number, one.storage_class, one.size, lacking))
