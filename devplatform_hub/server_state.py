"""Whether a server runs, answered quickly: the hub asks it of every server that it knows, for each one that starts."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from traitlets import observe
from traitlets.config import LoggingConfigurable

_KINDS = (
    ("_spawn_pending", "spawn"),
    ("_stop_pending", "stop"),
    ("_check_pending", "check"),
    ("_rename_pending", "rename"),
)
_FEW = 200
_COUNT_ANEW = 2.0

# JupyterHub refuses a subclass of Spawner that cannot start servers; before one in the MRO, this one can.
_Base: Any = LoggingConfigurable


class Census:
    """How many servers run and start: what `UserDict.count_active_users` counts, without going over all at each start.

    With 5,000 people JupyterHub's own count takes 20 ms of its only thread, as much as all else that it does for a
    start. What is under way is counted anew every time; the others every two seconds, and in between every server
    that has begun to start since is added. So limits hold: of what is active it never says less than there are.
    """

    def __init__(self, count_all: Callable[[], Any], size: Callable[[], int]) -> None:
        self._count_all, self._size = count_all, size
        self._busy: WeakSet[Any] = WeakSet()
        self._begun: WeakSet[Any] = WeakSet()
        self._counted: dict[str, int] = {}
        self._counted_at = -_COUNT_ANEW

    def note(self, spawner: Any, *, begins: bool) -> None:
        """Something is under way with this server from now on; `begins`: it starts."""
        self._busy.add(spawner)
        if begins:
            self._begun.add(spawner)

    def count(self) -> dict[str, int]:
        """As `UserDict.count_active_users`: `active`, `ready`, `pending`, and `spawn_pending` and its like."""
        now = time.monotonic()
        if self._size() <= _FEW or now - self._counted_at >= _COUNT_ANEW:
            found: dict[str, int] = self._count_all()
            self._counted, self._counted_at = found, now
            self._busy = WeakSet(one for one in self._busy if one.pending)
            self._begun.clear()
            return found
        counts: defaultdict[str, int] = defaultdict(int, ready=self._counted.get("ready", 0))
        counts["active"] = self._counted.get("active", 0) + len(self._begun)
        for spawner in self._busy:
            if kind := spawner.pending:
                counts["pending"] += 1
                counts[f"{kind}_pending"] += 1
        return counts


class _Flag:
    """One of the hub's flags of what is under way with a server; setting it tells the census."""

    def __init__(self, *, begins: bool = False) -> None:
        self._begins = begins

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, spawner: Any, owner: type) -> bool:
        return bool(spawner is not None and spawner.__dict__.get(self._name, False))

    def __set__(self, spawner: Any, value: bool) -> None:
        before = spawner.__dict__.get(self._name, False)
        spawner.__dict__[self._name] = value
        if value and not before and (census := spawner.census()) is not None:
            census.note(spawner, begins=self._begins and not spawner.has_address())


class ServerStateMixin(_Base):
    """Mix this in before a spawner: what JupyterHub says of a server, without its way through traits."""

    _row: Any = None
    _spawn_pending = _Flag(begins=True)
    _stop_pending = _Flag()
    _check_pending = _Flag()
    _rename_pending = _Flag()

    def census(self) -> Census | None:
        """That of this server's hub; it takes the place of the hub's own count when it is first asked for."""
        users = getattr(self.user, "settings", {}).get("users")
        if users is None:
            return None
        own = vars(users).get("count_active_users")
        if own is None:
            census = Census(users.count_active_users, users.__len__)
            # The hub makes its UserDict itself, and no setting names another: so the method of that one object.
            users.count_active_users = own = census.count
        return own.__self__ if isinstance(getattr(own, "__self__", None), Census) else None

    @observe("orm_spawner")
    def _row_changed(self, change: Any) -> None:
        self._row = change["new"]

    def has_address(self) -> bool:
        """Whether the hub's database says that it runs."""
        row = self._row
        return bool((self.server if row is None else row.server) is not None)

    @property
    def pending(self) -> str | None:
        """What is under way with it."""
        own = self.__dict__
        for name, kind in _KINDS:
            if own.get(name):
                return kind
        return None

    @property
    def active(self) -> bool:
        """Whether it runs, or something is under way with it."""
        row = self._row
        if row is None:
            return bool(super().active)
        return row.server is not None or bool(self.pending)

    @property
    def ready(self) -> bool:
        """Whether it runs, and nothing is under way with it."""
        row = self._row
        if row is None:
            return bool(super().ready)
        return row.server is not None and not self.pending
