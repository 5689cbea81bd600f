"""The pages of file versions in a real browser: wide and narrow, light and dark, by mouse and by keyboard.

With $SCREENSHOTS set to a folder, every page is also kept there as a picture.
"""

import base64
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.doubles.versions_service import Running, running
from tests.lab.tools import chromium

pytestmark = [pytest.mark.lab("chromium"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
PICTURES = os.environ.get("SCREENSHOTS")
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNk+M9Qz0AEYBxVSF+FAAhKDveksOjmAAAAAElFTkSuQmCC"
PNG_OTHER = "iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAYAAACNMs+9AAAAFUlEQVR42mNkYPhfz0AEYBxVSF+FAP5FDvcfRYWgAAAAAElFTkSuQmCC"
# The lowest contrast of any visible text with what is behind it (WCAG 2.2, 1.4.3): [ratio, text] where it is too low.
LOW_CONTRAST = """() => {
  const parse = (c) => { const m = c.match(/[\\d.]+/g).map(Number); return [m[0], m[1], m[2], m[3] ?? 1]; };
  const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const v = c[i] / 255; return sum + weight * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); }, 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement, style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!node.textContent.trim() || box.width <= 1 || style.visibility === 'hidden') continue;
    const a = light(parse(style.color)), b = light(ground(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) low.push([ratio.toFixed(2), node.textContent.trim().slice(0, 40)]);
  }
  return low;
}"""


@dataclass
class Sample:
    """A service with files of every kind, and the generations that pages are about."""

    service: Running
    pages: dict[str, str] = field(default_factory=dict)


def notebook(version: int) -> bytes:
    """A notebook with a table, a picture and things that must not run."""
    evil = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    table = f"<table><thead><tr><th>region</th></tr></thead><tbody><tr><td>north {version}</td></tr></tbody></table>"
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# Report\n\nSome *text*. {evil}"},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {},
            "execution_count": 1,
            "source": f"import pandas as pd\n\nrows = pd.read_csv('sales_{version}.csv')  # all of it\nrows.head()",
            "outputs": [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "metadata": {},
                    "data": {"text/plain": f"north {version}", "text/html": table + evil},
                }
            ],
        },
        {
            "cell_type": "code",
            "id": "c",
            "metadata": {},
            "execution_count": 2,
            "source": "plot(rows)",
            "outputs": [
                {
                    "output_type": "display_data",
                    "metadata": {},
                    "data": {"image/png": PNG if version == 1 else PNG_OTHER, "text/plain": "a figure"},
                }
            ],
        },
    ]
    if version > 1:
        cells.insert(1, {"cell_type": "markdown", "id": "n", "metadata": {}, "source": "## What is new"})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


async def busy_history(service: Running) -> None:
    """A folder with a file that was renamed, saved over and over, and emptied on the way; and what editors leave."""
    local = service.local
    await local.put("alice", "notes/draft-of-the-diary.md", b"# Diary\n")
    local.clock.move(minutes=40)
    await local.put("alice", "notes/diary.md", b"# Diary\n")
    await local.store.delete("alice", "notes/draft-of-the-diary.md", "alice")
    local.clock.move(minutes=20)
    for number in range(14):
        local.clock.move(seconds=80)
        await local.put("alice", "notes/diary.md", b"# Diary\n" + b"a line\n" * number)
    local.clock.move(hours=1)
    await local.put("alice", "notes/diary.md", b"")
    await local.put("alice", "notes/diary.md", b"# Diary\n\nThe end\n")
    for name in ("diary.md~", ".~lock.diary.md#", "x.db", "x.db-journal", ".ipynb_checkpoints/a.ipynb"):
        await local.put("alice", f"notes/{name}", b"1")


@pytest.fixture
async def sample(tmp_path: Path) -> AsyncIterator[Sample]:
    async with running(tmp_path) as service:
        put = service.local.put
        code = "".join(f"NUMBER_{n} = {n}  # a constant\n" for n in range(60))
        one = await put("alice", "src/totals.py", f"import os\n\n\n{code}".encode())
        at = service.local.clock.now()
        service.local.clock.move(hours=2)
        two = await put("alice", "src/totals.py", code.replace("_30 = 30 ", "_30 = 31 ").encode())
        first = await put("alice", "report.ipynb", notebook(1))
        second = await put("alice", "report.ipynb", notebook(2))
        await put("alice", "plots/map.png", base64.b64decode(PNG))
        await put("alice", "data.bin", bytes(range(256)))
        await put("alice", '<img src=x onerror="document.title=1">.txt', b"hostile\n")
        await put("alice", "ü" * 120 + ".txt", b"long\n")
        await put("alice", "old-plan.txt", b"the plan\n")
        await service.local.store.delete("alice", "old-plan.txt", "alice")
        await busy_history(service)
        service.local.clock.move(minutes=5)
        compare = "w/alice/compare?path={}&a={}&b={}"
        yield Sample(
            service,
            {
                "folder": "w/alice/folder?deleted=1",
                "file": "w/alice/file?path=src/totals.py",
                "text diff": compare.format("src/totals.py", one.generation, two.generation),
                "unified diff": compare.format("src/totals.py", one.generation, two.generation) + "&view=unified",
                "notebook diff": compare.format("report.ipynb", first.generation, second.generation),
                "text preview": "w/alice/view?path=src/totals.py",
                "image preview": "w/alice/view?path=plots/map.png",
                "notebook preview": "w/alice/view?path=report.ipynb",
                "notebook itself": "w/alice/notebook?path=report.ipynb",
                "binary preview": "w/alice/view?path=data.bin",
                "deleted": "w/alice/file?path=old-plan.txt",
                "bursts": "w/alice/file?path=notes/diary.md",
                "unfolded bursts": "w/alice/file?path=notes/diary.md&all=1",
                "renamed": "w/alice/file?path=notes/draft-of-the-diary.md",
                "hidden": "w/alice/folder?path=notes",
                "choose a moment": "w/alice/restore-folder",
                "folder restore": f"w/alice/restore-folder?at={quote(at.isoformat())}",
                "error": "w/alice/file?path=never.txt",
                "somebody else's": "w/bob/folder",
            },
        )


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=str(chromium()),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        await started.close()


@contextlib.asynccontextmanager
async def visit(browser: Browser, service: Running, token: str = "alice-token", **options: Any) -> AsyncIterator[Page]:
    """A page of somebody who has signed in with a cookie; whatever the browser complains about fails the test."""
    context = await browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)
    name, _, value = service.cookie(token).partition("=")
    await context.add_cookies([{"name": name, "value": value, "url": service.url}])
    page = await context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    yield page
    await context.close()
    assert [c for c in complaints if "status of 404" not in c and "status of 409" not in c] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
async def test_every_page_fits_and_can_be_read(sample: Sample, browser: Browser, width: int, theme: str) -> None:
    """No page is wider than the screen, none has text of too little contrast, each has one heading and a title."""
    size = {"width": width, "height": 900}
    async with visit(browser, sample.service, viewport=size, color_scheme=theme) as page:
        for name, path in sample.pages.items():
            answer = await page.goto(sample.service.url + path)
            assert answer
            assert answer.status == (404 if name in ("error", "somebody else's") else 200), name
            await page.wait_for_load_state("networkidle")
            if PICTURES:
                await page.screenshot(path=f"{PICTURES}/versions-{name.replace(' ', '-')}-{width}-{theme}.png")
            assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, name
            assert await page.evaluate(LOW_CONTRAST) == [], name
            assert "ran" not in await page.title(), name
            if name != "notebook itself":
                assert await page.locator("h1").count() == 1, name
    async with visit(browser, sample.service, "bob-token", viewport=size, color_scheme=theme) as page:
        await page.goto(sample.service.url)
        await expect(page.get_by_role("heading", name="No versions yet")).to_be_visible()
        if PICTURES:
            await page.screenshot(path=f"{PICTURES}/versions-empty-{width}-{theme}.png")
        assert await page.evaluate(LOW_CONTRAST) == []


@pytest.mark.parametrize("width", [1280, 400])
async def test_restores_an_old_version(sample: Sample, browser: Browser, width: int) -> None:
    """From the folder to the file, compare, restore, and see that it is done; with the cookie and its XSRF token."""
    async with visit(browser, sample.service, viewport={"width": width, "height": 900}) as page:
        await page.goto(sample.service.url)
        await page.get_by_role("link", name="src (folder)").click()
        await page.get_by_role("link", name="totals.py").click()
        await page.get_by_role("button", name="Compare the two selected").click()
        await expect(page.get_by_text("4 lines removed, 1 added.")).to_be_visible()
        await page.get_by_role("link", name="All versions").click()
        await page.get_by_role("button", name=re.compile("^Restore")).click()
        await expect(page.get_by_role("status")).to_contain_text("Restored.")
        await expect(page.get_by_text("restored", exact=True)).to_be_visible()
    live = await sample.service.local.store.get_version("alice", "src/totals.py")
    assert live.restored_from is not None


async def test_tells_of_a_change_in_between(sample: Sample, browser: Browser) -> None:
    """A file that was saved after the page was loaded is not overwritten, and the way on is offered."""
    async with visit(browser, sample.service) as page:
        await page.goto(sample.service.url + sample.pages["file"])
        await sample.service.local.put("alice", "src/totals.py", b"saved meanwhile\n")
        await page.get_by_role("button", name=re.compile("^Restore")).click()
        await expect(page.get_by_role("alert")).to_contain_text("Nothing was restored.")
        await page.get_by_role("button", name=re.compile("^Restore it all the same")).click()
        await expect(page.get_by_role("status")).to_contain_text("Restored.")


async def test_restores_a_folder_to_a_moment_of_the_persons_clock(sample: Sample, browser: Browser) -> None:
    """The picker speaks local time; first the list, then the deed."""
    async with visit(browser, sample.service) as page:
        await page.goto(sample.service.url + "w/alice/restore-folder?path=src")
        await expect(page.get_by_text("your time (Europe/Berlin)")).to_be_visible()
        await page.get_by_label("Date and time").fill("2026-03-01T13:30:00")  # 12:30 UTC, in winter
        await page.get_by_role("button", name="Show what would change").click()
        shown = await page.locator("h1 time").get_attribute("datetime")
        assert shown
        assert datetime.fromisoformat(shown) == datetime.fromisoformat("2026-03-01T12:30:00Z")
        await page.get_by_role("button", name="Restore 1 file").click()
        await expect(page.get_by_role("status")).to_contain_text("1 restored, 0 deleted, 0 left as they were")


async def test_works_by_keyboard(sample: Sample, browser: Browser) -> None:
    """Skip link, filter, list, comparison and restore, without a mouse; what has the focus is seen."""
    async with visit(browser, sample.service) as page:
        await page.goto(sample.service.url + "w/alice/folder")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        await page.keyboard.press("Enter")
        field = page.get_by_role("searchbox")
        await field.focus()
        await page.keyboard.type("repo")
        assert await page.locator("#entries tbody tr:visible").count() == 1
        link = page.get_by_role("link", name="report.ipynb")
        for _ in range(10):
            await page.keyboard.press("Tab")
            if await link.evaluate("e => e === document.activeElement"):
                break
        await expect(link).to_be_focused()
        assert await link.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("radio", name=re.compile("^New side")).first).to_be_visible()
        await page.get_by_role("button", name="Compare the two selected").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Cell 2 added text")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["", "without scripts"])
async def test_unfolds_a_burst_by_keyboard(sample: Sample, browser: Browser, scripts: bool) -> None:
    """A burst is closed, opens with Enter where the focus is, and what is inside can be chosen and restored."""
    async with visit(
        browser, sample.service, viewport={"width": 1280, "height": 900}, java_script_enabled=scripts
    ) as page:
        await page.goto(sample.service.url + sample.pages["bursts"])
        inside = page.locator(".group").last.get_by_role("button", name=re.compile("^Restore"))
        count = await inside.count()
        assert count == 0  # closed: nobody reads or reaches them
        await page.locator(".group summary").last.focus()
        await page.keyboard.press("Enter")
        await expect(inside.first).to_be_visible()
        await page.locator(".group").last.get_by_role("radio", name=re.compile("^Old side")).last.check()
        await page.get_by_role("button", name="Compare the two selected").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("diary.md")
        await page.go_back()
        await expect(page.get_by_text("renamed from")).to_be_visible()
        await page.get_by_role("link", name="notes/draft-of-the-diary.md").click()
        await expect(page.get_by_text("This file was renamed")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
async def test_an_open_burst_fits(sample: Sample, browser: Browser, width: int, theme: str) -> None:
    """The rows inside have room and contrast, and stand under the headings of the table."""
    size = {"width": width, "height": 900}
    async with visit(browser, sample.service, viewport=size, color_scheme=theme) as page:
        await page.goto(sample.service.url + sample.pages["bursts"])
        for summary in await page.locator(".group summary").all():
            await summary.click()
        if PICTURES:
            await page.screenshot(path=f"{PICTURES}/versions-open-burst-{width}-{theme}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert await page.evaluate(LOW_CONTRAST) == []


async def test_a_notebook_frame_has_no_origin_and_takes_the_theme(sample: Sample, browser: Browser) -> None:
    """The preview runs nothing, fetches nothing from elsewhere, cannot reach the page, and looks like it."""
    async with visit(browser, sample.service, color_scheme="light") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.add_init_script("if (top === window) localStorage.setItem('jupyterhub-bs-theme', 'dark')")
        await page.goto(sample.service.url + sample.pages["notebook preview"])
        frame = page.frame_locator("iframe.notebook")
        await expect(frame.get_by_role("heading", name="Report")).to_be_visible()
        await expect(frame.get_by_role("img", name="a figure")).to_be_visible()
        ground = await frame.locator("body").evaluate("e => getComputedStyle(e).backgroundColor")
        assert ground == "rgb(20, 24, 31)"
        assert await page.evaluate("document.querySelector('iframe').contentDocument") is None
        assert {url for url in asked if not url.startswith(("data:", sample.service.origin))} == set()
