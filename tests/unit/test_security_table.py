"""The table of SECURITY.md: every bug class of the field has a test, and every test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
_ROW = re.compile(r"\| ((?:CVE|GHSA)-[\w-]+) \| [^|]+ \| ([^|]+) \|")
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
CLASSES = {
    2: "CVE-2018-7206",
    3: "CVE-2020-26250",
    4: "CVE-2022-31027",
    5: "CVE-2024-29033",
    6: "CVE-2024-37300",
    7: "CVE-2026-33175",
    8: "CVE-2021-41194",
    9: "CVE-2024-41942",
    10: "GHSA-69wv-m5fw-2fhp",
    11: "GHSA-c4gm-pwx9-9w8j",
    12: "CVE-2026-54338",
    13: "CVE-2026-40864",
    14: "CVE-2026-33709",
    15: "CVE-2019-10255",
    16: "CVE-2020-36191",
    17: "CVE-2024-28233",
    18: "CVE-2021-41247",
    19: "CVE-2026-40934",
    21: "CVE-2026-34052",
}
"""Those that concern signing in, by their row in the anchors."""


def table() -> dict[str, list[tuple[str, str]]]:
    """The tests, as file and name, of each class."""
    rows = _ROW.findall((TESTS.parent / "SECURITY.md").read_text("utf-8"))
    return {name: _TEST.findall(tests) for name, tests in rows}


@cache
def texts(file: str) -> dict[str, str]:
    """The text of each test of this file, with what it is parametrised by."""
    source = (TESTS / file).read_text("utf-8")
    lines = source.splitlines()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    return found


def test_every_class_is_listed_in_order() -> None:
    """None is left out, and each has a test."""
    assert list(table()) == list(CLASSES.values())
    assert [name for name, tests in table().items() if not tests] == []


def test_every_test_that_is_named_is_there_and_says_what_it_guards() -> None:
    """By the id, in its docstring or in the name of a case."""
    missing = [
        f"{name}: {file}::{test}"
        for name, tests in table().items()
        for file, test in tests
        if not (TESTS / file).is_file() or name not in texts(file).get(test, "")
    ]
    assert missing == []


def test_every_test_that_names_a_class_is_listed() -> None:
    """So that a new one is found by its class."""
    listed = {(name, file, test) for name, tests in table().items() for file, test in tests}
    found = {
        (name, str(path.relative_to(TESTS)), test)
        for path in sorted(TESTS.rglob("test_*.py"))
        if path != Path(__file__).resolve()
        for test, text in texts(str(path.relative_to(TESTS))).items()
        for name in CLASSES.values()
        if name in text and test.startswith("test_")
    }
    assert found - listed == set()
