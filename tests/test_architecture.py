"""The rules of ARCHITECTURE.md that a machine can check."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("devplatform_hub", "hub-services")
MODULE_LINES = 300
FUNCTION_LINES = 50
VAGUE_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}


def modules() -> Iterator[Path]:
    for source in SOURCES:
        yield from sorted((ROOT / source).rglob("*.py"))


def test_imports_follow_the_contracts() -> None:
    """Every import goes in the direction that setup.cfg allows."""
    program = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [program, "--config", "setup.cfg", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_modules_are_small_and_well_named() -> None:
    """A module holds one concept: about 300 lines, and a name that says which."""
    found = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in modules()
        if (lines := len(path.read_text("utf-8").splitlines())) > MODULE_LINES
    ]
    found += [f"{path.relative_to(ROOT)}: a vague name" for path in modules() if path.stem in VAGUE_NAMES]
    assert found == []


def test_functions_are_small() -> None:
    """A function fits on a screen: 50 lines."""
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {lines} lines")
    assert found == []


def test_ports_are_small() -> None:
    """A port promises at most six methods."""
    found = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in node.bases):
                methods = [m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len(methods) > 6:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {len(methods)} methods")
    assert found == []


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param(r"/(?:root|work|home/[a-z]+)/", id="a path of one machine"),
        pytest.param(r"\b(?:TODO|FIXME|XXX)\b", id="unfinished work"),
        pytest.param(r"@pytest\.mark\.(?:skip\b|xfail)", id="a test that is switched off"),
        pytest.param(r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|proxy\.golang\.org", id="a registry's host"),
    ],
)
def test_the_repository_speaks_of_the_product_alone(pattern: str) -> None:
    """No tracked file names a machine's path, a registry's host or work that is left undone."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if path == Path(__file__).resolve() or path.suffix in {".png", ".ico"} or not path.is_file():
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert found == []
