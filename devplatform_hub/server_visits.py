"""Who opened another person's server in a browser, or was refused it: the hub gives every such browser leave.

A server asks for that leave once for each browser session. Requests with an API token go to the server without it.
"""

from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.auth import OAuthAuthorizeHandler

from .noted_request import NotedRequest

_GIVEN, _REFUSED = 302, 403


def note_visit(handler: Any) -> None:
    """Write to the audit that this answered request let somebody into a server that is not theirs, or did not."""
    if not isinstance(handler, OAuthAuthorizeHandler):
        return
    is_given = handler.get_status() == _GIVEN and "code=" in str(handler._headers.get("Location", ""))
    if not is_given and handler.get_status() != _REFUSED:
        return
    request, spawner = NotedRequest.of(handler), _server_of(handler)
    if request is not None and spawner is not None:
        request.report("server.visit", f"{spawner.user.name}/{spawner.name}", owner=spawner.user.name)


def _server_of(handler: Any) -> orm.Spawner | None:
    identifier = handler.get_argument("client_id", "")
    client = handler.db.query(orm.OAuthClient).filter_by(identifier=identifier).first()
    return client.spawner if client else None
