"""What the routes of the API and the pages share: whose files they are, and what a query means."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path
from devplatform_hub.servicekit import audit
from devplatform_hub.servicekit.addresses import address_of
from devplatform_hub.servicekit.handlers import ServiceHandler

from .folder_restoring import unavailable
from .model import Page, Version
from .ports import StoreUnavailable, VersionStore
from .presentation import display_name
from .service import VersionsService
from .visiting import OpenVisit, Visits, may_visit
from .wire import parse_generation, parse_time

_MOST_ON_A_PAGE = 5000
_HINT = "File versions can only be opened by the person whose files they are."
_HINT_TO_ADMINISTRATORS = "Administrators say why first, under Other people's versions. A visit only reads, and ends."


class VersionsHandler(ServiceHandler):
    """A route with the service at hand and the store's troubles in plain words."""

    def initialize(self, service: VersionsService, visits: Visits) -> None:
        """Called by tornado with the arguments of the route."""
        self.service = service
        self.visits = visits

    @property
    def store(self) -> VersionStore:
        return self.service.store

    @property
    def remote(self) -> str:
        return address_of(self.request)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        _, error, trace = kwargs.get("exc_info") or (None, None, None)
        if isinstance(error, StoreUnavailable):
            error = unavailable(error)
            kwargs["exc_info"] = (PublicError, error, trace)
        if isinstance(error, PublicError):
            status_code = error.status
            if not self.wants_json:  # on a page a name must look like what it is
                shown = PublicError(display_name(error.message), code=error.code, hint=error.hint, status=error.status)
                kwargs["exc_info"] = (PublicError, shown, trace)
        super().write_error(status_code, **kwargs)

    # What the query says. tornado's get_argument would strip spaces and replace control characters: paths are exact.

    def raw_argument(self, name: str) -> bytes | None:
        """The last value of a query or form field, as it was sent."""
        values = self.request.arguments.get(name)
        return values[-1] if values else None

    def text_argument(self, name: str) -> str | None:
        """A field as text; None when it is absent or empty. Raises `PublicError` for what is not UTF-8."""
        raw = self.raw_argument(name)
        if not raw:
            return None
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise PublicError(f"The value of {name} is not UTF-8.", code="value-invalid") from None

    def file_path(self) -> str:
        """The checked `path` of a file."""
        return parse_path(self.raw_argument("path") or b"")

    def folder_path(self) -> str:
        """The checked `path` of a folder; absent or empty is the workspace."""
        return parse_path(self.raw_argument("path") or b"", allow_root=True)

    def generation(self, name: str = "generation") -> int:
        """A generation that must be given."""
        return parse_generation(self.text_argument(name), name)

    def optional_generation(self, name: str = "generation") -> int | None:
        """A generation, or None when it is absent or empty."""
        text = self.text_argument(name)
        return None if text is None else parse_generation(text, name)

    def optional_time(self, name: str) -> datetime | None:
        """A moment, or None when it is absent or empty."""
        text = self.text_argument(name)
        return None if text is None else parse_time(text, name)

    def limit(self, default: int) -> int:
        """How many items a page has: 1 to 5,000."""
        text = self.text_argument("limit")
        return default if text is None else min(max(parse_generation(text, "limit"), 1), _MOST_ON_A_PAGE)

    def flag(self, name: str) -> bool:
        """Whether a field is `1`."""
        return self.raw_argument(name) == b"1"


class OwnedHandler(VersionsHandler):
    """A route about one owner's files: `{owner}` in the path must be the caller, whoever the caller is.

    A route that is `open_to_visits` also answers a GET of an administrator whose visit to the owner is under way.
    """

    methods_that_change: ClassVar[Iterable[str]] = ("POST",)
    open_to_visits: ClassVar[bool] = False
    is_download: ClassVar[bool] = False
    visit: OpenVisit | None = None
    """Whose visit this is; None where people are at their own files."""

    async def prepare(self) -> None:
        await super().prepare()
        if self._finished:
            return
        owner = self.path_kwargs["owner"]
        if owner != self.person.slug:
            self.visit = self._visit_to(owner)
        if owner != self.person.slug and self.visit is None:
            # 404 for administrators too: reading somebody's files is no part of running the platform.
            audit.emit(
                "version.access",
                actor=self.person.name,
                outcome="refused",
                target=f"{owner} {self.request.path}",
                why="not the owner",
                remote=self.remote,
            )
            raise PublicError(
                "There is nothing here.",
                code="not-found",
                hint=_HINT_TO_ADMINISTRATORS if may_visit(self.person) else _HINT,
                status=404,
            )
        self.owner: str = owner
        if self.visit is not None:
            # Here, before anything is read, so that no route can forget it.
            self.visits.note_look(self.visit, self._looked_at(), self.remote, download=self.is_download)

    def _visit_to(self, owner: str) -> OpenVisit | None:
        if not self.open_to_visits or self.request.method != "GET":
            return None
        found = self.visits.find(self.person, self.browser_session)
        return found if found and found.owner == owner else None

    def _looked_at(self) -> str:
        """The numbers of versions, then the path: a long one may be cut."""
        numbers = [self.raw_argument(name) or b"" for name in ("generation", "a", "b")]
        path = (self.raw_argument("path") or b"").decode("utf-8", "replace")
        known = [number.decode() for number in numbers if number.isdigit() and len(number) < 20]
        return " ".join([*known, f"{self.owner}/{path}"])


async def live_version(store: VersionStore, owner: str, path: str) -> tuple[Version | None, Page[Version]]:
    """The live version of a file, if any, and its newest versions. Raises `VersionNotFound`."""
    page = await store.list_versions(owner, path, limit=100)
    return next((version for version in page.items if version.live), None), page
