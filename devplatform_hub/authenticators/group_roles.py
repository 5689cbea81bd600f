"""Granting roles to hub groups, so that whoever leaves a group loses its scopes with the group, tokens included."""

from collections.abc import Mapping, Sequence
from typing import Any

from jupyterhub import orm, roles

from ..core.group_roles import PLATFORM_ROLES
from ..core.identity import GroupName


def grant_roles(hub: Any, groups_of_roles: Mapping[str, Sequence[GroupName]]) -> None:
    """Make each role belong to exactly these groups, which are made where they are missing.

    Called at every start, after the hub has read its own roles: what is configured no longer is taken away.
    """
    defined = {role["name"] for role in hub.load_roles}
    for role in PLATFORM_ROLES:
        if role["name"] not in defined:
            roles.create_role(hub.db, dict(role) | {"managed_by_auth": True}, commit=False)
    for name, groups in groups_of_roles.items():
        orm.Role.find(hub.db, name).groups = [_group(hub.db, group) for group in groups]
    hub.db.commit()


def _group(db: Any, name: GroupName) -> orm.Group:
    group = orm.Group.find(db, name)
    if group is None:
        group = orm.Group(name=name)
        db.add(group)
    return group
