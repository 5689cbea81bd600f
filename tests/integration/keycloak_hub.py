"""A real JupyterHub that signs people in at a realm of Keycloak, configured as SIGN-IN.md says.

The realm is a real OpenID Connect provider at Keycloak's addresses, with the double of the Admin API behind it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.keycloak_server import REALM, KeycloakServer, Person
from tests.integration.oidc_hub import OidcHub, audit_environment, provider_settings, started
from tests.lab.oidc_provider import CLIENT_ID, CLIENT_SECRET, oidc_provider

_KEYCLOAK = "devplatform_hub.authenticators.keycloak.KeycloakAuthenticator"
DOMAIN = "127.0.0.1"
"""The host of Keycloak: groups are of this domain unless something else is said."""


@dataclass(slots=True)
class KeycloakHub(OidcHub):
    """The hub, and both sides of the Keycloak that it trusts."""

    admin: KeycloakServer = field(kw_only=True)

    def person(self, name: str, *paths: str, enabled: bool = True) -> None:
        """Make or change a person, with these groups and no others."""
        self.provider.person(name, groups=sorted(paths), enabled=enabled)
        self.admin.people[name] = Person(name, set(paths), enabled)

    def remove(self, name: str) -> None:
        """Delete the account."""
        self.provider.remove(name)
        del self.admin.people[name]


@contextmanager
def keycloak_hub(
    folder: Path, of_directory: Mapping[str, Any] | None = None, traits: Mapping[str, Any] | None = None
) -> Iterator[KeycloakHub]:
    """A hub that asks again every second and keeps no answers; everything is ended afterwards."""
    fresh = {"answer_lifetime": 0, "tries": 1, "timeout": 0.5}
    settings = provider_settings(folder, _KEYCLOAK, {"KeycloakGroupDirectory": fresh | dict(of_directory or {})})
    origin, admin = str(settings["origin"]), KeycloakServer()
    admin.client, admin.secret = CLIENT_ID, CLIENT_SECRET
    with (
        admin.in_thread(),
        oidc_provider(folder, origin, 3, path=f"/realms/{REALM}", keycloak_admin=admin.url) as provider,
    ):
        server_url = provider.issuer.removesuffix(f"/realms/{REALM}")
        own = {"server_url": server_url, "realm": REALM, "last_answer_lifetime": 6, **(traits or {})}
        settings["traits"]["KeycloakAuthenticator"] |= own
        environment = audit_environment(folder)
        hub = KeycloakHub(
            origin, folder, folder, settings=settings, environment=environment, provider=provider, admin=admin
        )
        with started(hub):
            yield hub
