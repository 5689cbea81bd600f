"""Several processes write and rotate one audit: no line is lost, whoever rotates."""

import json
import multiprocessing
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from devplatform_hub.embedded import platform
from devplatform_hub.embedded.state import open_data
from devplatform_hub.servicekit import audit
from tests.unit.test_hub_services import machine

_WRITERS, _LINES = 4, 250
_CONTEXT = multiprocessing.get_context("fork")


def _write(name: str, file: Path, renames: bool) -> None:
    for number in range(_LINES):
        audit.emit("person.refresh", actor=name, outcome="allowed", target=str(number))
        if renames and number % 25 == 0:
            with suppress(FileNotFoundError):  # another has just done it
                file.rename(f"{file}.{name}-{number}")


def lines_of(folder: Path) -> list[tuple[str, int]]:
    events = [json.loads(line) for path in folder.glob("audit.jsonl*") for line in path.read_text().splitlines()]
    return [(event["actor"], int(event["target"])) for event in events]


def write_at_once(file: Path, *, renames: bool = False) -> None:
    writers = [_CONTEXT.Process(target=_write, args=(f"writer{n}", file, renames)) for n in range(_WRITERS)]
    for writer in writers:
        writer.start()
    assert [(writer.join(), writer.exitcode) for writer in writers] == [(None, 0)] * _WRITERS


EXPECTED = Counter((f"writer{writer}", number) for writer in range(_WRITERS) for number in range(_LINES))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(tmp_path / "audit.jsonl"))
    return tmp_path / "audit.jsonl"


def test_our_own_rotation_loses_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever process finds the file large enough, and however many do at once."""
    monkeypatch.setenv("DEVPLATFORM_AUDIT_BYTES", "3000")
    monkeypatch.setenv("DEVPLATFORM_AUDIT_KEPT", "10000")
    write_at_once(file)
    assert Counter(lines_of(file.parent)) == EXPECTED
    assert len(list(file.parent.iterdir())) > 5


def test_somebody_elses_rotation_loses_nothing(file: Path) -> None:
    """As logrotate does it without copytruncate: renamed while four processes write."""
    write_at_once(file, renames=True)
    assert Counter(lines_of(file.parent)) == EXPECTED
    assert len(list(file.parent.iterdir())) > 5


def test_so_many_files_are_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest end, and with them alone lines; files are for their owner."""
    monkeypatch.setenv("DEVPLATFORM_AUDIT_BYTES", "1")
    monkeypatch.setenv("DEVPLATFORM_AUDIT_KEPT", "3")
    for number in range(9):
        audit.emit("person.refresh", actor="a", outcome="allowed", target=str(number))
    found = {path.name: path.read_text() for path in file.parent.iterdir()}
    assert {name: json.loads(text)["target"] for name, text in found.items()} == {
        "audit.jsonl.1": "8",
        "audit.jsonl.2": "7",
        "audit.jsonl.3": "6",
    }
    assert {path.stat().st_mode & 0o777 for path in file.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("size", ["", "0", "much", "-"])
def test_without_a_size_nothing_is_rotated(file: Path, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    """What cannot be read as a number is none."""
    monkeypatch.setenv("DEVPLATFORM_AUDIT_BYTES", size)
    for _ in range(3):
        audit.emit("person.refresh", actor="a", outcome="allowed")
    assert os.listdir(file.parent) == ["audit.jsonl"]


def test_a_rotation_that_fails_loses_no_line(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The line is in the file, and nowhere twice; the log says why the file grows, once."""
    monkeypatch.setenv("DEVPLATFORM_AUDIT_BYTES", "1")

    def refuse(*_paths: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    for number in range(3):
        audit.emit("person.refresh", actor="a", outcome="allowed", target=str(number))
    assert (len(lines_of(file.parent)), capsys.readouterr().out) == (3, "")
    assert len(caplog.records) == 1


def test_a_file_that_another_process_has_moved_is_not_moved_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote to it late finds another file with the name, which is not large yet."""
    monkeypatch.setenv("DEVPLATFORM_AUDIT_BYTES", "100")
    file.write_text("x" * 200 + "\n")
    descriptor = os.open(file, os.O_RDWR)
    file.rename(file.with_name("audit.jsonl.1"))
    file.write_text("new\n")
    audit._rotate(str(file), descriptor)
    os.close(descriptor)
    assert sorted(os.listdir(file.parent)) == ["audit.jsonl", "audit.jsonl.1"]
    assert file.read_text() == "new\n"


@pytest.mark.parametrize(("given", "told"), [({}, str(20 * 2**20)), ({"DEVPLATFORM_AUDIT_BYTES": "5"}, "5")], ids=str)
def test_devplatform_up_rotates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], told: str
) -> None:
    """The hub is told the file and its size, unless somebody says another."""
    monkeypatch.delenv("DEVPLATFORM_AUDIT_BYTES", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    environments = []

    def start(*_arguments: object, env: dict[str, str], **_more: object) -> None:
        environments.append(env)
        raise OSError("not in a test")

    monkeypatch.setattr(platform.subprocess, "Popen", start)
    data = open_data(tmp_path / "data")
    with pytest.raises(OSError, match="not in a test"):
        platform.start(data, machine(tmp_path))
    found = {name: value for name, value in environments[0].items() if "AUDIT" in name}
    assert found == {"DEVPLATFORM_AUDIT_FILE": str(data.logs / "audit.jsonl"), "DEVPLATFORM_AUDIT_BYTES": told}
