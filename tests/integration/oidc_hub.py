"""A real JupyterHub that signs people in at a real OpenID Connect provider, and a browser that walks through both."""

import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import aiohttp

import devplatform_hub
from tests.integration.sign_in_hub import Browser, Page
from tests.lab.hub import BASE_CONFIG, RealHub, base_settings
from tests.lab.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, oidc_provider

USERS, ADMINS = "developer-platform-users", "developer-platform-admins"
DOMAIN = "example.com"
_CONFIG = """
c.JupyterHub.authenticator_class = s["authenticator"]
del c.Authenticator["allow_all"]
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "access:services"]})
c.JupyterHub.load_roles += s["roles"]
c.SimpleLocalProcessSpawner.home_dir_template = s["folder"] + "/home/{username}"
c.SimpleLocalProcessSpawner.cmd = [s["python"], "-m", "jupyterhub.tests.mocksu"]
c.CryptKeeper.keys = ["00" * 32]
c.JupyterHub.template_paths = [s["templates"]]
for section, traits in s["traits"].items():
    for name, value in traits.items():
        c[section][name] = value
"""
_OIDC = "devplatform_hub.authenticators.oidc.OidcAuthenticator"
Started = TypeVar("Started", bound=RealHub)


@dataclass(slots=True)
class OidcHub(RealHub):
    """The hub, and the provider that it trusts."""

    provider: OidcProvider = field(kw_only=True)


def provider_settings(
    folder: Path, authenticator: str, traits: Mapping[str, Mapping[str, Any]], roles: Any = ()
) -> dict[str, Any]:
    """Settings of a hub in this folder that asks its provider again every second; `traits` by class.

    The authenticator's own are added to those that every one has here.
    """
    settings = base_settings(folder, {}) | {"python": sys.executable, "authenticator": authenticator}
    settings["templates"] = str(folder / "templates")
    (folder / "templates").mkdir(exist_ok=True)
    # The platform's other pages want a spawner of the platform's.
    shutil.copy(Path(devplatform_hub.__file__).parent / "hub_templates/page.html", folder / "templates")
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + _CONFIG, "utf-8")
    (folder / "home").mkdir(exist_ok=True)
    name = authenticator.rpartition(".")[2]
    always = {
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "auth_refresh_age": 1,
        "last_answer_lifetime": 4,
    }
    settings["traits"] = {**traits, name: always | dict(traits.get(name, {}))}
    settings["roles"] = list(roles)
    return settings


def audit_environment(folder: Path) -> dict[str, str]:
    """Where the hub writes its audit, so that `RealHub.audit` finds it."""
    return {"DEVPLATFORM_AUDIT_FILE": str(folder / "audit.jsonl")}


@contextmanager
def started(hub: Started) -> Iterator[Started]:
    """The hub, which answers; ended afterwards."""
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


@contextmanager
def oidc_hub(
    folder: Path, traits: Mapping[str, Any] | None = None, authenticator: str = _OIDC, roles: Any = ()
) -> Iterator[OidcHub]:
    """A hub that answers and asks the provider again every second; both are ended afterwards."""
    name = authenticator.rpartition(".")[2]
    settings = provider_settings(folder, authenticator, {}, roles)
    origin = str(settings["origin"])
    with oidc_provider(folder, origin, access_token_seconds=3) as provider:
        settings["traits"][name] |= {
            "issuer": provider.issuer,
            "oauth_callback_url": f"{origin}/hub/oauth_callback",
            "group_domain": DOMAIN,
            "scope": ["openid", "email", "profile", "groups", "offline_access"],
            "extra_authorize_params": {"prompt": "consent"},
        } | dict(traits or {})
        hub = OidcHub(
            origin, folder, folder, settings=settings, environment=audit_environment(folder), provider=provider
        )
        with started(hub):
            yield hub


class OidcBrowser(Browser):
    """Follows redirects between the hub and the provider, and fills in the provider's forms."""

    async def to_provider(self, subject: str, following: str = "") -> str:
        """Sign in and agree at the provider; the address that it sends the browser back to."""
        query = f"?next={following}" if following else ""
        address = f"{self.origin}/hub/oauth_login{query}"
        for _ in range(20):
            async with self.session.get(address, allow_redirects=False) as answer:
                text = await answer.text()
                where = answer.headers.get("Location", "")
            if where:
                address = urljoin(address, where)
            else:
                address = await self._submit(address, text, subject)
            if address.startswith(f"{self.origin}/hub/oauth_callback"):
                return address
        raise AssertionError(f"still at {address}")

    async def back(self, address: str, *, follow: bool = False) -> Page:
        """What the hub answers to an address that the provider sent the browser to."""
        parts = urlsplit(address)
        return await self.get(f"{parts.path}?{parts.query}" if parts.query else parts.path, follow=follow)

    async def sign_in_at_provider(self, subject: str, following: str = "") -> Page:
        return await self.back(await self.to_provider(subject, following))

    async def _submit(self, address: str, page: str, subject: str) -> str:
        form = re.search(r'<form[^>]*action="([^"]+)"', page)
        assert form, page[:2000]
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        fields |= {"login": subject, "password": "any"} if fields.get("prompt") == "login" else {}
        action = urljoin(address, unescape(form[1]))
        async with self.session.post(action, data=fields, allow_redirects=False) as answer:
            assert answer.status in (302, 303), await answer.text()
            return urljoin(action, answer.headers["Location"])


@asynccontextmanager
async def browser_at(origin: str) -> AsyncIterator[OidcBrowser]:
    """A browser with empty cookies."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield OidcBrowser(session, origin)


def oidc_browser(hub: OidcHub) -> AbstractAsyncContextManager[OidcBrowser]:
    """A browser with empty cookies, at this hub."""
    return browser_at(hub.origin)
