"""What a person sent that was refused is one line of the hub's log: JupyterHub writes a stack trace for some of it.

A trace tells an administrator that the hub is at fault, and anybody who can send a request could fill the log.
"""

import logging
from typing import Any

from tornado import web

_UNREADABLE = "Couldn't parse JSON"
_LONGEST = 2000
_LONGEST_LINE = 4000


class RefusalsWithoutTraces(logging.Filter):
    """Takes the trace, and no more, from lines about refusals of ours and about a body that is no JSON.

    Any line is cut where it becomes longer than anything of the hub's own: addresses and headers of 64 KiB, which
    anybody can send, are in its lines about requests.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Always true."""
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


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, web.HTTPError) and "X-DevPlatform-Error" in (getattr(error, "headers", None) or {})
