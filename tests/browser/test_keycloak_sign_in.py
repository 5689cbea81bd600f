"""Signing in at a realm of Keycloak in a real browser: in, out of the group, and told why."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import keep_both
from tests.browser.test_oidc_sign_in import at_provider
from tests.integration.keycloak_hub import DOMAIN, KeycloakHub, keycloak_hub

pytestmark = [pytest.mark.lab("chromium", "proxy", "oidc-provider")]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeycloakHub]:
    with keycloak_hub(tmp_path_factory.mktemp("keycloak"), {"source": "userinfo"}) as hub:
        yield hub


def test_from_sign_in_to_the_loss_of_the_last_group(hub: KeycloakHub, page: Page) -> None:
    """The page names the realm, the way leads through Keycloak, and who is put out reads which group is missing."""
    page.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
    name = f"alice-{(page.viewport_size or {'width': 0})['width']}"
    user = f"{name}@example.com"
    hub.person(name, "/developer-platform-users")
    page.goto(f"{hub.origin}/hub/token")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    keep_both(page, "keycloak-sign-in")
    page.get_by_role("link", name="Sign in with acme").click()
    expect(page).to_have_url(re.compile(re.escape(f"{hub.provider.issuer}/interaction/")))
    at_provider(page, name)
    expect(page).to_have_url(f"{hub.origin}/hub/token")
    page.wait_for_function("name => window.jhdata?.user === name", arg=user)
    hub.start_server(user)
    hub.person(name)  # since Keycloak 22 there is no claim any more
    hub.wait(lambda: not hub.server(user), 15, "the end of the server")
    page.goto(f"{hub.origin}/hub/home")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("link", name="Sign in with acme").click()  # Keycloak knows them, and asks nothing
    expect(page.get_by_role("alert")).to_contain_text(f"{user} is not a member of developer-platform-users@{DOMAIN}.")
    expect(page.get_by_text("Code: group-missing")).to_be_visible()
    keep_both(page, "keycloak-refused")
