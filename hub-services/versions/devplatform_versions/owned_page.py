"""The base of the pages about somebody's files."""

from typing import Any
from urllib.parse import urlencode

from devplatform_hub.servicekit.handlers import PageHandler

from .handlers import OwnedHandler
from .ports import VersionNotFound
from .visiting import Notices, notices_of


class OwnedPage(PageHandler, OwnedHandler):
    """A page about the caller's own files, or those of the owner whom an administrator visits."""

    notices: Notices | None = None

    async def prepare(self) -> None:
        await super().prepare()
        if not self._finished and self.visit is None:
            self.notices = await notices_of(self.store, self.owner)

    def show(self, template: str, **namespace: Any) -> None:
        """Answer with a page that knows whose files these are."""
        self.render_page(
            template,
            base=f"{self.service_prefix}w/{self.owner}/",
            owner=self.owner,
            visit=self.visit,
            notices=self.notices,
            administers=False,
            **namespace,
        )

    async def live_generation(self, path: str) -> int:
        """The live generation of a file, 0 when it is deleted."""
        try:
            return (await self.store.get_version(self.owner, path)).generation
        except VersionNotFound:
            return 0

    def go_to(self, page: str, **query: str) -> None:
        """Show another page after a form was sent."""
        self.redirect(f"{self.service_prefix}w/{self.owner}/{page}?{urlencode(query)}", status=303)
