"""Rendering in a process apart: bounded, without credentials, and never in the way of others."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_versions.presentation import attachment, display_change, display_name, display_size
from devplatform_versions.ranges import ByteRange, RangeNotSatisfiable, etag_matches, parse_range
from devplatform_versions.rendering import notebook_diff
from devplatform_versions.rendering.client import Part, Renderer
from devplatform_versions.rendering.notebook import parse_notebook
from devplatform_versions.rendering.text_diff import compare_text, unified


def part(content: bytes) -> Part:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 65536):
            yield content[start : start + 65536]

    return Part(len(content), chunks())


def rewritten(seed: int, cells: int = 30) -> bytes:
    """A notebook of random text: no cell fits another, and nbdime compares each with every one, letter by letter."""
    letters = random.Random(seed)
    sources = ["".join(letters.choice("abcdef \n") for _ in range(600)) for _ in range(cells)]
    made = [{"cell_type": "raw", "source": source, "metadata": {}} for source in sources]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}).encode()


async def test_a_slow_job_is_ended_and_stalls_nobody() -> None:
    """A comparison that takes long is given up after the time, while the loop goes on."""
    worst = 0.0

    async def heartbeat() -> None:
        nonlocal worst
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - began)

    beating = asyncio.create_task(heartbeat())
    began = time.monotonic()
    job = {"job": "compare", "name": "a.ipynb", "as_text": False}
    with pytest.raises(PublicError) as refused:
        await Renderer(seconds=1).run(job, [part(rewritten(1)), part(rewritten(2))])
    beating.cancel()
    assert refused.value.code == "rendering-too-complex"
    assert time.monotonic() - began < 5
    assert worst < 0.5


def test_pairs_cells_without_nbdime_when_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that was rewritten is still compared, cell by cell in order."""
    monkeypatch.setattr(notebook_diff, "_NBDIME_SECONDS", 0.2)
    old, new = parse_notebook(rewritten(1, 10)), parse_notebook(rewritten(2, 12))
    old["cells"][4] = new["cells"][5]
    pairs = notebook_diff.paired_cells(old, new)
    assert pairs == [(0, 0), (1, 1), (2, 2), (3, 3), (None, 4), *((n, n + 1) for n in range(4, 10)), (None, 11)]


async def test_a_hungry_job_is_ended() -> None:
    """A notebook that unfolds to gigabytes meets the limit of its process."""
    content = b'{"cells":[' + b'{"cell_type":"raw","source":"","metadata":{"a":[[],[],[]]}},' * 340_000 + b"{}]}"
    with pytest.raises(PublicError) as refused:
        await Renderer(memory=256 * 2**20).run({"job": "preview-notebook"}, [part(content)])
    assert refused.value.code == "rendering-too-complex"


async def test_a_job_has_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's environment has nothing of the service's."""
    started: dict[str, Any] = {}
    original = asyncio.create_subprocess_exec

    async def watch(*arguments: Any, **options: Any) -> Any:
        started.update(options["env"])
        return await original(*arguments, **options)

    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "the-secret")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", watch)
    answer = await Renderer().run({"job": "preview-text", "name": "a.py"}, [part(b"x = 1\n")])
    assert answer["kind"] == "text"
    assert set(started) == {"PATH", "LC_ALL"}


async def test_refuses_when_too_many_wait() -> None:
    """The queue is bounded: the next one is told to come back."""
    renderer = Renderer(at_once=1, seconds=1)
    job = {"job": "preview-text", "name": "a.txt"}
    renderer._waiting = 30
    with pytest.raises(PublicError) as refused:
        await renderer.run(job, [part(b"1")])
    assert (refused.value.code, refused.value.status) == ("rendering-busy", 503)


def test_compares_lines_and_words() -> None:
    """Rows for a page, whole."""
    assert compare_text("a\nb one\nc\n", "a\nb two\nc\nd\n") == {
        "rows": [
            {"kind": "same", "a": 1, "left": [[False, "a"]], "b": 1, "right": [[False, "a"]]},
            {
                "kind": "changed",
                "a": 2,
                "left": [[False, "b "], [False, "o"], [True, "ne"]],
                "b": 2,
                "right": [[False, "b "], [True, "tw"], [False, "o"]],
            },
            {"kind": "same", "a": 3, "left": [[False, "c"]], "b": 3, "right": [[False, "c"]]},
            {"kind": "added", "a": None, "left": [], "b": 4, "right": [[False, "d"]]},
        ],
        "added": 2,
        "removed": 1,
        "cut": False,
    }


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        pytest.param("", "", "", id="nothing"),
        pytest.param("a\n", "a\n", "", id="the same"),
        pytest.param("", "a\n", "--- o\n+++ n\n@@ -0,0 +1 @@\n+a\n", id="from nothing"),
        pytest.param("a\n", "", "--- o\n+++ n\n@@ -1 +0,0 @@\n-a\n", id="to nothing"),
        pytest.param(
            "".join(f"{n}\n" for n in range(20)),
            "".join(f"{n}\n" for n in range(20) if n not in (2, 15)),
            "--- o\n+++ n\n@@ -1,6 +1,5 @@\n 0\n 1\n-2\n 3\n 4\n 5\n"
            "@@ -13,7 +12,6 @@\n 12\n 13\n 14\n-15\n 16\n 17\n 18\n",
            id="two places",
        ),
    ],
)
def test_writes_a_unified_diff(old: str, new: str, wanted: str) -> None:
    """As `diff -u` does."""
    assert unified(old, new, "o", "n") == (wanted, False)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("bytes=0-9", ByteRange(0, 10, 100), id="first ten"),
        pytest.param("bytes=90-", ByteRange(90, 100, 100), id="from 90"),
        pytest.param("bytes=-10", ByteRange(90, 100, 100), id="last ten"),
        pytest.param("bytes=-1000", ByteRange(0, 100, 100), id="a suffix longer than all"),
        pytest.param("bytes=95-2000", ByteRange(95, 100, 100), id="beyond the end"),
        pytest.param("bytes=5-4", None, id="backwards is ignored"),
        pytest.param("bytes=0-1,5-6", None, id="several are ignored"),
        pytest.param("items=0-1", None, id="another unit is ignored"),
        pytest.param("bytes=100-", RangeNotSatisfiable, id="after the end"),
        pytest.param("bytes=-0", RangeNotSatisfiable, id="an empty suffix"),
    ],
)
def test_reads_a_range(header: str | None, wanted: Any) -> None:
    """RFC 9110, section 14."""
    if wanted is RangeNotSatisfiable:
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, 100)
    else:
        assert parse_range(header, 100) == wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [(None, False), ("*", True), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"b"', False), ("a", False)],
)
def test_matches_entity_tags(header: str | None, wanted: bool) -> None:
    """RFC 9110, section 13."""
    assert etag_matches(header, '"a"') is wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        pytest.param("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt", id="plain"),
        pytest.param('a"\r\nb;', "attachment; filename=\"a___b_\"; filename*=UTF-8''a%22%0D%0Ab%3B", id="breaking out"),
        pytest.param("Größe", "attachment; filename=\"Gr__e\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe", id="umlauts"),
        pytest.param("a%20\\b", "attachment; filename=\"a_20_b\"; filename*=UTF-8''a%2520%5Cb", id="escapes"),
    ],
)
def test_names_a_download(name: str, wanted: str) -> None:
    """RFC 6266: one header, whatever the name."""
    assert attachment(name) == wanted


def test_shows_names_and_sizes() -> None:
    """What is invisible is written out; sizes are short."""
    assert display_name("a\u202eb\x1bc\u200bd") == "a{U+202E}b{U+001B}c{U+200B}d"
    assert display_name("नमस्ते 👩‍🔬.txt") == "नमस्ते 👩‍🔬.txt"
    sizes = [display_size(n) for n in (0, 1023, 1024, 1536, 1048575, 2**30)]
    assert sizes == ["0 B", "1023 B", "1.0 KB", "1.5 KB", "1.0 MB", "1.0 GB"]
    assert [display_change(*pair) for pair in ((1, None), (5, 5), (9, 5), (5, 9))] == ["", "±0", "+4 B", "\u22124 B"]
