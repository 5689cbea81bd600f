"""What somebody would get, and why: the decision of `core.access` spelled out for an operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .access import Access
from .identity import GroupName, display_group
from .limits import limits_of
from .profiles import Catalog, Profile


@dataclass(frozen=True, slots=True)
class Explanation:
    """One person as the platform would treat them now.

    `refusals` are reasons besides their groups for which they are kept out, such as a disabled account. `roles` are
    those that only this person's groups bring, each with the groups.
    """

    name: str
    access: Access
    subject: str = ""
    refusals: tuple[str, ...] = ()
    roles: Mapping[str, tuple[GroupName, ...]] | None = None
    catalog: Catalog = field(default_factory=lambda: Catalog(()))
    notes: tuple[tuple[str, str], ...] = ()
    """Further lines: a word and what there is to say of it."""

    @property
    def allowed(self) -> bool:
        """Whether they may come in."""
        return self.access.allowed and not self.refusals

    @property
    def verdict(self) -> str:
        """In a word or three."""
        if not self.allowed:
            return "kept out"
        return "administrator" if self.access.admin else "may come in"

    @property
    def why(self) -> tuple[str, ...]:
        """Every reason; each goes on from the name."""
        return (*self.refusals, *self.access.why)

    def lines(self) -> list[str]:
        """For a person at a terminal."""
        told = [f"{self.name}: {self.verdict}", *(f"  because {self.name} {why}" for why in self.why)]
        told.append(f"  groups   {_names(sorted(self.access.groups))}")
        told += [f"  {word:<8} {text}" for word, text in self.notes]
        if self.subject:
            told.append(f"  subject  {self.subject}")
        if self.allowed:
            told += [f"  role     {role}, as a member of {_names(groups)}" for role, groups in self._roles()]
            told += [
                f"  profile  {profile.slug}: {_profile(profile, self.access)}" for profile in self.catalog.profiles
            ]
            told += [f"  limit    {sentence}" for sentence in self._limits()]
        return told

    def as_dict(self) -> dict[str, Any]:
        """For a script; lists are sorted, groups whole."""
        open_to = self.access if self.allowed else None
        return {
            "name": self.name,
            "subject": self.subject,
            "allowed": self.allowed,
            "admin": self.allowed and self.access.admin,
            "why": list(self.why),
            "missing": self.access.missing,
            "groups": sorted(self.access.groups),
            "roles": {role: sorted(groups) for role, groups in self._roles()} if self.allowed else {},
            "profiles": {
                profile.slug: bool(open_to and open_to.in_any(profile.allowed_groups))
                for profile in self.catalog.profiles
            },
            "limits": self._limits() if self.allowed else [],
        }

    def _limits(self) -> list[str]:
        return list(limits_of(self.access, self.catalog.limits).sentences)

    def _roles(self) -> list[tuple[str, tuple[GroupName, ...]]]:
        return sorted((self.roles or {}).items())


def roles_of(
    groups: frozenset[GroupName], roles_of_groups: Mapping[GroupName, Sequence[str]]
) -> dict[str, tuple[GroupName, ...]]:
    """The roles that these groups bring, each with the groups that bring it."""
    found: dict[str, tuple[GroupName, ...]] = {}
    for group in sorted(groups & roles_of_groups.keys()):
        for role in roles_of_groups[group]:
            found[role] = (*found.get(role, ()), group)
    return found


def _profile(profile: Profile, access: Access) -> str:
    if access.in_any(profile.allowed_groups):
        return "yes"
    return f"no, only for members of {_names(sorted(profile.allowed_groups))}"


def _names(groups: Sequence[GroupName]) -> str:
    return ", ".join(display_group(group) for group in groups) or "-"
