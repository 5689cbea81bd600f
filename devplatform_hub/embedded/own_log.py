"""The log of one server as its supervisor has it: its standard error, which everything of the server writes to."""

import os
import stat
import sys
import time

_LAST_WORDS = 4096  # bytes


def log(text: str) -> None:
    """One line in the server's log."""
    sys.stderr.write(f"[session {time.strftime('%Y-%m-%d %H:%M:%S')}] {text}\n")
    sys.stderr.flush()


def log_size() -> int:
    """How long the log is already; 0 where it is no file."""
    found = os.fstat(sys.stderr.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def log_since(start: int) -> str:
    """The end of what was written to the log after its first `start` bytes; "" where it is no file."""
    size = log_size()
    if size <= start:
        return ""
    with open(f"/proc/self/fd/{sys.stderr.fileno()}", "rb") as stream:
        stream.seek(max(start, size - _LAST_WORDS))
        return stream.read(_LAST_WORDS).decode("utf-8", "replace")
