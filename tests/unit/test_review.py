"""The review of people with servers: each once in an interval, spread, bounded, and never stopped by one of them."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import pytest

from devplatform_hub.authenticators.last_answers import LastAnswers
from devplatform_hub.authenticators.review import Review, is_due

INTERVAL = 300.0


@dataclass(frozen=True, slots=True)
class Somebody:
    id: int
    name: str = ""


class Hall:
    """People who are decided about, each decision `seconds` long by a clock of its own."""

    def __init__(self, people: int, seconds: float = 0.0, at_once: int = 16) -> None:
        self.people = [Somebody(number, f"person{number}") for number in range(1, people + 1)]
        self.seconds, self.now = seconds, 1000.0
        self.times: dict[int, list[float]] = {}
        self.under_way: Counter[int] = Counter()
        self.most = 0
        self.broken: set[int] = set()
        self._ends: list[tuple[float, asyncio.Event]] = []
        self.review = Review(
            lambda: self.people,
            self.decide,
            interval=INTERVAL,
            log=logging.getLogger("review"),
            at_once=at_once,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

    async def decide(self, person: Somebody) -> None:
        self.under_way[person.id] += 1
        self.most = max(self.most, self.under_way.total())
        assert self.under_way[person.id] == 1
        self.times.setdefault(person.id, []).append(self.now)
        if self.seconds:
            await self.sleep(self.seconds)
        self.under_way[person.id] -= 1
        if person.id in self.broken:
            raise RuntimeError("the database said no")

    async def sleep(self, seconds: float) -> None:
        end = asyncio.Event()
        self._ends.append((self.now + seconds, end))
        await end.wait()

    async def pass_time(self, seconds: float) -> None:
        """Let this much of the clock's time go by."""
        until = self.now + seconds
        await self.settle()
        while self._ends and min(self._ends, key=lambda kept: kept[0])[0] <= until:
            first = min(self._ends, key=lambda kept: kept[0])
            self._ends.remove(first)
            self.now = first[0]
            first[1].set()
            await self.settle()
        self.now = until

    async def settle(self) -> None:
        for _ in range(8):
            await asyncio.sleep(0)


async def test_each_is_reviewed_once_in_an_interval() -> None:
    """A thousand people at 0.3 s: none waits longer than an interval and its own decision, whoever comes or goes."""
    hall = Hall(1000, seconds=0.3)
    hall.review.start()
    await hall.pass_time(INTERVAL)
    hall.people = hall.people[::2] + [Somebody(number, "new") for number in range(2001, 2301)]
    await hall.pass_time(2.1 * INTERVAL)
    stayed = [hall.times[person.id] for person in hall.people if person.id <= 1000]
    gaps = [after - before for times in stayed for before, after in pairwise(times)]
    assert max(gaps) <= INTERVAL + 1.5
    assert all(hall.times[number][0] <= 1000 + INTERVAL for number in range(1, 1001))
    assert all(hall.times[number][0] <= 1000 + 2 * INTERVAL for number in range(2001, 2301))
    await hall.review.close()


async def test_reviews_are_spread_over_the_interval() -> None:
    """In no tenth of it more than an eighth of the people."""
    hall = Hall(1000)
    hall.review.start()
    await hall.pass_time(INTERVAL)
    tenths = Counter(int((times[0] - 1000) // (INTERVAL / 10)) for times in hall.times.values())
    assert max(tenths.values()) <= 125
    await hall.review.close()


async def test_so_many_at_once_and_nobody_twice() -> None:
    """While each decision takes longer than an interval: so many are under way, and the others have their turn."""
    hall = Hall(40, seconds=2 * INTERVAL, at_once=4)
    hall.review.start()
    await hall.pass_time(10 * INTERVAL)
    assert hall.most == 4
    assert len(asyncio.all_tasks()) == 1 + 1 + 40  # this test, the review, and one for each
    assert {len(times) for times in hall.times.values()} == {1}
    assert len(hall.times) == 20
    await hall.review.close()


async def test_slow_decisions_are_made_next_to_each_other() -> None:
    """1,000 people at 3 s each are done within their interval; one after the other it would take 50 minutes."""
    hall = Hall(1000, seconds=3.0)
    hall.review.start()
    await hall.pass_time(INTERVAL + 30)
    assert len(hall.times) == 1000
    assert 10 <= hall.most <= 16
    await hall.review.close()


async def test_one_who_cannot_be_decided_about_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log with its trace, the others are reviewed, and so is the one, later."""
    hall = Hall(20)
    hall.broken = {7}
    hall.review.start()
    await hall.pass_time(2 * INTERVAL)
    assert {number: len(times) for number, times in hall.times.items()} == dict.fromkeys(range(1, 21), 2)
    assert [record.getMessage() for record in caplog.records] == [
        "The review of person7 failed; the next one comes in 300 s"
    ] * 2
    assert caplog.records[0].exc_info
    await hall.review.close()


async def test_nothing_outlives_its_end() -> None:
    """Decisions under way are cancelled with it."""
    hall = Hall(20, seconds=INTERVAL)
    hall.review.start()
    await hall.pass_time(INTERVAL / 2)
    assert hall.under_way.total()
    await hall.review.close()
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [(0.0, 61.0, False), (0.0, 62.0, True), (62.0, 161.0, False), (61.0, 162.0, True), (62.0, 62.0, False)],
)
def test_ones_moment(since: float, until: float, expected: bool) -> None:
    """Number 1 is due 61.8 s into every 100 s."""
    assert is_due(1, since, until, 100.0) is expected


def test_the_last_answers_are_bounded() -> None:
    """CVE-2026-34052 (anchors, row 21): of however many people, so many are remembered, the newest."""
    now = [0.0]
    answers = LastAnswers(clock=lambda: now[0], capacity=3)
    for name in ("a", "b", "c", "a", "d"):
        answers.put(name)
        now[0] += 1
    assert (len(answers), answers.age("b"), answers.age("a"), answers.age("d")) == (3, None, 2.0, 1.0)
    answers.forget("a")
    answers.forget("nobody")
    assert answers.age("a") is None
