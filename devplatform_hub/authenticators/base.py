"""What every sign-in of the platform shares: groups decide who comes in, who administers, and who is put out again.

A provider (local, and later Google, Keycloak, GitHub) only says who somebody is. `GroupAccessMixin` asks the
`GroupDirectory` for their groups, lets `core.access` decide, for a login and for every refresh alike, and
carries the decision out: hub groups, administrator or not, or the end of every session, token and server.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from jupyterhub import roles
from jupyterhub.auth import Authenticator
from tornado.ioloop import PeriodicCallback
from traitlets import Float, TraitError, Unicode, default, validate

from ..core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, Access, AccessRules, decide_access
from ..core.errors import PublicError
from ..core.identity import LOCAL_DOMAIN, Identity, fold_username, parse_group, parse_username
from ..ports import DirectoryUnavailable, GroupDirectory
from ..servicekit import audit
from .refusals import directory_unavailable, group_missing, name_taken
from .sessions import Binding, end_sessions, stop_servers


@dataclass(frozen=True, slots=True)
class Account:
    """What a provider says of one person right now. Sessions that began under another `epoch` are over."""

    identity: Identity
    epoch: str = ""
    auth_state: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    access: Access
    at: float


class GroupAccessMixin(Authenticator):
    """Base of the platform's authenticators. A subclass gives `identify`, `account_of` and `group_directory`.

    JupyterHub's own ways to let people in (`allow_all`, `allowed_users`, `admin_users`, ...) are refused when
    the hub starts: there is one rule, and a setting that is silently without effect would hide it.
    """

    group_domain = LOCAL_DOMAIN
    """The domain of group names that are configured without one."""

    users_group = Unicode(DEFAULT_USERS_GROUP, config=True, help="Members may use the platform.")
    admins_group = Unicode(DEFAULT_ADMINS_GROUP, config=True, help="Members may use and administer the platform.")
    last_answer_lifetime = Float(
        900,
        min=0,
        config=True,
        help="""Seconds for which somebody who is signed in keeps the last known decision while the directory
        cannot answer. After that they are kept out until it answers; nothing of theirs is ended.""",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rules = AccessRules(
            users_group=parse_group(self.users_group, self.group_domain),
            admins_group=parse_group(self.admins_group, self.group_domain),
        )
        self._known: dict[str, _Known] = {}
        self._arriving: dict[str, Binding] = {}
        self._hub: Any = None
        self._endings: set[asyncio.Task[None]] = set()
        self._review: PeriodicCallback | None = None

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
            audit.emit("person.sign-in", actor=name, outcome="failed", why="directory-unavailable", remote=remote)
            raise directory_unavailable(name) from None
        if not access.allowed:
            audit.emit("person.sign-in", actor=name, outcome="refused", why=access.why[0], remote=remote)
            raise group_missing(name, access.missing or self.rules.users_group)
        self._bind(handler, account)
        self._known[name] = _Known(access, time.monotonic())
        audit.emit("person.sign-in", actor=name, outcome="allowed", why=access.why[0], remote=remote)
        return {"name": name, "auth_state": account.auth_state, **_standing(access)}

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:  # noqa: ARG002
        """The whole decision again: True or changes for somebody who may stay, False for somebody who may not."""
        try:
            account = await self.account_of(user)
            access = await self.decide(account.identity) if account else None
        except DirectoryUnavailable as error:
            return self._by_last_answer(user.name, error)
        if account is None or access is None:
            return self._put_out(user, "has no account any more, or it is disabled")
        if not access.allowed:
            return self._put_out(user, access.why[0])
        if not Binding.of(account.identity, account.epoch).holds(user.orm_user.cookie_id):
            return self._put_out(user, "signed in before their password or account was changed")
        self._known[user.name] = _Known(access, time.monotonic())
        standing = _standing(access)
        same = user.admin == access.admin and sorted(group.name for group in user.groups) == standing["groups"]
        return True if same else {"name": user.name, **standing}

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
        binding = self._arriving.pop(user.name, None)
        if binding:
            user.orm_user.cookie_id = binding.new_cookie_id()
        return super().add_user(user)

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """The provider's handlers; from here on people with servers are reviewed even when they are not seen."""
        self._hub = app
        self._review = PeriodicCallback(self._review_running, self.auth_refresh_age * 1000)
        self._review.start()
        return list(super().get_handlers(app))

    # The decision and what follows from it.

    async def decide(self, identity: Identity) -> Access:
        """The access of this person now. Raises `DirectoryUnavailable`: unknown is never empty."""
        return decide_access(await self.group_directory.groups_of(identity), self.rules)

    def _bind(self, handler: Any, account: Account) -> None:
        """Bind the hub user to this person: older sessions end, and nobody gets what another person left behind."""
        name = account.identity.username
        binding = Binding.of(account.identity, account.epoch)
        user = handler.find_user(name)
        if user is None:
            self._arriving[name] = binding
            return
        cookie_id = user.orm_user.cookie_id
        if Binding.is_of_another(cookie_id, account.identity):
            audit.emit("person.sign-in", actor=name, outcome="refused", why="name belongs to another subject")
            raise name_taken(name)
        if not binding.holds(cookie_id):
            end_sessions(user, binding.new_cookie_id())
            self._stop_later(user)

    def _by_last_answer(self, name: str, error: DirectoryUnavailable) -> bool:
        known = self._known.get(name)
        age = time.monotonic() - known.at if known else None
        stays = age is not None and age <= self.last_answer_lifetime
        self.log.warning(
            "The directory has no complete answer for %s, who %s: %s",
            name,
            f"keeps the answer of {age:.0f} s ago" if stays else "is kept out",
            error,
        )
        return stays

    def _put_out(self, user: Any, why: str) -> bool:
        self._known.pop(user.name, None)
        if not Binding.is_ended(user.orm_user.cookie_id):
            self.log.info("Ending the sessions of %s, who %s", user.name, why)
            audit.emit("person.revoke", actor="platform", target=user.name, outcome="allowed", why=why)
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

    async def _review_running(self) -> None:
        """Decide again about everybody who has a server, whether or not anything of theirs asks the hub."""
        for user in list(self._hub.users.values()):
            if user.active:
                await self.refresh_user(user)

    # Settings that must fit the one rule.

    @default("manage_groups")
    def _groups_come_from_the_directory(self) -> bool:
        return True

    @default("auth_refresh_strict")
    def _refuse_stale_tokens(self) -> bool:
        return True  # since JupyterHub 6.1 the default would let a token outlive its owner's access

    @default("any_allow_config")
    def _groups_are_allow_config(self) -> bool:
        return True

    @validate("allow_all", "allowed_users", "allow_existing_users", "admin_users")
    def _only_groups_decide(self, proposal: Any) -> Any:
        if proposal.value:
            raise TraitError(
                f"{proposal.trait.name} has no place here: membership of {self.users_group} and {self.admins_group} "
                "decides who may come in and who administers. Remove the setting."
            )
        return proposal.value

    @validate("auth_refresh_age")
    def _refresh_stays_on(self, proposal: Any) -> Any:
        if proposal.value <= 0:
            raise TraitError("auth_refresh_age has to be above 0: without it nobody would ever lose access.")
        return proposal.value

    @validate("users_group", "admins_group")
    def _is_group(self, proposal: Any) -> Any:
        try:
            parse_group(proposal.value, self.group_domain)
        except PublicError as error:
            raise TraitError(f"{proposal.trait.name}: {error.message} {error.hint}") from None
        return proposal.value

    def check_allow_config(self) -> None:
        """Raises `ValueError` when groups would not decide, or when everybody would be an administrator."""
        if not self.manage_groups:  # equal to the trait's own default, so that traitlets validates nothing
            raise ValueError("manage_groups has to be true: groups decide who may come in. Remove the setting.")
        if self.rules.users_group == self.rules.admins_group:
            raise ValueError(f"users_group and admins_group are both {self.users_group}: use two groups.")


def _standing(access: Access) -> dict[str, Any]:
    return {"admin": access.admin, "groups": sorted(access.groups)}


def _address(handler: Any) -> str:
    request = getattr(handler, "request", None)
    return str(getattr(request, "remote_ip", "") or "")
