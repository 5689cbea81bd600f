"""Granting roles to hub groups, so that whoever leaves a group loses its scopes with the group, tokens included."""

from collections.abc import Mapping, Sequence
from typing import Any

from jupyterhub import orm, roles, scopes

from ..core.group_roles import CUSTOM_SCOPES, PLATFORM_ROLES, regrouping_in_words
from ..core.identity import GroupName
from ..servicekit import audit


def granted_roles(db: Any) -> dict[str, frozenset[str]]:
    """The groups of every role that has one, as the database has them."""
    return {role.name: frozenset(group.name for group in role.groups) for role in db.query(orm.Role) if role.groups}


def grant_roles(
    hub: Any, groups_of_roles: Mapping[str, Sequence[GroupName]], before: Mapping[str, frozenset[str]]
) -> None:
    """Make each role belong to exactly these groups, which are made where they are missing.

    Called at every start, after the hub has read its own roles: what is configured no longer is taken away. `before`
    is what `granted_roles` said before that; each role that has other groups now is in the audit.
    """
    # Known already where `setup(c)` was called; a hub that only signs people in with us has no role without them.
    scopes.define_custom_scopes({name: dict(scope) for name, scope in CUSTOM_SCOPES.items()})
    defined = {role["name"] for role in hub.load_roles}
    for role in PLATFORM_ROLES:
        if role["name"] not in defined:
            roles.create_role(hub.db, dict(role) | {"managed_by_auth": True}, commit=False)
    for name, groups in groups_of_roles.items():
        orm.Role.find(hub.db, name).groups = [_group(hub.db, group) for group in groups]
    hub.db.commit()
    after = granted_roles(hub.db)
    for name in sorted({*before, *after}):
        change = regrouping_in_words(before.get(name, frozenset()), after.get(name, frozenset()))
        if change:
            audit.emit("role.change", actor="platform", target=name, outcome="allowed", why=change)


def _group(db: Any, name: GroupName) -> orm.Group:
    group = orm.Group.find(db, name)
    if group is None:
        group = orm.Group(name=name)
        db.add(group)
    return group
