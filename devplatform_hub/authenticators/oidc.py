"""Sign-in at any OpenID Connect provider: found by its issuer, believed by its signature."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from oauthenticator.generic import GenericOAuthenticator
from traitlets import Bool, TraitError, Unicode, default, validate

from ..directory.claims import ClaimsGroupDirectory
from ..ports import DirectoryUnavailable, GroupDirectory
from .grants import Grant
from .id_tokens import Expected, IdTokenRefused, IssuerKeys, checked_claims
from .provider import ProviderAccessMixin
from .provider_calls import ProviderRefused
from .provider_settings import check_address

_METADATA_LIFETIME = 3600.0
_ENDPOINTS = {
    "authorize_url": "authorization_endpoint",
    "token_url": "token_endpoint",
    "userdata_url": "userinfo_endpoint",
}


class OidcAccessMixin(ProviderAccessMixin):
    """OpenID Connect Discovery and ID tokens, for a class of oauthenticator."""

    issuer = Unicode(
        config=True, help="The provider's issuer: `https://sso.example.com`. Its endpoints are read there."
    )
    sign_out_returns = Bool(
        True,
        config=True,
        help="""Whether the provider sends people back after they signed out there. It has to know `/hub/logout` as a
        post-logout redirect URI.""",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._configured = {name: getattr(self, name) for name in _ENDPOINTS if self.is_configured(name)}
        self._prepared_at = float("-inf")
        self.metadata: Mapping[str, Any] = {}
        self._keys_url = ""
        self._keys = IssuerKeys(self._fetch_keys)
        self.issuers = (self.issuer,)

    @property
    def provider(self) -> str:
        """The issuer: a subject is unique within it."""
        return str(self.issuer)

    def make_directory(self) -> GroupDirectory:
        """The directory of `directory_class`; one of claims hears what the provider says."""
        if not issubclass(self.directory_class, ClaimsGroupDirectory):
            return super().make_directory()
        return ClaimsGroupDirectory(
            parent=self, claims_of=self.grants.claims_of, provider=self.provider, group_domain=self.group_domain
        )

    async def prepare(self) -> None:
        """Read the provider's metadata, once an hour. Raises `DirectoryUnavailable`."""
        if time.monotonic() - self._prepared_at < _METADATA_LIFETIME:
            return
        try:
            metadata = await self.httpfetch(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        except (ProviderRefused, DirectoryUnavailable) as error:
            if self._keys_url:  # what was true an hour ago is likely to be so still
                return
            raise DirectoryUnavailable(f"the provider's metadata cannot be read: {error}") from None
        self._take(metadata)

    async def vouched(self, grant: Grant, nonce: str, *, is_new: bool) -> Mapping[str, Any]:
        """The claims of the ID token. Raises `IdTokenRefused`, `DirectoryUnavailable`."""
        if not grant.id_token:
            raise IdTokenRefused("there is none: is openid in `scope`?")
        if is_new and not nonce:
            raise IdTokenRefused("its sign-in has no nonce")
        claims = await checked_claims(grant.id_token, self._keys, Expected(self.issuers, self.client_id, nonce))
        if not is_new and claims["sub"] != grant.claims.get("sub"):
            raise IdTokenRefused("it is about another person")
        return claims

    async def sign_out_query(self, handler: Any, user: Any) -> dict[str, str]:
        """RP-initiated logout: the ID token says whom, and people come back to the page that says so."""
        grant = Grant.of_state(await user.get_auth_state())
        if grant is None or not grant.id_token:
            return {}
        query = {"client_id": self.client_id, "id_token_hint": grant.id_token}
        if self.sign_out_returns:
            back = self.get_callback_url(handler).rpartition("/")[0] + "/logout"
            query["post_logout_redirect_uri"] = back
        return query

    def check_allow_config(self) -> None:
        """Raises `ValueError` with the name of the setting."""
        if not self.issuer:
            raise ValueError("issuer is needed: without it nobody can sign in.")
        check_address("issuer", self.issuer)
        if "openid" not in self.scope:
            raise ValueError("scope has to contain openid: without it there is no ID token, and nobody can sign in.")
        super().check_allow_config()

    def _take(self, metadata: Mapping[str, Any]) -> None:
        if metadata.get("issuer") not in self.issuers:
            raise DirectoryUnavailable(f"the metadata at {self.issuer} is of another issuer")
        found = {name: self._configured.get(name) or metadata.get(claim) for name, claim in _ENDPOINTS.items()}
        keys = metadata.get("jwks_uri")
        try:
            for name, url in {**found, "jwks_uri": keys}.items():
                check_address(name, url if isinstance(url, str) else "")
        except ValueError as error:
            raise DirectoryUnavailable(f"the provider's metadata cannot be used: {error}") from None
        for name, url in found.items():
            setattr(self, name, url)
        end = metadata.get("end_session_endpoint")
        self._keys_url, self.end_session_url = str(keys), end if isinstance(end, str) else ""
        self.metadata, self._prepared_at = metadata, time.monotonic()

    async def check_keys(self) -> None:
        """Fetch the provider's keys. Raises `DirectoryUnavailable` when no ID token could be checked."""
        await self._keys.renew()

    async def _fetch_keys(self) -> Any:
        try:
            return await self.httpfetch(self._keys_url)
        except ProviderRefused as refused:
            raise DirectoryUnavailable(f"the provider's keys cannot be read: {refused}") from None

    @default("directory_class")
    def _groups_of_claims(self) -> type:
        return ClaimsGroupDirectory

    @default("group_domain")
    def _host_of_issuer(self) -> str:
        return urlsplit(self.issuer).hostname or ""

    @validate("issuer")
    def _is_plain(self, proposal: Any) -> Any:
        if "?" in proposal.value or "#" in proposal.value:
            raise TraitError("issuer: it has neither ? nor #.")
        return proposal.value


class OidcAuthenticator(OidcAccessMixin, GenericOAuthenticator):
    """Sign-in at any OpenID Connect provider. Groups come from a claim of its userinfo endpoint."""

    @default("login_service")
    def _name_of_provider(self) -> str:
        return urlsplit(self.issuer).hostname or "your account"
