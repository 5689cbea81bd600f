"""The groups of a Keycloak realm, by its Admin API or from the person's own claims.

A group is named by its path: `/data/team` is `data+team@DOMAIN`, where DOMAIN is `group_domain`. Members of a group
are members of the groups above it, as Keycloak itself gives them the roles of those (`include_parents`). Paths are
folded to lower case; what cannot be written so has no name here (`group_names`).
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from traitlets import Bool, CaselessStrEnum, Integer, TraitError, Unicode, default, validate

from ..core.findings import Finding
from ..core.identity import GroupName, Identity
from ..ports import DirectoryUnavailable, Person
from .group_names import group_of_path, parents_of_path
from .held_token import AccessToken, HeldToken
from .json_api import Answer
from .json_shapes import MalformedAnswer, as_list, as_object, flag_of, text_of
from .keycloak_people import KeycloakPeople
from .person_tokens import PersonToken, TokenOf, cannot_be_checked, no_token, not_searchable
from .remote import RemoteGroupDirectory

PROVIDER = "keycloak"
_PAGE = 100
_ROOT = re.compile(r"https?://[^\s?#]+")


class KeycloakGroupDirectory(RemoteGroupDirectory):
    """Groups of one realm. With `source = "userinfo"`, set `token_of` to what gives a person's access token."""

    server_url = Unicode(config=True, help="Where Keycloak is, without `/realms/...`: `https://sso.example.com`.")
    realm = Unicode(config=True, help="The name of the realm.")
    source = CaselessStrEnum(
        ["admin", "userinfo"],
        default_value="admin",
        config=True,
        help="""`admin` asks the Admin API, which also knows of people who are not here, and of disabled accounts.
        `userinfo` asks the person's claims with their own token, and needs no client that may read users.""",
    )
    client_id = Unicode(
        config=True,
        help="For `admin`: a client with a service account that has `view-users` of realm-management, and no more.",
    )
    client_secret = Unicode(config=True, help="The secret of this client.")
    groups_claim = Unicode(
        "groups",
        config=True,
        help="For `userinfo`: the claim of a Group Membership mapper with full paths, in the userinfo endpoint.",
    )
    missing_means_none = Bool(
        True,
        config=True,
        help="""For `userinfo`: whether somebody without the claim is in no group. Keycloak leaves it out for them since
        version 22; before, it gave an empty list. It counts as soon as the claim has come for anybody since the hub
        started: until then, and always with False, a missing claim means a missing mapper, and is an outage.""",
    )
    group_domain = Unicode(config=True, help="The domain of group names. By default the host of `server_url`.")
    include_parents = Bool(True, config=True, help="Whether a member of `/a/b` is a member of `/a`.")
    groups_at_most = Integer(2000, min=1, config=True, help="Groups of one person beyond which it is an outage.")

    token_of: TokenOf

    def __init__(self, *, token_of: TokenOf = no_token, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        needed = ["server_url", "realm", *(["client_id", "client_secret"] if self.source == "admin" else [])]
        for name in needed:
            if not getattr(self, name):
                raise TraitError(f"KeycloakGroupDirectory.{name} is needed.")
        self.token_of = token_of
        self._server = self._api("Keycloak")
        self._claim_came = False
        self._client = HeldToken(self._client_token, ahead=20, clock=self.clock, log=self.log)
        self._realm = f"{self.server_url}/realms/{quote(self.realm, safe='')}/protocol/openid-connect"
        self._admin = f"{self.server_url}/admin/realms/{quote(self.realm, safe='')}"
        self._of_realm = KeycloakPeople(self._server, self._admin, self._client, _body)

    async def close(self) -> None:
        """End what is under way, and every connection."""
        await super().close()
        await self._client.close()

    async def find(self, text: str) -> Person | None:
        """The account with this address or user name; None when there is none. Raises `DirectoryUnavailable`."""
        if self.source == "userinfo":
            raise not_searchable("Keycloak")
        return await self._of_realm.find(text)

    async def check(self, groups: Collection[GroupName]) -> tuple[Finding, ...]:
        """Whether the client may read accounts and groups, and these groups are there."""
        if self.source == "userinfo":
            return (cannot_be_checked(),)
        return await self._of_realm.check(groups, self.group_domain)

    def groups_of_claims(self, claims: Mapping[str, Any]) -> frozenset[GroupName]:
        """The groups that claims of the person name: of an ID token that was checked, or of userinfo.

        Without the claim it is the other people's that tell somebody in no group from a mapper that is missing:
        since version 22 Keycloak's own answer is the same (https://github.com/keycloak/keycloak/issues/22340).
        """
        if self.groups_claim not in claims:
            if self.missing_means_none and self._claim_came:
                return frozenset()
            raise MalformedAnswer(f"the claims have no {self.groups_claim} (groups_claim): is the mapper there?")
        paths = as_list(claims[self.groups_claim], f"the claim {self.groups_claim}")
        named = self._named([_path(path, f"the claim {self.groups_claim}") for path in paths])
        self._claim_came = True
        return named

    async def _look_up(self, identity: Identity) -> frozenset[GroupName]:
        if self.source == "userinfo":
            return await self._of_claims(identity)
        user = f"{self._admin}/users/{quote(identity.subject, safe='')}"
        answer = await self._server.get(user, "the account", bearer=self._client)
        if answer.status == 404:
            return frozenset()
        account = as_object(_body(answer, "the account", "view-users of realm-management"), "the account")
        if text_of(account, "id", "the account") != identity.subject or not flag_of(account, "enabled", "the account"):
            return frozenset()
        return self._named(await self._paths(f"{user}/groups"))

    async def _of_claims(self, identity: Identity) -> frozenset[GroupName]:
        bearer = PersonToken(self.token_of, identity)
        answer = await self._server.get(f"{self._realm}/userinfo", "userinfo", bearer=bearer)
        claims = as_object(_body(answer, "userinfo", "a valid token of this person"), "userinfo")
        if text_of(claims, "sub", "userinfo") != identity.subject:
            raise DirectoryUnavailable("the token belongs to another person")
        return self.groups_of_claims(claims)

    async def _paths(self, url: str) -> list[str]:
        """The paths of all groups, page by page: Keycloak's pages are slices, the last is not full."""
        found: dict[str, str] = {}
        while True:
            params = {"first": str(len(found)), "max": str(_PAGE), "briefRepresentation": "true"}
            answer = await self._server.get(url, "the groups", bearer=self._client, params=params)
            page = as_list(_body(answer, "the groups", "view-users of realm-management"), "the groups")
            for group in page:
                identifier = text_of(group, "id", "a group")
                if identifier in found:
                    raise MalformedAnswer("the groups have one group twice: they changed while they were read")
                found[identifier] = _path(group.get("path"), "a group")
            if len(found) > self.groups_at_most:
                raise DirectoryUnavailable(f"there are more than {self.groups_at_most} groups (groups_at_most)")
            if len(page) < _PAGE:
                return list(found.values())

    def _named(self, paths: Iterable[str]) -> frozenset[GroupName]:
        everything = set(paths)
        if self.include_parents:
            everything |= {above for path in everything for above in parents_of_path(path)}
        return self._nameable((path, group_of_path(path, self.group_domain)) for path in everything)

    async def _client_token(self) -> AccessToken:
        auth = aiohttp.BasicAuth(quote(self.client_id, safe=""), quote(self.client_secret, safe=""))
        form = {"grant_type": "client_credentials"}
        asked_at = self.clock()
        answer = await self._server.post_form(f"{self._realm}/token", "a token", form, auth)
        body = as_object(
            _body(answer, "a token", "a client with a service account, or its secret,"), "the token answer"
        )
        lifetime = body.get("expires_in")
        if not isinstance(lifetime, int | float) or isinstance(lifetime, bool) or lifetime <= 0:
            raise MalformedAnswer("the token answer has no expires_in")
        return AccessToken(text_of(body, "access_token", "the token answer"), asked_at + lifetime)

    @default("provider")
    def _provider_default(self) -> str:
        return PROVIDER

    @default("group_domain")
    def _domain_default(self) -> str:
        return urlsplit(self.server_url).hostname or ""

    @validate("server_url")
    def _is_root(self, proposal: Any) -> Any:
        if not _ROOT.fullmatch(proposal.value):
            raise TraitError("KeycloakGroupDirectory.server_url has to be an address with https://.")
        return proposal.value.rstrip("/")


def _body(answer: Answer, what: str, missing: str) -> Any:
    if answer.status == 200:
        return answer.body
    if answer.status in (400, 401, 403):
        raise DirectoryUnavailable(f"Keycloak refuses {what}: {missing} is missing (status {answer.status})")
    raise DirectoryUnavailable(f"Keycloak answered {what} with status {answer.status}")


def _path(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise MalformedAnswer(f"{where} has a group without its full path (such as /data/team)")
    return value
