"""The audit stream: one JSON line for each thing that somebody did to something, in one schema for the platform.

Lines go to the logger `devplatform.audit`; `configure` sends that to a file, else it goes wherever the log goes.
No token, password or file content is ever a field here; every text is bounded, so that nobody can flood the log.
"""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

_logger = logging.getLogger("devplatform.audit")
_MAX_TEXT = 512
AUDIT_FILE_VARIABLE = "DEVPLATFORM_AUDIT_FILE"


def configure(path: str | os.PathLike[str] | None = None) -> None:
    """Append audit lines to `path` (default: `$DEVPLATFORM_AUDIT_FILE`); without either, leave logging as it is."""
    target = path or os.environ.get(AUDIT_FILE_VARIABLE)
    if not target or any(isinstance(handler, logging.FileHandler) for handler in _logger.handlers):
        return
    descriptor = os.open(target, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.close(descriptor)
    handler = logging.FileHandler(Path(target), encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(message)s"))
    _logger.addHandler(handler)
    _logger.setLevel(logging.INFO)
    _logger.propagate = False


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
    _logger.info("%s", json.dumps(bounded, ensure_ascii=True))
