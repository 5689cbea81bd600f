"""`active` and `ready` of a server: the same answers as JupyterHub's own, whatever goes on."""

from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from jupyterhub.spawner import Spawner
from jupyterhub.user import UserDict

from devplatform_hub.server_state import ServerStateMixin

_LIMITED = ("active", "pending", "spawn_pending")  # what the hub's limits are about
_FLAGS = ("_spawn_pending", "_stop_pending", "_check_pending")


class Stock(Spawner):
    """A spawner that never starts."""

    async def start(self) -> None: ...

    async def stop(self, now: bool = False) -> None: ...

    async def poll(self) -> None: ...


class Quick(ServerStateMixin, Stock):
    """The same with ours before it."""


def address() -> orm.Server:
    """Where a server runs."""
    return orm.Server(proto="http", ip="127.0.0.1", port=1, base_url="/", cookie_name="cookie")


@dataclass
class Row:
    """As much of the hub's row of a server as is looked at."""

    server: orm.Server | None
    name: str = ""


@pytest.mark.parametrize("row", [None, Row(None), Row(address())], ids=["no row", "stopped", "running"])
@pytest.mark.parametrize("flags", list(product([False, True], repeat=3)), ids=str)
def test_the_answers_are_jupyterhubs(row: Row | None, flags: tuple[bool, bool, bool]) -> None:
    """Side by side, for every combination of what can be under way."""
    answers = []
    for cls in (Stock, Quick):
        spawner = cls(orm_spawner=row)
        for name, value in zip(_FLAGS, flags, strict=True):
            setattr(spawner, name, value)
        answers.append((spawner.pending, spawner.active, spawner.ready))
    has_address = row is not None and row.server is not None
    pending = next((kind for kind, flag in zip(("spawn", "stop", "check"), flags, strict=True) if flag), None)
    assert answers == [(pending, has_address or any(flags), has_address and not any(flags))] * 2


def test_a_row_that_comes_later_counts() -> None:
    """The hub gives a spawner its row when the server is first asked for."""
    spawner = Quick()
    assert (spawner.active, spawner.ready) == (False, False)
    spawner.orm_spawner = Row(address())
    assert (spawner.active, spawner.ready) == (True, True)
    spawner.orm_spawner.server = None
    assert (spawner.active, spawner.ready) == (False, False)


class People(UserDict):
    """The hub's dictionary of people, each with one server."""

    def __init__(self, cls: type[Spawner], number: int) -> None:
        super().__init__(db_factory=lambda: None, settings={})
        self.counts = 0
        settings = {"users": self}
        for one in range(number):
            self[one] = SimpleNamespace(spawners={}, settings=settings)
            self[one].spawners[""] = cls(user=self[one], orm_spawner=Row(None))

    def count_active_users(self) -> dict[str, int]:
        """JupyterHub's own count, counted."""
        self.counts += 1
        return dict(super().count_active_users())

    def server(self, number: int) -> Any:
        """Of this person."""
        return dict.__getitem__(self, number).spawners[""]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the census, to be moved."""
    now = [100.0]
    monkeypatch.setattr("devplatform_hub.server_state.time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def counted(people: People) -> dict[str, int]:
    return {name: value for name, value in people.count_active_users().items() if value}


def test_a_count_says_what_jupyterhubs_would(clock: list[float]) -> None:
    """Whatever begins and comes up since the last time all were counted, which is seldom."""
    people, same = People(Quick, 300), People(Stock, 300)
    for number in range(50):
        for one in (people, same):
            one.server(number)._spawn_pending = True
        if number % 2:
            for one in (people, same):
                one.server(number).orm_spawner.server = address()
                one.server(number)._spawn_pending = False
        found, expected = counted(people), counted(same)
        assert [found.get(name) for name in _LIMITED] == [expected.get(name) for name in _LIMITED]
    assert (people.counts, same.counts) == (1, 50)
    clock[0] += 2
    assert counted(people) == counted(same)
    assert people.counts == 2


def test_a_count_never_says_less_than_there_are(clock: list[float]) -> None:
    """What ended a moment ago may still be counted, so that no limit is passed; after two seconds it is not."""
    people = People(Quick, 300)
    for number in range(10):
        people.server(number).orm_spawner.server = address()
    people.server(0)._stop_pending = True
    assert counted(people) == {"active": 10, "ready": 9, "pending": 1, "stop_pending": 1}
    people.server(0).orm_spawner.server = None
    people.server(0)._stop_pending = False
    assert counted(people) == {"active": 10, "ready": 9}
    clock[0] += 2
    assert counted(people) == {"active": 9, "ready": 9}


def test_few_are_counted_every_time() -> None:
    """There it costs nothing."""
    people = People(Quick, 3)
    people.server(0)._spawn_pending = True
    assert [counted(people) for _ in range(3)] == [{"active": 1, "pending": 1, "spawn_pending": 1}] * 3
    people.server(0)._spawn_pending = False
    assert counted(people) == {}
