"""The versions service as a process: one store, its API and its pages."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment
from tornado import web
from traitlets import Any as AnyTrait
from traitlets import Float, Instance, Type, default
from traitlets.config import LoggingConfigurable

from devplatform_hub.servicekit.app import Route, ServiceApp
from devplatform_hub.servicekit.identity import HubSignIn

from . import api, noise, pages, presentation, previews, transfer, visit_pages, wire
from .clock import SystemClock
from .local.store import LocalVersionStore
from .ports import UploadReceiver, VersionStore
from .retention import expire_forever
from .service import VersionsService
from .visiting import Visits, may_visit

_BETWEEN_LOOKS_AT_VISITS = 10.0  # seconds; what is over opens nothing before that either
_OWNED = r"w/(?P<owner>[a-z0-9-]{1,63})/"


class VersionsApp(ServiceApp):
    """File versions at /services/versions/, for everybody about their own files; for administrators see `visiting`.

    It needs no scope of the hub's API: who asks comes from their own token.
    """

    name = "devplatform-versions"
    service_package = "devplatform_versions"
    service_title = "File versions"

    store_class = Type(
        LocalVersionStore,
        klass=LoggingConfigurable,
        help="Where versions are kept: a class that keeps the promises of `devplatform_versions.ports.VersionStore`.",
    ).tag(config=True)
    retention_interval = Float(
        6 * 3600.0, min=1, help="Seconds between sweeps that let go of what the retention policy does not keep."
    ).tag(config=True)
    visit_seconds = Float(
        1800.0,
        min=60,
        max=86_400,
        help="How long an administrator may look into another person's versions after saying why, in seconds.",
    ).tag(config=True)
    clock = AnyTrait(help="Tells the time; tests choose it.")
    service = Instance(VersionsService)
    visits = Instance(Visits)

    aliases = {**ServiceApp.aliases, "data": "LocalVersionStore.root"}
    classes = [LocalVersionStore]

    @default("clock")
    def _default_clock(self) -> SystemClock:
        return SystemClock()

    @default("max_body_size")
    def _default_max_body_size(self) -> int:
        return 4 * 2**20  # 200 items with the longest paths, escaped in JSON

    @default("service")
    def _default_service(self) -> VersionsService:
        store: Any = self.store_class(parent=self, clock=self.clock)
        if not isinstance(store, VersionStore):
            raise TypeError(f"{self.store_class.__name__} is not a VersionStore")
        if hasattr(store, "upload_url"):
            prefix = self.prefix if self.prefix.endswith("/") else f"{self.prefix}/"
            store.upload_url = f"{prefix}local-upload/"
        return VersionsService(store, self.clock)

    @default("visits")
    def _default_visits(self) -> Visits:
        return Visits(self.service.store, self.clock, self.visit_seconds)

    def routes(self) -> Sequence[Route]:
        """The API, the pages, and what the pages show."""
        shared = {"service": self.service, "visits": self.visits}
        receives = isinstance(self.service.store, UploadReceiver)
        uploads = (r"local-upload/(?P<token>[A-Za-z0-9_-]{1,8192})", transfer.UploadHandler, {"service": self.service})
        owned: tuple[tuple[str, type[web.RequestHandler]], ...] = (
            (rf"api/v1/{_OWNED}folder", api.FolderHandler),
            (rf"api/v1/{_OWNED}versions", api.VersionsListHandler),
            (rf"api/v1/{_OWNED}snapshot", api.SnapshotHandler),
            (rf"api/v1/{_OWNED}content", transfer.ContentHandler),
            (rf"api/v1/{_OWNED}diff", api.DiffHandler),
            (rf"api/v1/{_OWNED}changes", api.ChangesHandler),
            (rf"api/v1/{_OWNED}uploads", api.UploadsHandler),
            (rf"api/v1/{_OWNED}deletions", api.DeletionsHandler),
            (rf"api/v1/{_OWNED}restore", api.RestoreHandler),
            (rf"api/v1/{_OWNED}restore-folder", api.RestoreFolderHandler),
            (rf"api/v1/{_OWNED}visits", visit_pages.VisitsHandler),
            (rf"{_OWNED}folder", pages.FolderPage),
            (rf"{_OWNED}file", pages.FilePage),
            (rf"{_OWNED}view", previews.ViewPage),
            (rf"{_OWNED}notebook", previews.NotebookFrame),
            (rf"{_OWNED}image", previews.ImageHandler),
            (rf"{_OWNED}compare", pages.ComparePage),
            (rf"{_OWNED}restore", pages.RestorePage),
            (rf"{_OWNED}restore-folder", pages.RestoreFolderPage),
            (rf"{_OWNED}visits", visit_pages.VisitsPage),
        )
        return (
            ("", pages.HomePage, shared),
            ("api/v1/me", api.MeHandler, shared),
            ("admin/", visit_pages.OpenVisitPage, shared),
            ("admin/end", visit_pages.EndVisitPage, shared),
            *((uploads,) if receives else ()),
            *((pattern, handler, shared) for pattern, handler in owned),
        )

    def make_application(self, hub_auth: HubSignIn | None = None) -> web.Application:
        """The application, with what the templates need to show names, sizes and times."""
        application = super().make_application(hub_auth)
        environment: Environment = application.settings["jinja_environment"]
        filters: dict[str, Any] = {
            "name": presentation.display_name,
            "size": presentation.display_size,
            "rfc3339": wire.time_text,
            "utc": presentation.display_time,
            "kept": presentation.display_kept,
            "kept_why": presentation.explain_kept,
            "span": presentation.display_span,
            "reason": noise.word,
            "reasons": noise.words,
        }
        environment.filters.update(filters)
        environment.globals.update(
            size_change=presentation.display_change, kind_of=presentation.kind_of, may_visit=may_visit
        )
        return application

    async def start_service(self) -> None:
        """Open the store and begin to sweep."""
        await self.service.store.open()
        self._sweeps = (
            asyncio.create_task(expire_forever(self.service.store, self.clock, self.retention_interval)),
            asyncio.create_task(self._end_visits_in_time()),
        )

    async def close(self) -> None:
        """Let those go who wait for changes, then stop serving."""
        self.service.feed.close()
        await super().close()

    async def stop_service(self) -> None:
        """End sweeping and every visit, then close the store."""
        for sweep in self._sweeps:
            sweep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweep
        await self.visits.close()
        await self.service.store.close()

    async def _end_visits_in_time(self) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_LOOKS_AT_VISITS)
            await self.visits.sweep()
