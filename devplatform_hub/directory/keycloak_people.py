"""People and groups of a Keycloak realm by what an operator calls them: for `devplatform explain` and `check auth`.

https://www.keycloak.org/docs-api/latest/rest-api/index.html (Users, Groups)
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from ..core.errors import PublicError
from ..core.findings import Finding
from ..core.identity import GroupName
from ..ports import DirectoryUnavailable, Person
from .group_names import group_of_path
from .held_token import BearerSource
from .json_api import JsonApi
from .json_shapes import as_list, as_object, flag_of, text_of

_READ = "reading accounts and groups"
_LEAVE = "view-users of realm-management"

Body = Callable[[Any, str, str], Any]
"""What makes an answer's body of it, or raises `DirectoryUnavailable` with what is missing."""


class KeycloakPeople:
    """The Admin API's searches, with the directory's own client."""

    def __init__(self, api: JsonApi, admin: str, client: BearerSource, body: Body) -> None:
        self._api, self._admin, self._client, self._body = api, admin, client, body

    async def find(self, text: str) -> Person | None:
        """The account with this address or user name, exactly. Raises `DirectoryUnavailable`."""
        found = await self._users({"email": text, "exact": "true"}) if "@" in text else []
        found = found or await self._users({"username": text, "exact": "true"})
        if not found:
            return None
        if len(found) > 1:  # a realm can allow two accounts with one address
            raise PublicError(
                f"{len(found)} accounts of the realm have the address {text}.",
                code="person-ambiguous",
                hint="Give the user name.",
            )
        user = as_object(found[0], "an account")
        claims = {
            "sub": text_of(user, "id", "an account"),
            "preferred_username": text_of(user, "username", "an account"),
            "email": user.get("email"),
            "email_verified": flag_of(user, "emailVerified", "an account", default=False),
        }
        return Person(claims, "" if flag_of(user, "enabled", "an account") else "is disabled in Keycloak")

    async def check(self, groups: Collection[GroupName], domain: str) -> tuple[Finding, ...]:
        """Whether accounts and groups can be read, and these groups are there."""
        try:
            await self._users({"max": "1"})
            there = [await self._there(group, domain) for group in sorted(groups)]
        except DirectoryUnavailable as error:
            remedy = f"{error}. Check client_id, its secret, and the roles of its service account."
            return (Finding(_READ, works=False, missing=f"an answer, or {_LEAVE},", remedy=remedy),)
        return (Finding(_READ, works=True), *there)

    async def _users(self, query: dict[str, str]) -> list[Any]:
        params = {"briefRepresentation": "true", **query}
        answer = await self._api.get(f"{self._admin}/users", "accounts", bearer=self._client, params=params)
        return as_list(self._body(answer, "accounts", _LEAVE), "the accounts")

    async def _there(self, group: GroupName, domain: str) -> Finding:
        """Searched by the last part of its path: names are folded here, and are not in Keycloak."""
        step, (name, _, own) = f"the group {group}", group.partition("@")
        leaf = name.rpartition("+")[2]
        if own == domain:
            params = {"search": leaf, "briefRepresentation": "true", "max": "1000"}
            answer = await self._api.get(f"{self._admin}/groups", "the groups", bearer=self._client, params=params)
            tree = as_list(self._body(answer, "the groups", _LEAVE), "the groups")
            if any(group_of_path(path, domain) == group for path in _paths(tree)):
                return Finding(step, works=True)
        path = "/" + name.replace("+", "/")
        remedy = f"Make {path} in the realm, or name another in the settings; its domain here is {domain}."
        return Finding(step, works=False, missing="this group", remedy=remedy)


def _paths(groups: list[Any]) -> Iterator[str]:
    """Of a hierarchy as the search gives it."""
    waiting = list(groups)
    while waiting:
        group = as_object(waiting.pop(), "a group")
        yield text_of(group, "path", "a group")
        waiting += as_list(group.get("subGroups") or [], "the subgroups of a group")
