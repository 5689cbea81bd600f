"""An access token that is fetched once for everybody and renewed before it ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..ports import DirectoryUnavailable

_PAUSE = 10.0
"""Seconds between tries to renew a token that is still good."""


class BearerSource(Protocol):
    """What gives the token of a call."""

    async def token(self) -> str:
        """A token that is good now. Raises `DirectoryUnavailable`."""
        ...

    def forget(self, token: str) -> None:
        """This token was refused: the next call gets another one."""
        ...


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token and the moment of the clock at which it ends."""

    text: str = field(repr=False)
    ends_at: float


class HeldToken:
    """A `BearerSource` that calls `fetch` for a token, once at a time, `ahead` seconds before the old one ends."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[AccessToken]],
        *,
        ahead: float,
        clock: Callable[[], float],
        log: logging.Logger,
    ) -> None:
        self._fetch, self._ahead, self._clock, self._log = fetch, ahead, clock, log
        self._held: AccessToken | None = None
        self._renewal: asyncio.Task[AccessToken] | None = None
        self._not_before = float("-inf")

    async def token(self) -> str:
        """The token; one that is about to end is renewed while it is still used."""
        now = self._clock()
        held = self._held if self._held and now < self._held.ends_at else None
        if held is None or (now >= held.ends_at - self._ahead and now >= self._not_before):
            self._renew()
        if held is None:
            assert self._renewal is not None  # noqa: S101
            held = await asyncio.shield(self._renewal)
        return held.text

    def forget(self, token: str) -> None:
        """This token was refused."""
        if self._held and self._held.text == token:
            self._held = None

    async def close(self) -> None:
        """End a renewal that is under way."""
        if self._renewal:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    def _renew(self) -> None:
        if self._renewal and not self._renewal.done():
            return
        self._not_before = self._clock() + _PAUSE
        self._renewal = asyncio.get_running_loop().create_task(self._fetched())
        self._renewal.add_done_callback(self._renewed)

    async def _fetched(self) -> AccessToken:
        self._held = await self._fetch()
        return self._held

    def _renewed(self, task: "asyncio.Task[AccessToken]") -> None:
        error = None if task.cancelled() else task.exception()
        if isinstance(error, DirectoryUnavailable) and self._held:
            self._log.warning("A token of the directory could not be renewed ahead of its end: %s", error)
