"""The address that a request came from, as the proxy saw it and not as the request says."""

from collections.abc import Collection
from typing import Any

from tornado.netutil import is_valid_ip


def address_of(request: Any, trusted: Collection[str] = ()) -> str:
    """The last address of X-Forwarded-For that is none of the `trusted` proxies', else the peer's.

    Tornado's `remote_ip` believes `X-Real-Ip` first. The hub's proxy passes that on from whoever sent it, so that
    one person could guess from as many addresses as they like, and choose what the audit says.
    """
    forwarded = request.headers.get("X-Forwarded-For", "")
    for candidate in (entry.strip() for entry in reversed(forwarded.split(","))):
        if candidate not in trusted:
            if is_valid_ip(candidate):
                return str(candidate)
            break
    peer = getattr(getattr(request.connection, "context", None), "address", None)
    return str(peer[0]) if isinstance(peer, tuple) else str(request.remote_ip or "")
