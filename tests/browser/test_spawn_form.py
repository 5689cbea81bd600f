"""The page to choose from, in the started product: by keyboard, with fifty profiles, without JavaScript, refused."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import keep
from tests.browser.test_journey import sign_in
from tests.integration.product import Product

pytestmark = pytest.mark.lab("chromium", "proxy", "session", "mlflow")

TEAM = "  - {name: team, display_name: Team, cpu: 1, memory: 1G, allowed_groups: [data-team]}\n"


@pytest.fixture
def fifty(product: Product) -> Iterator[str]:
    """Fifty-two profiles for as long as a test lasts."""
    file = product.data / "profiles.yaml"
    before = file.read_text()
    more = "".join(
        f"  - {{name: p{n}, display_name: Profile {n}, description: Number {n}, cpu: 1, memory: 1G}}\n"
        for n in range(48)
    )
    file.write_text(before + TEAM + more)
    yield before
    file.write_text(before)


def test_finds_and_starts_one_of_fifty_by_keyboard(page: Page, product: Product, fifty: str) -> None:
    """Type a word, Enter takes the first match, Enter starts it; what was chosen is selected the next time."""
    sign_in(page, product, "bob")
    page.goto(f"{product.origin}/hub/spawn")
    keep(page, "spawn-fifty")
    page.get_by_label("Find a profile").focus()
    page.keyboard.type("number 47")
    expect(page.get_by_text("1 of 52 profiles")).to_be_visible()
    keep(page, "spawn-search")
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", name="Profile 47")).to_be_checked()
    expect(page.get_by_role("radio", name="Profile 47")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{product.origin}/user/bob/lab**", timeout=90_000)
    bob = product.sign_in("bob")
    product.stop_server(bob)
    page.goto(f"{product.origin}/hub/spawn")
    expect(page.get_by_role("radio", name="Profile 47")).to_be_checked()


def test_says_why_a_profile_is_closed(page: Page, product: Product, fifty: str) -> None:
    """The reason is on the page, and the way around the page leads to the same reason instead of a 500."""
    sign_in(page, product, "bob")
    page.goto(f"{product.origin}/hub/spawn")
    expect(page.get_by_role("radio", name="Team")).to_be_disabled()
    expect(page.get_by_role("radio", name="Team")).to_have_accessible_description(
        "Not available. Only for members of data-team. For members of data-team. Stops after 1 hour without use."
    )
    page.locator('[id="dp.team"]').evaluate("radio => { radio.disabled = false; radio.checked = true }")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("Team is not available to you: Only for members of data-team.").first).to_be_visible()
    keep(page, "spawn-refused")
    answer = product.sign_in("bob").api("POST", "/users/bob/server", {"profile": "team"})
    assert answer.status_code == 403, answer.text
    assert "profile-unavailable" in json.dumps(answer.json())


def test_works_without_javascript(browser: Browser, product: Product) -> None:
    """The form is plain HTML: every choice can be made and sent."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 400, "height": 900})
    page = context.new_page()
    sign_in(page, product, "alice")
    page.goto(f"{product.origin}/hub/spawn")
    page.get_by_role("radio", name="Standard").check()
    page.get_by_role("radio", name="JupyterLab").and_(page.locator(":visible")).check()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(lambda url: "/hub/spawn" not in url or "/spawn-pending/" in url)
    alice = product.sign_in("alice")
    for _ in range(300):
        server = alice.api("GET", "/users/alice").json()["servers"].get("", {})
        if server.get("ready"):
            break
        page.wait_for_timeout(200)
    assert server["user_options"] == {"profile": "standard", "editor": "jupyterlab", "options": {}}
    product.stop_server(alice)
    context.close()
