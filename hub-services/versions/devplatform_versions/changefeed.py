"""Waking up whoever waits for an owner's next version: in this process, without asking the store again and again."""

import asyncio
import contextlib
from collections import defaultdict

from devplatform_hub.core.errors import PublicError

_MOST_WAITING = 20


class ChangeFeed:
    """A bell for each owner. Listeners take a `ticket` before they look, so that nothing is missed in between."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._closed = False

    def ring(self, owner: str) -> None:
        """Something was written for this owner."""
        for ticket in self._waiting.pop(owner, set()):
            if not ticket.done():
                ticket.set_result(None)

    def close(self) -> None:
        """Let everybody go."""
        self._closed = True
        for owner in list(self._waiting):
            self.ring(owner)

    def ticket(self, owner: str) -> "asyncio.Future[None]":
        """What the next `ring` for this owner ends. Give it back with `forget`. At most 20 for one owner."""
        if len(self._waiting[owner]) >= _MOST_WAITING:
            raise PublicError(
                "Too many programs of yours wait for changes.",
                code="too-many-waiting",
                hint="Close some of them, or ask without wait=.",
                status=429,
            )
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closed:
            ticket.set_result(None)
        else:
            self._waiting[owner].add(ticket)
        return ticket

    def forget(self, owner: str, ticket: "asyncio.Future[None]") -> None:
        """This ticket is not waited for any longer."""
        ticket.cancel()
        waiting = self._waiting.get(owner)
        if waiting is not None:
            waiting.discard(ticket)
            if not waiting:
                del self._waiting[owner]


async def wait_for(ticket: "asyncio.Future[None]", seconds: float) -> None:
    """Wait until the ticket ends or the time is over; what it was is for the caller to see."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(ticket), seconds)
