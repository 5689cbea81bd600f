"""The base of every route of every service: signed in or refused, errors that a person can read, strict headers."""

import hashlib
import json
import logging
import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated, UserNotAllowed
from tornado import web

from ..core.errors import PublicError
from .identity import HubSignIn, Person

_log = logging.getLogger("devplatform.service")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'self'; object-src 'none'"
)
_LONGEST_ARGUMENT = 1024
_MEANING_OF_STATUS = {
    400: ("request-invalid", "The request is not valid.", ""),
    401: ("sign-in-needed", "You are not signed in.", "Sign in, or send a hub token."),
    403: ("forbidden", "You may not do that.", ""),
    404: ("not-found", "There is nothing here.", "Check the address."),
    405: ("method-not-allowed", "That method is not allowed here.", ""),
    413: ("too-large", "That is too large.", ""),
    503: ("unavailable", "The platform cannot answer right now.", "Try again in a minute."),
}


class _ServiceBase(web.RequestHandler):
    """Headers and errors; knows nothing of people."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "SAMEORIGIN")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        self.clear_header("Server")

    @property
    def service_prefix(self) -> str:
        """The path that every route of the service starts with, such as `/services/versions/`."""
        return str(self.settings["service_prefix"])

    @property
    def wants_json(self) -> bool:
        """Whether an error should be JSON: the API, and whoever does not ask for a page."""
        if self.request.path.startswith(f"{self.service_prefix}api/"):
            return True
        return "text/html" not in self.request.headers.get("Accept", "")

    def send_json(self, value: object, status: int = 200) -> None:
        """Answer with JSON and finish."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def json_body(self) -> dict[str, Any]:
        """The request's JSON object. Raises `PublicError` (`json-invalid`) for anything else."""
        try:
            body = json.loads(self.request.body or b"null")
        except ValueError:  # UnicodeDecodeError is one too
            body = None
        if not isinstance(body, dict):
            raise PublicError(
                "The request body is not a JSON object.", code="json-invalid", hint='Send {"...": ...} in UTF-8.'
            )
        return body

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, PublicError):
            # Bounded and escaped: the message may name what the person named.
            _log.info("%s %s: %s", self.request.method, value.code, ascii(value.message)[:500])
        elif isinstance(value, web.HTTPError):
            _log.info("%s %s: %s", self.request.method, value.status_code, ascii(value.log_message or "")[:500])
        else:
            _log.error("%s %s failed", self.request.method, ascii(self.request.path)[:200], exc_info=(typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        problem = self._public_problem(status_code, kwargs.get("exc_info"))
        self.set_status(problem.status)
        if problem.status == 503:
            self.set_header("Retry-After", "10")
        if self.wants_json:
            self.send_json(self.error_json(problem), problem.status)
        else:
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.finish(self.render_text("error.html", problem=problem, status=problem.status))

    def error_json(self, problem: PublicError) -> dict[str, Any]:
        """The JSON of an error; a service whose clients expect another form adds to it."""
        return {"error": problem.as_dict()}

    def _public_problem(self, status_code: int, exc_info: Any) -> PublicError:
        error = exc_info[1] if exc_info else None
        if isinstance(error, PublicError):
            return error
        if status_code in _MEANING_OF_STATUS and (error is None or isinstance(error, web.HTTPError)):
            code, message, hint = _MEANING_OF_STATUS[status_code]
            return PublicError(message, code=code, hint=hint, status=status_code)
        reference = secrets.token_hex(4)
        _log.error("That was error reference %s", reference)
        return PublicError(
            "Something went wrong on our side.",
            code="internal-error",
            hint=f"Try again. If it stays, give an administrator this reference: {reference}.",
            status=status_code if status_code >= 500 else 500,
        )

    def render_text(self, template: str, **namespace: Any) -> str:
        """The page as text, with what every page needs."""
        environment = self.settings["jinja_environment"]
        person = getattr(self, "person", None)
        return str(
            environment.get_template(template).render(
                prefix=self.service_prefix,
                hub_prefix=self.settings["hub_prefix"],
                service_title=self.settings["service_title"],
                person=person,
                # Only a page that somebody is signed in to can post anything.
                xsrf_token=_as_text(self.xsrf_token) if person is not None else "",
                **namespace,
            )
        )


class ServiceHandler(HubOAuthenticated, _ServiceBase):
    """A route for signed-in people. `self.person` is set before any method runs, or the request has been refused.

    Credentials are a hub token in `Authorization`, or the service's own cookie after OAuth with the hub;
    a cookie also needs the XSRF token for everything but plain navigation (JupyterHub's rules).
    """

    person: Person
    redirects_to_login: ClassVar[bool] = False

    @property
    def hub_auth(self) -> HubSignIn:
        return self.settings["hub_auth"]

    @property
    def browser_session(self) -> str:
        """What stands for this browser's sign-in at the service; empty when the request came with a token."""
        if self.hub_auth.get_token(self, in_cookie=False):
            return ""
        token = self.hub_auth.get_token(self)
        return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest() if token else ""

    async def prepare(self) -> None:
        model = await self.hub_auth.get_user(self, sync=False)
        if model is None:
            self._refuse_stranger()
            return
        try:
            self.check_hub_user(model)
        except UserNotAllowed:
            raise PublicError(
                "Your credentials do not give access to this service.",
                code="scope-missing",
                hint="Use the token of your running server, or sign in.",
                status=403,
            ) from None
        if model.get("kind", "user") != "user":
            raise PublicError("Only people may use this service.", code="not-a-person", status=403)
        self.person = Person.of_model(model)
        self._hub_auth_user_cache = model

    def _refuse_stranger(self) -> None:
        if self.redirects_to_login and self.request.method in ("GET", "HEAD") and not self.wants_json:
            self.redirect(self.get_login_url())
            return
        # A wrong credential and none look the same: 403, as JupyterHub's own API answers.
        raise PublicError(
            "You are not signed in.",
            code="sign-in-needed",
            hint="Reload the page to sign in, or send a hub token.",
            status=403,
        )

    def render_page(self, template: str, **namespace: Any) -> None:
        """Answer with a page and finish."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(self.render_text(template, **namespace))


class PageHandler(ServiceHandler):
    """A page: somebody who is not signed in is sent to the hub to do so."""

    redirects_to_login = True


class PublicHandler(_ServiceBase):
    """The explicit exception: a route that needs no sign-in, and says in `public_reason` why that is right."""

    public_reason: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if not cls.public_reason:
            raise TypeError(f"{cls.__name__} is public and must say why in public_reason")

    def check_xsrf_cookie(self) -> None:
        """Nothing here acts on a cookie, so there is nothing to forge."""


class HealthHandler(PublicHandler):
    """Answers while the process serves."""

    public_reason = "tells nothing but that the process serves"

    def get(self) -> None:
        self.send_json({"status": "ok"})


class KitStaticHandler(web.StaticFileHandler):
    """Style sheets and scripts, the same for everybody."""

    public_reason = "the same files for everybody, shipped with the program"

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - tornado's signature
        self.set_header("X-Content-Type-Options", "nosniff")


class NotFoundHandler(_ServiceBase):
    """Whatever no route names."""

    public_reason = "says only that there is nothing"

    def prepare(self) -> None:
        raise web.HTTPError(404)


class CallbackHandler(HubOAuthCallbackHandler, _ServiceBase):
    """The end of the OAuth round trip (JupyterHub's own handler), with our headers and error pages."""

    public_reason = "the sign-in itself"

    async def get(self) -> None:
        """JupyterHub's, which writes a state that it does not know into the log as it is."""
        given = self.request.query_arguments.values()
        if any(len(value) > _LONGEST_ARGUMENT for values in given for value in values):
            raise web.HTTPError(400)
        await HubOAuthCallbackHandler.get(self)

    @property
    def hub_auth(self) -> HubSignIn:
        return self.settings["hub_auth"]


def _as_text(token: bytes | str) -> str:
    return token.decode("ascii") if isinstance(token, bytes) else token


def safe_request_line(request: Any) -> Mapping[str, str]:
    """Method and path of a request for a log line: no query string (it may carry codes), bounded, control-free."""
    return {"method": ascii(request.method)[1:-1][:16], "path": ascii(request.path)[1:-1][:200]}
