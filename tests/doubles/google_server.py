"""Google as the directory sees it: token endpoint, IAM Credentials, Admin SDK and Cloud Identity of one Workspace.

It follows the published REST reference: users.get, groups.list, searchTransitiveGroups, signJwt, and the JWT bearer
grant with its checks (who signed, for whom, which scopes were granted), so that the real google-auth is its client.
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from devplatform_hub.directory.google_refusals import GROUPS_SCOPE, SEARCH_SCOPE, USERS_SCOPE

from .api_server import ApiServer

SERVICE_ACCOUNT = "directory@project.iam.gserviceaccount.com"
ADMIN = "groups-reader@example.com"
CUSTOMER = "C046psxkn"
_AUDIENCE = "https://oauth2.googleapis.com/token"
_LABEL = "cloudidentity.googleapis.com/groups.discussion_forum"
_QUERY = re.compile(
    rf"member_key_id == '((?:\\.|[^'\\])*)' && '{re.escape(_LABEL)}' in labels(?: && parent == 'customers/(C\w+)')?"
)
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Account:
    """One account of the Workspace."""

    id: str
    email: str
    suspended: bool = False
    archived: bool = False


class GoogleServer(ApiServer):
    """A Workspace with the domains example.com and partner.com."""

    def __init__(self) -> None:
        super().__init__()
        self.domains = {"example.com", "partner.com"}
        self.accounts: dict[str, Account] = {"100": Account("100", ADMIN)}
        self.members: dict[str, set[str]] = {}
        self.granted = {GROUPS_SCOPE, USERS_SCOPE, SEARCH_SCOPE}
        self.has_search = True
        self.may_sign = True
        self.privileged = True
        self.page_size = 200
        self.token_lifetime = 3600
        self.tokens: dict[str, str] = {}
        self.queries: list[str] = []

    # What an administrator does.

    def put(self, subject: str, email: str, groups: Iterable[str]) -> None:
        """Make or change an account, with exactly these groups."""
        for members in self.members.values():
            members.discard(self.accounts[subject].email if subject in self.accounts else email)
        self.accounts[subject] = Account(subject, email)
        for group in groups:
            self.members.setdefault(group, set()).add(email)

    def nest(self, inner: str, outer: str) -> None:
        """Make a group a member of another."""
        self.members.setdefault(inner, set())
        self.members.setdefault(outer, set()).add(inner)

    # What programs of the test hold.

    def credentials_file(self, folder: Path) -> Path:
        """Application default credentials, as of Workload Identity: not a key of the service account."""
        path = folder / "adc.json"
        path.write_text(
            json.dumps({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"})
        )
        return path

    def key_file(self, folder: Path) -> Path:
        """A JSON key of the service account."""
        pem = _KEY.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        key = {
            "type": "service_account",
            "client_email": SERVICE_ACCOUNT,
            "private_key_id": "k",
            "token_uri": _AUDIENCE,
        }
        path = folder / "key.json"
        path.write_text(json.dumps({**key, "private_key": pem.decode()}))
        return path

    def routes(self) -> list[web.RouteDef]:
        sign = r"/v1/projects/-/serviceAccounts/{account}:signJwt"
        return [
            web.post("/token", self._token),
            web.post("/v1/token", self._exchange),
            web.post(sign, self._sign),
            web.get("/admin/directory/v1/groups", self._groups),
            web.get("/admin/directory/v1/groups/{key}", self._group),
            web.get("/admin/directory/v1/users/{key}", self._user),
            web.get("/v1/groups/-/memberships:searchTransitiveGroups", self._search),
            web.get("/", self._metadata),
            web.get("/computeMetadata/v1/{path:.*}", self._metadata),
        ]

    # The metadata server of a pod, with Workload Identity.

    async def _metadata(self, request: web.Request) -> web.Response:
        headers = {"Metadata-Flavor": "Google"}
        path = request.match_info.get("path", "")
        if path.endswith("/token"):
            return web.json_response(json.loads(self._issued("source").text or ""), headers=headers)
        if path.startswith("instance/service-accounts/"):
            account = {"email": "hub@project.iam.gserviceaccount.com", "scopes": ["cloud-platform"], "aliases": []}
            return web.json_response(account, headers=headers)
        known = {"": "computeMetadata/", "project/project-id": "project", "universe/universe-domain": "googleapis.com"}
        return web.Response(text=known.get(path, ""), status=200 if path in known else 404, headers=headers)

    # OAuth and IAM Credentials.

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") == "refresh_token":
            return self._issued("source")
        try:
            claims = jwt.decode(str(form["assertion"]), _KEY.public_key(), ["RS256"], audience=_AUDIENCE)
        except (jwt.InvalidTokenError, KeyError):
            return _oauth_error("invalid_grant", "Invalid JWT Signature.", 400)
        if claims["iss"] != SERVICE_ACCOUNT:
            return _oauth_error("invalid_client", "The OAuth client was not found.", 401)
        if set(claims["scope"].split()) - self.granted:
            text = "Client is unauthorized to retrieve access tokens using this method, or client not authorized."
            return _oauth_error("unauthorized_client", text, 401)
        if claims.get("sub") not in {account.email for account in self.accounts.values()}:
            return _oauth_error("invalid_grant", "Invalid email or User ID", 400)
        return self._issued(claims["scope"])

    async def _exchange(self, request: web.Request) -> web.Response:
        """The Security Token Service, for a token from elsewhere."""
        form = await request.post()
        if form.get("subject_token") != "from another cloud":
            return _oauth_error("invalid_grant", "The subject token is invalid.", 400)
        issued = json.loads(self._issued("source").text or "")
        return web.json_response(issued | {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})

    def _issued(self, scope: str) -> web.Response:
        token = f"ya29.{scope.rpartition('/')[2]}-{len(self.tokens)}"
        self.tokens[token] = scope
        return web.json_response({"access_token": token, "expires_in": self.token_lifetime, "token_type": "Bearer"})

    async def _sign(self, request: web.Request) -> web.Response:
        if self._scope(request) != "source":
            return _error(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED", "authError")
        if not self.may_sign or request.match_info["account"] != SERVICE_ACCOUNT:
            text = "Permission 'iam.serviceAccounts.signJwt' denied on resource (or it may not exist)."
            return _error(403, text, "PERMISSION_DENIED", details="IAM_PERMISSION_DENIED")
        payload = json.loads((await request.json())["payload"])
        return web.json_response({"keyId": "k", "signedJwt": jwt.encode(payload, _KEY, "RS256")})

    # The Admin SDK.

    async def _groups(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request, GROUPS_SCOPE):
            return refusal
        key = self._email(request.query["userKey"])
        if key is None:
            return _error(404, "Resource Not Found: userKey", reason="notFound")
        if key.rpartition("@")[2] not in self.domains:
            return _error(403, "Not Authorized to access this resource/api", reason="forbidden")
        size = min(int(request.query.get("maxResults", 200)), 200, self.page_size)
        page, following = _page(self._above(key), request, size)
        if page is None:
            return _error(400, "Invalid Input: pageToken", reason="invalid")
        body: dict[str, Any] = {"kind": "admin#directory#groups", "etag": '"e"'}
        if page:
            body["groups"] = [{"kind": "admin#directory#group", "email": group} for group in page]
        return web.json_response(body | ({"nextPageToken": following} if following else {}))

    async def _group(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request, GROUPS_SCOPE):
            return refusal
        key = request.match_info["key"].lower()
        if key.rpartition("@")[2] not in self.domains:
            return _error(403, "Not Authorized to access this resource/api", reason="forbidden")
        if key not in {group.lower() for group in self.members}:
            return _error(404, "Resource Not Found: groupKey", reason="notFound")
        return web.json_response({"kind": "admin#directory#group", "email": key})

    async def _user(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request, USERS_SCOPE):
            return refusal
        key = request.match_info["key"]
        account = next((one for one in self.accounts.values() if key in (one.id, one.email)), None)
        if account is None:
            return _error(404, "Resource Not Found: userKey", reason="notFound")
        body = {"id": account.id, "primaryEmail": account.email, "customerId": CUSTOMER}
        return web.json_response(body | {"suspended": account.suspended, "archived": account.archived})

    def _refusal(self, request: web.Request, scope: str) -> web.Response | None:
        held = self._scope(request)
        if held is None:
            return _error(401, "Invalid Credentials", reason="authError")
        if held != scope:
            return _error(403, "Request had insufficient authentication scopes.", reason="insufficientPermissions")
        if not self.privileged:
            return _error(403, "Not Authorized to access this resource/api", reason="forbidden")
        return None

    # Cloud Identity.

    async def _search(self, request: web.Request) -> web.Response:
        if self._scope(request) != SEARCH_SCOPE:
            return _error(401, "Request had invalid authentication credentials.", "UNAUTHENTICATED")
        self.queries.append(request.query["query"])
        match = _QUERY.fullmatch(request.query["query"])
        if match is None:
            return _error(400, "Request contains an invalid argument.", "INVALID_ARGUMENT")
        member = re.sub(r"\\(.)", r"\1", match[1]).lower()
        found: set[str] = set()
        waiting = [member]
        while waiting:
            new = self._above(waiting.pop()) - found
            found |= new
            waiting += new
        foreign = {group for group in found if group.rpartition("@")[2] not in self.domains}
        # Google refuses the whole when one group cannot be seen; within a customer only that customer's are looked at.
        is_seen = not foreign or match[2] == CUSTOMER
        if not self.has_search or not is_seen or self._email(member) is None:
            text = "Error(4001): Permission denied for membership resource (or it may not exist)."
            return _error(403, text, "PERMISSION_DENIED")
        size = min(int(request.query.get("pageSize", 200)), 1000, self.page_size)
        page, following = _page(found - foreign, request, size)
        if page is None:
            return _error(400, "Request contains an invalid argument.", "INVALID_ARGUMENT")
        entries = [{"group": f"groups/{group}", "groupKey": {"id": group}, "relationType": "DIRECT"} for group in page]
        body: dict[str, Any] = {"memberships": entries} if entries else {}
        return web.json_response(body | ({"nextPageToken": following} if following else {}))

    # The directory.

    def _scope(self, request: web.Request) -> str | None:
        return self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))

    def _email(self, key: str) -> str | None:
        """The address behind a userKey; None where this directory has none."""
        if key in self.accounts:
            return self.accounts[key].email.lower()
        lower = key.lower()
        known = {account.email.lower() for account in self.accounts.values()} | {
            group.lower() for group in self.members
        }
        is_foreign = "@" in lower and lower.rpartition("@")[2] not in self.domains
        return lower if lower in known or is_foreign else None

    def _above(self, key: str) -> set[str]:
        wanted = key.lower()
        return {group for group, members in self.members.items() if wanted in {member.lower() for member in members}}


def quota_error(status: int, reason: str) -> str:
    """The body of a quota refusal, as the Directory API gives it."""
    entry = {"message": "Quota exceeded.", "domain": "usageLimits", "reason": reason}
    return json.dumps({"error": {"code": status, "message": "Quota exceeded.", "errors": [entry]}})


def _page(groups: Iterable[str], request: web.Request, size: int) -> tuple[list[str] | None, str | None]:
    ordered, start = sorted(groups), 0
    if token := request.query.get("pageToken"):
        try:
            start = int(base64.urlsafe_b64decode(token).decode().removeprefix("at:"))
        except ValueError:
            return None, None
    end = start + size
    following = base64.urlsafe_b64encode(f"at:{end}".encode()).decode() if end < len(ordered) else None
    return ordered[start:end], following


def _error(status: int, message: str, name: str = "", reason: str = "", details: str = "") -> web.Response:
    error: dict[str, Any] = {"code": status, "message": message}
    if name:
        error["status"] = name
    if reason:
        error["errors"] = [{"message": message, "domain": "global", "reason": reason}]
    if details:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": details}]
    return web.json_response({"error": error}, status=status)


def _oauth_error(error: str, description: str, status: int) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
