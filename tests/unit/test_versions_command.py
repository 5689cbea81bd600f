"""Times as people type them, paths as the shell has them, and which copies fit."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_versions.cli_output import plain, show_history
from devplatform_versions.history import arrange
from devplatform_versions.locating import place
from devplatform_versions.model import Version
from devplatform_versions.moments import parse_moment
from devplatform_versions.mount.selection import Bounds, select_copies
from devplatform_versions.naming import version_names
from devplatform_versions.renames import Rename
from tests.unit.version_histories import gone, save
from tests.unit.version_histories import history as saved

NOW = datetime(2026, 3, 15, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-15T14:00:00Z", NOW - timedelta(minutes=30)),
        ("2026-03-15 14:00", NOW - timedelta(minutes=30)),
        ("2026-03-15T15:00:00+01:00", NOW - timedelta(minutes=30)),
        ("2026-03-15_14-00-00", NOW - timedelta(minutes=29, seconds=59, microseconds=1)),
        ("2026-03-15", datetime(2026, 3, 15, tzinfo=UTC)),
        ("30m", NOW - timedelta(minutes=30)),
        ("2h ago", NOW - timedelta(hours=2)),
        ("3 d", NOW - timedelta(days=3)),
        ("1w", NOW - timedelta(days=7)),
        ("yesterday", NOW - timedelta(days=1)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    """A time without a zone is UTC, as in the names of old versions; within its second every save counts."""
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2027-01-01", "-3h", "999999w", "2026-03-15_25-00-00"])
def test_no_moments(text: str) -> None:
    """Nonsense and the future are refused with a code."""
    with pytest.raises(PublicError) as caught:
        parse_moment(text, NOW)
    assert caught.value.code == "time-invalid"


@pytest.mark.parametrize(
    ("cwd", "path", "place_of"),
    [
        ("", "a.txt", "a.txt"),
        ("d", "a.txt", "d/a.txt"),
        ("d", "../a.txt", "a.txt"),
        ("d", "..", ""),
        ("", ".", ""),
        ("", "gone/a.txt", "gone/a.txt"),
    ],
)
def test_paths_are_as_in_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cwd: str, path: str, place_of: str
) -> None:
    """Relative to the current folder; the file need not exist."""
    (tmp_path / "d").mkdir()
    monkeypatch.setenv("DEVPLATFORM_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path / cwd)
    assert place(path, allow_root=True) == place_of
    assert place(str(tmp_path / place_of), allow_root=True) == place_of


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("../x", "outside-workspace"),
        ("/etc/passwd", "outside-workspace"),
        ("out/x", "outside-workspace"),
        (".versions/a", "path-invalid"),
        ("a\nb", "path-invalid"),
    ],
)
def test_paths_outside_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, code: str) -> None:
    """Also by way of a link."""
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    monkeypatch.setenv("DEVPLATFORM_WORKSPACE", str(root))
    monkeypatch.chdir(root)
    with pytest.raises(PublicError) as caught:
        place(path)
    assert caught.value.code == code


def test_names_cannot_steer_the_terminal() -> None:
    """Escape sequences and characters that turn the text around are written out."""
    assert plain("\x1b[31mré d\u202etxt\x07") == "\\x1b[31mré d\\u202etxt\\x07"


def test_the_log_folds_hides_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """A burst is one line, what is hidden is named, a rename is told; --all has a line for each version."""
    events = [save(0, ""), *(save(n + 0.5, f"{n}") for n in range(3)), gone(3600)]
    versions = saved("n\x1b.txt", events)
    renames = {5: Rename("new\x1b.txt", 9, came_from=False)}
    show_history(arrange(versions, pinned=renames, fewest=2), version_names(versions), renames)
    told = capsys.readouterr()
    assert [line.split("  ") for line in re.sub("  +", "  ", told.out).splitlines()] == [
        ["VERSION", "SAVED", "SIZE", "BY", "HOW", "NAME IN .versions"],
        ["5", "2026-03-02 13:00:00Z", "alice", "deleted, renamed to new\\x1b.txt"],
        ["4", "2026-03-02 12:00:02Z", "1 B", "alice", "capture", "n\\x1b_2026-03-02_12-00-02.txt"],
        ["...", "2026-03-02 12:00:00Z", "alice", "2 more saves within 2 seconds"],
    ]
    assert told.err.splitlines() == [
        "Hidden: 1 empty version that a program wrote before the content.",
        "--all shows every version.",
    ]
    show_history(arrange(versions, reveal=True), version_names(versions), {})
    told = capsys.readouterr()
    assert (len(told.out.splitlines()), told.err) == (6, "")
    assert "capture, empty version that a program wrote before the content" in told.out


def test_outside_of_a_session_there_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence with a code."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PublicError) as caught:
        place("a")
    assert caught.value.code == "no-workspace"
    (tmp_path / ".devplatform").mkdir()
    (tmp_path / ".devplatform" / "capture.db").touch()
    assert place("a") == "a"
    assert os.getcwd() == str(tmp_path)


def history(path: str, *sizes: int, first: int) -> list[Version]:
    """Versions of a file, oldest first, a second apart."""
    return [
        Version(path, first + number, size, "x", NOW + timedelta(seconds=first + number), "alice")
        for number, size in enumerate(sizes)
    ]


def test_copies_fit_their_bounds() -> None:
    """The files that changed last, the newest version of each first, within the bytes there are."""
    histories = [history("d/a.txt", 10, 10, 10, first=1), history("b", 10, 500, first=10), history("c", 10, first=20)]
    bounds = Bounds(files=2, versions=2, total_bytes=40, file_bytes=100)
    assert {name: version.generation for name, version in select_copies(histories, bounds).items()} == {
        "c_2026-03-15_14-30-20": 20,
        "b_2026-03-15_14-30-10": 10,
    }
    emptied = saved("e", [save(0, "one"), save(60, ""), save(60.1, "two")])
    assert [version.generation for version in select_copies([emptied], Bounds(versions=2)).values()] == [3, 1]
    assert sorted(select_copies(histories, Bounds(versions=2))) == [
        "b_2026-03-15_14-30-10",
        "b_2026-03-15_14-30-11",
        "c_2026-03-15_14-30-20",
        "d/a_2026-03-15_14-30-02.txt",
        "d/a_2026-03-15_14-30-03.txt",
    ]
