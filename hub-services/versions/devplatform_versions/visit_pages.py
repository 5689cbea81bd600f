"""The routes about visits: administrators say why and begin one, owners see who was there (`visiting` decides)."""

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit import audit
from devplatform_hub.servicekit.handlers import PageHandler

from .handlers import OwnedHandler, VersionsHandler
from .owned_page import OwnedPage
from .ports import VersionNotFound, VisitBook
from .visiting import LONGEST_REASON, SHORTEST_REASON, may_visit
from .wire import visit_json


class AdministratorsPage(PageHandler, VersionsHandler):
    """A page for whoever may visit; nobody else learns that it is there."""

    async def prepare(self) -> None:
        await super().prepare()
        if self._finished or may_visit(self.person):
            return
        audit.emit(
            "version.visit",
            actor=self.person.name,
            outcome="refused",
            target=self.request.path,
            why="not an administrator",
            remote=self.remote,
        )
        raise PublicError("There is nothing here.", code="not-found", hint="Check the address.", status=404)


class OpenVisitPage(AdministratorsPage):
    """Whom to visit, and why."""

    def get(self) -> None:
        self._show(None)

    async def post(self) -> None:
        name, reason = self.text_argument("name"), self.text_argument("reason")
        try:
            opened = await self.visits.open(self.person, self.browser_session, name, reason, self.remote)
        except PublicError as error:
            if self.wants_json:
                raise
            self.set_status(error.status)
            self._show(error, name or "", reason or "")
            return
        self.redirect(f"{self.service_prefix}w/{opened.owner}/folder", status=303)

    def _show(self, problem: PublicError | None, name: str = "", reason: str = "") -> None:
        self.render_page(
            "open_visit.html",
            administers=True,
            visit=self.visits.find(self.person, self.browser_session),
            notices=None,
            problem=problem,
            name=name[:255],
            reason=reason[:LONGEST_REASON],
            shortest=SHORTEST_REASON,
            longest=LONGEST_REASON,
            minutes=round(self.visits.seconds / 60),
        )


class EndVisitPage(AdministratorsPage):
    """Where the button of a visit leads."""

    async def post(self) -> None:
        found = self.visits.find(self.person, self.browser_session)
        if found is not None:
            await self.visits.end(found, "by hand")
        self.redirect(f"{self.service_prefix}admin/", status=303)


class VisitsPage(OwnedPage):
    """Who was at the owner's versions; a POST puts a notice away."""

    async def get(self, owner: str) -> None:
        book = self.store
        found = await book.visits(owner) if isinstance(book, VisitBook) else ()
        self.show("visits.html", visits=found, now=self.service.now())

    async def post(self, owner: str) -> None:
        visit_id, book = self.text_argument("id") or "", self.store
        if not isinstance(book, VisitBook) or not await book.change_visit(owner, visit_id, dismissed=True):
            raise VersionNotFound("That visit")
        self.redirect(f"{self.service_prefix}w/{owner}/visits", status=303)


class VisitsHandler(OwnedHandler):
    """The same list for programs."""

    async def get(self, owner: str) -> None:
        book = self.store
        found = await book.visits(owner) if isinstance(book, VisitBook) else ()
        self.send_json({"visits": [visit_json(visit) for visit in found]})
