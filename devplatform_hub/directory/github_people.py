"""People, organisations and teams of GitHub by their names: for `devplatform explain` and `check auth`.

https://docs.github.com/en/rest/users/users, https://docs.github.com/en/rest/teams/teams
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import quote

from ..core.findings import Finding
from ..core.identity import GroupName
from ..ports import DirectoryUnavailable, Person
from .group_names import ORGANIZATION_MEMBERS
from .json_shapes import MalformedAnswer, as_object, text_of

One = Callable[[str], Awaitable[tuple[Any, int]]]
"""Asks one path with the app's token: the body and 200, or 404; anything else is `DirectoryUnavailable`."""


async def find_login(one: One, login: str) -> Person | None:
    """The account with this login; None when there is none. Raises `DirectoryUnavailable`."""
    body, status = await one(f"/users/{quote(login, safe='')}")
    if status == 404:
        return None
    number = as_object(body, "the account").get("id")
    if not isinstance(number, int) or isinstance(number, bool):
        raise MalformedAnswer("the account has no number")
    claims = {
        "sub": str(number),
        "preferred_username": text_of(body, "login", "the account"),
        "email": body.get("email"),
    }
    return Person(claims)


async def check_teams(one: One, organizations: Collection[str], groups: Collection[GroupName]) -> tuple[Finding, ...]:
    """Whether the app's token reads each organisation's teams, and these groups are teams of them."""
    known = {name.lower() for name in organizations}
    reading = [await _readable(one, name) for name in sorted(known)]
    if not all(finding.works for finding in reading):
        return tuple(reading)
    return (*reading, *[await _there(one, group, known) for group in sorted(groups)])


async def _readable(one: One, organization: str) -> Finding:
    step = f"reading the teams of {organization}"
    try:
        _, status = await one(f"/orgs/{quote(organization, safe='')}/teams?per_page=1")
    except DirectoryUnavailable as error:
        return Finding(step, works=False, missing="leave to read members and teams", remedy=f"{error}.")
    if status == 404:  # GitHub says so of what may not be seen as well
        remedy = "Check its name, and give app_token the permission Members: read (or the scope read:org) there."
        return Finding(step, works=False, missing="the organisation, or leave to read its members,", remedy=remedy)
    return Finding(step, works=True)


async def _there(one: One, group: GroupName, organizations: Collection[str]) -> Finding:
    step, (slug, _, organization) = f"the group {group}", group.partition("@")
    if organization not in organizations:
        remedy = f"Its organisation is none of organizations: {', '.join(sorted(organizations))}."
        return Finding(step, works=False, missing=f"the organisation {organization}", remedy=remedy)
    if slug == ORGANIZATION_MEMBERS:
        return Finding(step, works=True)
    try:
        _, status = await one(f"/orgs/{quote(organization, safe='')}/teams/{quote(slug, safe='')}")
    except DirectoryUnavailable as error:
        return Finding(step, works=False, missing="an answer", remedy=f"{error}.")
    if status == 404:
        return Finding(step, works=False, missing="this team", remedy=f"Make the team {slug}, or name another.")
    return Finding(step, works=True)
