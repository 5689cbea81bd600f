"""The address that a request came from, as the proxy saw it and not as the request says."""

from typing import Any

from tornado.netutil import is_valid_ip


def address_of(request: Any) -> str:
    """The last address of X-Forwarded-For that is none of the server's trusted proxies', else the peer's.

    Tornado's `remote_ip` believes `X-Real-Ip` first. The hub's proxy passes that on from whoever sent it, so that
    one person could guess from as many addresses as they like, and choose what the audit says.
    """
    context = getattr(request.connection, "context", None)
    trusted = getattr(context, "trusted_downstream", None) or ()
    forwarded = request.headers.get("X-Forwarded-For", "")
    for candidate in (entry.strip() for entry in reversed(forwarded.split(","))):
        if candidate not in trusted:
            if is_valid_ip(candidate):
                return str(candidate)
            break
    peer = getattr(context, "address", None)
    return str(peer[0]) if isinstance(peer, tuple) else str(request.remote_ip or "")
