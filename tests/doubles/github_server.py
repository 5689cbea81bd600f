"""GitHub's REST API as the directory sees it: people, organisations, nested teams, pages by Link headers."""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .api_server import ApiServer

APP_TOKEN = "ghs_app"


@dataclass
class Team:
    """A team, by its short name."""

    slug: str
    parent: str | None = None
    members: set[str] = field(default_factory=set)
    invited: set[str] = field(default_factory=set)


class GitHubServer(ApiServer):
    """Organisations with their members (by account id) and teams. The token of the account 7 is `gho_7`."""

    root = ""
    """The path before all others, as a server of one's own has it."""

    def __init__(self) -> None:
        super().__init__()
        self.logins: dict[str, str] = {}
        self.organizations: dict[str, set[str]] = {}
        self.teams: dict[str, dict[str, Team]] = {}
        self.page_size = 100
        self.scopes = "read:org, read:user"
        self.headers: dict[str, str] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"{self.root}/user", self._me),
            web.get(f"{self.root}/user/orgs", self._my_organizations),
            web.get(f"{self.root}/user/teams", self._my_teams),
            web.get(f"{self.root}/user/{{id}}", self._account),
            web.get(f"{self.root}/users/{{login}}", self._named_account),
            web.get(f"{self.root}/orgs/{{org}}/memberships/{{login}}", self._membership),
            web.get(f"{self.root}/orgs/{{org}}/teams", self._all_teams),
            web.get(f"{self.root}/orgs/{{org}}/teams/{{slug}}", self._team),
            web.get(f"{self.root}/orgs/{{org}}/teams/{{slug}}/memberships/{{login}}", self._team_membership),
        ]

    def team(self, organization: str, slug: str) -> Team:
        """This team, made where it is not there."""
        self.organizations.setdefault(organization, set())
        return self.teams.setdefault(organization, {}).setdefault(slug, Team(slug))

    # With a person's token.

    async def _me(self, request: web.Request) -> web.Response:
        person = self._person(request)
        return web.json_response({"id": int(person), "login": self.logins[person]}, headers=self._told(request))

    async def _my_organizations(self, request: web.Request) -> web.Response:
        person = self._person(request)
        mine = [{"login": name} for name, members in sorted(self.organizations.items()) if person in members]
        return self._paged(request, mine)

    async def _my_teams(self, request: web.Request) -> web.Response:
        person = self._person(request)
        mine = [
            self._shown(organization, team)
            for organization, teams in sorted(self.teams.items())
            for team in teams.values()
            if person in team.members
        ]
        return self._paged(request, mine)

    # With a token of an app.

    async def _account(self, request: web.Request) -> web.Response:
        self._app(request)
        identifier = request.match_info["id"]
        if identifier not in self.logins:
            return _not_found()
        return web.json_response({"id": int(identifier), "login": self.logins[identifier]})

    async def _named_account(self, request: web.Request) -> web.Response:
        self._app(request)
        identifier = self._id(request)
        if not identifier:
            return _not_found()
        return web.json_response({"id": int(identifier), "login": self.logins[identifier], "email": None})

    async def _membership(self, request: web.Request) -> web.Response:
        self._app(request)
        members = self.organizations.get(request.match_info["org"], set())
        return _state("active") if self._id(request) in members else _not_found()

    async def _all_teams(self, request: web.Request) -> web.Response:
        self._app(request)
        organization = request.match_info["org"]
        if organization not in self.organizations:
            return _not_found()
        return self._paged(
            request, [self._shown(organization, team) for team in self.teams.get(organization, {}).values()]
        )

    async def _team_membership(self, request: web.Request) -> web.Response:
        self._app(request)
        teams, person = self.teams.get(request.match_info["org"], {}), self._id(request)
        if person in teams[request.match_info["slug"]].invited:
            return _state("pending")
        below = {request.match_info["slug"]}
        for _ in teams:
            below |= {team.slug for team in teams.values() if team.parent in below}
        return _state("active") if any(person in teams[slug].members for slug in below) else _not_found()

    async def _team(self, request: web.Request) -> web.Response:
        organization = request.match_info["org"]
        team = self.teams.get(organization, {}).get(request.match_info["slug"])
        return web.json_response(self._shown(organization, team)) if team else _not_found()

    # What they share.

    def _shown(self, organization: str, team: Team) -> dict[str, Any]:
        parent = {"slug": team.parent} if team.parent else None
        return {"slug": team.slug, "name": team.slug, "parent": parent, "organization": {"login": organization}}

    def _paged(self, request: web.Request, items: list[dict[str, Any]]) -> web.Response:
        page, size = int(request.query.get("page", 1)), min(int(request.query.get("per_page", 30)), self.page_size)
        headers = self._told(request)
        if page * size < len(items):
            address = f"{self.url}{request.path}?per_page={size}&page={page + 1}"
            headers["Link"] = f'<{self.url}{request.path}?page=1>; rel="first", <{address}>; rel="next"'
        return web.json_response(items[(page - 1) * size : page * size], headers=headers)

    def _told(self, request: web.Request) -> dict[str, str]:
        return {"X-OAuth-Scopes": self.scopes_of(_token(request)), **self.headers}

    def person_of(self, token: str) -> str:
        """Whose token this is, by the number of the account; empty when it is nobody's."""
        person = token.removeprefix("gho_")
        return person if person in self.logins else ""

    def scopes_of(self, token: str) -> str:
        """What this token may do, as the header says it."""
        return self.scopes

    def _person(self, request: web.Request) -> str:
        person = self.person_of(_token(request))
        if not person:
            raise web.HTTPUnauthorized(text='{"message": "Bad credentials"}', content_type="application/json")
        return person

    def _app(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {APP_TOKEN}":
            raise web.HTTPUnauthorized(text='{"message": "Bad credentials"}', content_type="application/json")

    def _id(self, request: web.Request) -> str:
        login = request.match_info["login"].lower()
        return next((key for key, name in self.logins.items() if name.lower() == login), "")


def _token(request: web.Request) -> str:
    return request.headers.get("Authorization", "").partition(" ")[2]


def _not_found() -> web.Response:
    return web.json_response({"message": "Not Found"}, status=404)


def _state(state: str) -> web.Response:
    return web.json_response({"state": state, "role": "member"})
