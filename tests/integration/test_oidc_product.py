"""The product on one machine, switched to an identity provider by what SIGN-IN.md says."""

import asyncio
from pathlib import Path

import pytest

from devplatform_hub.embedded.platform import free_ports
from tests.integration.oidc_hub import ADMINS, DOMAIN, USERS, OidcBrowser, browser_at
from tests.integration.product import Product, started_product
from tests.integration.test_signin import eventually, token_of
from tests.lab.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, oidc_provider

pytestmark = [pytest.mark.lab("proxy", "session", "mlflow", "oidc-provider")]
PROFILES = """\
profiles:
  - {name: standard, display_name: Standard, description: Everyday work., cpu: 1, memory: 2G, default: true}
  - {name: closed, display_name: Closed, description: For painters., cpu: 1, memory: 1G, allowed_groups: [painters]}
"""


def test_the_product_signs_people_in_at_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No local administrator is made; a member starts a server with a profile of their group, and loses it with it."""
    (port,) = free_ports(1)
    monkeypatch.setenv("OAUTH_CLIENT_SECRET", CLIENT_SECRET)
    data = tmp_path / "data"
    profiles = tmp_path / "profiles.yaml"
    profiles.write_text(PROFILES, "utf-8")
    with oidc_provider(tmp_path, f"http://127.0.0.1:{port}") as provider:
        settings = [
            "JupyterHub.authenticator_class=devplatform_hub.authenticators.oidc.OidcAuthenticator",
            f"OidcAuthenticator.issuer={provider.issuer}",
            f"OidcAuthenticator.client_id={CLIENT_ID}",
            f"OidcAuthenticator.group_domain={DOMAIN}",
            'OidcAuthenticator.scope=["openid","email","profile","groups","offline_access"]',
            'OidcAuthenticator.extra_authorize_params={"prompt":"consent"}',
            "OidcAuthenticator.auth_refresh_age=2",
            f"EmbeddedSpawner.profiles_file={profiles}",
        ]
        provider.person("alice", groups=[USERS, "painters"])
        provider.person("boss", groups=[ADMINS])
        options = [part for setting in settings for part in ("--set", setting)]
        with started_product(data, "--port", str(port), *options) as product:
            assert "Sign in  with an account of your identity provider." in product.output
            assert "one-time code" not in product.output
            assert (data / "hub" / "crypt_key").stat().st_mode & 0o777 == 0o600
            asyncio.run(_a_members_day(product, provider))


async def _a_members_day(product: Product, provider: OidcProvider) -> None:
    async with browser_at(product.origin) as tab, browser_at(product.origin) as admin:
        assert (await tab.sign_in_at_provider("alice")).status == 302
        assert (await admin.sign_in_at_provider("boss")).status == 302
        token, watching = await token_of(tab, "alice@example.com"), await token_of(admin, "boss@example.com")
        assert await _ask(tab, "POST", "alice@example.com/server", token, {"profile": "closed"}) in (201, 202)
        assert await eventually(lambda: _is_ready(admin, watching), 60)
        provider.person("alice", groups=["painters"])
        assert await eventually(lambda: _is_gone(admin, watching), 30)
        assert await _ask(tab, "GET", "alice@example.com", token) == 403


async def _ask(tab: OidcBrowser, method: str, path: str, token: str, body: object = None) -> int:
    headers = {"Authorization": f"token {token}"}
    async with tab.session.request(
        method, f"{tab.origin}/hub/api/users/{path}", json=body, headers=headers, cookies={}
    ) as answer:
        return answer.status


async def _servers(admin: OidcBrowser, token: str) -> dict[str, dict[str, bool]]:
    headers = {"Authorization": f"token {token}"}
    async with admin.session.get(f"{admin.origin}/hub/api/users/alice@example.com", headers=headers) as answer:
        assert answer.status == 200
        return dict((await answer.json())["servers"])


async def _is_ready(admin: OidcBrowser, token: str) -> bool:
    return (await _servers(admin, token)).get("", {}).get("ready", False)


async def _is_gone(admin: OidcBrowser, token: str) -> bool:
    return not await _servers(admin, token)
