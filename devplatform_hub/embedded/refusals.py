"""A refusal of core, as JupyterHub shows it to a person."""

from typing import Any

from tornado import web

from ..core.errors import PublicError

try:  # JupyterHub 6: no traceback in the log, and counted as the person's failure, not the hub's
    from jupyterhub.spawner import SpawnException
except ImportError:
    SpawnException = None


def refusal(error: PublicError) -> web.HTTPError:
    """`error` as JupyterHub 5 and 6 show it, on pages and in the REST API: message, hint and code, never a 500."""
    text = " ".join(part for part in (error.message, error.hint, f"[{error.code}]") if part)
    shown: web.HTTPError
    if SpawnException is None:
        shown = web.HTTPError(error.status, text.replace("%", "%%"), reason=error.code)
    else:
        shown = SpawnException(text, reason=error.code, status_code=error.status)
    details: Any = shown
    details.jupyterhub_message = text
    details.headers = {"X-DevPlatform-Error": error.code}
    return shown
