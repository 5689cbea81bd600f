"""Signing in with GitHub in a real browser: consent, refusal, a no at GitHub, and a revoked consent."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import keep_both
from tests.integration.github_hub import GitHubHub, github_hub
from tests.integration.oidc_hub import USERS

pytestmark = [pytest.mark.lab("chromium", "proxy")]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubHub]:
    with github_hub(tmp_path_factory.mktemp("github")) as hub:
        yield hub


@pytest.fixture
def number(page: Page) -> int:
    """An account of this width alone; nothing is loaded from outside."""
    page.route(lambda url: not url.startswith("http://127.0.0.1:"), lambda route: route.abort())
    return int((page.viewport_size or {"width": 0})["width"])


def at_github(page: Page, login: str) -> None:
    """Sign in there."""
    page.get_by_role("link", name="Sign in with GitHub").click()
    page.get_by_label("Username").fill(login)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Authorize DevPlatform")).to_be_visible()


def test_sign_in_and_a_revoked_consent(hub: GitHubHub, page: Page, number: int) -> None:
    """Back to where they were going; who revokes the app at GitHub is out, and is asked by GitHub again."""
    login = f"octocat-{number}"
    hub.github.person(number, login, USERS)
    page.goto(f"{hub.origin}/hub/token")
    expect(page.get_by_role("link", name="Sign in with GitHub")).to_be_visible()
    keep_both(page, "github-sign-in")
    at_github(page, login)
    page.get_by_role("button", name="Authorize").click()
    expect(page).to_have_url(f"{hub.origin}/hub/token")
    page.wait_for_function("name => window.jhdata?.user === name", arg=login)
    hub.github.revoke(number)
    page.wait_for_timeout(1100)  # beyond auth_refresh_age
    page.goto(f"{hub.origin}/hub/home")
    page.get_by_role("link", name="Sign in with GitHub").click()
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_function("name => window.jhdata?.user === name", arg=login)


def test_who_is_refused_reads_which_team_is_missing(hub: GitHubHub, page: Page, number: int) -> None:
    """With what to do about it, however long the names are."""
    login = f"octocat-{'x' * 26}-{number:04}"  # 39 letters, GitHub's most
    hub.github.person(number + 1, login, "somebody-else")
    page.goto(f"{hub.origin}/hub/login")
    at_github(page, login)
    page.get_by_role("button", name="Authorize").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(f"{login} is not a member of developer-platform-users@acme.")
    expect(alert).to_contain_text("Ask an administrator of this platform to add you")
    expect(page.get_by_text("Code: group-missing")).to_be_visible()
    keep_both(page, "github-refused")


def test_saying_no_and_github_down(hub: GitHubHub, page: Page, number: int) -> None:
    """Two pages that tell whose turn it is."""
    hub.github.person(number + 2, f"no-{number}", USERS)
    page.goto(f"{hub.origin}/hub/login")
    at_github(page, f"no-{number}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("You did not let the identity provider tell")
    keep_both(page, "github-no")
    page.get_by_role("link", name="Back to sign in").click()
    page.get_by_role("link", name="Sign in with GitHub").click()
    expect(page.get_by_role("heading", name="Authorize DevPlatform")).to_be_visible()
    hub.github.headers["X-GitHub-SSO"] = "partial-results; organizations=1"
    try:
        page.get_by_role("button", name="Authorize").click()
        expect(page.get_by_role("alert")).to_contain_text("Nobody can sign in right now")
    finally:
        hub.github.headers.clear()
    keep_both(page, "github-outage")
