"""The audit stream: one JSON line for each thing that somebody did to something, in one schema for the platform.

`audit.schema.json` beside this file is that schema. Lines are appended to `$DEVPLATFORM_AUDIT_FILE`; without it they
go to standard output, where a cluster collects them, each with `"log": "devplatform.audit"` to tell it from other
lines. A line that cannot be written to the file goes there too. No token, password or file content is ever a field;
every text is bounded, so that nobody can flood it.

With `$DEVPLATFORM_AUDIT_BYTES` a file that has grown to so many bytes becomes `audit.jsonl.1`, that one `.2`, and so
on; `$DEVPLATFORM_AUDIT_KEPT` of them are kept (10), the oldest ends. Without it another program may rotate the file,
by renaming it: one that copies it and cuts it short would lose what is written in between.
"""

import fcntl
import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

_MAX_TEXT = 512
SCHEMA_FILE = Path(__file__).with_name("audit.schema.json")
_MARK = {"log": "devplatform.audit"}
AUDIT_FILE_VARIABLE = "DEVPLATFORM_AUDIT_FILE"
AUDIT_BYTES_VARIABLE = "DEVPLATFORM_AUDIT_BYTES"
AUDIT_KEPT_VARIABLE = "DEVPLATFORM_AUDIT_KEPT"
AUDIT_VARIABLES = (AUDIT_FILE_VARIABLE, AUDIT_BYTES_VARIABLE, AUDIT_KEPT_VARIABLE)
_KEPT = 10
_log = logging.getLogger("devplatform")
_told: set[str] = set()
"""Files of which the log says already that they cannot be written, or moved."""


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
        descriptor = _open(path)
        try:
            is_alone = _lock(descriptor)
            data = (_after_torn(descriptor) if is_alone else b"") + line.encode()
            if os.write(descriptor, data) != len(data):
                raise OSError("only a part of a line could be written")
            if is_alone:
                _rotate(path, descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        _say_once(path, "The audit cannot be written: %s. Its lines go to standard output.", error)
        return False
    _told.discard(path)
    return True


def _open(path: str) -> int:
    flags = os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_RDWR, 0o600)
    except PermissionError:  # it may be one that we may write and not read
        return os.open(path, flags | os.O_WRONLY, 0o600)


def _lock(descriptor: int) -> bool:
    """Whether no other process is writing just now. Nobody waits for another: a line is whole either way."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # or the file system has no locks
        return False
    return True


def _after_torn(descriptor: int) -> bytes:
    """The end for a line that a full disk or a power cut left without one: ours would be lost on that line."""
    for _ in range(3):
        size = os.fstat(descriptor).st_size
        try:
            if not size or os.pread(descriptor, 1, size - 1) in (b"\n", b""):
                return b""
        except OSError:
            return b""
        time.sleep(0.0005)  # one that writes without the lock is done by then
    return b"\n"


def _rotate(path: str, descriptor: int) -> None:
    """Move a file that is large enough out of the way; a late line of another process is in what was moved.

    Whoever has the lock on the file that still has the name may rename it: nobody else can lock that one, and
    another with the name is not there before.
    """
    limit, found = _number(AUDIT_BYTES_VARIABLE, 0), os.fstat(descriptor)
    if limit <= 0 or found.st_size < limit:
        return
    try:
        now = os.stat(path)
        if (now.st_dev, now.st_ino) != (found.st_dev, found.st_ino):
            return
        kept, number = max(1, _number(AUDIT_KEPT_VARIABLE, _KEPT)), 1
        while number < kept and os.path.exists(f"{path}.{number}"):
            number += 1
        for newer in range(number - 1, 0, -1):
            os.replace(f"{path}.{newer}", f"{path}.{newer + 1}")
        os.replace(path, f"{path}.1")
        _told.discard(f"{path}.1")
    except FileNotFoundError:  # somebody else has moved it
        return
    except OSError as error:  # the line itself is written
        _say_once(f"{path}.1", "The audit's file cannot be rotated, and grows: %s.", error)


def _number(name: str, otherwise: int) -> int:
    try:
        return int(os.environ.get(name, ""))
    except ValueError:
        return otherwise


def _say_once(path: str, message: str, error: OSError) -> None:
    if path not in _told:
        _told.add(path)
        _log.error(message, error)


def _say(line: str) -> None:
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed: then the log is what is left
        _log.error("%s", line.rstrip())
