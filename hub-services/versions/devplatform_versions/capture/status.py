"""What the agent says about itself, in `<workspace>/.devplatform/capture-status.json`."""

import json
import logging
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

STATUS_FILE = "capture-status.json"
_MOST_REFUSED = 200
_log = logging.getLogger("devplatform.capture")


@dataclass(slots=True)
class Status:
    """Changes as the agent works; `write` makes it a file, at most once a second unless something is urgent."""

    file: Path
    state: str = "starting"
    queue: int = 0
    captured: int = 0
    deleted: int = 0
    restored: int = 0
    folders: int = 0
    last_capture: str | None = None
    last_error: dict[str, str] | None = None
    notes: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    refused_count: int = 0
    _written: float = 0.0
    _last: str = ""

    def refuse(self, path: str, reason: str) -> None:
        """This will not be captured. One log line for each path and reason."""
        if self.refused.get(path) == reason:
            return
        if path not in self.refused:
            self.refused_count += 1
            if len(self.refused) >= _MOST_REFUSED:
                return
        self.refused[path] = reason
        _log.warning("Not captured: %s: %s", path, reason)

    def accept(self, path: str) -> None:
        """What was refused of this path is over."""
        if self.refused.pop(path, None) is not None:
            self.refused_count -= 1

    def error(self, code: str, message: str) -> None:
        """Something went wrong that is tried again. Logged when it is new."""
        if self.last_error is None or self.last_error["message"] != message:
            _log.warning("%s (%s)", message, code)
        self.last_error = {"code": code, "message": message, "time": _now()}

    def count(self, *, captured: int = 0, deleted: int = 0) -> None:
        """So many versions and tombstones more."""
        self.captured += captured
        self.deleted += deleted
        if captured or deleted:
            self.last_capture = _now()

    def write(self, *, force: bool = False) -> None:
        """Bring the file up to date, in one step."""
        now = time.monotonic()
        if not force and now - self._written < 1:
            return
        body: dict[str, Any] = {key: value for key, value in asdict(self).items() if not key.startswith("_")}
        del body["file"]
        text = json.dumps(body)
        if text == self._last:
            return
        self._written, self._last = now, text
        temporary = self.file.with_suffix(".new")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as out:
                out.write(json.dumps({**body, "pid": os.getpid(), "written": _now()}))
            temporary.replace(self.file)
        except OSError as error:  # a full disk must not stop captures
            _log.warning("The status cannot be written: %s", error.strerror)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
