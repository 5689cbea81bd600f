"""Who opened another person's server in a browser: the hub gives every such browser leave of its own.

A server asks for that leave once for each browser session. Requests with an API token go to the server without it.
"""

from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler

from .servicekit import audit

_GIVEN = 302


def note_visit(handler: Any) -> None:
    """Write to the audit that this answered request let somebody into a server that is not theirs."""
    if not isinstance(handler, OAuthAuthorizeHandler) or handler.get_status() != _GIVEN:
        return
    actor = handler.current_user
    if actor is None or "code=" not in str(handler._headers.get("Location", "")):
        return
    spawner = _server_of(handler)
    if spawner is None or spawner.user.name == actor.name:
        return
    target = f"{spawner.user.name}/{spawner.name}"
    audit.emit(
        "server.visit", actor=actor.name, outcome="allowed", target=target, remote=str(handler.request.remote_ip or "")
    )


def _server_of(handler: Any) -> orm.Spawner | None:
    identifier = handler.get_argument("client_id", "")
    client = handler.db.query(orm.OAuthClient).filter_by(identifier=identifier).first()
    return client.spawner if client else None
