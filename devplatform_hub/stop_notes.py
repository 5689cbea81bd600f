"""Who stopped a person's server, when it was not that person: kept for their next visit and for the audit.

JupyterHub does not tell a spawner who asked for its end. The request's own log line does, once it is answered.
"""

from typing import Any

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.log import log_request

from .admin_notes import note_change
from .core.diagnosis.ending import stopped_by
from .noted_request import NotedRequest
from .server_visits import note_visit
from .servicekit import audit
from .servicekit.addresses import address_of
from .spawning import ProfileSpawnerMixin

_STOPPED = (202, 204)


def log_and_note(handler: Any) -> None:
    """For `tornado_settings["log_function"]`: the hub's own line, and a note of what was done to somebody else."""
    log_request(handler)
    note_visit(handler)
    note_change(handler)
    is_stop = isinstance(handler, UserServerAPIHandler) and handler.request.method == "DELETE"
    if is_stop and handler.get_status() in _STOPPED:
        _note(handler)


def _note(handler: Any) -> None:
    request = NotedRequest.of(handler)
    name, server = [*handler.path_args, ""][:2]
    user = handler.find_user(name)
    if request is None or user is None or request.is_by(user.name):
        return
    ending = stopped_by(request.actor.kind, request.actor.name)
    is_removed = bool(server) and (server not in user.orm_spawners or bool(request.body.get("remove")))
    why = f"{ending.code}, and removed" if is_removed else ending.code
    target, remote = f"{user.name}/{server}", address_of(handler.request)
    audit.emit("server.stop", actor=request.actor.name, outcome="allowed", target=target, why=why, remote=remote)
    if server and server not in user.orm_spawners:  # removed with its row
        return
    spawner = user.spawners[server]
    if isinstance(spawner, ProfileSpawnerMixin):
        spawner.note_stop(ending)
        spawner.orm_spawner.state = spawner.get_state()
        handler.db.commit()
