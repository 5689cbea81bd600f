"""Lines of the audit, checked against its published schema."""

import json
from typing import Any

from jsonschema import Draft202012Validator

from devplatform_hub.servicekit.audit import SCHEMA_FILE


def schema() -> dict[str, Any]:
    """What is published."""
    return dict(json.loads(SCHEMA_FILE.read_text("utf-8")))


def valid_events(lines: str) -> list[dict[str, Any]]:
    """The events of these lines. Fails, naming the line, for one that the schema does not allow."""
    validator = Draft202012Validator(schema())
    events = [json.loads(line) for line in lines.splitlines()]
    problems = [(event, error.message) for event in events for error in validator.iter_errors(event)]
    assert problems == []
    return events
