"""A real Chromium, and the really started product for it."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integration.product import ADMINS_GROUP, USERS_GROUP, Product, started_product
from tests.lab.tools import chromium

_failed = pytest.StashKey[bool]()
WIDTHS = {"wide": (1280, 900), "narrow": (400, 900)}


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A platform with alice and bob, who may use it, and boss, who runs it."""
    with started_product(tmp_path_factory.mktemp("browser") / "data") as product:
        product.add_person("alice")
        product.add_person("bob")
        product.add_person("boss", USERS_GROUP, ADMINS_GROUP)
        yield product


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without its own traffic, for the tests of one module and no longer.

    Playwright's synchronous interface keeps an event loop running in this thread: one that outlived its tests
    would fail every asynchronous test after them, and a second one cannot be started beside it.
    """
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        started = playwright.chromium.launch(executable_path=str(chromium()), args=flags)
        yield started
        started.close()


@pytest.fixture(params=list(WIDTHS))
def page(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A fresh browser session, once as wide as a desk and once as narrow as a phone."""
    width, height = WIDTHS[request.param]
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(30_000)
    opened = context.new_page()
    yield opened
    if request.node.stash.get(_failed, False):
        keep(opened, f"failed-{request.node.name.partition('[')[0]}")
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the page know that its test failed, so that it can be looked at."""
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
    return report


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def keep_both(page: Page, name: str) -> None:
    """A screenshot in light and one in dark colours, which have to follow the device without another load."""
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.wait_for_function("theme => document.documentElement.dataset.bsTheme === theme", arg=theme)
        fits(page)
        keep(page, f"{name}-{theme}")


def keep(page: Page, name: str) -> None:
    """A screenshot for a person to look at, where $SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        width = (page.viewport_size or {"width": 0})["width"]
        page.screenshot(path=Path(folder) / f"{name}-{width}.png", animations="disabled")
