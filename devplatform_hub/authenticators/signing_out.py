"""Signing out: in every browser, also while the directory is silent, and never because another site says so."""

from typing import Any

from jupyterhub.utils import url_path_join

from ..servicekit import audit
from ..servicekit.addresses import address_of
from .pages import SignInPages
from .sessions import end_browser_sessions


class SignOutPages(SignInPages):
    """Base of the handlers of `/hub/logout`; stands before JupyterHub's."""

    def directory_is_silent(self, name: str) -> bool:  # noqa: ARG002 - who it is makes no difference
        """Nobody has to be allowed anything to end their own session."""
        return True

    async def get(self) -> None:
        """Sign out whoever comes from this site, or by an address of their own."""
        if self.current_user and self.request.headers.get("Sec-Fetch-Site") == "cross-site":
            self.redirect(url_path_join(self.hub.base_url, "home"))
            return
        await super().get()

    def end_all(self, user: Any) -> None:
        """End the sessions in other browsers too."""
        end_browser_sessions(user)
        audit.emit("person.sign-out", actor=user.name, outcome="allowed", remote=address_of(self.request))
