"""What is not captured: the defaults, and `.devplatformignore` on top of them."""

import pytest

from devplatform_versions.capture.ignore import MOST_RULES, IgnoreRules

CAPTURED = [
    "report.ipynb", "data/x.csv", ".bashrc", ".github/workflows/ci.yml", ".gitignore", ".devplatformignore", "uv.lock",
    "package-lock.json", "poetry.lock", "venv.py", "cache/x", "a~b", "journal", "x.partial.txt", "d/.versions/x",
]  # fmt: skip
IGNORED = [
    ".git/config", "repo/.git/objects/ab/cd", "web/node_modules/x/index.js", "__pycache__/a.pyc", "pkg/mod.pyc",
    ".ipynb_checkpoints/a-checkpoint.ipynb", ".venv/bin/python", "p/venv/lib/x.py", ".cache/pip/x", ".~report.ipynb",
    ".~lock.table.ods#", "~$letter.docx", "notes.txt~", "#notes#", ".#notes", ".a.txt.swp", "4913", "x.db-journal",
    "x.db-wal", "x.db-shm", "big.iso.part", ".nfs000001", ".versions/a", ".versions", ".devplatform/capture.db",
    ".devplatform", ".DS_Store", ".~devplatform-0123",
]  # fmt: skip


@pytest.mark.parametrize("path", CAPTURED)
def test_work_is_captured(path: str) -> None:
    """Nothing that somebody wrote is left out by default."""
    assert not IgnoreRules().ignores_file(path)


@pytest.mark.parametrize("path", IGNORED)
def test_the_rest_is_ignored(path: str) -> None:
    """Repositories, what is installed, caches, and what editors write for a moment."""
    assert IgnoreRules().ignores_file(path)


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("*.csv", "d/a.csv", True),
        ("/data/", "data/deep/a", True),
        ("/data/", "other/data/a", False),
        ("data/*\n!data/keep.txt", "data/keep.txt", False),
        ("!node_modules/", "node_modules/x.js", False),
        ("!*.swp", "a.swp", False),
        ("!.versions/\n!.devplatform/\n!.versions", ".versions/a", True),
        ("# a comment\n\n", "# a comment", False),
        ("*\n!*.py", "a.py", False),
        ("*\n!*.py", "a.txt", True),
    ],
)
def test_rules_are_gitignore_rules(rules: str, path: str, ignored: bool) -> None:
    """They come after the defaults, so that `!` brings something back, but never the platform's own folders."""
    assert IgnoreRules(rules.splitlines()).ignores_file(path) is ignored


def test_a_bad_rule_is_named_and_the_others_hold() -> None:
    """One mistake in the file does not switch the rest off."""
    rules = IgnoreRules(["*.csv", "!", "*.tsv"])
    assert (rules.ignores_file("a.csv"), rules.ignores_file("a.tsv")) == (True, True)
    assert rules.problems == [".devplatformignore line 2 is not a gitignore rule"]


def test_too_many_rules_are_cut() -> None:
    """The file is bounded, and the person is told."""
    rules = IgnoreRules(["*.a"] * MOST_RULES + ["*.b"])
    assert rules.ignores_file("x.a")
    assert not rules.ignores_file("x.b")
    assert rules.problems == [".devplatformignore has more than 1000 lines: the rest is not used"]
