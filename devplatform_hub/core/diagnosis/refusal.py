"""What the API server's refusal to make something means for the person who wants a server."""

from collections.abc import Mapping
from typing import Any

from .events import text
from .model import Finding

_BUSY = {408, 429, 500, 502, 503, 504}
_ADMINISTRATOR = "Tell an administrator."


def diagnose_refusal(status: int, body: Mapping[str, Any]) -> Finding:
    """The finding for an HTTP status of 400 or more and its `Status` object. All but a busy server are fatal."""
    words = str(body.get("message") or "")
    low, detail = words.lower(), text(words)
    if status in _BUSY:
        message = "The cluster is too busy to start your server."
        return Finding("cluster-busy", message, "Try again in a few minutes.", detail=detail)
    if status == 403 and "exceeded quota" in low:
        code, message = "quota-exceeded", "Your team's quota does not allow this server."
        hint = "Stop a server that is not needed, choose a smaller profile, or ask an administrator for more."
    elif "violates podsecurity" in low:
        code, message, hint = (
            "admission-denied",
            "The cluster's security rules do not allow this profile.",
            _ADMINISTRATOR,
        )
    elif "admission webhook" in low or ("denied" in low and status in (400, 403)):
        code, message, hint = "admission-denied", "A rule of the cluster does not allow this server.", _ADMINISTRATOR
    elif status == 403 and "limit" in low and ("maximum" in low or "minimum" in low):
        code, message, hint = "limit-exceeded", "This profile asks for more than one server may have.", _ADMINISTRATOR
    elif "serviceaccount" in low and "not found" in low:
        code, message, hint = "identity-missing", "The identity of your server is missing.", "Try again."
    elif status in (401, 403):
        code, message, hint = "hub-forbidden", "The platform may not start servers in its cluster.", _ADMINISTRATOR
    elif status == 404:
        code, message, hint = "namespace-missing", "The place for servers in the cluster is missing.", _ADMINISTRATOR
    else:
        code, message, hint = "pod-invalid", "The cluster does not accept this profile.", _ADMINISTRATOR
    return Finding(code, message, hint, fatal=True, detail=detail)
