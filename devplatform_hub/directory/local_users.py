"""The people of one machine as values: what is known of them, and every change that can be made to it.

Nothing here reads or writes a file, hashes a password or asks for the time: those come in as arguments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from ..core.errors import PublicError
from ..core.identity import GroupName

PROVIDER = "local"


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """What is kept of a one-time code: enough to recognise it once, until it expires."""

    digest: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class LocalUser:
    """One person. `subject` never changes; `epoch` grows when every older session of theirs must end."""

    name: str
    subject: str
    groups: frozenset[GroupName] = frozenset()
    password: str | None = field(default=None, repr=False)
    code: OneTimeCode | None = None
    disabled: bool = False
    epoch: int = 1

    def code_at(self, now: datetime) -> OneTimeCode | None:
        """The one-time code, while it can still be used."""
        return self.code if self.code and self.code.expires > now else None


@dataclass(frozen=True, slots=True)
class FormerUser:
    """Somebody who was removed. The name stays theirs, because their files are still kept under it."""

    name: str
    subject: str
    epoch: int


@dataclass(frozen=True, slots=True)
class LocalUsers:
    """Everybody, by name. Every change gives a new value."""

    users: Mapping[str, LocalUser] = field(default_factory=lambda: MappingProxyType({}))
    former: Mapping[str, FormerUser] = field(default_factory=lambda: MappingProxyType({}))

    def find(self, subject: str) -> LocalUser | None:
        """The person with this subject."""
        return next((user for user in self.users.values() if user.subject == subject), None)

    def get(self, name: str) -> LocalUser:
        """The person of this name. Raises `PublicError` (`user-unknown`)."""
        if name not in self.users:
            raise PublicError(
                f"There is no user {name}.",
                code="user-unknown",
                hint="`devplatform user list` shows everybody.",
                status=404,
            )
        return self.users[name]

    def add(self, name: str, subject: str, groups: Iterable[GroupName]) -> "LocalUsers":
        """With a new person. Raises `PublicError`: `user-exists`, or `name-was-used` for a removed person's name."""
        if name in self.users:
            raise PublicError(
                f"There is a user {name} already.",
                code="user-exists",
                hint=f"devplatform user set-groups {name} changes what they may do.",
                status=409,
            )
        if name in self.former:
            raise PublicError(
                f"{name} was the name of somebody who was removed and whose files are kept.",
                code="name-was-used",
                hint="Add --restore if this is the same person, or choose another name.",
                status=409,
            )
        return self._with(LocalUser(name=name, subject=subject, groups=frozenset(groups)))

    def restore(self, name: str, groups: Iterable[GroupName]) -> "LocalUsers":
        """With a removed person back under their old subject, without password. Raises `PublicError`."""
        former = self.former.get(name)
        if former is None:
            raise PublicError(
                f"Nobody of the name {name} was removed.",
                code="user-unknown",
                hint="Leave --restore out to add a new person.",
                status=404,
            )
        back = LocalUser(name=name, subject=former.subject, groups=frozenset(groups), epoch=former.epoch + 1)
        rest = {key: value for key, value in self.former.items() if key != name}
        return replace(self._with(back), former=MappingProxyType(rest))

    def remove(self, name: str) -> "LocalUsers":
        """Without this person; the name is kept for them."""
        user = self.get(name)
        left = FormerUser(name=name, subject=user.subject, epoch=user.epoch)
        rest = {key: value for key, value in self.users.items() if key != name}
        return LocalUsers(MappingProxyType(rest), MappingProxyType({**self.former, name: left}))

    def set_groups(self, name: str, groups: Iterable[GroupName]) -> "LocalUsers":
        """With exactly these groups for this person."""
        return self._with(replace(self.get(name), groups=frozenset(groups)))

    def set_password(self, name: str, password: str, *, spending: str | None = None) -> "LocalUsers":
        """With this password hash. With `spending` only while that is the digest of the one-time code, once."""
        user = self.get(name)
        if spending is not None and (user.disabled or user.code is None or user.code.digest != spending):
            raise code_spent()
        return self._with(replace(user, password=password, code=None, epoch=user.epoch + 1))

    def set_code(self, name: str, code: OneTimeCode) -> "LocalUsers":
        """With a one-time code in place of any password and any older code: older sessions end."""
        user = self.get(name)
        return self._with(replace(user, password=None, code=code, epoch=user.epoch + 1))

    def set_disabled(self, name: str, disabled: bool) -> "LocalUsers":
        """With this person kept out, or let in again; older sessions end either way."""
        user = self.get(name)
        return self if user.disabled == disabled else self._with(replace(user, disabled=disabled, epoch=user.epoch + 1))

    def _with(self, user: LocalUser) -> "LocalUsers":
        return replace(self, users=MappingProxyType({**self.users, user.name: user}))


def code_spent() -> PublicError:
    """The refusal of a one-time code that was used, replaced or has expired since it was shown."""
    return PublicError(
        "This one-time code has been used or replaced.",
        code="code-spent",
        hint="Ask an administrator for a new one.",
        status=403,
    )
