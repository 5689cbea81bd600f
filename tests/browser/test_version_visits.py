"""A visit in a real browser: an administrator says why, looks, ends it; the owner reads of it and puts it away.

With $SCREENSHOTS set to a folder, every page is also kept there as a picture.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.test_versions_pages import LOW_CONTRAST, visit
from tests.doubles.versions_service import Running, running
from tests.lab.tools import chromium

pytestmark = [pytest.mark.lab("chromium"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
PICTURES = os.environ.get("SCREENSHOTS")
REASON = "Ticket 4711: bob asked for help with a lost file. " + "verylongword" * 8


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as started:
        for number in range(3):
            await started.local.put("bob", "report.py", f"print({number})\n".encode())
        yield started


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=str(chromium()),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        await started.close()


async def looks_right(page: Page, name: str) -> None:
    """It fits, can be read, and has one heading; with a picture."""
    await page.wait_for_load_state("networkidle")
    size = page.viewport_size
    assert size
    theme = "dark" if await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    if PICTURES:
        await page.screenshot(path=f"{PICTURES}/visit-{name}-{size['width']}-{theme}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
    assert await page.evaluate(LOW_CONTRAST) == [], name
    assert await page.locator("h1").count() == 1, name


async def test_an_end_is_ahead(service: Running, browser: Browser) -> None:
    """The banner says in how long; what was saved is never said to be in the future."""
    async with visit(browser, service, "ada-token") as page:
        await page.clock.install(time=service.local.clock.now())
        await page.goto(service.url + "admin/")
        await page.get_by_label("User name").fill("bob")
        await page.get_by_label("Reason").fill(REASON)
        await page.get_by_role("button", name="Open their versions").click()
        await expect(page.get_by_role("region", name="Visit")).to_contain_text("in 30 minutes, and change nothing")
        await expect(page.locator("#entries time")).to_contain_text("just now")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")])
async def test_the_whole_of_a_visit(service: Running, browser: Browser, width: int, theme: str) -> None:
    """From the link that administrators alone have to the owner's list."""
    size = {"width": width, "height": 900}
    async with visit(browser, service, "ada-token", viewport=size, color_scheme=theme) as page:
        await page.goto(service.url)
        await page.get_by_role("link", name="Other people").click()
        await looks_right(page, "ask")
        await page.get_by_label("User name").fill("bob")
        await page.get_by_label("Reason").fill("why not")
        await page.get_by_role("button", name="Open their versions").click()
        assert await page.evaluate("document.querySelector('#reason').validity.tooShort")  # the browser says so
        await page.get_by_label("User name").fill("bobby")
        await page.get_by_label("Reason").fill(REASON)
        await page.get_by_role("button", name="Open their versions").click()
        await expect(page.get_by_role("alert")).to_contain_text("Nobody with that name has file versions.")
        await expect(page.get_by_label("Reason")).to_have_value(REASON)
        await looks_right(page, "refused")
        await page.get_by_label("User name").fill("bob")
        await page.get_by_role("button", name="Open their versions").click()
        banner = page.get_by_role("region", name="Visit")
        await expect(banner).to_contain_text("These are the files of bob, not yours.")
        await expect(banner).to_contain_text(REASON)
        await looks_right(page, "folder")
        await page.get_by_role("link", name="report.py").click()
        await expect(page.get_by_role("button")).to_have_text(["End this visit", "Compare the two selected"])
        await looks_right(page, "file")
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download").first.click()
        assert Path(await (await download.value).path()).read_bytes() == b"print(2)\n"
        await page.get_by_role("button", name="Compare the two selected").click()
        await expect(banner).to_be_visible()
        await looks_right(page, "compare")
        await page.get_by_role("link", name="Other people").click()
        await expect(banner).to_contain_text("You are visiting bob")
        await looks_right(page, "under-way")
        service.local.clock.move(minutes=5)
        await banner.get_by_role("button", name="End this visit").click()
        await expect(page.get_by_role("region", name="Visit")).to_have_count(0)
        await page.goto(service.url + "w/bob/folder")
        await expect(page.get_by_role("alert")).to_contain_text("Administrators say why first")
        await looks_right(page, "ended")
    async with visit(browser, service, "bob-token", viewport=size, color_scheme=theme) as page:
        await owner_reads(page, service)


async def owner_reads(page: Page, service: Running) -> None:
    """The notice, put away, and the list."""
    await page.goto(service.url)
    notice = page.get_by_role("region", name="Visit of an administrator")
    await expect(notice).to_contain_text("ada (administrator) looked at your file versions")
    await expect(notice).to_contain_text(REASON)
    await looks_right(page, "notice")
    await page.get_by_role("button", name="I have read this").click()
    await expect(page.get_by_role("heading", name="Visits by administrators")).to_be_visible()
    await expect(notice).to_have_count(0)
    await expect(page.get_by_role("row", name="ada")).to_contain_text(REASON)
    await looks_right(page, "list")
    await page.goto(service.url)
    await expect(notice).to_have_count(0)
