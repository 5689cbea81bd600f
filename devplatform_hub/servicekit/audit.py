"""The audit stream: one JSON line for each thing that somebody did to something, in one schema for the platform.

`audit.schema.json` beside this file is that schema. Lines are appended to `$DEVPLATFORM_AUDIT_FILE`; without it they
go to standard output, where a cluster collects them, each with `"log": "devplatform.audit"` to tell it from other
lines. A line that cannot be written to the file goes there too. No token, password or file content is ever a field;
every text is bounded, so that nobody can flood it.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

_MAX_TEXT = 512
SCHEMA_FILE = Path(__file__).with_name("audit.schema.json")
_MARK = {"log": "devplatform.audit"}
AUDIT_FILE_VARIABLE = "DEVPLATFORM_AUDIT_FILE"
_log = logging.getLogger("devplatform")
_told: set[str] = set()
"""Files of which the log says already that they cannot be written."""


def emit(
    action: str,
    *,
    actor: str,
    outcome: str,
    target: str = "",
    why: str = "",
    on_behalf_of: str = "",
    remote: str = "",
    now: datetime | None = None,
) -> None:
    """Write one event: `action` is `noun.verb`, such as `version.restore`; `outcome` allowed, refused or failed."""
    event = {
        "time": (now or datetime.now(UTC)).isoformat(),
        "action": action,
        "actor": actor,
        "outcome": outcome,
        "target": target,
        "why": why,
        "on_behalf_of": on_behalf_of,
        "remote": remote,
    }
    bounded = {key: value[:_MAX_TEXT] for key, value in event.items() if value}
    path = os.environ.get(AUDIT_FILE_VARIABLE)
    if not path or not _append(path, _line(bounded)):
        _say(_line({**_MARK, **bounded}))


def _line(event: dict[str, str]) -> str:
    return json.dumps(event, ensure_ascii=True) + "\n"


def _append(path: str, line: str) -> bool:
    """Whether the whole line is in the file. It is opened for each: it may be rotated, and several processes write."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, line.encode()) == len(line):
                _told.discard(path)
                return True
            raise OSError("only a part of a line could be written")
        finally:
            os.close(descriptor)
    except OSError as error:
        if path not in _told:
            _told.add(path)
            _log.error("The audit cannot be written: %s. Its lines go to standard output.", error)
        return False


def _say(line: str) -> None:
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed: then the log is what is left
        _log.error("%s", line.rstrip())
