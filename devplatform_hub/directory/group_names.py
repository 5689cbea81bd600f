"""Groups as the directories name them become `name@domain`, each in one way that no other group can share.

A group that cannot be written so (a space, a name of more than 64 letters) has no name on this platform: no rule
could ever speak of it. It is left out of what a person has, and the log says so once.
"""

import re

from ..core.errors import PublicError
from ..core.identity import GroupName, parse_group

ORGANIZATION_MEMBERS = "all.members"
"""`all.members@acme`: whoever belongs to the GitHub organisation. No team has a dot in its short name."""

_SEPARATOR = "+"
_SLUG = re.compile(r"[a-z0-9_-]+")


def group_of_address(address: str) -> GroupName | None:
    """A Google group by its address, whole: `Data-Team@Example.com` is `data-team@example.com`."""
    return _named(address) if address.count("@") == 1 else None


def group_of_path(path: str, domain: str) -> GroupName | None:
    """A Keycloak group by its path: `/data/team` is `data+team@domain`, `/data` is `data@domain`.

    A part that has the separator itself is left out: `/a+b` and `/a/b` must not become the same group.
    """
    parts = path.removeprefix("/").split("/")
    if not all(parts) or any(_SEPARATOR in part or "@" in part for part in parts):
        return None
    return _named(f"{_SEPARATOR.join(parts)}@{domain}")


def parents_of_path(path: str) -> tuple[str, ...]:
    """The groups above a Keycloak group, whose members its members are too: for `/a/b/c` these are `/a/b` and `/a`."""
    parts = path.removeprefix("/").split("/")
    return tuple("/" + "/".join(parts[:size]) for size in range(len(parts) - 1, 0, -1))


def group_of_team(slug: str, organization: str) -> GroupName | None:
    """A GitHub team by its short name: `platform` of `Acme` is `platform@acme`."""
    return _named(f"{slug}@{organization}") if _SLUG.fullmatch(slug.lower()) else None


def group_of_organization(organization: str) -> GroupName | None:
    """Everybody of a GitHub organisation, as a group."""
    return _named(f"{ORGANIZATION_MEMBERS}@{organization}")


def _named(text: str) -> GroupName | None:
    try:
        name = parse_group(text)
    except PublicError:
        return None
    # What a person types is forgiven a space or a wide letter; here ` admins` would be a second way to be `admins`.
    return name if name == text.lower() else None
