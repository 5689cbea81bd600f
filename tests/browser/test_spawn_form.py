"""The page to choose from, in the started product: by keyboard, with fifty profiles, without JavaScript, refused."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import WIDTHS, keep
from tests.browser.test_journey import sign_in, wait_for
from tests.integration.product import Product, Visitor
from tests.lab.small_disks import fill_with_ballast, small_disk

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


@pytest.fixture
def full_home(product: Product) -> Iterator[Path]:
    """Bob's home, without room for a server."""
    with small_disk(product.data / "people" / "bob", 8 * 2**20) as home:
        (home / "workspace").mkdir(mode=0o700)
        fill_with_ballast(home / "workspace" / "large.bin")
        yield home


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", list(WIDTHS))
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_offers_a_safe_start_after_a_full_disk(
    browser: Browser, product: Product, full_home: Path, size: str, theme: str, script: bool
) -> None:
    """By keyboard, without JavaScript too: from the start that failed to a server that writes elsewhere."""
    width, height = WIDTHS[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        java_script_enabled=script,
    )
    page = context.new_page()
    sign_in(page, product, "bob")
    bob = product.sign_in("bob")
    assert bob.api("POST", "/users/bob/server", {"profile": "standard"}).status_code == 507
    page.goto(f"{product.origin}/hub/home")
    keep(page, f"home-full-{theme}")
    page.get_by_role("link", name="Choose a safe start").click()
    box = page.get_by_role("checkbox", name="Safe start")
    expect(page.get_by_text("Your home disk is full, so your server cannot start.")).to_be_visible()
    expect(box).not_to_be_checked()
    expect(box).to_have_accessible_description(re.compile("^Your profile as always, but nothing has to be written"))
    keep(page, f"spawn-full-{theme}")
    box.focus()
    page.keyboard.press("Space")
    expect(box).to_be_checked()
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/hub/spawn/" not in url, timeout=90_000)
    wait_for("a server", lambda: server_of(bob).get("ready", False), 90)
    page.goto(f"{product.origin}/hub/home")
    expect(page.get_by_text("This is a safe start.")).to_be_visible()
    keep(page, f"home-safe-{theme}")
    product.stop_server(bob)
    (full_home / "workspace" / "large.bin").unlink()
    page.goto(f"{product.origin}/hub/spawn")
    expect(box).to_be_hidden()
    page.get_by_text("If your server does not start").focus()
    page.keyboard.press("Enter")
    expect(box).to_be_visible()
    expect(box).not_to_be_checked()
    page.get_by_text("If your server does not start").scroll_into_view_if_needed()
    keep(page, f"spawn-folded-{theme}")
    context.close()


def server_of(visitor: Visitor) -> dict[str, Any]:
    """The hub's model of this person's server."""
    return dict(visitor.api("GET", f"/users/{visitor.name}").json()["servers"].get("", {}))
