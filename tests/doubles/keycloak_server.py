"""A Keycloak realm as the directory sees it: client credentials, userinfo, and users of the Admin API."""

import base64
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import web

from .api_server import ApiServer

REALM = "acme"
CLIENT, SECRET = "devplatform-directory", "s3cret/with=signs"


@dataclass
class Person:
    """A user of the realm, in groups named by their paths."""

    id: str
    paths: set[str] = field(default_factory=set)
    enabled: bool = True
    username: str = "alice"
    email: str = ""


class KeycloakServer(ApiServer):
    """One realm."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, Person] = {}
        self.groups: set[str] = set()
        self.client, self.secret = CLIENT, SECRET
        self.gives_empty_lists = True
        """Whether somebody in no group has an empty list, as before Keycloak 22, or no claim."""
        self.may_read = True
        self.token_lifetime = 60
        self.tokens: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        admin, oidc = f"/admin/realms/{REALM}/users/{{id}}", f"/realms/{REALM}/protocol/openid-connect"
        return [
            web.post(f"{oidc}/token", self._token),
            web.get(f"{oidc}/userinfo", self._userinfo),
            web.get(f"/admin/realms/{REALM}/users", self._users),
            web.get(f"/admin/realms/{REALM}/groups", self._all_groups),
            web.get(admin, self._user),
            web.get(f"{admin}/groups", self._groups),
        ]

    async def _token(self, request: web.Request) -> web.Response:
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        expected = base64.b64encode(f"{quote(self.client, safe='')}:{quote(self.secret, safe='')}".encode()).decode()
        form = await request.post()
        if scheme != "Basic" or sent != expected or form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unauthorized_client"}, status=401)
        self.tokens.append(f"client-{uuid.uuid4()}")
        return web.json_response({"access_token": self.tokens[-1], "expires_in": self.token_lifetime})

    async def _userinfo(self, request: web.Request) -> web.Response:
        person = self.people.get(request.headers.get("Authorization", "").removeprefix("Bearer of-"))
        if person is None or not person.enabled:
            challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="Token verification failed"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        claims: dict[str, object] = {"sub": person.id, "preferred_username": "alice"}
        if person.paths or self.gives_empty_lists:
            claims["groups"] = sorted(person.paths)
        return web.json_response(claims)

    async def _user(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        person = self.people.get(request.match_info["id"])
        if person is None:
            return web.json_response({"error": "User not found"}, status=404)
        return web.json_response(_shown(person))

    async def _users(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        found, exact = list(self.people.values()), request.query.get("exact") == "true"
        for name in ("email", "username"):
            wanted = request.query.get(name)
            if wanted is not None:
                found = [one for one in found if _matches(wanted.lower(), getattr(one, name).lower(), exact=exact)]
        return web.json_response([_shown(one) for one in found[: int(request.query.get("max", 100))]])

    async def _all_groups(self, request: web.Request) -> web.Response:
        """The hierarchy above and with what a search finds; a search is by a part of a group's own name."""
        if refusal := self._refusal(request):
            return refusal
        wanted = request.query.get("search", "").lower()
        known = self.groups | {path for person in self.people.values() for path in person.paths}
        found = {path for path in known if wanted in path.rpartition("/")[2].lower()}
        return web.json_response(_hierarchy(found, ""))

    async def _groups(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        first, most = int(request.query.get("first", 0)), int(request.query.get("max", 100))
        paths = sorted(self.people[request.match_info["id"]].paths)[first : first + most]
        return web.json_response(
            [{"id": f"id:{path}", "name": path.rpartition("/")[2], "path": path} for path in paths]
        )

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return web.json_response({"error": "HTTP 401 Unauthorized"}, status=401)
        return None if self.may_read else web.json_response({"error": "HTTP 403 Forbidden"}, status=403)


def _matches(wanted: str, value: str, *, exact: bool) -> bool:
    return wanted == value if exact else wanted in value


def _shown(person: Person) -> dict[str, Any]:
    account = {"id": person.id, "username": person.username, "enabled": person.enabled, "emailVerified": True}
    return account | ({"email": person.email} if person.email else {})


def _hierarchy(paths: set[str], above: str) -> list[dict[str, Any]]:
    names = sorted({path.removeprefix(above + "/").partition("/")[0] for path in paths if path.startswith(above + "/")})
    return [
        {"id": f"id:{above}/{name}", "name": name, "path": f"{above}/{name}"}
        | {"subGroups": _hierarchy(paths, f"{above}/{name}")}
        for name in names
    ]
