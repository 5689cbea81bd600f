"""The organisations and teams of a person on GitHub.

The team `platform` of `Acme` is `platform@acme`; whoever belongs to the organisation is in `all.members@acme`.
Members of a team are members of the teams above it.

With the person's own token, GitHub names their organisations and teams. With a token of an app or of an owner
(`app_token`), GitHub is asked about the person for each team of `organizations`, which also works while they are away.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from traitlets import Float, Integer, List, TraitError, Unicode, default, validate

from ..core.findings import Finding
from ..core.identity import GroupName, Identity
from ..ports import DirectoryUnavailable, Person
from .answers import Answers
from .github_people import check_teams, find_login
from .group_names import group_of_organization, group_of_team
from .held_token import BearerSource
from .json_api import Answer
from .json_shapes import MalformedAnswer, Pages, as_list, as_object, text_of
from .person_tokens import PersonToken, TokenOf, cannot_be_checked, no_token, not_searchable
from .remote import RemoteGroupDirectory
from .walking import WalkLimits, all_of, walk

PROVIDER = "github"
_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')
_ROOT = re.compile(r"https?://[^\s?#]+")
_READS_ORGANIZATIONS = {"read:org", "write:org", "admin:org"}


class GitHubGroupDirectory(RemoteGroupDirectory):
    """Organisations and teams. Without `app_token`, set `token_of` to what gives a person's access token."""

    api_root = Unicode("https://api.github.com", config=True, help="Where the REST API is; of GitHub Enterprise too.")
    organizations = List(
        Unicode(),
        config=True,
        help="""The organisations whose teams count. With `app_token` they are needed; with people's own tokens all
        organisations count that they are in, unless some are named here.""",
    )
    app_token = Unicode(
        config=True,
        help="""A token that may read the members of `organizations`, such as a classic one of an owner with `read:org`;
        that of an installation ends after an hour. Without it people's own tokens are used.""",
    )
    group_lifetime = Float(
        60, min=0, config=True, help="Seconds for which the teams of an organisation, and those above, are remembered."
    )
    groups_at_most = Integer(2000, min=1, config=True, help="Teams beyond which an answer is an outage.")

    token_of: TokenOf

    def __init__(self, *, token_of: TokenOf = no_token, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.app_token and not self.organizations:
            raise TraitError("GitHubGroupDirectory.organizations is needed with app_token.")
        self.token_of = token_of
        self._server = self._api("GitHub", _is_busy)
        self._teams: Answers[str, list[str]] = self._answers(self.group_lifetime)
        self._above: Answers[tuple[str, str], list[str]] = self._answers(self.group_lifetime)

    async def close(self) -> None:
        """End what is under way, and every connection."""
        await super().close()
        await self._teams.close()
        await self._above.close()

    async def find(self, text: str) -> Person | None:
        """The account with this login; None when there is none. Raises `DirectoryUnavailable`."""
        if not self.app_token:
            raise not_searchable("GitHub")
        return await find_login(self._by_token, text)

    async def check(self, groups: Collection[GroupName]) -> tuple[Finding, ...]:
        """Whether the app's token reads the organisations, and these groups are teams."""
        if not self.app_token:
            return (cannot_be_checked(),)
        return await check_teams(self._by_token, self.organizations, groups)

    async def _by_token(self, path: str) -> tuple[Any, int]:
        return await self._one(path, _Fixed(self.app_token), or_status=(404,))

    async def _look_up(self, identity: Identity) -> frozenset[GroupName]:
        if not (identity.subject.isascii() and identity.subject.isdigit()):
            return frozenset()
        if self.app_token:
            teams, organizations = await self._by_app(identity)
        else:
            teams, organizations = await self._by_person(identity)
        named = [(f"{team}@{organization}", group_of_team(team, organization)) for team, organization in teams]
        return self._nameable([*named, *((name, group_of_organization(name)) for name in organizations)])

    # With the person's own token.

    async def _by_person(self, identity: Identity) -> tuple[set[tuple[str, str]], set[str]]:
        bearer = PersonToken(self.token_of, identity)
        answers = await all_of(self._pages(path, bearer, scoped=True) for path in ("/user/orgs", "/user/teams"))
        organizations, teams = answers
        user, _status = await self._one("/user", bearer)
        if str(as_object(user, "the account").get("id")) != identity.subject:
            raise DirectoryUnavailable("the token belongs to another person")
        member_of = {text_of(one, "login", "an organisation").lower() for one in organizations}
        first, above = set(), {}
        for team in teams:
            organization = text_of(team.get("organization"), "login", "the organisation of a team").lower()
            key = f"{text_of(team, 'slug', 'a team').lower()}@{organization}"
            first.add(key)
            above[key] = _parent(team, organization)
        wanted = {name.lower() for name in self.organizations} or member_of | {key.rpartition("@")[2] for key in first}

        async def parents(key: str) -> list[str]:
            return above[key] if key in above else await self._parents(key, identity.subject, bearer)

        chosen = {key for key in first if key.rpartition("@")[2] in wanted}
        found = await walk(chosen, parents, WalkLimits(self.groups_at_most, 100))
        return {(key.rpartition("@")[0], key.rpartition("@")[2]) for key in found}, member_of & wanted

    async def _parents(self, key: str, subject: str, bearer: BearerSource) -> list[str]:
        """What a team is in that the person is not directly in. Kept by person: it is what their token may see."""
        slug, _, organization = key.rpartition("@")

        async def ask() -> list[str]:
            path = f"/orgs/{quote(organization, safe='')}/teams/{quote(slug, safe='')}"
            return _parent(as_object((await self._one(path, bearer))[0], "a team"), organization)

        return await self._above.get((subject, key), ask)

    # With a token that may read the organisations.

    async def _by_app(self, identity: Identity) -> tuple[set[tuple[str, str]], set[str]]:
        bearer = _Fixed(self.app_token)
        user, status = await self._one(f"/user/{identity.subject}", bearer, or_status=(404,))
        if status == 404:
            return set(), set()
        account = as_object(user, "the account")
        if str(account.get("id")) != identity.subject:
            raise MalformedAnswer("GitHub answered with another account than the one it was asked for")
        login = text_of(account, "login", "the account")
        teams: set[tuple[str, str]] = set()
        organizations: set[str] = set()
        for organization in {name.lower() for name in self.organizations}:
            base = f"/orgs/{quote(organization, safe='')}"
            if not await self._is_active(f"{base}/memberships/{quote(login, safe='')}", bearer):
                continue
            organizations.add(organization)
            slugs = await self._teams.get(organization, lambda base=base: self._slugs(base, bearer))  # type: ignore[misc]
            of_person = await all_of(
                self._is_active(f"{base}/teams/{quote(slug, safe='')}/memberships/{quote(login, safe='')}", bearer)
                for slug in slugs
            )
            teams |= {(slug, organization) for slug, is_member in zip(slugs, of_person, strict=True) if is_member}
        return teams, organizations

    async def _slugs(self, base: str, bearer: BearerSource) -> list[str]:
        return [text_of(team, "slug", "a team").lower() for team in await self._pages(f"{base}/teams", bearer)]

    async def _is_active(self, path: str, bearer: BearerSource) -> bool:
        """Whether somebody is a member; an invitation that is not accepted does not count, one of a child team does."""
        body, status = await self._one(path, bearer, or_status=(404,))
        return status == 200 and text_of(body, "state", "a membership") == "active"

    # Calls.

    async def _one(self, path: str, bearer: BearerSource, or_status: tuple[int, ...] = ()) -> tuple[Any, int]:
        answer = await self._server.get(f"{self.api_root}{path}", path, bearer=bearer, headers=_HEADERS)
        if answer.status != 200 and answer.status not in or_status:
            raise _unusable(answer, path)
        return answer.body, answer.status

    async def _pages(self, path: str, bearer: BearerSource, *, scoped: bool = False) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        pages = Pages(path)
        url: str | None = f"{self.api_root}{path}"
        params: dict[str, str] | None = {"per_page": "100"}
        while url:
            answer = await self._server.get(url, path, bearer=bearer, params=params, headers=_HEADERS)
            if answer.status != 200:
                raise _unusable(answer, path)
            _refuse_parts(answer, path, scoped=scoped)
            found += [as_object(item, f"an item of {path}") for item in as_list(answer.body, path)]
            if len(found) > self.groups_at_most:
                raise DirectoryUnavailable(f"{path} has more than {self.groups_at_most} entries (groups_at_most)")
            following = _NEXT.search(answer.headers.get("Link", ""))
            url, params = pages.next(following[1] if following else None), None
            if url and not url.startswith(f"{self.api_root}/"):
                raise MalformedAnswer(f"{path} names a next page on another server")  # which would get the token
        return found

    @default("provider")
    def _provider_default(self) -> str:
        return PROVIDER

    @validate("api_root")
    def _is_root(self, proposal: Any) -> Any:
        if not _ROOT.fullmatch(proposal.value):
            raise TraitError("GitHubGroupDirectory.api_root has to be an address with https://.")
        return proposal.value.rstrip("/")


class _Fixed:
    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token

    def forget(self, token: str) -> None:
        """There is no other."""


def _parent(team: Mapping[str, Any], organization: str) -> list[str]:
    parent = team.get("parent")
    return [] if parent is None else [f"{text_of(parent, 'slug', 'the parent of a team').lower()}@{organization}"]


def _is_busy(answer: Answer) -> bool:
    """GitHub's rate limits: a 403 that says when to come again."""
    if answer.status != 403:
        return False
    return answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers


def _refuse_parts(answer: Answer, path: str, *, scoped: bool) -> None:
    """Answers that leave something out without saying so in their body."""
    if answer.headers.get("X-GitHub-SSO", "").startswith("partial-results"):
        raise DirectoryUnavailable(
            f"GitHub leaves organisations out of {path}: the token is not authorised for their SSO"
        )
    scopes = answer.headers.get("X-OAuth-Scopes")
    # Tokens of GitHub Apps have permissions in place of scopes, and this header empty or not at all.
    if scoped and scopes and not _READS_ORGANIZATIONS & {one.strip() for one in scopes.split(",")}:
        raise DirectoryUnavailable(f"GitHub leaves organisations out of {path}: the scope read:org is missing")


def _unusable(answer: Answer, path: str) -> DirectoryUnavailable:
    if answer.status in (401, 403):
        return DirectoryUnavailable(f"GitHub refuses {path}: the token has ended or may not read it ({answer.status})")
    return DirectoryUnavailable(f"GitHub answered {path} with status {answer.status}")
