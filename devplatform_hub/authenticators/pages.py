"""The pages of signing in: a refusal is a page of its own, wherever in the process it happens."""

import logging
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader
from jupyterhub.handlers.base import BaseHandler
from tornado import web
from tornado.httputil import parse_cookie

from ..core.next_page import is_path_here
from .refusals import SignInRefused, kept_waiting

_TEMPLATES = FileSystemLoader([str(Path(__file__).parent / "templates")])
_ENVIRONMENTS = "devplatform_sign_in_{}"


class SignInPages(BaseHandler):
    """Base of every handler that signs somebody in. The hub's own templates come first, so they can be replaced."""

    _waits: str | None = None

    def directory_is_silent(self, name: str) -> bool:
        """Whether a request of this person is theirs although the directory does not say so; here it is nobody's."""
        self._waits = name
        return False

    def check_directory(self) -> None:
        """Raises `SignInRefused` for somebody who is signed in while it is unknown whether they may be."""
        if self._waits is not None:
            raise kept_waiting(self._waits)

    def get_next_url(self, user: Any = None, default: str | None = None) -> str:
        """JupyterHub's, where its path is one for a browser too; else where everybody begins.

        An address with a host is JupyterHub's own decision: a server's, with `subdomain_host`.
        """
        following = str(super().get_next_url(user, default))
        return str(self.hub.base_url) if following.startswith("/") and not is_path_here(following) else following

    def get_template(self, name: str, sync: bool = False) -> Any:
        """The hub's template of this name, else ours."""
        key = _ENVIRONMENTS.format("sync" if sync else "async")
        environment: Environment | None = self.settings.get(key)
        if environment is None:
            hub: Environment = self.settings["jinja2_env_sync" if sync else "jinja2_env"]
            environment = hub.overlay(loader=ChoiceLoader([*filter(None, [hub.loader]), _TEMPLATES]))
            self.settings[key] = environment
        return environment.get_template(name)

    def set_default_headers(self) -> None:
        """Nothing about signing in is kept by a cache or shown in a frame, and no address is passed on."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "same-origin")

    def decode_argument(self, value: bytes, name: str | None = None) -> str:  # noqa: ARG002 - tornado's signature
        """Text of an argument. Tornado's own message would write the first bytes, of a password too, into the log."""
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise web.HTTPError(400, "An argument is not UTF-8.") from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The refusal page for `SignInRefused`, the hub's error page for anything else."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, SignInRefused):
            super().write_error(status_code, **kwargs)
            return
        for name, value in error.headers.items():
            self.set_header(name, value)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        page = self.render_template(
            "sign-in-refused.html", sync=True, problem=error.problem, username=error.username, no_spawner_check=True
        )
        self.write(page)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A refusal is in the audit stream already; everything else is logged as ever."""
        if isinstance(value, SignInRefused):
            logging.getLogger(__name__).debug("Refused to sign somebody in: %s", value.problem.code)
            return
        super().log_exception(typ, value, tb)


def host_cookie(name: str, request: Any) -> str:
    """The name under which no other host can set this cookie: over https with `__Host-`."""
    return f"__Host-{name}" if request.protocol == "https" else name


def cookies_called(name: str, request: Any) -> list[str]:
    """Every value of this cookie. Whoever can set one for another path of this host can add theirs to ours."""
    chunks = request.headers.get("Cookie", "").split(";")
    return [value for chunk in chunks for key, value in parse_cookie(chunk).items() if key == name]
