"""Groups from a file: the `GroupDirectory` of one machine."""

import asyncio

from ..core.errors import PublicError
from ..core.identity import GroupName, Identity
from ..ports import DirectoryUnavailable
from .local_users import PROVIDER, LocalUser
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

    async def _find(self, subject: str) -> LocalUser | None:
        try:
            users = await asyncio.to_thread(self._users.read)
        except (PublicError, OSError) as error:
            raise DirectoryUnavailable(str(error)) from error
        return users.find(subject)
