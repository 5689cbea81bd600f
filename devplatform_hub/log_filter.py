"""What a person sent that was refused is one line of the hub's log: JupyterHub writes a stack trace for some of it.

A trace tells an administrator that the hub is at fault, and anybody who can send a request could fill the log.
"""

import logging
import re
from typing import Any

from tornado import web

from .core.group_roles import VISIT_VERSIONS

_UNREADABLE = "Couldn't parse JSON"
_FEWER_SCOPES = re.compile(r"Service .* requested scopes (\S+) for user .*, granting only (\S+)\.", re.DOTALL)
_LONGEST = 2000
_LONGEST_LINE = 4000


class RefusalsWithoutTraces(logging.Filter):
    """Takes the trace from lines about refusals of ours and about a body that is no JSON, and leaves out one warning.

    The file versions ask every visitor's sign-in for a scope that administrators alone have: JupyterHub warns of
    each person who has it not, which is everybody else.

    Any line is cut where it becomes longer than anything of the hub's own: addresses and headers of 64 KiB, which
    anybody can send, are in its lines about requests.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """False for that warning."""
        if _is_expected(record):
            return False
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and (_is_refusal(error) or record.msg == _UNREADABLE):
            record.msg, record.args = "%s: %s", (record.getMessage(), str(error)[:_LONGEST])
            record.exc_info = record.exc_text = None
        line = record.getMessage()
        if len(line) > _LONGEST_LINE:
            record.msg, record.args = "%s... (%d more)", (line[:_LONGEST_LINE], len(line) - _LONGEST_LINE)
        return True


def without_traces(logging_config: Any) -> dict[str, Any]:
    """`c.JupyterHub.logging_config` with this filter at the hub's own handler, which takes the platform's lines too."""
    config = dict(logging_config)
    handlers = dict(config.get("handlers", {}))
    console = dict(handlers.get("console", {}))
    name = "devplatform-refusals"
    console["filters"] = [*(found for found in console.get("filters", ()) if found != name), name]
    own = {"()": f"{__name__}.{RefusalsWithoutTraces.__name__}"}
    return {
        **config,
        "filters": {**config.get("filters", {}), name: own},
        "handlers": {**handlers, "console": console},
        "loggers": {"devplatform": {"level": "INFO", "handlers": ["console"]}, **config.get("loggers", {})},
    }


def _is_expected(record: logging.LogRecord) -> bool:
    found = _FEWER_SCOPES.fullmatch(str(record.msg))
    return found is not None and {*found[1].split(",")} - {*found[2].split(",")} == {VISIT_VERSIONS}


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, web.HTTPError) and "X-DevPlatform-Error" in (getattr(error, "headers", None) or {})
