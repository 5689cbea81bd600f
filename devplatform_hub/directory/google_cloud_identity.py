"""Cloud Identity's transitive search: every group of a person, nested ones included, by one call.

https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/searchTransitiveGroups
"""

import re

from ..ports import DirectoryUnavailable
from .google_refusals import SEARCH_SCOPE, GoogleRefused, Setup, Step, parse_error, refused
from .held_token import BearerSource
from .json_api import JsonApi
from .json_shapes import MalformedAnswer, Pages, as_list, as_object, text_of

CLOUD_IDENTITY_ROOT = "https://cloudidentity.googleapis.com"
_LABEL = "cloudidentity.googleapis.com/groups.discussion_forum"
_PAGE = "1000"  # the API's own maximum
_CUSTOMER = re.compile(r"C[A-Za-z0-9]{1,63}")


class CloudIdentity:
    """The search, with an administrator's rights."""

    def __init__(self, api: JsonApi, root: str, bearer: BearerSource, setup: Setup) -> None:
        self._api, self._bearer = api, bearer
        self._url = f"{root}/v1/groups/-/memberships:searchTransitiveGroups"
        self._setup = Setup(setup.service_account, setup.admin_subject, SEARCH_SCOPE)

    async def groups_of(self, email: str, customer: str) -> frozenset[str]:
        """The addresses of all groups of this Workspace that the address is in, lower case.

        Raises `GoogleRefused` where the edition has no search, or some group cannot be seen, and
        `DirectoryUnavailable` for everything else.
        """
        found: set[str] = set()
        pages, page = Pages("searchTransitiveGroups"), None
        query = search_query(email, customer)
        while True:
            params = {"query": query, "pageSize": _PAGE}
            if page:
                params["pageToken"] = page
            answer = await self._api.get(self._url, "searchTransitiveGroups", bearer=self._bearer, params=params)
            if answer.status != 200:
                error = parse_error(answer.status, answer.body)
                if answer.status in (400, 401, 403):
                    raise refused(Step.SEARCH, error, self._setup)
                raise DirectoryUnavailable(f"Google answered searchTransitiveGroups with status {answer.status}")
            body = as_object(answer.body, "the answer to searchTransitiveGroups")
            for relation in as_list(body.get("memberships", []), "the memberships of searchTransitiveGroups"):
                key = as_object(as_object(relation, "a membership").get("groupKey"), "the groupKey of a membership")
                address = text_of(key, "id", "the groupKey of a membership")
                if not key.get("namespace"):  # with one it is a group of another identity source, not an address
                    found.add(address.lower())
            page = pages.next(body.get("nextPageToken"))
            if page is None:
                return frozenset(found)


def means_walk(error: GoogleRefused) -> bool:
    """Whether a refusal is one of those for which the groups can still be walked: edition, right, scope, API off."""
    return error.finding.step in (Step.SEARCH, Step.TOKEN) and error.error.status in (400, 401, 403)


def search_query(email: str, customer: str) -> str:
    """The CEL expression that asks for this address and no other, whatever is in it.

    Within the customer: a single group of another company, which nobody here may see, would make Google refuse the
    whole answer.
    """
    if not email.isprintable() or email.count("@") < 1:
        raise DirectoryUnavailable("this person's e-mail address is none")
    if not _CUSTOMER.fullmatch(customer):
        raise MalformedAnswer("the customer of the account is not an id such as C046psxkn")
    quoted = email.replace("\\", "\\\\").replace("'", "\\'")
    return f"member_key_id == '{quoted}' && '{_LABEL}' in labels && parent == 'customers/{customer}'"
