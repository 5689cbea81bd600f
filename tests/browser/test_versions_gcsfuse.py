"""A workspace that is the bucket itself: saved through gcsfuse, seen, compared and restored in a real browser.

With $SCREENSHOTS set to a folder, the pages are also kept there as pictures.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.contracts.version_stores import GcsUnderTest
from tests.doubles.versions_service import Running, running
from tests.lab.gcsfuse import mounted

from .test_versions_pages import LOW_CONTRAST, PICTURES, browser, visit

__all__ = ["browser"]
pytestmark = [pytest.mark.lab("chromium", "fuse", "gcsfuse"), pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, "gcs") as started:
        yield started


@pytest.fixture
async def workspace(service: Running, tmp_path: Path) -> AsyncIterator[Path]:
    """Alice's part of the bucket, mounted as in her server."""
    options = ("--only-dir=users/alice", "--metadata-cache-ttl-secs=0")
    manager = mounted(service.local.server.url, GcsUnderTest.BUCKET, tmp_path, *options)
    place = await asyncio.to_thread(manager.__enter__)
    try:
        yield place
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def save(service: Running, file: Path, text: str) -> None:
    """As an editor or a program does, twenty minutes after what was before."""
    service.local.clock.move(minutes=20)
    await asyncio.to_thread(file.write_text, text)


async def picture(page: Page, name: str, width: int) -> None:
    if PICTURES:
        await page.screenshot(path=f"{PICTURES}/gcsfuse-{name}-{width}.png", full_page=True)


@pytest.mark.parametrize("width", [1280, 400])
async def test_saved_through_the_mount_and_brought_back(
    service: Running, workspace: Path, browser: Browser, width: int
) -> None:
    """What gcsfuse leaves behind is not shown; the old version comes back, and the mount has it at once, dated now."""
    file = workspace / "notes" / "plan.md"
    await asyncio.to_thread(file.parent.mkdir)
    await save(service, file, "# Plan\n\nbegin\n")
    await save(service, file, "# Plan\n\nbegin\ngo on\n")
    await asyncio.to_thread(os.system, f"echo lost > {file}")  # bash makes an empty generation first
    size = {"width": width, "height": 900}
    async with visit(browser, service, viewport=size) as page:
        await page.goto(f"{service.url}w/alice/folder?path=notes")
        await page.get_by_role("link", name="plan.md").click()
        await expect(page.get_by_role("link", name="Download")).to_have_count(3)
        await expect(page.get_by_text("mount", exact=True)).to_have_count(3)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        assert await page.evaluate(LOW_CONTRAST) == []
        await picture(page, "file", width)
        await page.get_by_role("button", name="Compare the two selected").click()
        await expect(page.get_by_text("go on")).to_be_visible()
        await page.go_back()
        service.local.clock.move(minutes=5)
        await page.get_by_role("button", name="Restore").first.click()
        await expect(page.get_by_text("Your workspace is the bucket itself")).to_be_visible()
        await picture(page, "restored", width)
    assert await asyncio.to_thread(file.read_text) == "# Plan\n\nbegin\ngo on\n"
    assert (await asyncio.to_thread(file.stat)).st_mtime == service.local.clock.now().timestamp()


async def test_a_deleted_file_comes_back_into_the_mount(service: Running, workspace: Path, browser: Browser) -> None:
    """`rm` in the workspace is a deletion on the page, and the last version can be had again."""
    file = workspace / "gone.txt"
    await save(service, file, "the only copy\n")
    service.local.clock.move(minutes=1)
    await asyncio.to_thread(file.unlink)
    async with visit(browser, service, viewport={"width": 1280, "height": 900}) as page:
        await page.goto(f"{service.url}w/alice/file?path=gone.txt")
        await page.get_by_role("button", name="Bring back the last version").click()
        await expect(page.get_by_text("Restored.")).to_be_visible()
    assert await asyncio.to_thread(file.read_text) == "the only copy\n"
