"""What every sign-in of the platform shares: groups decide who comes in, who administers, and who is put out again.

A provider (local, or any that speaks OpenID Connect) only says who somebody is. `GroupAccessMixin` asks the
`GroupDirectory` for their groups, lets `core.access` decide, for a login and for every refresh alike, and
carries the decision out: hub groups, administrator or not, or the end of every session, token and server.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyterhub import roles

from ..core.access import Access, decide_access
from ..core.errors import PublicError
from ..core.group_roles import change_in_words, groups_of_roles
from ..core.identity import Identity, fold_username, parse_username
from ..ports import DirectoryUnavailable, GroupDirectory
from ..servicekit.addresses import address_of
from .access_notes import AccessNotes
from .access_settings import AccessSettings
from .group_roles import grant_roles, granted_roles
from .hub_end import close_at_the_end
from .last_answers import LastAnswers
from .pages import SignInPages
from .refusals import SignInRefused, directory_unavailable, group_missing, name_taken
from .review import Review
from .sessions import Arrivals, Binding, end_sessions, stop_servers

_BLOCKED = "is one of blocked_users"


@dataclass(frozen=True, slots=True)
class Account:
    """What a provider says of one person right now. Sessions that began under another `epoch` are over."""

    identity: Identity
    epoch: str = ""
    auth_state: dict[str, Any] | None = None


class GroupAccessMixin(AccessSettings):
    """Base of the platform's authenticators. A subclass gives `identify`, `account_of` and `group_directory`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._answers = LastAnswers()
        self._arrivals = Arrivals()
        self._hub: Any = None
        self._endings: set[asyncio.Task[None]] = set()
        self._review: Review | None = None
        self._end: asyncio.Task[None] | None = None
        self.notes = AccessNotes(refreshes=self.audit_refreshes)
        # The hub makes its authenticator before it gives its roles their groups, which takes ours away.
        database = getattr(self.parent, "db", None)
        self._granted_before = granted_roles(database) if database is not None else {}

    # What a provider gives.

    @property
    def group_directory(self) -> GroupDirectory:
        """Where groups come from."""
        raise NotImplementedError

    async def identify(self, handler: Any, data: Any) -> Account | None:
        """Who is signing in, or None. Raises `SignInRefused` for a reason that the person may read."""
        raise NotImplementedError

    async def account_of(self, user: Any) -> Account | None:
        """The account of a hub user as it is now; None when it is gone. Raises `DirectoryUnavailable`."""
        raise NotImplementedError

    # What JupyterHub calls.

    async def authenticate(self, handler: Any, data: Any) -> dict[str, Any] | None:
        """The hub's model of the person who signs in. Raises `SignInRefused`."""
        account = await self.identify(handler, data)
        if account is None:
            return None
        name, remote = account.identity.username, _address(handler)
        try:
            access = await self.decide(account.identity)
        except DirectoryUnavailable as error:
            self.log.warning("Nobody can sign in: the directory has no complete answer: %s", error)
            self.notes.signed_in(name, "failed", "directory-unavailable", remote)
            raise directory_unavailable(name) from None
        if not access.allowed:
            self.notes.signed_in(name, "refused", access.why[0], remote)
            raise group_missing(name, access.missing or self.rules.users_group)
        if name in self.blocked_users:  # the hub refuses them by itself, without a word in the audit
            self.notes.signed_in(name, "refused", _BLOCKED, remote)
            return None
        user = handler.find_user(name)
        self._bind(user, account, remote)
        self._answers.put(name)
        self.notes.answered(name)
        standing = _standing(access)
        changes = self._changes(user, standing)
        if changes:
            self.notes.changed(name, changes)
        self.notes.signed_in(name, "allowed", access.why[0], remote)
        return {"name": name, "auth_state": account.auth_state, **standing}

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:
        """The whole decision again: True or changes for somebody who may stay, False for somebody who may not."""
        try:
            account = await self.account_of(user)
            access = await self.decide(account.identity) if account else None
        except DirectoryUnavailable as error:
            return self._by_last_answer(user.name, handler, error)
        except SignInRefused as refused:
            return self._put_out(user, f"is refused: {refused.problem.message}")
        if account is None or access is None:
            return self._put_out(user, "has no account any more, or it is disabled")
        if not access.allowed:
            return self._put_out(user, access.why[0])
        if user.name in self.blocked_users:
            return self._put_out(user, _BLOCKED)
        if not Binding.of(account.identity, account.epoch).holds(user.orm_user.cookie_id):
            return self._put_out(user, "signed in before their password or account was changed")
        self._answers.put(user.name)
        self.notes.answered(user.name)
        standing = _standing(access)
        changes = self._changes(user, standing)
        if not changes:
            self.notes.refreshed(user.name, access.why[0])
            return True
        self.notes.changed(user.name, changes)
        return {"name": user.name, "auth_state": account.auth_state, **standing}

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002
        """Whether `authenticate` has decided so: an answer without groups did not come from there."""
        return bool(authentication and authentication.get("groups"))

    def normalize_username(self, username: str) -> str:
        """One spelling per person."""
        return fold_username(username)

    def validate_username(self, username: str) -> bool:
        """Whether the platform can use this name for folders, pods and addresses."""
        try:
            return bool(username) and parse_username(username) == username and super().validate_username(username)
        except PublicError:
            return False

    def add_user(self, user: Any) -> Any:
        """Bind a hub user that has just been made to the person who is signing in."""
        binding = self._arrivals.pop(user.name)
        if binding:
            user.orm_user.cookie_id = binding.new_cookie_id()
        return super().add_user(user)

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """The provider's handlers; from here on people with servers are reviewed even when they are not seen."""
        self._hub = app
        grant_roles(app, groups_of_roles(self.roles_of_groups), self._granted_before)
        self._end = close_at_the_end(self._close, self.log)
        self._review = Review(self._with_servers, self._review_one, interval=self.auth_refresh_age, log=self.log)
        self._review.start()
        return list(super().get_handlers(app))

    # The decision and what follows from it.

    async def decide(self, identity: Identity) -> Access:
        """The access of this person now. Raises `DirectoryUnavailable`: unknown is never empty."""
        return decide_access(await self.group_directory.groups_of(identity), self.rules)

    def _bind(self, user: Any, account: Account, remote: str) -> None:
        """Bind the hub user to this person: older sessions end, and nobody gets what another person left behind."""
        name = account.identity.username
        binding = Binding.of(account.identity, account.epoch)
        cookie_id = user.orm_user.cookie_id if user else ""
        if Binding.is_of_another(cookie_id, account.identity) or not (user or self._arrivals.put(name, binding)):
            self.notes.signed_in(name, "refused", "name belongs to another subject", remote)
            raise name_taken(name)
        if user is None:
            return
        if not binding.holds(cookie_id):
            end_sessions(user, binding.new_cookie_id())
            self._stop_later(user)

    def _by_last_answer(self, name: str, handler: Any, error: DirectoryUnavailable) -> bool:
        age = self._answers.age(name)
        stays = age is not None and age <= self.last_answer_lifetime
        self.notes.unanswered(name, age, stays=stays)
        self.log.warning(
            "The directory has no complete answer for %s, who %s: %s",
            name,
            f"keeps the answer of {age:.0f} s ago" if stays else "is kept out",
            error,
        )
        if not stays and isinstance(handler, SignInPages):
            return handler.directory_is_silent(name)
        return stays

    def _put_out(self, user: Any, why: str) -> bool:
        self._answers.forget(user.name)
        self.notes.answered(user.name)
        if not Binding.is_ended(user.orm_user.cookie_id):
            self.log.info("Ending the sessions of %s, who %s", user.name, why)
            self.notes.revoked(user.name, why)
            user.admin = False
            roles.assign_default_roles(user.db, entity=user.orm_user)
            user.sync_groups([])
            end_sessions(user, Binding.ended(user.orm_user.cookie_id))
        self._stop_later(user)
        return False

    def _stop_later(self, user: Any) -> None:
        """Stop what runs in a task of its own: whoever caused this is waiting for an answer."""
        if self._hub is None or not user.active:
            return
        task = asyncio.get_running_loop().create_task(stop_servers(self._hub, user, self.log))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _with_servers(self) -> list[Any]:
        return [user for user in self._hub.users.values() if user.active]

    async def _review_one(self, user: Any) -> None:
        change = await self.refresh_user(user)
        if isinstance(change, dict):
            user.admin = change["admin"]
            roles.assign_default_roles(user.db, entity=user.orm_user)
            user.sync_groups(change["groups"])

    def _changes(self, user: Any, standing: Mapping[str, Any]) -> str:
        """What differs from what the hub has of this user, None for nobody yet, in words; empty when nothing does."""
        held = {group.name for group in user.groups} if user else set()
        admin = None if standing["admin"] == bool(user and user.admin) else standing["admin"]
        return change_in_words(held, standing["groups"], admin, self.roles_of_groups)

    async def _close(self) -> None:
        if self._review:
            await self._review.close()
        await self.close_directory()

    async def close_directory(self) -> None:
        """End what the directory keeps open."""
        close = getattr(self.group_directory, "close", None)  # those that ask nobody have nothing to close
        if close:
            await close()


def _standing(access: Access) -> dict[str, Any]:
    return {"admin": access.admin, "groups": sorted(access.groups)}


def _address(handler: Any) -> str:
    request = getattr(handler, "request", None)
    return address_of(request) if request is not None else ""
