"""What a person reads of their limits where they choose a profile: at both widths, in both colours, by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import devplatform_hub
from tests.browser.conftest import WIDTHS, keep
from tests.integration.real_hub import RealHub, running_hub

pytestmark = [pytest.mark.lab("chromium", "proxy"), pytest.mark.timeout(300)]

PROFILES = """\
profiles:
  - {name: standard, display_name: Standard, description: Everyday work., cpu: 500m, memory: 8G, default: true}
  - {name: highmem, display_name: High memory, description: Large data., cpu: 500m, memory: 12G}
  - name: small
    display_name: Small
    description: Little memory.
    cpu: 250m
    memory: 512M
    options:
      - name: size
        display_name: Size
        choices:
          - {name: little, display_name: As it is, default: true}
          - {name: more, display_name: Eight times as much, memory: 4G}
limits:
  - {servers: 2, memory: 4.5G}
  - {allowed_groups: [developer-platform-users], memory: 12G, cpu: 2}
"""
# Of every text in sight, how much it stands out from what is behind it (WCAG 2.2, 1.4.3), the least first.
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll(".dp-limits *, .dp-reason, .dp-note")) {
    if (!Array.from(element.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    found.push((pair[0] + 0.05) / (pair[1] + 0.05));
  }
  return found.sort((a, b) => a - b);
}"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub with limits, on which alice has one server."""
    templates = [str(Path(devplatform_hub.__file__).parent / "hub_templates")]
    traits = {"JupyterHub": {"allow_named_servers": True, "template_paths": templates}}
    with running_hub(tmp_path_factory.mktemp("limits"), traits) as hub:
        (hub.data / "profiles.yaml").write_text(PROFILES, "utf-8")
        hub.start_server("alice", {"profile": "standard"})
        yield hub


def opened(browser: Browser, hub: RealHub, size: str, theme: str) -> Page:
    """The page of a second server of alice's."""
    width, height = WIDTHS[size]
    scheme = "dark" if theme == "dark" else "light"
    page = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
    page.goto(f"{hub.origin}/hub/login")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("any")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/hub/login" not in url)
    page.goto(f"{hub.origin}/hub/spawn/alice/train")
    return page


@pytest.fixture
def only_one(hub: RealHub) -> Iterator[RealHub]:
    """The same, and whatever alice starts is stopped afterwards."""
    yield hub
    hub.call("DELETE", "/hub/api/users/alice/servers/train")
    hub.wait(lambda: not hub.server("alice", "train"), 40, "the end of the server")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", list(WIDTHS))
def test_says_what_is_left_and_starts_what_fits_by_keyboard(
    browser: Browser, only_one: RealHub, size: str, theme: str
) -> None:
    """What is too much cannot be chosen and says why; when nothing fits the page says what to do."""
    hub = only_one
    page = opened(browser, hub, size, theme)
    limits = page.get_by_role("region", name="Your limits")
    expect(limits.get_by_role("definition")).to_have_text(
        [
            "1 of 2 left (limit for everybody)",
            "1.5 of 2 left (limit for members of developer-platform-users)",
            "4 GB of 12 GB left (limit for members of developer-platform-users)",
        ]
    )
    expect(limits.get_by_role("listitem")).to_have_text(["the default server (Standard: 0.5 CPU, 8 GB of memory)"])
    for name, reason in (
        ("Standard", "Needs 8 GB of memory; 4 GB of your 12 GB are left."),
        ("High memory", "Needs 12 GB of memory; 4 GB of your 12 GB are left."),
    ):
        radio = page.get_by_role("radio", name=name)
        expect(radio).to_be_disabled()
        assert reason in (radio.evaluate("radio => radio.closest('.dp-card').innerText")), reason
    expect(page.get_by_role("radio", name="Small")).to_be_checked()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is wider than the page"
    contrasts = page.evaluate(CONTRAST)
    assert (len(contrasts) > 8, contrasts[0] >= 4.5) == (True, True), contrasts
    keep(page, f"limits-{theme}")

    page.get_by_role("radio", name="Small").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(f"{hub.origin}/user/alice/train/**", timeout=90_000)
    page.goto(f"{hub.origin}/hub/spawn/alice/more")
    expect(page.get_by_role("alert")).to_have_text(
        "Your servers leave no room for another one. Stop one on the page Home, then come back."
    )
    expect(page.get_by_text("Your limit of 2 servers at once is reached.")).to_have_count(3)
    assert page.evaluate(CONTRAST)[0] >= 4.5
    keep(page, f"limits-reached-{theme}")
    page.get_by_role("button", name="Start").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The limit for everybody is 2 servers at once; you have 2.")).to_be_visible()
    expect(page.get_by_text("Stop the default server on the page Home, then try again.")).to_be_visible()
    keep(page, f"limits-refused-{theme}")
    page.context.close()
