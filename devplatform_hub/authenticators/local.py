"""Sign-in for one machine: named people in `users.yaml`, a password each, and one-time codes to choose it with."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from traitlets import Unicode, default

from ..core.errors import PublicError
from ..core.identity import Identity, parse_username
from ..directory.local_users import PROVIDER, LocalUser, LocalUsers, code_spent
from ..directory.static import StaticGroupDirectory
from ..directory.users_file import UsersFile
from ..ports import DirectoryUnavailable
from ..servicekit import audit
from ..servicekit.addresses import address_of
from .base import Account, GroupAccessMixin
from .passwords import Match, check_password_choice, hash_password, recognise
from .refusals import SignInRefused, directory_unavailable
from .throttle import Throttle

_FREE_TRIES = 5
_FREE_TRIES_OF_AN_ADDRESS = 20  # a whole office may share one
_HASHES_AT_ONCE = 2  # each takes 64 MiB
_WAITING_AT_MOST = 40
_UNKNOWN = "(unknown)"


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to choose a password: somebody showed the one-time code with this digest."""

    name: str
    digest: str


class WrongCredentials(SignInRefused):
    """The same for an unknown name, a wrong password, a spent code and a disabled account."""

    def __init__(self, name: str) -> None:
        problem = PublicError(
            "That user name and password do not belong together.",
            code="credentials-wrong",
            hint="Check both. A one-time code works once, for a day.",
            status=403,
        )
        super().__init__(problem, username=name)


class TooManyTries(SignInRefused):
    """Somebody guesses too fast, or too many sign in at once."""

    def __init__(self, seconds: int) -> None:
        problem = PublicError(
            f"Too many tries. Wait {seconds} seconds, then try again.", code="too-many-tries", status=429
        )
        super().__init__(problem, retry_after=seconds)


class PasswordChoiceNeeded(SignInRefused):
    """The one-time code is right: its owner now has to choose a password."""

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(
            PublicError("Choose your password first.", code="password-choice-needed", status=403), username=ticket.name
        )
        self.ticket = ticket


class LocalAuthenticator(GroupAccessMixin):
    """Named people of this machine; `devplatform user` makes and removes them."""

    users_file = Unicode("users.yaml", config=True, help="The file that `devplatform user` writes.")

    @default("auth_refresh_age")
    def _a_file_is_quickly_read(self) -> int:
        return 30

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.users = UsersFile(Path(self.users_file).absolute())
        self._directory = StaticGroupDirectory(self.users)
        self._of_names = Throttle(_FREE_TRIES, time.monotonic)
        self._of_addresses = Throttle(_FREE_TRIES_OF_AN_ADDRESS, time.monotonic)
        self._hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._waiting = 0

    @property
    def group_directory(self) -> StaticGroupDirectory:
        """The groups of `users.yaml`."""
        return self._directory

    def get_handlers(self, app: Any) -> list[tuple[str, Any]]:
        """Our sign-in page in place of the hub's, and the page to choose a password on."""
        from .sign_in import ChoosePasswordHandler, SignInHandler, SignOutHandler

        super().get_handlers(app)
        return [("/login", SignInHandler), ("/login/password", ChoosePasswordHandler), ("/logout", SignOutHandler)]

    async def identify(self, handler: Any, data: Any) -> Account:
        """The person with this name and password. Raises `PasswordChoiceNeeded` for a right one-time code."""
        typed, secret = str(data.get("username", "")), str(data.get("password", ""))
        name, address = _name(typed), address_of(handler.request)
        self._check_wait(name, address)
        try:
            users = await asyncio.to_thread(self.users.read)
        except (PublicError, OSError) as error:
            self.log.error("Nobody can sign in: %s", error)  # noqa: TRY400 - a sentence, not a fault of ours
            raise directory_unavailable() from None
        user = users.users.get(name) if name else None
        match = await self._work(partial(recognise, user, secret, datetime.now(UTC)))
        if user is None or match is Match.NOTHING:
            self._count_failure(user, name, address)
            raise WrongCredentials(typed[:64])
        self._of_names.succeeded(name)
        if match is Match.CODE and user.code:
            audit.emit("person.show-code", actor=name, outcome="allowed", remote=address)
            raise PasswordChoiceNeeded(Ticket(name, user.code.digest))
        return _account(user)

    async def account_of(self, user: Any) -> Account | None:
        """The account of this hub user; None when there is none or it is disabled."""
        try:
            users = await asyncio.to_thread(self.users.read)
        except (PublicError, OSError) as error:
            raise DirectoryUnavailable(str(error)) from error
        local = users.users.get(user.name)
        return _account(local) if local and not local.disabled else None

    async def choose_password(self, ticket: Ticket, password: str, again: str, address: str) -> None:
        """Spend the one-time code for this password. Raises `PublicError` for a choice that will not do.

        Raises `SignInRefused` when the password cannot be kept. Either way the code can still be spent.
        """
        check_password_choice(ticket.name, password, again)
        kept = await self._work(partial(hash_password, password))
        now = datetime.now(UTC)

        def spend(users: LocalUsers) -> LocalUsers:
            user = users.users.get(ticket.name)
            if user is None or user.code_at(now) is None:
                raise code_spent()
            return users.set_password(ticket.name, kept, spending=ticket.digest)

        try:
            await asyncio.to_thread(self.users.change, spend)
        except PublicError as error:
            if error.code == "code-spent":
                raise
            # The sentence names files of the machine: for the log, not for whoever is choosing a password.
            self.log.error("A password could not be kept: %s", error)  # noqa: TRY400 - a sentence, not a fault of ours
            raise directory_unavailable() from None
        audit.emit("person.choose-password", actor=ticket.name, outcome="allowed", remote=address)

    async def is_open(self, ticket: Ticket) -> bool:
        """Whether the one-time code of this ticket can still be spent."""
        try:
            user = (await asyncio.to_thread(self.users.read)).users.get(ticket.name)
        except (PublicError, OSError):
            return False
        code = user.code_at(datetime.now(UTC)) if user and not user.disabled else None
        return code is not None and code.digest == ticket.digest

    def _check_wait(self, name: str, address: str) -> None:
        seconds = max(self._of_names.wait(name) if name else 0, self._of_addresses.wait(address))
        if seconds:
            audit.emit("person.sign-in", actor=_UNKNOWN, outcome="refused", why="too-many-tries", remote=address)
            raise TooManyTries(seconds)

    def _count_failure(self, user: LocalUser | None, name: str, address: str) -> None:
        """Only names that exist are written down: people type passwords into the wrong field."""
        if name:
            self._of_names.failed(name)
        self._of_addresses.failed(address)
        why = "credentials-wrong" if user is None or not user.disabled else "disabled"
        audit.emit("person.sign-in", actor=user.name if user else _UNKNOWN, outcome="failed", why=why, remote=address)

    async def _work(self, job: Any) -> Any:
        """Hash in a thread, so many at once that memory stays bounded, and no endless queue."""
        if self._waiting >= _WAITING_AT_MOST:
            raise TooManyTries(2)
        self._waiting += 1
        try:
            async with self._hashing:
                return await asyncio.to_thread(job)
        finally:
            self._waiting -= 1


def _account(user: LocalUser) -> Account:
    return Account(Identity(PROVIDER, user.subject, user.name), str(user.epoch))


def _name(typed: str) -> str:
    """The user name that was typed; empty when nobody can have it."""
    try:
        return parse_username(typed[:256])
    except PublicError:
        return ""
