"""`devplatform audit`: what it shows, in which order, and how it ends."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from devplatform_hub.embedded import audit_cli
from devplatform_hub.embedded.audit_table import columns_of, heading, readable, row
from devplatform_hub.embedded.cli import main
from devplatform_hub.servicekit import audit
from tests.lab.audit_events import valid_events

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose audit has three events of an hour ago and later."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(tmp_path / "logs" / "audit.jsonl"))
    now = datetime.now(UTC)
    audit.emit("person.sign-in", actor="alice", outcome="allowed", why="is a member", now=now - timedelta(hours=3))
    audit.emit("person.sign-in", actor="eve", outcome="refused", why="no group", remote="::1", now=now)
    audit.emit("server.stop", actor="root", outcome="allowed", target="alice/lab", why="stopped-by-admin", now=now)
    monkeypatch.delenv("DEVPLATFORM_AUDIT_FILE")
    return tmp_path


def run(data: Path, *arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["audit", "--data", str(data), *arguments], env=environment)


def actors(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [event["actor"] for event in valid_events(result.stdout)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param([], ["alice", "eve", "root"], id="everything, the newest last"),
        pytest.param(["--limit", "2"], ["eve", "root"], id="the newest two"),
        pytest.param(["--actor", "eve"], ["eve"], id="actor"),
        pytest.param(["--target", "alice"], ["root"], id="target"),
        pytest.param(["--action", "person"], ["alice", "eve"], id="action"),
        pytest.param(["--outcome", "refused"], ["eve"], id="outcome"),
        pytest.param(["--why", "GROUP"], ["eve"], id="why"),
        pytest.param(["--since", "2h"], ["eve", "root"], id="since"),
        pytest.param(["--until", "2h"], ["alice"], id="until"),
    ],
)
def test_what_is_shown(data: Path, asked: list[str], found: list[str]) -> None:
    """As lines of JSON they are events of the schema."""
    assert actors(run(data, "--json", *asked)) == found


def test_the_table(data: Path) -> None:
    """In a pipe nothing is cut, and there is no heading."""
    lines = run(data).stdout.splitlines()
    assert [line[20:].split() for line in lines] == [
        ["alice", "person.sign-in", "allowed", "is", "a", "member"],
        ["eve", "person.sign-in", "refused", "no", "group,", "from", "::1"],
        ["root", "server.stop", "allowed", "alice/lab", "stopped-by-admin"],
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(["--actor", "nobody"], 3, "", id="nothing found"),
        pytest.param(["--since", "soon"], 2, "'soon' is no moment", id="no moment"),
        pytest.param(["--outcome", "perhaps"], 2, "'perhaps' is not one of", id="no outcome"),
        pytest.param(["--data", "/nonexistent"], 1, "[audit-none]", id="no folder"),
    ],
)
def test_how_it_ends(data: Path, arguments: list[str], status: int, said: str) -> None:
    """As the help says."""
    result = run(data, *arguments)
    assert (result.exit_code, said in result.output, "Traceback" in result.output) == (status, True, False)


def test_before_anything_happened_there_is_nothing(tmp_path: Path) -> None:
    """The folder is there, the file is not."""
    (tmp_path / "logs").mkdir()
    assert (run(tmp_path).exit_code, run(tmp_path).output) == (3, "")


def test_which_file_is_read(data: Path, tmp_path: Path) -> None:
    """The one that the environment names, unless --data is given."""
    other = tmp_path / "other.jsonl"
    event = {"time": NOON.isoformat(), "action": "person.sign-in", "actor": "o", "outcome": "allowed"}
    other.write_text(json.dumps(event) + "\n")
    named = {"DEVPLATFORM_AUDIT_FILE": str(other)}
    assert actors(CliRunner().invoke(main, ["audit", "--json"], env=named)) == ["o"]
    assert actors(run(data, "--json", "--limit", "1", **named)) == ["root"]


def test_lines_that_cannot_be_read_are_counted(data: Path) -> None:
    """On standard error, so that JSON stays JSON."""
    with (data / "logs" / "audit.jsonl").open("a") as stream:
        stream.write("torn\n")
    result = run(data, "--json")
    assert len(actors(result)) == 3
    assert result.stderr == "1 lines cannot be read, and were left out.\n"


def test_following(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is new and asked for comes after what is there, until Ctrl-C."""
    file = data / "logs" / "audit.jsonl"
    waits = 0

    def wait(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            raise KeyboardInterrupt
        for actor in ("eve", "alice"):
            audit.emit("person.sign-in", actor=actor, outcome="allowed", why=f"new {waits}")

    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(file))
    monkeypatch.setattr(audit_cli.time, "sleep", wait)
    result = run(data, "--follow", "--json", "--actor", "eve")
    assert [event["why"] for event in valid_events(result.stdout)] == ["no group", "new 1", "new 2"]


def test_a_reader_that_ends_is_no_error(data: Path) -> None:
    """Such as `devplatform audit | head -1`."""
    with (data / "logs" / "audit.jsonl").open("a") as stream:
        stream.write((json.dumps({"action": "x.y", "actor": "a" * 400, "outcome": "allowed"}) + "\n") * 5000)
    command = [sys.executable, "-m", "devplatform_hub.embedded.cli", "audit", "--data", str(data), "--limit", "5000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert (process.wait(20), process.stderr.read()) == (0, b"")


HOSTILE = "a\x1b[2J\u202eb\r\nc\u200b\\x1b\x00\u2028"


@pytest.mark.parametrize("width", [None, 80, 200])
def test_nothing_in_an_event_moves_a_cursor(width: int | None) -> None:
    """CVE-2026-54338: everything that a terminal would obey is written out, once and unmistakably."""
    names = ("time", "actor", "action", "outcome", "target", "why", "remote", "on_behalf_of")
    event = dict.fromkeys(names, HOSTILE)
    line = row(event, width=width)
    assert line.isprintable()
    assert readable(HOSTILE) == "a\\x1b[2J\\u202eb\\r\\nc\\u200b\\\\x1b\\x00\\u2028"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        pytest.param(
            {"actor": "alice", "action": "server.visit", "outcome": "allowed", "target": "bob/", "why": "w" * 90},
            "2026-05-01 12:00:00 alice                server.visit       allowed bob/                     "
            + "w" * 26
            + "\u2026",
            id="why takes what is left",
        ),
        pytest.param(
            {"actor": "\u6f22" * 30, "action": "a.b", "outcome": "failed", "target": "t" * 30, "on_behalf_of": "eve"},
            "2026-05-01 12:00:00 " + "\u6f22" * 9 + "\u2026  a.b                failed  " + "t" * 23 + "\u2026 for eve",
            id="wide letters, and cut names",
        ),
        pytest.param({"actor": 5}, "2026-05-01 12:00:00 5", id="not what the schema says"),
    ],
)  # fmt: skip
def test_a_row_of_a_terminal(event: dict[str, Any], line: str) -> None:
    """It has the columns of the heading, and is not wider than the terminal."""
    made = row({"time": NOON.isoformat(), **event}, zone=UTC, width=120)
    assert made == line
    assert columns_of(made) <= 120
    assert (
        heading() == "TIME                ACTOR                ACTION             OUTCOME TARGET                   WHY"
    )
