"""Groups and rules in, access out: the only place where it is decided who may come in and who administers."""

from collections.abc import Iterable
from dataclasses import dataclass

from .identity import GroupName, display_group

DEFAULT_USERS_GROUP = "developer-platform-users"
DEFAULT_ADMINS_GROUP = "developer-platform-admins"


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The two groups that grant: people of `users_group` may use the platform, of `admins_group` also run it."""

    users_group: GroupName
    admins_group: GroupName


@dataclass(frozen=True, slots=True)
class Access:
    """A decision with its reasons. `missing` is the group whose absence led to a refusal."""

    allowed: bool
    admin: bool
    groups: frozenset[GroupName]
    why: tuple[str, ...]
    missing: GroupName | None = None

    def in_any(self, groups: frozenset[GroupName]) -> bool:
        """Whether something that is limited to `groups` is open to this person; no limit is open to everyone."""
        return not groups or self.admin or bool(groups & self.groups)


def decide_access(groups: Iterable[GroupName], rules: AccessRules) -> Access:
    """The access of a person with exactly these groups. Groups that are unknown are the caller's to refuse."""
    held = frozenset(groups)
    if rules.admins_group in held:
        why = f"is a member of {display_group(rules.admins_group)}, who administer the platform"
        return Access(allowed=True, admin=True, groups=held, why=(why,))
    if rules.users_group in held:
        why = f"is a member of {display_group(rules.users_group)}"
        return Access(allowed=True, admin=False, groups=held, why=(why,))
    why = f"is not a member of {display_group(rules.users_group)}"
    return Access(allowed=False, admin=False, groups=held, why=(why,), missing=rules.users_group)
