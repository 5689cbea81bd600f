"""Two texts compared line by line, as rows that a page can show side by side and as a unified diff."""

import difflib
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .text import bounded_lines

_CONTEXT = 3
_MOST_ROWS = 6000
_INLINE_LENGTH = 500
_EXACT_PRODUCT = 4_000_000  # beyond, difflib may treat frequent lines as noise: much faster, a little coarser

Opcode = tuple[str, int, int, int, int]
Segment = list[Any]  # [is changed, text]


def compare_text(old: str, new: str) -> dict[str, Any]:
    """`{"rows", "added", "removed", "cut"}` of two texts.

    A row is `{"kind", "a", "left", "b", "right"}`: kind `same`, `changed`, `removed`, `added` or `skip`;
    a and b are line numbers; left and right are lists of `[is changed, text]`.
    """
    before, cut_before = bounded_lines(old)
    after, cut_after = bounded_lines(new)
    rows: list[dict[str, Any]] = []
    words = _WordBudget()
    added = removed = 0
    last_a = last_b = 0
    for group in _grouped(line_opcodes(before, after)):
        first = group[0]
        _skip(rows, first[1] - last_a)
        for tag, a1, a2, b1, b2 in group:
            if tag != "equal":
                removed += a2 - a1
                added += b2 - b1
            if len(rows) <= _MOST_ROWS:
                rows.extend(_rows(tag, before[a1:a2], after[b1:b2], a1 + 1, b1 + 1, words))
        last_a, last_b = group[-1][2], group[-1][4]
    if rows:
        _skip(rows, len(after) - last_b)
    cut = cut_before or cut_after or len(rows) > _MOST_ROWS
    return {"rows": rows[:_MOST_ROWS], "added": added, "removed": removed, "cut": cut}


def unified(old: str, new: str, name_a: str, name_b: str) -> tuple[str, bool]:
    """A unified diff as `diff -u` writes it, and whether it was cut."""
    before, cut_before = bounded_lines(old)
    after, cut_after = bounded_lines(new)
    lines = [f"--- {name_a}", f"+++ {name_b}"]
    for group in _grouped(line_opcodes(before, after)):
        a1, a2, b1, b2 = group[0][1], group[-1][2], group[0][3], group[-1][4]
        lines.append(f"@@ -{_span(a1, a2)} +{_span(b1, b2)} @@")
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [f" {line}" for line in before[i1:i2]]
                continue
            lines += [f"-{line}" for line in before[i1:i2]]
            lines += [f"+{line}" for line in after[j1:j2]]
    if len(lines) == 2:
        return "", cut_before or cut_after
    cut = cut_before or cut_after or len(lines) > _MOST_ROWS
    return "\n".join(islice(lines, _MOST_ROWS)) + "\n", cut


def line_opcodes(before: list[str], after: list[str]) -> list[Opcode]:
    """difflib's opcodes, after taking off what both have in common at the ends: most saves change little."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    middle_a, middle_b = before[start : len(before) - end], after[start : len(after) - end]
    exact = len(middle_a) * len(middle_b) <= _EXACT_PRODUCT
    matcher = difflib.SequenceMatcher(None, middle_a, middle_b, autojunk=not exact)
    codes: list[Opcode] = [("equal", 0, start, 0, start)] if start else []
    codes += [(tag, a1 + start, a2 + start, b1 + start, b2 + start) for tag, a1, a2, b1, b2 in matcher.get_opcodes()]
    if end:
        codes.append(("equal", len(before) - end, len(before), len(after) - end, len(after)))
    return codes


def _grouped(codes: list[Opcode]) -> list[list[Opcode]]:
    """Changes with a little around them; nothing when nothing changed."""
    groups: list[list[Opcode]] = []
    group: list[Opcode] = []
    for number, (tag, a1, a2, b1, b2) in enumerate(codes):
        if tag != "equal":
            group.append((tag, a1, a2, b1, b2))
            continue
        is_first, is_last = number == 0, number == len(codes) - 1
        length = a2 - a1
        if is_first and is_last:
            return []
        if is_first:
            keep = min(length, _CONTEXT)
            group.append((tag, a2 - keep, a2, b2 - keep, b2))
        elif is_last:
            keep = min(length, _CONTEXT)
            group.append((tag, a1, a1 + keep, b1, b1 + keep))
        elif length > 2 * _CONTEXT + 1:
            group.append((tag, a1, a1 + _CONTEXT, b1, b1 + _CONTEXT))
            groups.append(group)
            group = [(tag, a2 - _CONTEXT, a2, b2 - _CONTEXT, b2)]
        else:
            group.append((tag, a1, a2, b1, b2))
    return [*groups, group] if group else groups


@dataclass(slots=True)
class _WordBudget:
    """How much work is left for finding what changed inside lines: it grows with the product of their lengths."""

    left: int = 8_000_000

    def allows(self, old: str, new: str) -> bool:
        self.left -= len(old) * len(new)
        return self.left >= 0


def _rows(tag: str, left: list[str], right: list[str], a: int, b: int, words: _WordBudget) -> list[dict[str, Any]]:
    if tag == "equal":
        return [
            {"kind": "same", "a": a + i, "left": [[False, line]], "b": b + i, "right": [[False, line]]}
            for i, line in enumerate(left)
        ]
    rows: list[dict[str, Any]] = []
    paired = min(len(left), len(right))
    for i in range(paired):
        old, new = _segments(left[i], right[i], words)
        rows.append({"kind": "changed", "a": a + i, "left": old, "b": b + i, "right": new})
    for i in range(paired, len(left)):
        rows.append({"kind": "removed", "a": a + i, "left": [[False, left[i]]], "b": None, "right": []})
    for i in range(paired, len(right)):
        rows.append({"kind": "added", "a": None, "left": [], "b": b + i, "right": [[False, right[i]]]})
    return rows


def _segments(old: str, new: str, words: _WordBudget) -> tuple[list[Segment], list[Segment]]:
    """What changed inside a line; the whole line when hardly anything stayed or it takes too long."""
    if max(len(old), len(new)) > _INLINE_LENGTH or not words.allows(old, new):
        return [[False, old]], [[False, new]]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < 0.4:
        return [[False, old]], [[False, new]]
    left: list[Segment] = []
    right: list[Segment] = []
    for tag, a1, a2, b1, b2 in matcher.get_opcodes():
        if a2 > a1:
            left.append([tag != "equal", old[a1:a2]])
        if b2 > b1:
            right.append([tag != "equal", new[b1:b2]])
    return left, right


def _skip(rows: list[dict[str, Any]], count: int) -> None:
    if count > 0:
        rows.append({"kind": "skip", "count": count})


def _span(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"
