"""Every person's service account and rights, as long as their servers run: the hub's memory of them, and its sweep."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from weakref import WeakValueDictionary

from ..core.names import session_names
from . import Json
from .requests import ApiUnavailable, Refused, Requests
from .sweep import Leftover, Orphan, orphans, overdue, plan_sweep
from .user_access import Key, Session, access_objects, account_object
from .user_access_api import AccessApi, NotOurs

_log = logging.getLogger("devplatform.access")
_AT_ONCE = 8  # sessions or leftovers that a sweep works on at a time


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did. `orphans` are pods of servers that the hub does not know, `ended` those it took away."""

    removed: tuple[Leftover, ...] = ()
    mended: tuple[Key, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    ended: tuple[Orphan, ...] = ()


class UserAccess:
    """One for a hub and a namespace. Call `session_starting` before the pod is made, `session_started` when it is
    there, `session_ended` when it is to go, and `sweep` once the hub knows its servers and every now and then.

    Work for one person is done in order, so that of two servers that start and end at once neither takes what the
    other needs; different people do not wait for each other. `orphan_grace` is seconds.
    """

    def __init__(
        self, core: Any, rbac: Any, ask: Requests, *, namespace: str, hub: str, orphan_grace: float = 600.0
    ) -> None:
        self._api = AccessApi(core, rbac, ask, namespace=namespace, hub=hub)
        self._namespace, self._hub, self._grace = namespace, hub, orphan_grace
        self._sessions: dict[Key, Session] = {}
        self._touched: dict[Key, float] = {}
        self._accounts: dict[str, tuple[str, str]] = {}
        self._rights: dict[Key, dict[str, str]] = {}
        self._orphans: dict[str, float] = {}
        self._knows_all = False
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def session_starting(self, user: str, server: str, *, google_account: str = "") -> str:
        """The name of the person's service account, which is there now; no request where it was already.

        Raises `NotOurs` where that name is somebody else's: the pod must not run then. Call `session_ended` when the
        start fails after this.
        """
        key = user, server
        async with self._lock(user):
            self._note(Session(user, server, "", google_account=google_account))
            try:
                await self._ensure_account(user, google_account)
            except BaseException:
                self._forget(key)
                raise
        return session_names(user, server).account

    async def session_started(self, session: Session) -> bool:
        """Give the person the rights to this pod, which go with it; whether that worked.

        A server is of use without them: what goes wrong is logged, and tried again by the next sweep. Nobody is
        given rights without an e-mail address.
        """
        async with self._lock(session.user):
            self._note(session)
            return await self._mend(session)

    async def session_ended(self, user: str, server: str) -> None:
        """Take the rights away, and the account with the last server. What cannot be removed now a sweep finds."""
        key = user, server
        async with self._lock(user):
            uids = self._rights.get(key, {})
            self._forget(key)
            role = session_names(user, server).role
            work = [self._remove(kind, role, key, uids.get(kind, "")) for kind in ("RoleBinding", "Role")]
            # A hub that was started again does not know yet which other servers of this person run.
            if self._knows_all and not any(known[0] == user for known in self._sessions):
                _, uid = self._accounts.pop(user, ("", ""))
                work.append(self._remove("ServiceAccount", session_names(user, "").account, (user, ""), uid))
            await asyncio.gather(*work)

    async def sweep(self, active: Iterable[Session], pods: Iterable[Mapping[str, Any]]) -> Swept:
        """Put right what differs from `active`, which is every server that the hub runs or starts at this moment.

        `pods` are all pods of the hub, as its watch knows them. Raises `Refused` and `ApiUnavailable` where nothing
        could be listed.
        """
        begun = time.monotonic()
        self._adopt({session.key: session for session in active}, begun)
        pods = list(pods)
        found: list[Json] = [item async for item in self._api.all()]
        sessions = dict(self._sessions)
        options = {"hub": self._hub, "namespace": self._namespace}
        # Thousands of objects take some tenths of a second, and the hub has one thread for everybody.
        plan = await asyncio.to_thread(plan_sweep, found, sessions, pods, **options)
        turn = asyncio.Semaphore(_AT_ONCE)
        removed = await asyncio.gather(*(self._sweep_away(leftover, turn) for leftover in plan.remove))
        mended = await asyncio.gather(*(self._sweep_right(session, turn) for session in plan.mend))
        lost, ended = await self._sweep_pods(pods)
        return Swept(
            tuple(leftover for leftover, done in zip(plan.remove, removed, strict=True) if done),
            tuple(session.key for session, done in zip(plan.mend, mended, strict=True) if done),
            lost,
            ended,
        )

    # Its memory

    def _note(self, session: Session) -> None:
        self._sessions[session.key] = session
        self._touched[session.key] = time.monotonic()

    def _forget(self, key: Key) -> None:
        for memory in (self._sessions, self._touched, self._rights):
            memory.pop(key, None)

    def _adopt(self, active: Mapping[Key, Session], now: float) -> None:
        """Know what the hub knows. A session that began or changed since it told is as it is known here."""
        for key in [key for key, at in self._touched.items() if key not in active and at < now]:
            self._forget(key)
        people = {user for user, _ in self._sessions} | {user for user, _ in active}
        for user in self._accounts.keys() - people:
            del self._accounts[user]
        for key, session in active.items():
            if key not in self._sessions or (session.pod_uid and session != self._sessions[key]):
                self._note(session)
        self._knows_all = True

    def _lock(self, user: str) -> asyncio.Lock:
        return self._locks.setdefault(user, asyncio.Lock())

    # Its work, each under the lock of the person

    async def _ensure_account(self, user: str, google_account: str) -> None:
        if user in self._accounts and self._accounts[user][0] == google_account:
            return
        wanted = account_object(user, hub=self._hub, namespace=self._namespace, google_account=google_account)
        self._accounts[user] = (google_account, await self._api.ensure(wanted, (user, "")))

    async def _mend(self, session: Session) -> bool:
        wanted = access_objects(session, hub=self._hub, namespace=self._namespace).rights
        try:
            await self._ensure_account(session.user, session.google_account)
            # The Role first: a binding to one that is not there is refused, and to one of somebody else's is worse.
            self._rights[session.key] = {item["kind"]: await self._api.ensure(item, session.key) for item in wanted}
        except (ApiUnavailable, NotOurs, Refused) as error:
            _log.warning("%r has no kubectl rights to the server %r now: %s", session.user, session.server, error)
            return False
        return True

    async def _remove(self, kind: str, name: str, key: Key, uid: str) -> bool:
        try:
            return await self._api.remove(kind, name, key, uid=uid)
        except (ApiUnavailable, Refused) as error:
            _log.warning("The %s %s stays until the next sweep: %s", kind, name, error)
            return False

    async def _sweep_away(self, leftover: Leftover, turn: asyncio.Semaphore) -> bool:
        async with turn, self._lock(leftover.key[0]):
            if self._is_needed(leftover):  # its server was started since it was decided
                return False
            _log.info("Removing the %s %s of a session that is no more", leftover.kind, leftover.name)
            return await self._remove(leftover.kind, leftover.name, leftover.key, leftover.uid)

    def _is_needed(self, leftover: Leftover) -> bool:
        names = session_names(*leftover.key)
        if leftover.kind == "ServiceAccount":
            return leftover.name == names.account and any(key[0] == leftover.key[0] for key in self._sessions)
        session = self._sessions.get(leftover.key)
        if session is None or leftover.name != names.role:
            return False
        return not session.pod_uid or bool(access_objects(session, hub=self._hub, namespace=self._namespace).rights)

    async def _sweep_right(self, session: Session, turn: asyncio.Semaphore) -> bool:
        async with turn, self._lock(session.user):
            if self._sessions.get(session.key) != session:  # ended or started anew since it was decided
                return False
            self._accounts.pop(session.user, None)
            return await self._mend(session)

    async def _sweep_pods(self, pods: Iterable[Mapping[str, Any]]) -> tuple[tuple[Orphan, ...], tuple[Orphan, ...]]:
        lost = orphans(pods, self._sessions, hub=self._hub, now=datetime.now(UTC))
        now = time.monotonic()
        self._orphans = {orphan.uid: self._orphans.get(orphan.uid, now) for orphan in lost}
        ended = []
        for orphan in overdue(lost, self._orphans, now, self._grace):
            _log.warning("Ending the pod %s: its server is unknown for %d s", orphan.name, int(orphan.age))
            if await self._api.remove_pod(orphan.name, orphan.uid):
                ended.append(orphan)
        return lost, tuple(ended)
