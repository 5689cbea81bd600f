"""The pages of the local sign-in: name and password, and choosing a password after a one-time code."""

import json
from typing import Any

from jupyterhub.handlers.login import LoginHandler, LogoutHandler
from jupyterhub.utils import url_path_join
from tornado import web
from tornado.httputil import url_concat

from ..core.errors import PublicError
from ..servicekit.addresses import address_of
from .local import LocalAuthenticator, PasswordChoiceNeeded, Ticket, TooManyTries, WrongCredentials
from .pages import SignInPages, host_cookie
from .passwords import MIN_LENGTH
from .signing_out import SignOutPages

_COOKIE = "devplatform-choose-password"
_COOKIE_DAYS = 10 / (24 * 60)  # ten minutes
_MAX_BODY = 16 * 1024


class _LocalPages(SignInPages):
    authenticator: LocalAuthenticator

    @property
    def _choose_path(self) -> str:
        return url_path_join(self.hub.base_url, "login", "password")

    def _with_next(self, path: str) -> str:
        following = self.get_argument("next", default="")
        return url_concat(path, {"next": following}) if following else path

    def _check_size(self) -> None:
        if len(self.request.body) > _MAX_BODY:
            raise web.HTTPError(413, "That is too much for this form.")

    def _field(self, name: str) -> str:
        """A field of the form as typed; never one of the address, which ends up in logs."""
        return str(self.get_body_argument(name, default="", strip=False))

    @property
    def ticket_cookie_name(self) -> str:
        """`__Host-` keeps the hosts beside this one, such as people's servers, from setting it."""
        return host_cookie(_COOKIE, self.request)

    def _keep_ticket(self, ticket: Ticket) -> None:
        self._set_cookie(
            self.ticket_cookie_name,
            json.dumps([ticket.name, ticket.digest]),
            expires_days=None,
            path=self._choose_path,
            samesite="Strict",
        )

    def _ticket(self) -> Ticket | None:
        value = self.get_signed_cookie(self.ticket_cookie_name, max_age_days=_COOKIE_DAYS)
        return Ticket(*json.loads(value)) if value else None


class SignInHandler(_LocalPages, LoginHandler):
    """`/hub/login`."""

    async def get(self) -> None:
        """The form, or where somebody who is signed in wanted to go."""
        self.check_directory()
        await super().get()

    def render_template(self, name: str, **ns: Any) -> Any:
        """Our page where the hub would show its own."""
        if name == "login.html":
            ns["username"] = str(ns.get("username") or "")[:64]
            ns.setdefault("problem", None)
            return super().render_template("sign-in.html", **ns)
        return super().render_template(name, **ns)

    async def post(self) -> None:
        """Sign in, or say on the same page why not."""
        self._check_size()
        form = {"username": self._field("username").strip(), "password": self._field("password")}
        try:
            user = await self.login_user(form)
        except PasswordChoiceNeeded as step:
            self._keep_ticket(step.ticket)
            self.redirect(self._with_next(self._choose_path))
            return
        except (WrongCredentials, TooManyTries) as refused:
            self.set_status(refused.problem.status)
            for name, value in refused.headers.items():
                self.set_header(name, value)
            self.finish(await self._render(username=form["username"][:64], problem=refused.problem))
            return
        if user is None:  # blocked in the hub's configuration
            raise web.HTTPError(403, "This account is blocked.")
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))


class ChoosePasswordHandler(_LocalPages):
    """`/hub/login/password`: for whoever has just shown a one-time code."""

    async def get(self) -> None:
        """The form; the sign-in page for everybody else."""
        ticket = self._ticket()
        if ticket is None or not await self.authenticator.is_open(ticket):
            self.redirect(self._with_next(self.settings["login_url"]))
            return
        self.finish(await self._page(ticket, None))

    async def post(self) -> None:
        """Spend the code for the chosen password and sign in with it."""
        self._check_size()
        ticket = self._ticket()
        if ticket is None:
            self.redirect(self._with_next(self.settings["login_url"]))
            return
        password = self._field("password")
        try:
            address = address_of(self.request)
            await self.authenticator.choose_password(ticket, password, self._field("again"), address)
        except PublicError as problem:
            self.set_status(problem.status)
            self.finish(await self._page(ticket, problem))
            return
        self.clear_cookie(self.ticket_cookie_name, path=self._choose_path)
        user = await self.login_user({"username": ticket.name, "password": password})
        if user is None:
            raise web.HTTPError(403, "This account is blocked.")
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))

    async def _page(self, ticket: Ticket, problem: PublicError | None) -> str:
        page = await self.render_template(
            "choose-password.html",
            problem=problem,
            username=ticket.name,
            min_length=MIN_LENGTH,
            action=self._with_next(self._choose_path),
        )
        return str(page)


class SignOutHandler(SignOutPages, LogoutHandler):
    """`/hub/logout`: ends every browser session of the person and leads to the sign-in page."""

    async def handle_logout(self) -> None:
        """End the sessions in other browsers too."""
        if self.current_user:
            self.end_all(self.current_user)
