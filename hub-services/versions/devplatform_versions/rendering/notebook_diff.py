"""Two notebooks compared cell by cell: nbdime says which cells belong together, lines are compared as text."""

import contextlib
import difflib
import signal
from collections.abc import Iterator
from typing import Any

import nbformat
from nbdime import diff_notebooks

from .notebook import image_of, plain_output
from .text_diff import compare_text, unified

_MOST_CELLS = 500
_NBDIME_SECONDS = 4.0
_MOST_OUTPUT_CHARACTERS = 100_000

Pair = tuple[int | None, int | None]


def compare_notebooks(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`{"cells", "cut"}` for a page.

    A cell is `{"change": "same", "count"}` for a run that did not change, else `{"change": "added" | "removed" |
    "changed", "type", "a", "b", "source": rows or None, "outputs": rows or None, "images": [old, new] or None}`.
    """
    cells: list[dict[str, Any]] = []
    for a, b in paired_cells(old, new):
        before = old["cells"][a] if a is not None else None
        after = new["cells"][b] if b is not None else None
        cell = _compared(before, after, a, b)
        if cell is not None:
            cells.append(cell)
        elif cells and cells[-1]["change"] == "same":
            cells[-1]["count"] += 1
        else:
            cells.append({"change": "same", "count": 1})
    return {"cells": cells[:_MOST_CELLS], "cut": len(cells) > _MOST_CELLS}


def notebook_changes(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """The changed cells for the API: `{"change", "type", "a", "b", "source": unified, "outputs": unified}`."""
    cells: list[dict[str, Any]] = []
    cut = False
    for a, b in paired_cells(old, new):
        before = old["cells"][a] if a is not None else {}
        after = new["cells"][b] if b is not None else {}
        source, cut_source = unified(before.get("source", ""), after.get("source", ""), "a", "b")
        outputs, cut_outputs = unified(_output_text(before), _output_text(after), "a", "b")
        cut = cut or cut_source or cut_outputs
        is_same_kind = bool(before and after) and before["cell_type"] == after["cell_type"]
        if is_same_kind and not source and not outputs and _images(before) == _images(after):
            continue
        change = "changed" if before and after else "added" if after else "removed"
        kind = (after or before)["cell_type"]
        cells.append({"change": change, "type": kind, "a": a, "b": b, "source": source, "outputs": outputs})
    return cells[:_MOST_CELLS], cut or len(cells) > _MOST_CELLS


class _TookTooLong(Exception):
    """nbdime compares every cell with every other one, letter by letter, when nothing fits at once."""


def paired_cells(old: dict[str, Any], new: dict[str, Any]) -> list[Pair]:
    """Which cell of the old notebook belongs to which of the new one, in reading order; None on a side for none."""
    try:
        with _at_most(_NBDIME_SECONDS):
            entries = diff_notebooks(nbformat.from_dict(old), nbformat.from_dict(new))
    except _TookTooLong:
        return _paired_by_identity(old["cells"], new["cells"])
    steps: list[Any] = []
    for entry in entries:
        if entry["key"] == "cells" and entry["op"] == "patch":
            steps = entry["diff"]
    pairs: list[Pair] = []
    a = b = 0
    for step in sorted(steps, key=lambda s: (s["key"], s["op"] != "addrange")):
        while a < step["key"]:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        if step["op"] == "addrange":
            pairs += [(None, b + i) for i in range(len(step["valuelist"]))]
            b += len(step["valuelist"])
        elif step["op"] == "removerange":
            pairs += [(a + i, None) for i in range(step["length"])]
            a += step["length"]
        else:
            pairs.append((a, b))
            a, b = a + 1, b + 1
    while a < len(old["cells"]) and b < len(new["cells"]):
        pairs.append((a, b))
        a, b = a + 1, b + 1
    return pairs


def _paired_by_identity(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[Pair]:
    """The same by cell ids, or equal text where there are none: coarser than nbdime, and fast."""
    left = [cell.get("id") or f"{cell['cell_type']}:{cell['source']}" for cell in old]
    right = [cell.get("id") or f"{cell['cell_type']}:{cell['source']}" for cell in new]
    pairs: list[Pair] = []
    for tag, a1, a2, b1, b2 in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        both = min(a2 - a1, b2 - b1) if tag in ("equal", "replace") else 0
        pairs += [(a1 + i, b1 + i) for i in range(both)]
        pairs += [(a, None) for a in range(a1 + both, a2)]
        pairs += [(None, b) for b in range(b1 + both, b2)]
    return pairs


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """`_TookTooLong` in the middle of whatever runs for longer. For the main thread of a worker only."""

    def end(*_: object) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _compared(
    before: dict[str, Any] | None, after: dict[str, Any] | None, a: int | None, b: int | None
) -> dict[str, Any] | None:
    """What differs between two cells, or None when nothing does that a person sees."""
    source = compare_text((before or {}).get("source", ""), (after or {}).get("source", ""))
    outputs = compare_text(_output_text(before or {}), _output_text(after or {}))
    images = [_images(before or {}), _images(after or {})]
    present = after if after is not None else before
    assert present is not None  # noqa: S101 - a pair has at least one side
    cell = {
        "type": present["cell_type"],
        "a": a,
        "b": b,
        "source": source if source["rows"] else None,
        "outputs": outputs if outputs["rows"] else None,
        "images": images if images[0] != images[1] else None,
    }
    if before is None or after is None:
        return {"change": "added" if before is None else "removed", **cell}
    same_kind = before["cell_type"] == after["cell_type"]
    if same_kind and not cell["source"] and not cell["outputs"] and not cell["images"]:
        return None
    return {"change": "changed", **cell}


def _output_text(cell: dict[str, Any]) -> str:
    texts = (plain_output(output).rstrip("\n") for output in cell.get("outputs", ()))
    return "\n".join(text for text in texts if text)[:_MOST_OUTPUT_CHARACTERS]


def _images(cell: dict[str, Any]) -> list[str]:
    return [image for output in cell.get("outputs", ()) if (image := image_of(output)) is not None][:8]
