"""Google's Admin SDK Directory API: accounts, and the groups that somebody or some group is directly in.

https://developers.google.com/workspace/admin/directory/reference/rest/v1/groups/list
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..ports import DirectoryUnavailable
from .google_refusals import GROUPS_SCOPE, USERS_SCOPE, GoogleError, GoogleRefused, Setup, Step, parse_error, refused
from .held_token import BearerSource
from .json_api import Answer, JsonApi
from .json_shapes import MalformedAnswer, Pages, as_list, as_object, flag_of, text_of

ADMIN_ROOT = "https://admin.googleapis.com"
_PAGE = "200"  # the API's own maximum
_GROUP_FIELDS = "kind,nextPageToken,groups(email)"
_BEYOND_REACH = {(403, "forbidden"), (403, "notAuthorized"), (403, "PERMISSION_DENIED"), (400, "invalid")}
_USER_FIELDS = "id,primaryEmail,suspended,archived,customerId"


@dataclass(frozen=True, slots=True)
class GoogleAccount:
    """One account of the Workspace. Somebody whose account is suspended or archived is still in their groups."""

    subject: str
    email: str
    customer: str
    active: bool


class AdminSdk:
    """The questions that the directory asks of the Admin SDK."""

    def __init__(self, api: JsonApi, root: str, *, groups: BearerSource, users: BearerSource, setup: Setup) -> None:
        self._api, self._root = api, f"{root}/admin/directory/v1"
        self._groups, self._users, self._setup = groups, users, setup

    async def account(self, key: str) -> GoogleAccount | None:
        """The account with this immutable id or address; None when there is none. Raises `DirectoryUnavailable`."""
        answer = await self._api.get(
            f"{self._root}/users/{quote(key, safe='')}",
            "users.get",
            bearer=self._users,
            params={"fields": _USER_FIELDS, "projection": "basic"},
        )
        if answer.status == 404:
            return None
        user = _body(answer, Step.USERS, self._setup, USERS_SCOPE, "users.get")
        suspended = flag_of(user, "suspended", "the account", default=False)
        archived = flag_of(user, "archived", "the account", default=False)
        return GoogleAccount(
            subject=text_of(user, "id", "the account"),
            email=text_of(user, "primaryEmail", "the account").lower(),
            customer=text_of(user, "customerId", "the account"),
            active=not suspended and not archived,
        )

    async def has_group(self, address: str) -> bool:
        """Whether there is a group with this address. Raises `DirectoryUnavailable`."""
        url = f"{self._root}/groups/{quote(address, safe='')}"
        answer = await self._api.get(url, "groups.get", bearer=self._groups, params={"fields": "email"})
        if answer.status == 404:
            return False
        text_of(_body(answer, Step.GROUPS, self._setup, GROUPS_SCOPE, "groups.get"), "email", "the group")
        return True

    async def groups_with(self, key: str) -> frozenset[str]:
        """The addresses of all groups that this account or group is directly in, lower case.

        Raises `GoogleRefused` (with status 404 for a key that is unknown) or another `DirectoryUnavailable`.
        """
        found: set[str] = set()
        pages, page = Pages("groups.list"), None
        while True:
            params = {"userKey": key, "maxResults": _PAGE, "fields": _GROUP_FIELDS}
            if page:
                params["pageToken"] = page
            answer = await self._api.get(f"{self._root}/groups", "groups.list", bearer=self._groups, params=params)
            body = _body(answer, Step.GROUPS, self._setup, GROUPS_SCOPE, "groups.list")
            if body.get("kind") != "admin#directory#groups":
                raise MalformedAnswer("the answer to groups.list does not say that it is one (kind)")
            groups = as_list(body.get("groups", []), "the groups of groups.list")
            found |= {text_of(group, "email", "a group").lower() for group in groups}
            page = pages.next(body.get("nextPageToken"))
            if page is None:
                return frozenset(found)


def is_beyond_reach(error: GoogleRefused) -> bool:
    """Whether this says that the key belongs to nobody whom this administrator may ask about."""
    return error.error.status == 404 or (error.error.status, error.error.reason) in _BEYOND_REACH


def _body(answer: Answer, step: Step, setup: Setup, scope: str, what: str) -> Mapping[str, Any]:
    if answer.status == 200:
        return as_object(answer.body, f"the answer to {what}")
    error = parse_error(answer.status, answer.body)
    if answer.status in (400, 401, 403, 404):
        raise refused(step, error, Setup(setup.service_account, setup.admin_subject, scope))
    raise DirectoryUnavailable(f"Google answered {what} with status {answer.status}{_why(error)}")


def _why(error: GoogleError) -> str:
    return f" ({error.reason})" if error.reason else ""
