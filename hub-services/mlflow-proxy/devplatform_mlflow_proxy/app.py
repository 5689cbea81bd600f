"""The MLflow service as a process: one tracking server, and the proxy in front of it."""

import ctypes
import sys
from collections.abc import Sequence
from pathlib import Path

from traitlets import Bool, Enum, Integer, Unicode

from devplatform_hub.servicekit.app import Route, ServiceApp

from .handlers import AssetHandler, MlflowHandler
from .rules import Visibility
from .service import MlflowService
from .supervisor import TrackingServer
from .upstream import Upstream

_PR_SET_DUMPABLE = 4  # prctl(2)


class MlflowProxyApp(ServiceApp):
    """MLflow at /services/mlflow/, for everybody who may use the platform, each as themselves.

    It needs no scope of the hub's API: who asks comes from their own token.
    """

    name = "devplatform-mlflow-proxy"
    service_package = "devplatform_mlflow_proxy"
    service_title = "MLflow"

    mlflow_python = Unicode(
        help="The Python of an environment that has `mlflow[auth]` or `mlflow`; the tracking server runs in it."
    ).tag(config=True)
    data_folder = Unicode(
        "./.devplatform/mlflow", help="The folder of the database and the artifacts, when they are on this machine."
    ).tag(config=True)
    backend_store = Unicode(
        help="The database of MLflow as a SQLAlchemy address; empty for SQLite in the data folder. "
        "Give one with a password by a configuration file, never as an argument."
    ).tag(config=True)
    artifacts = Unicode(
        help="Where artifacts are kept, such as gs://bucket/mlflow; empty for a folder in the data folder."
    ).tag(config=True)
    readable_by = Enum(
        [visibility.value for visibility in Visibility],
        Visibility.EVERYBODY.value,
        help="Who reads what somebody logged: `everybody` on the platform, so that teams see each other's results, "
        "or only its `owner` and administrators. Only the owner and administrators ever change it.",
    ).tag(config=True)
    max_request_size = Integer(32 * 2**20, help="Largest request other than an artifact, bytes.").tag(config=True)
    max_artifact_size = Integer(100 * 2**30, help="Largest artifact, bytes.").tag(config=True)
    hide_from_same_user = Bool(
        True,
        help="Close /proc/<pid>/environ and memory of this process to others of the same operating system user, "
        "which the sessions on one machine are.",
    ).tag(config=True)

    def routes(self) -> Sequence[Route]:
        """MLflow's own routes, all of them behind the rules."""
        shared = {"service": self.service}
        return ((r"(static-files/.*)", AssetHandler, shared), (r"(.*)", MlflowHandler, shared))

    async def start_service(self) -> None:
        """Start the tracking server without waiting for it: until it answers, people see that it starts."""
        if self.hide_from_same_user and sys.platform == "linux":
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        server = TrackingServer(
            python=self.mlflow_python,
            data=Path(self.data_folder),
            prefix=self.prefix,
            backend_store=self.backend_store,
            artifacts=self.artifacts,
        )
        upstream = Upstream(server, self.prefix)
        self.service = MlflowService(
            server, upstream, Visibility(self.readable_by), self.max_request_size, self.max_artifact_size
        )
        server.open()

    async def stop_service(self) -> None:
        """End the tracking server."""
        await self.service.upstream.close()
        await self.service.server.close()
