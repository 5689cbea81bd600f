"""JupyterHub's own application, with the one change that a quick start on one machine needs."""

import os
import sys
from pathlib import Path
from typing import Any

from jupyterhub.app import JupyterHub


class MachineHub(JupyterHub):
    """JupyterHub that opens its login page before the services load, and finds its own programs.

    JupyterHub starts managed services one after the other, waits until each answers, and only then serves anything:
    several seconds for people who want to sign in. `devplatform up` waits for the services instead, and says of one
    that does not come up; a service that ends is started again by JupyterHub in either case.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._waiting_services: list[Any] = []

    async def start(self) -> None:
        """Serve, then start the services, which would take the processor from those who sign in meanwhile."""
        await super().start()
        for service in self._waiting_services:
            try:
                await service.start()
            except OSError:
                self.log.critical("Service %s cannot be started", service.name, exc_info=True)

    async def start_service(self, service_name: str, service: Any, ssl_context: Any = None) -> bool:
        """Remember a managed service for later; True, since nothing speaks against it."""
        if not service.managed:
            return bool(await super().start_service(service_name, service, ssl_context))
        self._waiting_services.append(service)
        return True

    def init_db(self) -> None:
        """Open the database, brought up to date by `alembic`, which JupyterHub looks for on the PATH."""
        path = os.environ.get("PATH", os.defpath)
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
        try:
            super().init_db()
        finally:
            os.environ["PATH"] = path  # people's servers inherit it, and get no program of the hub's


if __name__ == "__main__":
    MachineHub.launch_instance()
