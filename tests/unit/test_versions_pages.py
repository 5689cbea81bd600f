"""The pages of file versions: what they show, what they never run, and what their forms do."""

import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.doubles.versions_service import Answer, Running, running

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000a49444154789c6360000000020001"
    "48afa4710000000049454e44ae426082"
)
HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
async def local_service(tmp_path: Path) -> AsyncIterator[Running]:
    """Over a store that finds a content again under another name."""
    async with running(tmp_path) as started:
        yield started


@pytest.fixture(params=["local", "gcs"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, request.param) as started:
        yield started


def text_of(answer: Answer) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]*>", "", answer.text)).split())


async def send(service: Running, page: str, **fields: str) -> Answer:
    """Send a form of a page, as a browser does."""
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
    return await service.fetch("POST", page, headers=form, data=urlencode(fields).encode())


async def test_leads_home_to_ones_own_workspace(service: Running) -> None:
    """The address in the hub's menu opens the caller's folder."""
    answer = await service.page("")
    assert (answer.status, answer.headers["Location"]) == (302, "/services/versions/w/alice/folder")


async def test_explains_itself_when_nothing_was_kept_yet(service: Running) -> None:
    """The first thing a person sees is how it works."""
    answer = await service.page("w/alice/folder")
    assert answer.status == 200
    assert "No versions yet" in answer.text
    assert ".devplatformignore" in answer.text


async def test_shows_names_for_what_they_are(service: Running) -> None:
    """HTML in a name is text, and a name that reads from the right shows the characters that do it."""
    await service.local.put("alice", f"{HOSTILE}/{HOSTILE}.txt", b"1")
    await service.local.put("alice", "invoice\u202excod.exe", b"1")
    pages = [
        "w/alice/folder",
        f"w/alice/folder?path={quote(HOSTILE)}",
        f"w/alice/folder?q={quote(HOSTILE)}x",
        f"w/alice/file?path={quote(f'{HOSTILE}/{HOSTILE}.txt')}",
        f"w/alice/view?path={quote(f'{HOSTILE}/{HOSTILE}.txt')}",
        f"w/alice/file?path={quote(HOSTILE)}",  # an error that names it
    ]
    for page in pages:
        answer = await service.page(page)
        assert HOSTILE not in answer.text, page
        assert "<img src=x" not in answer.text, page
        assert "&lt;img src=x" in answer.text, page
    listing = await service.page("w/alice/folder")
    assert "<bdi>invoice{U+202E}xcod.exe</bdi>" in listing.text
    assert "path=invoice%E2%80%AExcod.exe" in listing.text
    error = await service.page(f"w/alice/file?path={quote('no' + chr(0x202E))}")
    assert error.status == 404
    assert "\u202e" not in error.text


async def test_hides_noise_until_asked(service: Running) -> None:
    """Checkpoints and editors' side files are not what a person looks for."""
    for path in ("work.txt", "work.txt~", ".ipynb_checkpoints/work-checkpoint.ipynb", ".git/index"):
        await service.local.put("alice", path, b"1")
    plain = await service.page("w/alice/folder")
    assert "3 temporary or checkpoint items hidden" in text_of(plain)
    assert ">work.txt~<" not in plain.text
    everything = await service.page("w/alice/folder?all=1")
    assert ">work.txt~<" in everything.text
    assert ">.git<" in everything.text


async def test_names_what_is_hidden_in_a_folder(service: Running) -> None:
    """Each reason with its count; a side file without its file, and what a person restored, is not noise."""
    for path in ("work.txt", "work.txt~", "lab-journal", ".git/index", "alone.txt~", "x.lock", "db", "db-wal"):
        await service.local.put("alice", path, b"1")
    old = await service.local.put("alice", "db~", b"1")
    await service.local.put("alice", "db~", b"2")
    await service.local.store.restore("alice", "db~", old.generation, "alice")
    page = await service.page("w/alice/folder")
    assert (
        "4 temporary or checkpoint items hidden: 1 lock marker, 1 side file of an editor, 1 journal of a database, "
        "1 item of Git's own. Show them"
    ) in text_of(page)
    names = re.findall(r"<bdi>([^<]+)</bdi></a>", page.text)
    assert names == ["alone.txt~", "db", "db~", "lab-journal", "work.txt"]


async def test_folds_bursts_and_hides_the_steps_of_saving(service: Running) -> None:
    """Autosaves are behind one line, an empty step is hidden and named; asked for, every version is a row."""
    local = service.local
    for number in range(5):
        await local.put("alice", "a.txt", f"draft {number}".encode())
        local.clock.move(minutes=2)
    local.clock.move(hours=1)
    await local.put("alice", "a.txt", b"")
    await local.put("alice", "a.txt", b"done")
    page = await service.page("w/alice/file?path=a.txt")
    summary = re.search(r"<summary>(.*?)</summary>", page.text, re.DOTALL)
    assert summary
    assert " ".join(re.sub(r"<[^>]*>", "", summary[1]).split()) == (
        "4 more saves within 9 minutes first 2026-03-01 12:00 UTC, last 2026-03-01 12:06 UTC"
    )
    assert page.text.count("<details>") == 1
    assert page.text.count("of 2026-03-01 13:10 UTC</span></a>") == 2  # changes and download of the newest alone
    assert (
        "1 passing version hidden: 1 empty version that a program wrote before the content. "
        "Show every version by itself"
    ) in text_of(page)
    everything = await service.page("w/alice/file?path=a.txt&all=1")
    assert "<details>" not in everything.text
    assert len(re.findall(r'name="a" value', everything.text)) == 7
    assert '<span class="badge">empty version that a program wrote before the content</span>' in everything.text


async def test_older_and_newer_pass_over_what_is_hidden(service: Running) -> None:
    """The step between two saves is not what somebody wants to look at next; looked at, it has neighbours too."""
    one = await service.local.put("alice", "a.txt", b"one")
    step = await service.local.put("alice", "a.txt", b"")
    two = await service.local.put("alice", "a.txt", b"two")
    for at, older, newer in ((two, one, None), (one, None, two), (step, one, two)):
        page = await service.page(f"w/alice/view?path=a.txt&generation={at.generation}")
        for rel, other in (("prev", older), ("next", newer)):
            found = re.search(rf'rel="{rel}" href="[^"]*generation=([0-9]+)"', page.text)
            assert (found and found[1]) == (other and str(other.generation))


async def test_pages_of_a_long_burst(service: Running) -> None:
    """A burst over two pages is one burst: its newest is a row once, and each version is there once."""
    for number in range(150):
        await service.local.put("alice", "a.txt", str(number).encode())
    first = await service.page("w/alice/file?path=a.txt")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following
    second = await service.page(unescape(following[1]))
    assert "99 more saves within 2 minutes; others are on the next page" in text_of(first)
    assert "50 more saves within 49 seconds, of the burst that the page before ends with" in text_of(second)
    both = [re.findall(r'name="a" value="([0-9]+)"', page.text) for page in (first, second)]
    assert [len(generations) for generations in both] == [100, 50]
    assert both[0] + both[1] == sorted({*both[0], *both[1]}, key=int, reverse=True)


async def test_links_both_sides_of_a_rename(local_service: Running) -> None:
    """The old name says where the file went, the new one where it came from; names are escaped."""
    await local_service.local.put("alice", "old.txt", b"work")
    local_service.local.clock.move(minutes=5)
    await local_service.local.put("alice", f"{HOSTILE}.txt", b"work")
    await local_service.local.store.delete("alice", "old.txt", "alice")
    old = await local_service.page("w/alice/file?path=old.txt")
    assert f"This file was renamed to {HOSTILE}.txt. What it was before is still here." in text_of(old)
    assert "badge gone" not in old.text
    new = await local_service.page(f"w/alice/file?path={quote(HOSTILE)}.txt")
    assert "renamed from old.txt" in text_of(new)
    for page, target in ((old, f"{HOSTILE}.txt"), (new, "old.txt")):
        assert f'href="/services/versions/w/alice/file?path={quote(target)}"' in page.text
        assert HOSTILE not in page.text


async def test_says_until_when_a_version_is_kept(service: Running) -> None:
    """The newest is kept as long as it is there; twelve saves later the oldest two have ten newer ones above them."""
    saved = [await service.local.put("alice", "a.txt", str(number).encode()) for number in range(12)]
    page = await service.page("w/alice/file?path=a.txt")
    replaced = [version.created.date() for version in saved[1:]]  # each ends the one before it
    wanted = [day + timedelta(days=30 if rank < 2 else 366) for rank, day in enumerate(replaced)]
    assert re.findall(r">kept until ([0-9-]{10})<", page.text) == [day.isoformat() for day in reversed(wanted)]
    assert page.text.count("For 30 days: 10 or more versions are newer.") == 2


async def test_pages_and_searches_thousands(service: Running) -> None:
    """A big folder comes in pages, and a name is found wherever it is."""
    for number in range(1100):
        await service.local.put("alice", f"part-{number:04}.csv", b"1")
    first = await service.page("w/alice/folder")
    following = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert following
    assert first.text.count("<tr data-name") == 500
    second = await service.page(unescape(following[1]))
    assert ">part-0500.csv<" in second.text
    found = await service.page("w/alice/folder?q=PART-1099")
    assert re.findall(r"<bdi>(part-[^<]+)</bdi>", found.text) == ["part-1099.csv"]


async def test_restores_from_the_page_of_a_file(service: Running) -> None:
    """The button of a version makes it the newest, and the page says when the workspace has it."""
    old = await service.local.put("alice", "a.txt", b"old")
    new = await service.local.put("alice", "a.txt", b"new")
    page = await service.page("w/alice/file?path=a.txt")
    assert f'name="if_generation_match" value="{new.generation}"' in page.text
    fields = {"path": "a.txt", "generation": str(old.generation), "if_generation_match": str(new.generation)}
    answer = await send(service, "w/alice/restore", **fields)
    assert answer.status == 303
    after = await service.page(answer.headers["Location"])
    assert "Restored." in text_of(after)
    assert "within seconds while your server runs, otherwise at its next start" in text_of(after)
    again = await send(service, "w/alice/restore", **fields)
    assert again.status == 409
    assert "has changed meanwhile" in text_of(again)
    assert "version-conflict" in again.text
    assert "Restore it all the same" in text_of(again)


async def test_brings_a_deleted_file_back(service: Running) -> None:
    """A deleted file says so and offers its last version."""
    kept = await service.local.put("alice", "a.txt", b"here")
    await service.local.store.delete("alice", "a.txt", "alice")
    assert "a.txt" not in text_of(await service.page("w/alice/folder"))
    assert "a.txt deleted" in text_of(await service.page("w/alice/folder?deleted=1"))
    page = await service.page("w/alice/file?path=a.txt")
    assert "This file was deleted." in text_of(page)
    assert 'name="if_generation_match" value="0"' in page.text
    fields = {"path": "a.txt", "generation": str(kept.generation), "if_generation_match": "0"}
    assert (await send(service, "w/alice/restore", **fields)).status == 303
    assert (await service.fetch("GET", "api/v1/w/alice/content?path=a.txt")).body == b"here"


async def test_restores_a_folder_only_as_it_was_shown(service: Running) -> None:
    """First the list; then exactly that, or the new list when something was saved in between."""
    await service.local.put("alice", "p/a.txt", b"old")
    at = service.local.clock.now().isoformat()
    await service.local.put("alice", "p/a.txt", b"new")
    await service.local.put("alice", "p/late.txt", b"late")
    shown = await service.page(f"w/alice/restore-folder?path=p&at={quote(at)}")
    assert "1 file would be restored, 1 deleted, 0 stay as they are." in text_of(shown)
    digest = re.search(r'name="plan" value="([0-9a-f]{64})"', shown.text)
    assert digest
    await service.local.put("alice", "p/later.txt", b"later")
    refused = await send(service, "w/alice/restore-folder", path="p", at=at, plan=digest[1])
    assert refused.status == 409
    assert "plan-changed" in refused.text
    assert (await service.fetch("GET", "api/v1/w/alice/content?path=p/a.txt")).body == b"new"
    digest = re.search(r'name="plan" value="([0-9a-f]{64})"', refused.text)
    assert digest
    done = await send(service, "w/alice/restore-folder", path="p", at=at, plan=digest[1])
    assert "1 restored, 2 deleted, 0 left as they were" in text_of(done)
    assert (await service.fetch("GET", "api/v1/w/alice/content?path=p/a.txt")).body == b"old"
    nothing = await service.page(f"w/alice/restore-folder?path=p&at={quote(at)}")
    assert "Nothing would change" in text_of(nothing)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param("at=2126-01-01T00:00:00Z", "time-in-future", id="the future"),
        pytest.param("at=yesterday", "value-invalid", id="no time"),
        pytest.param("local=nonsense", "time-invalid", id="no time from the picker"),
    ],
)
async def test_refuses_a_moment_that_is_none(service: Running, query: str, code: str) -> None:
    """A moment is one, and in the past."""
    answer = await service.page(f"w/alice/restore-folder?{query}")
    assert (answer.status, code in answer.text) == (400, True)


async def test_takes_the_pickers_value_as_utc_without_a_script(service: Running) -> None:
    """Without a script the label says UTC, and UTC it is."""
    answer = await service.page("w/alice/restore-folder?local=2026-03-01T11:00")
    assert 'datetime="2026-03-01T11:00:00Z"' in answer.text


async def test_compares_text_side_by_side_and_in_one_column(service: Running) -> None:
    """What changed is marked by sign and word, not by colour alone, and escaped."""
    old = await service.local.put("alice", "a.py", b"import os\nprint('<b>one</b>')\n")
    new = await service.local.put("alice", "a.py", b"import os\nprint('<b>two</b>')\n")
    for view in ("split", "unified"):
        page = await service.page(f"w/alice/compare?path=a.py&a={new.generation}&b={old.generation}&view={view}")
        assert "1 line removed, 1 added." in text_of(page)
        assert "<del>" in page.text
        assert "removed: </span>" in page.text
        assert "<b>" not in page.text
    same = await service.page(f"w/alice/compare?path=a.py&a={old.generation}&b={old.generation}")
    assert "Both versions have the same content." in text_of(same)


async def test_compares_notebooks_cell_by_cell(service: Running) -> None:
    """nbdime pairs the cells; a moved, added or changed one is told apart."""
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Title"]},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": "x = 1\ny = 2", "outputs": [], "execution_count": 1},
    ]
    book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    old = await service.local.put("alice", "n.ipynb", json.dumps(book).encode())
    cells[1]["source"] = "x = 1\ny = 3"
    cells.insert(1, {"cell_type": "markdown", "id": "c", "metadata": {}, "source": "## New"})
    new = await service.local.put("alice", "n.ipynb", json.dumps(book).encode())
    query = f"path=n.ipynb&a={old.generation}&b={new.generation}"
    page = text_of(await service.page(f"w/alice/compare?{query}"))
    assert "1 unchanged cell" in page
    assert "Cell 2 added text" in page
    assert "Cell 3 changed code" in page
    answer = await service.fetch("GET", f"api/v1/w/alice/diff?{query}")
    assert answer.json == {
        "kind": "notebook",
        "cells": [
            {
                "change": "added",
                "type": "markdown",
                "a": None,
                "b": 1,
                "source": "--- a\n+++ b\n@@ -0,0 +1 @@\n+## New\n",
                "outputs": "",
            },
            {
                "change": "changed",
                "type": "code",
                "a": 1,
                "b": 2,
                "source": "--- a\n+++ b\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n",
                "outputs": "",
            },
        ],
        "truncated": False,
    }


async def test_shows_a_notebook_in_which_nothing_runs(service: Running) -> None:
    """Scripts, handlers, forms, frames, styles and remote pictures are gone; the document has no origin."""
    evil = (
        "<script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>link</a>"
        "<iframe src='//evil'></iframe><form action='//evil'><input></form><style>*{}</style>"
        "<img src='https://evil/track.png'><svg onload=alert(4)></svg><p style='position:fixed' class='notice'>kept</p>"
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(5)>"
    )
    output = {"output_type": "display_data", "data": {"text/html": evil}, "metadata": {}}
    script = {"output_type": "display_data", "data": {"application/javascript": "alert(6)"}, "metadata": {}}
    svg = {"output_type": "display_data", "data": {"image/svg+xml": "<svg onload=alert(7)></svg>"}, "metadata": {}}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": evil + "\n\n[x](javascript:alert(8))"},
        {"cell_type": "code", "metadata": {}, "source": "</pre><script>", "outputs": [output, script, svg]},
    ]
    book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    await service.local.put("alice", "n.ipynb", json.dumps(book).encode())
    answer = await service.page("w/alice/notebook?path=n.ipynb")
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    body = answer.text.partition("<body>")[2]
    assert "kept" in body
    for never in (
        "<script",
        "onerror",
        "onload",
        "javascript:",
        "<iframe",
        "<form",
        "<style",
        "https://evil",
        "//evil",
    ):
        assert never not in body, never
    assert re.findall(r'<p[^>]*class="notice"', body) == []
    assert 'src="data:image/svg+xml;base64,' in body
    frame = await service.page("w/alice/view?path=n.ipynb")
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame.text


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        pytest.param("a.png", PNG, "image/png", id="PNG"),
        pytest.param("a.jpg", b"\xff\xd8\xff\xe0rest", "image/jpeg", id="JPEG"),
        pytest.param("a.gif", b"GIF89arest", "image/gif", id="GIF"),
        pytest.param("a.webp", b"RIFF0000WEBPVP8 ", "image/webp", id="WebP"),
        pytest.param(
            "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "image/svg+xml", id="SVG"
        ),
        pytest.param("html.png", b"<html><script>alert(1)</script>", None, id="HTML that calls itself PNG"),
        pytest.param("a.txt", b"<svg onload=alert(1)>", None, id="SVG that calls itself text"),
    ],
)
async def test_serves_only_images_as_images(
    service: Running, name: str, content: bytes, media_type: str | None
) -> None:
    """The type comes from the bytes, and the document of an image can neither run nor fetch anything."""
    await service.local.put("alice", name, content)
    answer = await service.fetch("GET", f"w/alice/image?path={name}")
    if media_type is None:
        assert (answer.status, answer.json["error"]["code"]) == (415, "not-an-image")
        return
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, content, media_type)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; sandbox")


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        pytest.param("a.bin", b"\0\1\2" * 100, "This is not text", id="bytes"),
        pytest.param("a.txt", b"", "This version is empty.", id="nothing"),
        pytest.param("big.txt", b"line\n" * 400_000, "only the beginning is shown", id="2 MB of text"),
        pytest.param("big.ipynb", b" " * (21 * 2**20), "preview-too-large", id="a notebook over the bound"),
        pytest.param("big.png", PNG + b"\0" * (21 * 2**20), "preview-too-large", id="an image over the bound"),
        pytest.param("latin.txt", "Größe\n".encode("latin-1") * 3, "Größe", id="Latin-1"),
        pytest.param("wide.txt", "weit\n".encode("utf-16"), "weit", id="UTF-16"),
        pytest.param("x.html", b"<script>alert(1)</script>", "<script>alert(1)</script>", id="HTML as its source"),
    ],
)
async def test_says_what_it_shows(service: Running, name: str, content: bytes, wanted: str) -> None:
    """Text is shown, the rest says why it is not."""
    await service.local.put("alice", name, content)
    page = await service.page(f"w/alice/view?path={name}")
    assert page.status == 200
    assert wanted in text_of(page)
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[" * 1_000_000, id="a million brackets"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b'{"cells": 7}', id="cells that are no list"),
        pytest.param(b'{"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "nope"}]}]}', id="broken format 3"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_says_that_a_notebook_is_broken(service: Running, content: bytes) -> None:
    """A notebook that was saved halfway is a page, not an error."""
    await service.local.put("alice", "n.ipynb", content)
    page = await service.page("w/alice/notebook?path=n.ipynb")
    assert page.status == 200
    assert "not a notebook that can be read" in text_of(page)
