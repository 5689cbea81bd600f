"""What every directory behind an HTTP API shares: settings, kept answers, one look-up at a time, and its end."""

import time
from asyncio import timeout as within
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from traitlets import Float, Integer, TraitError, Unicode
from traitlets.config import LoggingConfigurable

from ..core.identity import GroupName, Identity
from ..ports import DirectoryUnavailable
from .answers import Answers
from .json_api import Answer, JsonApi, Limits
from .retrying import Patience

_WARNED_AT_MOST = 1000
_NO_SUBJECTS = ("", ".", "..")
"""In the path of a question these would make it another question."""


class RemoteGroupDirectory(LoggingConfigurable):
    """Base of the `GroupDirectory` adapters that ask a server. A subclass gives `_look_up`.

    An answer is complete or it is `DirectoryUnavailable`. Use one instance in one event loop, and `close` it.
    """

    provider = Unicode(help="The `Identity.provider` of the people it knows; anybody else is in no group.")
    timeout = Float(5, min=0.01, config=True, help="Seconds that one call to the directory may take.")
    patience = Float(
        12,
        min=0.01,
        config=True,
        help="""Seconds after which a look-up with all its pages and retries is given up. Somebody who signs in waits
        so long at most; then they read that the directory does not answer.""",
    )
    tries = Integer(4, min=1, config=True, help="Calls for one question that the directory is too busy to answer.")
    calls_at_once = Integer(24, min=1, config=True, help="Calls that may be under way at the same time, for everybody.")
    calls_per_minute = Integer(
        2000,
        min=10,
        config=True,
        help="""Calls in any minute, for everybody; more wait for their turn. The default is below the 2,400 a minute
        that Google's Admin SDK allows, and leaves the rest to other programs of the same account.""",
    )
    answer_lifetime = Float(
        15,
        min=0,
        config=True,
        help="""Seconds for which the answer about a person is used again, so that a sign-in and the start that
        follows it are one look-up. A change in the directory counts so much later at most. 0 asks each time.""",
    )
    answers_kept = Integer(10_000, min=1, config=True, help="Answers kept at once; the oldest go first.")

    clock: Callable[[], float]

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._refuse_unknown_settings()
        self.clock = clock
        self._people: Answers[tuple[str, str | None], frozenset[GroupName]] = self._answers(self.answer_lifetime)
        self._apis: list[JsonApi] = []
        self._warned: set[str] = set()

    async def groups_of(self, identity: Identity) -> frozenset[GroupName]:
        """Every group of this person; complete, or `DirectoryUnavailable`."""
        if identity.provider != self.provider or identity.subject in _NO_SUBJECTS:
            return frozenset()
        return await self._people.get((identity.subject, identity.email), lambda: self._in_time(identity))

    async def close(self) -> None:
        """End what is under way, and every connection."""
        await self._people.close()
        for api in self._apis:
            await api.close()

    async def _look_up(self, identity: Identity) -> frozenset[GroupName]:
        raise NotImplementedError

    async def _in_time(self, identity: Identity) -> frozenset[GroupName]:
        try:
            async with within(self.patience):
                return await self._look_up(identity)
        except TimeoutError:
            raise DirectoryUnavailable(f"there is no complete answer within {self.patience:g} s (patience)") from None

    def _api(self, name: str, is_busy: Callable[[Answer], bool] = lambda _answer: False) -> JsonApi:
        limits = Limits(
            timeout=self.timeout,
            patience=Patience(total=self.patience, tries=self.tries),
            at_once=self.calls_at_once,
            per_minute=self.calls_per_minute,
        )
        api = JsonApi(name, limits, clock=self.clock, log=self.log, is_busy=is_busy)
        self._apis.append(api)
        return api

    def _refuse_unknown_settings(self) -> None:
        """A misspelt or renamed setting would be without effect, and nobody would know (CVE-2020-26250)."""
        known = set(self.traits(config=True))
        for cls in type(self).mro():
            section = self.config.get(cls.__name__, {}) if issubclass(cls, RemoteGroupDirectory) else {}
            for name in sorted(set(section) - known):
                near = get_close_matches(name, known, 1)
                hint = f" Did you mean {near[0]}?" if near else ""
                raise TraitError(f"{cls.__name__}.{name} is not a setting.{hint}")

    def _answers(self, lifetime: float) -> Answers[Any, Any]:
        return Answers(lifetime=lifetime, size=self.answers_kept, clock=self.clock)

    def _nameable(self, groups: Iterable[tuple[str, GroupName | None]]) -> frozenset[GroupName]:
        """The groups that have a name here; the log tells once of each that has none."""
        named = set()
        for original, name in groups:
            if name is not None:
                named.add(name)
            elif original not in self._warned and len(self._warned) < _WARNED_AT_MOST:
                self._warned.add(original)
                self.log.warning("The group %.200r cannot be written as name@domain: no rule can use it.", original)
        return frozenset(named)
