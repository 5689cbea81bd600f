"""GitHub with its sign-in: the web flow of OAuth apps and GitHub Apps, at a server of one's own with `/api/v3`.

As GitHub documents it: errors of the token endpoint have status 200, PKCE is S256 alone, a consent is asked for once,
tokens of an OAuth app do not end, and those of a GitHub App (`lifetime`) do and have no scopes.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import quote, urlencode

from aiohttp import web

from .github_server import GitHubServer

_COOKIE = "user_session"
_PAGE = """<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>{title}</title>
<h1>{title}</h1>
<form method="post" action="{action}"><input type="hidden" name="prompt" value="{prompt}">{fields}</form>
"""
_LOGIN = '<label>Username <input name="login"></label> <button>Sign in</button>'
_CONSENT = '<button name="authorize" value="1">Authorize</button> <button name="authorize" value="0">Cancel</button>'


@dataclass(frozen=True)
class _Code:
    person: str
    scopes: str
    redirect_uri: str
    challenge: str


@dataclass(frozen=True)
class _Token:
    person: str
    scopes: str


class GitHubSignIn(GitHubServer):
    """One registered app, with the address to which people are sent back. People sign in by their login name."""

    root = "/api/v3"

    def __init__(self, client: tuple[str, str], callback: str) -> None:
        super().__init__()
        self.client, self.callback = client, callback
        self.lifetime = 0
        """Seconds after which a GitHub App's tokens end, as it says; `end_tokens` ends them. 0: an OAuth app's."""
        self.asked: list[dict[str, str]] = []
        """The queries with which browsers were sent here."""
        self._sessions: dict[str, str] = {}
        self._consents: set[tuple[str, str]] = set()
        self._codes: dict[str, _Code] = {}
        self._tokens: dict[str, _Token] = {}
        self._renewals: dict[str, _Token] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login/oauth/authorize", self._authorize),
            web.post("/login/oauth/authorize", self._consent),
            web.post("/session", self._sign_in),
            web.post("/login/oauth/access_token", self._access_token),
            *super().routes(),
        ]

    def person(self, number: int, login: str, *teams: str, organization: str = "acme") -> None:
        """Make or change the account of this number: a member of these teams, and no others, of the organisation."""
        person = str(number)
        self.logins[person] = login
        for of_organization in self.teams.values():
            for team in of_organization.values():
                team.members.discard(person)
        for slug in teams:
            self.team(organization, slug).members.add(person)
        self.organizations.setdefault(organization, set()).add(person)

    def revoke(self, number: int) -> None:
        """What the person does under Settings, Applications, Revoke."""
        self.end_tokens(number)
        self._renewals = {key: kept for key, kept in self._renewals.items() if kept.person != str(number)}
        self._consents = {consent for consent in self._consents if consent[0] != str(number)}

    def end_tokens(self, number: int) -> None:
        """Time passes: the access tokens of this person end."""
        self._tokens = {key: kept for key, kept in self._tokens.items() if kept.person != str(number)}

    def person_of(self, token: str) -> str:
        return self._tokens[token].person if token in self._tokens else ""

    def scopes_of(self, token: str) -> str:
        return self._tokens[token].scopes if token in self._tokens else ""

    # What the browser sees.

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append(query)
        if query.get("client_id") != self.client[0]:
            return web.Response(status=404, text="Not Found")
        if not query.get("redirect_uri", self.callback).startswith(self.callback):
            return self._back({"error": "redirect_uri_mismatch"}, query, self.callback)
        if "code_challenge" in query and (
            query.get("code_challenge_method") != "S256" or len(query["code_challenge"]) != 43
        ):
            return self._back({"error": "invalid_request"}, query, self.callback)
        person = self._sessions.get(request.cookies.get(_COOKIE, ""))
        if person is None:
            following = quote(str(request.rel_url), safe="")
            return _page("Sign in to GitHub", f"/session?return_to={following}", "login", _LOGIN)
        if (person, query.get("scope", "")) not in self._consents:
            return _page("Authorize DevPlatform", str(request.rel_url), "consent", _CONSENT)
        return self._granted(person, query)

    async def _sign_in(self, request: web.Request) -> web.Response:
        login = str((await request.post())["login"])
        person = next(number for number, name in self.logins.items() if name.lower() == login.lower())
        session = secrets.token_hex(16)
        self._sessions[session] = person
        answer = web.Response(status=302, headers={"Location": request.query["return_to"]})
        answer.set_cookie(_COOKIE, session, httponly=True)
        return answer

    async def _consent(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        person = self._sessions[request.cookies[_COOKIE]]
        if (await request.post()).get("authorize") == "0":
            return self._back({"error": "access_denied"}, query, query["redirect_uri"])
        self._consents.add((person, query.get("scope", "")))
        return self._granted(person, query)

    def _granted(self, person: str, query: Mapping[str, str]) -> web.Response:
        code = secrets.token_hex(10)
        address = query.get("redirect_uri", self.callback)
        scopes = "" if self.lifetime else ", ".join(query.get("scope", "").split())
        self._codes[code] = _Code(person, scopes, address, query.get("code_challenge", ""))
        return self._back({"code": code}, query, address)

    def _back(self, told: Mapping[str, str], query: Mapping[str, str], address: str) -> web.Response:
        told = {**told, "state": query.get("state", "")}
        return web.Response(status=302, headers={"Location": f"{address}?{urlencode(told)}"})

    # What the platform asks.

    async def _access_token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        told = self._exchanged(form)
        if "application/json" in request.headers.get("Accept", ""):
            return web.json_response(told)
        return web.Response(text=urlencode(told), content_type="application/x-www-form-urlencoded")

    def _exchanged(self, form: Mapping[str, str]) -> dict[str, str]:
        if (form.get("client_id"), form.get("client_secret")) != self.client:
            return _error("incorrect_client_credentials")
        if form.get("grant_type") == "refresh_token":
            renewed = self._renewals.pop(form.get("refresh_token", ""), None)
            return self._issued(renewed) if renewed else _error("bad_refresh_token")
        code = self._codes.pop(form.get("code", ""), None)
        if code is None or not _proves(form.get("code_verifier", ""), code.challenge):
            return _error("bad_verification_code")
        if form.get("redirect_uri", code.redirect_uri) != code.redirect_uri:
            return _error("redirect_uri_mismatch")
        return self._issued(_Token(code.person, code.scopes))

    def _issued(self, token: _Token) -> dict[str, str]:
        text = ("ghu_" if self.lifetime else "gho_") + secrets.token_hex(18)
        self._tokens[text] = token
        told = {"access_token": text, "scope": token.scopes.replace(" ", ""), "token_type": "bearer"}
        if self.lifetime:
            renewal = "ghr_" + secrets.token_hex(36)
            self._renewals[renewal] = token
            told |= {"expires_in": str(self.lifetime), "refresh_token": renewal, "refresh_token_expires_in": "15811200"}
        return told


def _proves(verifier: str, challenge: str) -> bool:
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return not challenge or digest == challenge


def _error(name: str) -> dict[str, str]:
    words = name.replace("_", " ")
    return {"error": name, "error_description": f"The {words}.", "error_uri": f"/apps/#{name}"}


def _page(title: str, action: str, prompt: str, fields: str) -> web.Response:
    text = _PAGE.format(title=title, action=escape(action), prompt=prompt, fields=fields)
    return web.Response(text=text, content_type="text/html")
