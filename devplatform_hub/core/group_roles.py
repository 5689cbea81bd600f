"""Roles of the hub that groups bring: which there are, and which would let their holder become more than they are."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .identity import GroupName

USER_ROLE, ADMIN_ROLE = "jupyter-user", "jupyter-admin"
VISIT_VERSIONS = "custom:devplatform:versions:visit"
"""Whoever holds it may look into other people's file versions, after saying why."""
CUSTOM_SCOPES: Mapping[str, Mapping[str, str]] = {
    VISIT_VERSIONS: {"description": "Look into other people's file versions, with a reason that they see."}
}
"""What the platform adds to JupyterHub's scopes (`JupyterHub.custom_scopes`)."""
PLATFORM_ROLES: tuple[Mapping[str, Any], ...] = (
    {
        "name": USER_ROLE,
        "description": "Members of the users group: their own servers",
        "scopes": ["self"],
    },
    {
        "name": ADMIN_ROLE,
        "description": "Members of the administrators group: everybody's servers, and who there is",
        "scopes": [
            "admin-ui",
            "list:users",
            "read:users",
            "read:groups",
            "servers",
            "access:servers",
            "read:metrics",
            VISIT_VERSIONS,
        ],
    },
)
"""Granted to the two groups of the platform; a hub may define them otherwise in its `load_roles`."""

_OF_THE_HUB = ("admin", "user", "server", "token")
_PROMOTING = frozenset({"inherit", "all", "admin:users", "admin:auth_state", "admin:groups", "groups", "tokens"})
"""Whoever holds one, for whomever, can make an administrator, join a group that grants, or act as another person."""
_ABOUT_ONESELF = frozenset({"tokens!user"})


def promoting(scopes: Iterable[str]) -> list[str]:
    """Those of the scopes that would let their holder promote themselves or others.

    A filter does not help: JupyterHub 5.5.0 did not enforce some (GHSA-69wv-m5fw-2fhp), and an administrator may be
    in any group.
    """
    return sorted(s for s in scopes if s not in _ABOUT_ONESELF and s.partition("!")[0] in _PROMOTING)


def problem_of(granted: Collection[str], defined: Sequence[Mapping[str, Any]]) -> str:
    """Why these roles cannot be granted to groups, given the roles that the hub defines; empty when they can."""
    definitions = {str(role["name"]): role for role in [*PLATFORM_ROLES, *defined]}
    for name in sorted(granted):
        if name in _OF_THE_HUB:
            return f"{name!r} is a role that JupyterHub itself gives. Administrators are the members of admins_group."
        if name not in definitions:
            return f"there is no role {name!r}. Define it in JupyterHub.load_roles."
        scopes = promoting(definitions[name].get("scopes") or ())
        if scopes:
            return f"the role {name!r} has {', '.join(scopes)}, by which its holder could become more than they are."
        if definitions[name].get("groups") or definitions[name].get("users"):
            return f"the role {name!r} names people or groups in JupyterHub.load_roles. Name them in one place."
    return ""


def groups_of_roles(group_roles: Mapping[GroupName, Iterable[str]]) -> dict[str, list[GroupName]]:
    """The same the other way round: every role with its groups."""
    found: dict[str, list[GroupName]] = {}
    for group, names in sorted(group_roles.items()):
        for name in names:
            found.setdefault(name, []).append(group)
    return found


def roles_of(groups: Iterable[str], group_roles: Mapping[GroupName, Iterable[str]]) -> frozenset[str]:
    """The roles that these groups bring."""
    held = frozenset(groups)
    return frozenset(name for group, names in group_roles.items() if group in held for name in names)


def change_in_words(
    held: Collection[str], given: Collection[str], admin: bool | None, group_roles: Mapping[GroupName, Iterable[str]]
) -> str:
    """What is different for somebody who had the groups `held` and now has `given`; empty when nothing is.

    `admin` is whether they administer now, None where that is as it was. What weighs most comes first.
    """
    before, after = roles_of(held, group_roles), roles_of(given, group_roles)
    said = [] if admin is None else [f"{'is' if admin else 'is no'} administrator"]
    said += [f"has role {name}" for name in sorted(after - before)]
    said += [f"has role {name} no longer" for name in sorted(before - after)]
    said += [f"joined {group}" for group in sorted({*given} - {*held})]
    said += [f"left {group}" for group in sorted({*held} - {*given})]
    return ", ".join(said)


def regrouping_in_words(before: Collection[str], after: Collection[str]) -> str:
    """What is different about the groups that have a role; empty when nothing is."""
    said = [f"given to {group}" for group in sorted({*after} - {*before})]
    said += [f"no longer to {group}" for group in sorted({*before} - {*after})]
    return ", ".join(said)
