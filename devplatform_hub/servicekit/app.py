"""A hub service as a process: settings from JupyterHub's environment, routes, pages, a clean start and stop."""

import asyncio
import ctypes
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from tornado import httpserver, netutil, web
from traitlets import Bool, Integer, Unicode, default
from traitlets.config import Application

from .handlers import CallbackHandler, HealthHandler, KitStaticHandler, NotFoundHandler, safe_request_line
from .identity import HubSignIn

_log = logging.getLogger("devplatform.service")
_PR_SET_PDEATHSIG = 1  # prctl(2)

Route = tuple[str, type[web.RequestHandler]] | tuple[str, type[web.RequestHandler], dict[str, Any]]


class ServiceApp(Application):
    """Base of a service. A subclass names itself and its package, gives `routes`, and opens what it needs on start."""

    name = "service"
    service_package = "devplatform_hub.servicekit"
    service_title = "DevPlatform"

    url = Unicode(
        help="Where to listen, `http://host:port`; JupyterHub gives it as $JUPYTERHUB_SERVICE_URL. Port 0 takes any."
    ).tag(config=True)
    prefix = Unicode(help="The path of every route; JupyterHub gives it as $JUPYTERHUB_SERVICE_PREFIX.").tag(
        config=True
    )
    max_body_size = Integer(2**20, help="Largest request body, bytes, of a route that does not stream.").tag(
        config=True
    )
    exit_with_parent = Bool(
        True, help="End when the process that started this one ends, so that a killed hub leaves no service behind."
    ).tag(config=True)

    aliases = {"url": "ServiceApp.url", "prefix": "ServiceApp.prefix", "log-level": "Application.log_level"}

    @default("url")
    def _default_url(self) -> str:
        return os.environ.get("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:0")

    @default("prefix")
    def _default_prefix(self) -> str:
        return os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/")

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.INFO

    # What a service gives.

    def routes(self) -> Sequence[Route]:
        """The service's own routes: patterns relative to the prefix, such as `api/v1/me`."""
        return ()

    async def start_service(self) -> None:
        """Open stores, start children. Runs before the first request."""

    async def stop_service(self) -> None:
        """Close what `start_service` opened. Runs after the last request."""

    # What it gets.

    def make_hub_auth(self) -> HubSignIn:
        """The hub's OAuth for this service; a test gives its own."""
        return HubSignIn(parent=self)

    def make_application(self, hub_auth: HubSignIn | None = None) -> web.Application:
        """The tornado application with every route of the service behind its prefix."""
        kit = str(files("devplatform_hub.servicekit") / "static")
        own = str(files(self.service_package) / "static")
        routes: list[Any] = [
            ("oauth_callback", CallbackHandler),
            ("healthz", HealthHandler),
            (r"kit/(.*)", KitStaticHandler, {"path": kit}),
            (r"static/(.*)", KitStaticHandler, {"path": own}),
            *self.routes(),
        ]
        prefix = self.prefix if self.prefix.endswith("/") else f"{self.prefix}/"
        handlers = [(prefix + route[0], *route[1:]) for route in routes]
        loaders = [PackageLoader(self.service_package)] if (files(self.service_package) / "templates").is_dir() else []
        environment = Environment(
            loader=ChoiceLoader([*loaders, PackageLoader("devplatform_hub.servicekit")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return web.Application(
            handlers,
            default_handler_class=NotFoundHandler,
            cookie_secret=secrets.token_bytes(32),
            hub_auth=hub_auth or self.make_hub_auth(),
            hub_prefix=os.environ.get("JUPYTERHUB_BASE_URL", "/") + "hub/",
            jinja_environment=environment,
            log_function=_log_request,
            service=self,
            service_prefix=prefix,
            service_title=self.service_title,
            # Not tornado's check, which runs before anybody is known: HubOAuth refuses a cookie without the XSRF token.
            xsrf_cookies=False,
        )

    async def listen(self, hub_auth: HubSignIn | None = None) -> int:
        """Open the service and serve; the port it listens on."""
        await self.start_service()
        self._server = httpserver.HTTPServer(
            self.make_application(hub_auth), max_body_size=self.max_body_size, xheaders=False
        )
        address = urlsplit(self.url)
        sockets = netutil.bind_sockets(address.port or 0, address.hostname or "127.0.0.1")
        self._server.add_sockets(sockets)
        port = int(sockets[0].getsockname()[1])
        self.log.info("%s is serving at port %d under %s", self.name, port, self.prefix)
        return port

    async def close(self) -> None:
        """Stop serving, then close the service."""
        self._server.stop()
        try:
            async with asyncio.timeout(3):
                await self._server.close_all_connections()
        except TimeoutError:
            self.log.warning("Some connections did not close in time")
        await self.stop_service()

    def start(self) -> None:
        """Run until SIGTERM or SIGINT."""
        # What modules of a service log goes where the application's own lines go.
        modules = logging.getLogger("devplatform")
        modules.setLevel(self.log.level)
        modules.handlers = list(self.log.handlers)
        if self.exit_with_parent:
            end_with_parent()
        asyncio.run(self.run_until_told())

    async def run_until_told(self) -> None:
        """Serve until a signal says to stop."""
        stop = stop_signal()
        await self.listen()
        await stop.wait()
        self.log.info("%s is stopping", self.name)
        await self.close()


def stop_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies (Linux prctl(2); elsewhere nothing happens)."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died in between
        os.kill(os.getpid(), signal.SIGTERM)


def _log_request(handler: web.RequestHandler) -> None:
    status = handler.get_status()
    level = logging.DEBUG if status < 400 else logging.INFO if status < 500 else logging.ERROR
    line = safe_request_line(handler.request)
    person = getattr(handler, "person", None)
    who = ascii(person.name)[1:-1] if person else "-"
    took = 1000 * handler.request.request_time()
    _log.log(level, "%d %s %s (%s) %.1f ms at %d", status, line["method"], line["path"], who, took, time.time())
