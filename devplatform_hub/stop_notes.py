"""Who stopped a person's server, when it was not that person: kept for their next visit and for the audit.

JupyterHub does not tell a spawner who asked for its end. The request's own log line does, once it is answered.
"""

from typing import Any

from jupyterhub.apihandlers.users import UserServerAPIHandler
from jupyterhub.log import log_request

from .core.diagnosis.ending import stopped_by
from .server_visits import note_visit
from .servicekit import audit
from .spawning import ProfileSpawnerMixin

_STOPPED = (202, 204)


def log_and_note(handler: Any) -> None:
    """For `tornado_settings["log_function"]`: the hub's own line, and a note where a server was ended or visited."""
    log_request(handler)
    note_visit(handler)
    is_stop = isinstance(handler, UserServerAPIHandler) and handler.request.method == "DELETE"
    if is_stop and handler.get_status() in _STOPPED:
        _note(handler)


def _note(handler: Any) -> None:
    actor = handler.current_user
    arguments: list[str] = [*handler.path_args, ""]
    user, server = handler.find_user(arguments[0]), arguments[1]
    if actor is None or user is None or (actor.kind == "user" and actor.name == user.name):
        return
    if server and server not in user.orm_spawners:  # removed with its row
        return
    ending = stopped_by(actor.kind, actor.name)
    target = f"{user.name}/{server}"
    audit.emit("server.stop", actor=actor.name, outcome="allowed", target=target, why=ending.code)
    spawner = user.spawners[server]
    if isinstance(spawner, ProfileSpawnerMixin):
        spawner.note_stop(ending)
        spawner.orm_spawner.state = spawner.get_state()
        handler.db.commit()
