"""The schema of the audit and the code that writes it say the same."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from devplatform_hub.servicekit import audit
from tests.lab.audit_events import schema, valid_events

ROOT = Path(__file__).parents[2]
_WRITERS = {"emit", "report", "_audit"}
EVENT = {"time": "2026-05-01T12:00:00+00:00", "action": "person.sign-in", "actor": "alice", "outcome": "allowed"}


def written_actions() -> set[str]:
    """Every action that the code names where it writes an event."""
    found = set()
    for folder in ("devplatform_hub", "hub-services"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                    if name in _WRITERS:
                        found.add(str(node.args[0].value))
    return found


def test_every_action_is_in_the_schema_and_none_besides() -> None:
    """An event that is new, renamed or gone is one in both."""
    published = {entry["const"] for entry in schema()["properties"]["action"]["oneOf"]}
    assert written_actions() == published
    assert all(entry["description"] for entry in schema()["properties"]["action"]["oneOf"])


def test_the_schema_is_one() -> None:
    """And travels with the package."""
    Draft202012Validator.check_schema(schema())
    assert audit.SCHEMA_FILE.parent.name == "servicekit"


@pytest.mark.parametrize(
    ("where", "marked"), [pytest.param("file", False, id="file"), pytest.param("", True, id="standard output")]
)
def test_what_is_emitted_is_valid(
    where: str, marked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With every field, with the least, with endless and with strange texts."""
    file = tmp_path / "audit.jsonl"
    if where:
        monkeypatch.setenv(audit.AUDIT_FILE_VARIABLE, str(file))
    everything = {"target": "bob/", "why": "x" * 5000, "on_behalf_of": "b\nc\u2028", "remote": "::1"}
    audit.emit("server.visit", actor="alice", outcome="allowed")
    audit.emit("server.visit", actor="a" * 5000, outcome="refused", **everything)
    events = valid_events(file.read_text("utf-8") if where else capsys.readouterr().out)
    assert [("log" in event, len(event["actor"])) for event in events] == [(marked, 5), (marked, 512)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"action": "person.invented"}, id="an action that nobody knows"),
        pytest.param({"outcome": "perhaps"}, id="an outcome that nobody knows"),
        pytest.param({"outcome": "refused"}, id="refused without a reason"),
        pytest.param({"token": "t"}, id="a field that nobody knows"),
        pytest.param({"actor": ""}, id="nobody"),
        pytest.param({"why": "x" * 513}, id="an endless text"),
        pytest.param({"time": "yesterday"}, id="no time"),
        pytest.param({"target": {"name": "bob"}}, id="an object"),
    ],
)
def test_what_the_schema_does_not_allow(change: dict[str, Any]) -> None:
    """So that a reader can rely on it."""
    assert valid_events(json.dumps(EVENT)) == [EVENT]
    with pytest.raises(AssertionError):
        valid_events(json.dumps(EVENT | change))
