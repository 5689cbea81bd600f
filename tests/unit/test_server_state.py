"""`active` and `ready` of a server: the same answers as JupyterHub's own, whatever goes on."""

from dataclasses import dataclass
from itertools import product

import pytest
from jupyterhub import orm
from jupyterhub.spawner import Spawner

from devplatform_hub.server_state import ServerStateMixin

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
        answers.append((spawner.active, spawner.ready))
    has_address = row is not None and row.server is not None
    assert answers == [(has_address or any(flags), has_address and not any(flags))] * 2


def test_a_row_that_comes_later_counts() -> None:
    """The hub gives a spawner its row when the server is first asked for."""
    spawner = Quick()
    assert (spawner.active, spawner.ready) == (False, False)
    spawner.orm_spawner = Row(address())
    assert (spawner.active, spawner.ready) == (True, True)
    spawner.orm_spawner.server = None
    assert (spawner.active, spawner.ready) == (False, False)
