"""Signing in at a real OpenID Connect provider, in a real browser: consent, refusal, revocation, sign-out, outage."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import fits, keep
from tests.integration.oidc_hub import USERS, OidcHub, oidc_hub

pytestmark = [pytest.mark.lab("chromium", "proxy", "oidc-provider")]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcHub]:
    with oidc_hub(tmp_path_factory.mktemp("oidc"), {"login_service": "Example"}) as hub:
        yield hub


@pytest.fixture
def subject(hub: OidcHub, page: Page, request: pytest.FixtureRequest) -> Iterator[str]:
    """Somebody of this test and width alone; nothing is loaded from outside."""
    page.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
    words = request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:20]
    yield f"{words}-{(page.viewport_size or {'width': 0})['width']}".replace("--", "-")
    hub.provider.fault()


def at_provider(page: Page, subject: str) -> None:
    """Sign in and agree there."""
    expect(page.get_by_placeholder("Enter any login")).to_be_visible()
    page.get_by_placeholder("Enter any login").fill(subject)
    page.get_by_placeholder("and password").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_sign_in_with_consent_and_sign_out_everywhere(hub: OidcHub, page: Page, subject: str, browser: Browser) -> None:
    """From a page of the hub to the provider and back to that page; signing out ends the other browser's session."""
    hub.provider.person(subject, groups=[USERS])
    page.goto(f"{hub.origin}/hub/token")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    fits(page)
    keep(page, "oidc-sign-in")
    page.get_by_role("link", name="Sign in with Example").click()
    at_provider(page, subject)
    expect(page).to_have_url(f"{hub.origin}/hub/token")
    page.wait_for_function("name => window.jhdata?.user === name", arg=f"{subject}@example.com")
    other = browser.new_context()
    try:
        second = other.new_page()
        second.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
        second.goto(f"{hub.origin}/hub/oauth_login")
        at_provider(second, subject)
        expect(second).to_have_url(re.compile(rf"{hub.origin}/(hub/spawn|user).*"))
        page.goto(f"{hub.origin}/hub/logout")
        page.get_by_role("button", name=re.compile("yes", re.IGNORECASE)).click()  # the provider asks, too
        expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
        fits(page)
        keep(page, "oidc-signed-out")
        second.goto(f"{hub.origin}/hub/home")
        expect(second.get_by_role("heading", name="Sign in")).to_be_visible()
    finally:
        other.close()
    page.get_by_role("link", name="Sign in again").click()
    page.get_by_role("link", name="Sign in with Example").click()
    expect(page.get_by_placeholder("Enter any login")).to_be_visible()  # the provider has forgotten them as well


def test_who_is_refused_reads_which_group_is_missing(hub: OidcHub, page: Page, subject: str) -> None:
    """With what to do about it."""
    hub.provider.person(subject, groups=["somebody-else"])
    page.goto(f"{hub.origin}/hub/oauth_login")
    at_provider(page, subject)
    expect(page.get_by_role("alert")).to_contain_text(
        f"{subject}@example.com is not a member of developer-platform-users@example.com."
    )
    expect(page.get_by_role("alert")).to_contain_text("Ask an administrator of this platform to add you")
    expect(page.get_by_text("Code: group-missing")).to_be_visible()
    fits(page)
    keep(page, "oidc-refused")


def test_revoked_while_signed_in(hub: OidcHub, page: Page, subject: str) -> None:
    """Within one interval the server is gone and the session over; signing in again says why."""
    user = f"{subject}@example.com"
    hub.provider.person(subject, groups=[USERS])
    page.goto(f"{hub.origin}/hub/oauth_login?next=/hub/home")
    at_provider(page, subject)
    expect(page).to_have_url(f"{hub.origin}/hub/home")
    hub.start_server(user)
    page.goto(f"{hub.origin}/user/{user}/")
    expect(page.locator("body")).to_contain_text(f"/user/{user}/")
    hub.provider.person(subject, groups=[])
    hub.wait(lambda: not hub.server(user), 15, "the end of the server")
    page.goto(f"{hub.origin}/hub/home")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    names = {cookie["name"] for cookie in page.context.cookies()}
    assert not any(name.startswith("jupyterhub-hub-login") for name in names)
    page.get_by_role("link", name="Sign in with Example").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a member of developer-platform-users@example.com")
    keep(page, "oidc-revoked")


def test_while_the_directory_has_no_answer(hub: OidcHub, page: Page, subject: str) -> None:
    """The page says that it is not their fault, and to try again."""
    hub.provider.person(subject, groups=[USERS])
    hub.provider.fault(userinfo_claims={"groups": None})
    page.goto(f"{hub.origin}/hub/oauth_login")
    at_provider(page, subject)
    expect(page.get_by_role("alert")).to_contain_text("Nobody can sign in right now")
    expect(page.get_by_role("alert")).to_contain_text("Try again in a minute")
    fits(page)
    keep(page, "oidc-outage")
