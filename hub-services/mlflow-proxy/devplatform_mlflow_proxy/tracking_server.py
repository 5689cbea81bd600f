"""What `mlflow server` serves, in one process, behind a guard: only who knows the secret of this start gets through.

Runs in the environment of MLflow (`python -I tracking_server.py`), so it imports nothing of ours.
Standard input gives one line of JSON (`TrackingServerSettings` in `supervisor.py`) and stays open:
when it ends, so has the proxy, and this process ends too, also after `kill -9`.
"""

import ctypes
import hmac
import importlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

SECRET_HEADER = b"x-devplatform-secret"
_PR_SET_DUMPABLE = 4  # prctl(2)
_ARTIFACT_ROOT = "mlflow-artifacts:/"


class Guard:
    """An ASGI application in front of every route, whichever framework behind it has it."""

    def __init__(self, app: AsgiApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif self._is_from_proxy(scope):
            # Whoever the proxy asks for is not local, though the proxy is: some routes trust loopback.
            await self._app({**scope, "client": None}, receive, send)
        else:
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b"Only the platform's proxy may ask this server.\n"})

    def _is_from_proxy(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == SECRET_HEADER]
        return len(given) == 1 and hmac.compare_digest(given[0], self._secret)


def main() -> None:
    """Serve until standard input ends or SIGTERM comes."""
    os.umask(0o077)
    _hide_from_same_user()
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_proxy, daemon=True).start()
    _prepare_store(settings)
    uvicorn = importlib.import_module("uvicorn")
    app = importlib.import_module("mlflow.server.fastapi_app").app
    server = uvicorn.Server(
        uvicorn.Config(
            Guard(app, settings["secret"]),
            log_level="warning",
            access_log=False,
            server_header=False,
            # Longer than the proxy keeps its connections: else it would send into one that is being closed.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=3,
        )
    )
    server.run(sockets=[socket.socket(fileno=settings["socket"])])


def _hide_from_same_user() -> None:
    """Close /proc/<pid>/environ, mem and fd to the sessions, which run as the same user on one machine."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _end_with_proxy() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)  # nobody is left who could wait for a graceful end


def _prepare_store(settings: dict[str, Any]) -> None:
    """Do what `mlflow server` does before its workers start: settings in the environment, tables in the database."""
    # The names in mlflow/server/constants.py, written out: importing it makes the application, which reads them.
    os.environ.update(
        {
            "_MLFLOW_SERVER_FILE_STORE": settings["backend_store"],
            "_MLFLOW_SERVER_REGISTRY_STORE": settings["backend_store"],
            "_MLFLOW_SERVER_ARTIFACT_ROOT": _ARTIFACT_ROOT,
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": settings["artifacts"],
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_STATIC_PREFIX": settings["prefix"],
            "_MLFLOW_SGI_NAME": "uvicorn",
            "_MLFLOW_IN_JOB_EXECUTOR": "false",
        }
    )
    importlib.import_module("uvicorn")  # MLflow's security middleware comes on when it sees its web server
    handlers = importlib.import_module("mlflow.server.handlers")
    handlers.initialize_backend_stores(settings["backend_store"], settings["backend_store"], _ARTIFACT_ROOT)


if __name__ == "__main__":
    main()
