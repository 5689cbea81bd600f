"""Groups from a file: the `GroupDirectory` of one machine."""

import asyncio
from collections.abc import Collection

from ..core.errors import PublicError
from ..core.findings import Finding
from ..core.identity import GroupName, Identity, display_group, parse_username
from ..ports import DirectoryUnavailable, Person
from .local_users import PROVIDER, LocalUser, LocalUsers
from .users_file import UsersFile


class StaticGroupDirectory:
    """The groups that `users.yaml` gives a person, found by subject. A missing or broken file is no answer."""

    def __init__(self, users: UsersFile) -> None:
        self._users = users

    async def groups_of(self, identity: Identity) -> frozenset[GroupName]:
        """Every group of this person; none for somebody whom the file does not know."""
        if identity.provider != PROVIDER:
            return frozenset()
        user = await self._find(identity.subject)
        return user.groups if user else frozenset()

    async def find(self, text: str) -> Person | None:
        """The person with this user name. Raises `DirectoryUnavailable`, and `PublicError` for what is no name."""
        user = (await self._read()).users.get(parse_username(text))
        if user is None:
            return None
        claims = {"sub": user.subject, "preferred_username": user.name}
        return Person(claims, "is disabled" if user.disabled else "")

    async def check(self, groups: Collection[GroupName]) -> tuple[Finding, ...]:
        """Whether the file can be read, and somebody who may sign in is in each of these groups."""
        step = f"reading {self._users.path}"
        try:
            users = await self._read()
        except DirectoryUnavailable as error:
            return (Finding(step, works=False, missing="a file that can be read", remedy=f"{error}."),)
        enabled = [user for user in users.users.values() if not user.disabled]
        return (Finding(step, works=True), *(_somebody(group, enabled) for group in sorted(groups)))

    async def _find(self, subject: str) -> LocalUser | None:
        return (await self._read()).find(subject)

    async def _read(self) -> LocalUsers:
        try:
            return await asyncio.to_thread(self._users.read)
        except OSError as error:
            raise DirectoryUnavailable(f"{self._users.path}: {error.strerror}") from error
        except PublicError as error:
            raise DirectoryUnavailable(error.message) from error


def _somebody(group: GroupName, users: Collection[LocalUser]) -> Finding:
    step = f"members of {display_group(group)}"
    if any(group in user.groups for user in users):
        return Finding(step, works=True)
    remedy = f"Put somebody into it: devplatform user set-groups NAME --group {display_group(group)}"
    return Finding(step, works=False, missing="anybody who may sign in", remedy=remedy, needed=False)
