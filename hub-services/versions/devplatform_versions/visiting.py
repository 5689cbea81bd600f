"""Administrators in other people's versions: only with a reason, for a while, and never unseen by the owner.

A visit is one owner's, one administrator's and one browser session's. It is in the owner's list before it opens
anything. What is under way is in memory alone: when the service ends, so does every visit.
"""

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.group_roles import VISIT_VERSIONS
from devplatform_hub.core.names import slug
from devplatform_hub.ports import Clock
from devplatform_hub.servicekit import audit
from devplatform_hub.servicekit.identity import Person

from .model import Visit
from .ports import StoreUnavailable, VersionStore, VisitBook
from .presentation import display_name

SHORTEST_REASON, LONGEST_REASON = 10, 500
_LONGEST_NAME = 255
_NOTICES = 3
_MOST_VISITS = 1000
_REMEMBERED_LOOKS = 1000
_ONE_LOOK_SECONDS = 60.0  # a page fetches its own frame or picture, and a download may come in many ranges
_log = logging.getLogger("devplatform.versions")


def may_visit(person: Person) -> bool:
    """Whether the hub says of these very credentials that they may: a role of the person's is not enough."""
    return VISIT_VERSIONS in person.scopes


def checked_reason(text: str | None) -> str:
    """The reason in one line, with nothing in it that hides or turns what follows. Raises `PublicError`."""
    reason = display_name(" ".join((text or "").split()))
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise PublicError(
            f"The reason has {len(reason)} characters.",
            code="reason-invalid",
            hint=f"Say in {SHORTEST_REASON} to {LONGEST_REASON} characters why you need to look. The owner reads it.",
        )
    return reason


@dataclass(frozen=True, slots=True)
class Notices:
    """What an owner is told on their pages: the newest visits that they have not put away, and how many more."""

    shown: tuple[Visit, ...]
    more: int
    is_known: bool = True


async def notices_of(store: VersionStore, owner: str) -> Notices:
    """What this owner is to be told. Their files stay usable while that cannot be read, and the page says so."""
    if not isinstance(store, VisitBook):
        return Notices((), 0)
    try:
        waiting = [visit for visit in await store.visits(owner) if not visit.dismissed]
    except StoreUnavailable:
        return Notices((), 0, is_known=False)
    return Notices(tuple(waiting[:_NOTICES]), max(0, len(waiting) - _NOTICES))


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """A visit that is under way. `owner_name` is what the administrator called the owner, `began` monotonic seconds."""

    visit: Visit
    owner: str
    owner_name: str
    session: str
    began: float


@dataclass
class Visits:
    """The visits that are under way: at most one in each browser session, each for `seconds`."""

    store: VersionStore
    clock: Clock
    seconds: float = 1800
    monotonic: Callable[[], float] = time.monotonic
    _open: dict[str, OpenVisit] = field(default_factory=dict)
    _looks: "OrderedDict[tuple[str, bool, str], float]" = field(default_factory=OrderedDict)

    @property
    def book(self) -> VisitBook:
        """Where owners find who visited them. Raises `PublicError` over a store that keeps no such book."""
        if isinstance(self.store, VisitBook):
            return self.store
        raise PublicError(
            "This platform keeps no list of visits, so nobody may look into another person's versions.",
            code="visits-not-kept",
            status=404,
        )

    async def open(self, person: Person, session: str, name: str | None, reason: str | None, remote: str) -> OpenVisit:
        """Begin a visit; one that the session has already is ended. Raises `PublicError`, which is in the audit."""
        name = (name or "").strip()[:_LONGEST_NAME]
        owner = slug(name) if name else ""
        try:
            said = checked_reason(reason)
            await self._check(person, session, name, owner)
            visit = await self._begin(person, session, owner, name, said)
        except PublicError as error:
            _note("refused", person.name, display_name(name) or "(nobody)", error.code, remote)
            raise
        except StoreUnavailable:
            _note("failed", person.name, owner, "store-unavailable", remote)
            raise
        _note("allowed", person.name, owner, said, remote)
        return visit

    def find(self, person: Person, session: str) -> OpenVisit | None:
        """The visit of this session, while it may go on."""
        found = self._open.get(session) if session and may_visit(person) else None
        return found if found and found.visit.actor == person.name and not self._is_over(found) else None

    async def end(self, found: OpenVisit, why: str) -> None:
        """End a visit; nothing when it has ended already."""
        if self._open.get(found.session) is not found:
            return
        del self._open[found.session]
        audit.emit("version.leave", actor=found.visit.actor, outcome="allowed", target=found.owner, why=why)
        try:
            ended = min(self.clock.now(), found.visit.until)
            await self.book.change_visit(found.owner, found.visit.id, ended=ended)
        except StoreUnavailable as error:  # the owner then reads until when it could have gone on
            _log.warning("The end of a visit was not kept: %s", error)

    async def sweep(self) -> None:
        """End the visits whose time is over."""
        for found in [visit for visit in self._open.values() if self._is_over(visit)]:
            await self.end(found, "its time is over")

    async def close(self) -> None:
        """End every visit."""
        for found in list(self._open.values()):
            await self.end(found, "the service ended")

    def note_look(self, found: OpenVisit, target: str, remote: str, *, download: bool) -> None:
        """One line of the audit for what was looked at, however often within a minute."""
        key = (found.visit.id, download, target)
        now = self.monotonic()
        seen = self._looks.pop(key, None)
        again = seen is not None and now - seen <= _ONE_LOOK_SECONDS
        self._looks[key] = seen if again and seen is not None else now
        while len(self._looks) > _REMEMBERED_LOOKS:
            self._looks.popitem(last=False)
        if again:
            return
        actor, why = found.visit.actor, found.visit.reason
        if download:
            audit.emit("version.download", actor=actor, outcome="allowed", target=target, why=why, remote=remote)
        else:
            audit.emit("version.look", actor=actor, outcome="allowed", target=target, why=why, remote=remote)

    def _is_over(self, found: OpenVisit) -> bool:
        # Both clocks: one that is set back gives nobody more time.
        return self.clock.now() >= found.visit.until or self.monotonic() - found.began >= self.seconds

    async def _check(self, person: Person, session: str, name: str, owner: str) -> None:
        if not session:
            raise PublicError(
                "A visit belongs to a browser in which you have signed in.",
                code="browser-needed",
                hint="Open the page in a browser: API tokens open no visits.",
                status=403,
            )
        if owner == person.slug:
            raise PublicError("These files are your own.", code="visit-own", hint="You need no reason for them.")
        if not name or not (await self.store.list_folder(owner, "", deleted=True, limit=1)).items:
            raise PublicError(
                "Nobody with that name has file versions.",
                code="owner-unknown",
                hint="Give the user name exactly as the hub has it.",
                status=404,
            )
        if len(self._open) >= _MOST_VISITS:
            raise PublicError("Too many visits are under way.", code="too-many-visits", status=503)

    async def _begin(self, person: Person, session: str, owner: str, name: str, reason: str) -> OpenVisit:
        book = self.book
        now: datetime = self.clock.now()
        visit = Visit(secrets.token_hex(8), person.name, reason, now, now + timedelta(seconds=self.seconds))
        began = self.monotonic()
        await book.add_visit(owner, visit)
        if session in self._open:
            await self.end(self._open[session], "another visit was opened")
        self._open[session] = OpenVisit(visit, owner, name, session, began)
        return self._open[session]


def _note(outcome: str, actor: str, target: str, why: str, remote: str) -> None:
    audit.emit("version.visit", actor=actor, outcome=outcome, target=target, why=why, remote=remote)
