"""Two notebooks compared cell by cell: nbdime says which cells belong together, lines are compared as text."""

from typing import Any

import nbformat
from nbdime import diff_notebooks

from .notebook import image_of, plain_output
from .text_diff import compare_text, unified

_MOST_CELLS = 500
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


def paired_cells(old: dict[str, Any], new: dict[str, Any]) -> list[Pair]:
    """Which cell of the old notebook belongs to which of the new one, in reading order; None on a side for none."""
    entries = diff_notebooks(nbformat.from_dict(old), nbformat.from_dict(new))
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
