"""Where audit lines go: to the file, or to standard output; none is lost without a word."""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devplatform_hub.servicekit import audit

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EVENT = {
    "time": "2026-05-01T12:00:00+00:00",
    "action": "server.start",
    "actor": "alice",
    "outcome": "allowed",
    "target": "alice/",
}
MARKED = {"log": "devplatform.audit", **EVENT}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the operator wants them."""
    path = tmp_path / "audit.jsonl"
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(path))
    return path


def start(target: str = "alice/") -> None:
    audit.emit("server.start", actor="alice", outcome="allowed", target=target, now=NOW)


def lines(text: str) -> list[object]:
    return [json.loads(line) for line in text.splitlines()]


def test_without_a_file_they_are_marked_lines_of_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, whatever somebody is called, and nothing in the log."""
    start()
    start("al\nice/ü")
    said = capsys.readouterr()
    assert lines(said.out) == [MARKED, {**MARKED, "target": "al\nice/ü"}]
    assert (said.out.isascii(), said.err) == (True, "")


def test_with_a_file_they_are_there_alone(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Readable for its owner alone, also after somebody rotated it."""
    start()
    assert (lines(file.read_text()), file.stat().st_mode & 0o777) == ([EVENT], 0o600)
    file.rename(file.with_suffix(".1"))
    start()
    start()
    assert lines(file.read_text()) == [EVENT, EVENT]
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written_is_said_once(
    file: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Lines go on to standard output, and back to the file as soon as that is possible; then it may be said again."""
    for _ in range(2):
        file.mkdir()
        start()
        start()
        file.rmdir()
        start()
        assert lines(file.read_text()) == [EVENT]
        file.unlink()
    assert lines(capsys.readouterr().out) == [MARKED] * 4
    said = f"The audit cannot be written: [Errno 21] Is a directory: '{file}'. Its lines go to standard output."
    assert [record.message for record in caplog.records] == [said, said]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of Linux")
def test_a_full_disk_loses_no_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", "/dev/full")
    start()
    assert lines(capsys.readouterr().out) == [MARKED]
    assert "No space left on device" in caplog.text


def test_without_standard_output_the_log_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with caplog.at_level(logging.ERROR):
        start()
    assert lines(caplog.messages[0]) == [MARKED]
