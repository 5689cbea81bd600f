"""Sign-in at a realm of Keycloak."""

from typing import Any
from urllib.parse import quote

from traitlets import Unicode, default

from ..ports import GroupDirectory
from .oidc import OidcAuthenticator


class KeycloakAuthenticator(OidcAuthenticator):
    """Keycloak: any OpenID Connect provider with a realm in its address, and groups from its Admin API."""

    server_url = Unicode(config=True, help="Where Keycloak is, without `/realms/...`: `https://sso.example.com`.")
    realm = Unicode(config=True, help="The name of the realm.")

    def make_directory(self) -> GroupDirectory:
        """Keycloak's directory, for this realm and, unless it has one of its own, by this client."""
        directory: Any = self.directory_class
        own = self.config.get("KeycloakGroupDirectory", {})
        if directory.__name__ != "KeycloakGroupDirectory":
            return super().make_directory()
        ours = {name: getattr(self, name) for name in ("server_url", "realm", "client_id", "client_secret")}
        made: GroupDirectory = directory(
            parent=self,
            provider=self.provider,
            group_domain=self.group_domain,
            token_of=self.grants.token_of,
            **{name: value for name, value in ours.items() if name not in own},
        )
        return made

    def check_allow_config(self) -> None:
        """Raises `ValueError` with the name of the setting."""
        for name in ("server_url", "realm"):
            if not getattr(self, name) and not self.is_configured("issuer"):
                raise ValueError(f"{name} is needed: without it nobody can sign in.")
        super().check_allow_config()

    @default("issuer")
    def _issuer_of_realm(self) -> str:
        return f"{self.server_url.rstrip('/')}/realms/{quote(self.realm, safe='')}" if self.server_url else ""

    @default("login_service")
    def _realm_or_keycloak(self) -> str:
        return self.realm or "Keycloak"

    @default("directory_class")
    def _keycloak_groups(self) -> str:
        return "devplatform_hub.directory.keycloak.KeycloakGroupDirectory"
