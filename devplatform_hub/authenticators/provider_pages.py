"""The pages around a sign-in at a provider: the button, the way there, the way back, and out again.

OAuth's code and state arrive in addresses. They are single-use and short-lived, and still no line of the log has them.
"""

import base64
import hashlib
import hmac
import json
from typing import Any

from jupyterhub.handlers.login import LoginHandler
from jupyterhub.utils import url_path_join
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler, OAuthLogoutHandler
from tornado import web
from tornado.httputil import url_concat

from ..core.next_page import is_path_here
from ..ports import DirectoryUnavailable
from ..servicekit import audit
from ..servicekit.addresses import address_of
from .pages import SignInPages, cookies_called, host_cookie
from .provider_calls import error_name
from .refusals import consent_missing, provider_unavailable, sign_in_failed
from .signing_out import SignOutPages

_COOKIE = "devplatform-sign-in"
_LIFETIME_DAYS = 1 / 24
_NO_CONSENT = ("access_denied", "consent_required", "interaction_required")
_LONGEST_ARGUMENT = 8192


class _ProviderPages(SignInPages):
    authenticator: Any

    def _request_summary(self) -> str:
        """For tornado's own lines about failed requests: with the path alone."""
        return f"{self.request.method} {self.request.path} ({address_of(self.request)})"

    @property
    def state_cookie_name(self) -> str:
        """`__Host-` keeps the hosts beside this one, such as people's servers, from setting it."""
        return host_cookie(_COOKIE, self.request)

    async def _prepare_provider(self) -> None:
        try:
            await self.authenticator.prepare()
        except DirectoryUnavailable as error:
            self.log.warning("Nobody can sign in: %s", error)
            raise provider_unavailable() from None


class SignInHandler(_ProviderPages, LoginHandler):
    """`/hub/login`: one button."""

    async def get(self) -> None:
        """The button, or where somebody who is signed in wanted to go."""
        self.check_directory()
        await super().get()

    def render_template(self, name: str, **ns: Any) -> Any:
        """Our page where the hub would show its own."""
        return super().render_template("sign-in-provider.html" if name == "login.html" else name, **ns)


class ToProviderHandler(_ProviderPages, OAuthLoginHandler):
    """`/hub/oauth_login`: to the provider, with state, nonce and PKCE."""

    async def get(self) -> None:
        """Redirect to the provider."""
        await self._prepare_provider()
        super().get()

    def set_state_cookie(self, state_cookie_value: str) -> None:
        """Ours, for this path and until the browser closes; an older one counts for an hour at most."""
        self._set_cookie(
            self.state_cookie_name, state_cookie_value, expires_days=None, samesite="Lax", path=self.hub.base_url
        )

    def _generate_pkce_params(self) -> tuple[str, str]:
        self._verifier, challenge = super()._generate_pkce_params()
        return self._verifier, challenge

    def authorize_redirect(self, *args: Any, extra_params: dict[str, Any], **kwargs: Any) -> None:
        """With a nonce that only the browser with the cookie can have asked for."""
        super().authorize_redirect(*args, extra_params={**extra_params, "nonce": nonce_of(self._verifier)}, **kwargs)


class CallbackHandler(_ProviderPages, OAuthCallbackHandler):
    """`/hub/oauth_callback`: back from the provider."""

    _kept_state: str | None = None

    async def get(self) -> None:
        """Sign in, or say why not."""
        self.check_state()
        self.check_issuer()
        self.check_error()
        self.check_code()
        user = await self.login_user()
        if user is None:  # blocked in the hub's configuration
            raise web.HTTPError(403, "This account is blocked.")
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user))

    @property
    def nonce(self) -> str:
        """What the ID token has to repeat."""
        return nonce_of(self._state().get("code_verifier") or "")

    def get_state_cookie(self) -> str:
        """The state of the sign-in that ends here, of all that this browser sent; it is for one use."""
        if self._kept_state is None:
            name, given = self.state_cookie_name, _state_id(self._argument("state"))
            values = (
                self.get_signed_cookie(name, value, max_age_days=_LIFETIME_DAYS)
                for value in cookies_called(name, self.request)
            )
            kept = ((value or b"").decode("utf8", "replace") for value in values)
            self._kept_state = next((state for state in kept if given and _state_id(state) == given), "")
            self.clear_cookie(name, path=self.hub.base_url)
        return self._kept_state

    def check_state(self) -> None:
        """Whether this browser began this sign-in. Raises `SignInRefused`."""
        own, given = self._state().get("state_id"), _state_id(self._argument("state"))
        if not own or not given or not hmac.compare_digest(own.encode(), given.encode()):
            self._refuse("state-mismatch")
            raise sign_in_failed()

    def check_issuer(self) -> None:
        """Whether it is our provider that sent the browser back (RFC 9207). Raises `SignInRefused`."""
        if self._argument("iss") not in ("", *self.authenticator.issuers):
            self._refuse("issuer-mismatch")
            raise sign_in_failed()

    def check_error(self) -> None:
        """Whether the provider or the person said no. Raises `SignInRefused`; the provider's text is not repeated."""
        if "error" not in self.request.query_arguments:
            return
        error = error_name(self._argument("error"))
        self.log.warning("The identity provider refused a sign-in: %s", error or "(no OAuth error)")
        self._refuse(error or "provider-error")
        raise consent_missing() if error in _NO_CONSENT else sign_in_failed()

    def check_code(self) -> None:
        """Whether there is a code. Raises `SignInRefused`."""
        if not self._argument("code"):
            self._refuse("code-missing")
            raise sign_in_failed()

    def get_next_url(self, user: Any = None, default: str | None = None) -> str:  # noqa: ARG002
        """Where the sign-in began, on this hub."""
        following = self._state().get("next_url")
        own = isinstance(following, str) and is_path_here(following)
        return str(following) if own else str(url_path_join(self.hub.base_url, "home" if user is None else "spawn"))

    def _state(self) -> dict[str, Any]:
        """What the cookie says; empty without one. It is signed: only this hub wrote it."""
        kept = self.get_state_cookie()
        return _decoded(kept)

    def _argument(self, name: str) -> str:
        value = str(self.get_query_argument(name, default=""))
        return value if len(value) <= _LONGEST_ARGUMENT else ""

    def _refuse(self, why: str) -> None:
        remote = address_of(self.request)
        audit.emit("person.sign-in", actor="(unknown)", outcome="refused", why=why, remote=remote)


class SignOutHandler(SignOutPages, _ProviderPages, OAuthLogoutHandler):
    """`/hub/logout`: ends every browser session of the person, then the provider's own where it can be asked to."""

    _query: dict[str, str]

    async def handle_logout(self) -> None:
        """End the sessions in other browsers too."""
        user = self.current_user
        self._query = await self.authenticator.sign_out_query(self, user) if user else {}
        if user:
            self.end_all(user)

    async def render_logout_page(self) -> None:
        """To the provider's sign-out where it has one, else a page that says so."""
        target = self.authenticator.logout_redirect_url
        if not target and self._query and self.authenticator.end_session_url:
            target = url_concat(self.authenticator.end_session_url, self._query)
        if target:
            self.redirect(target)
            return
        self.finish(await self.render_template("signed-out.html", login_url=self.settings["login_url"]))


def nonce_of(verifier: str) -> str:
    """A nonce bound to the sign-in's PKCE verifier, which never leaves the hub and the browser's cookie."""
    return hashlib.sha256(f"nonce\0{verifier}".encode()).hexdigest() if verifier else ""


def _state_id(text: str) -> str:
    """The id in the address's state; empty for anything that is no state of ours."""
    found = _decoded(text).get("state_id")
    return found if isinstance(found, str) and found.isascii() else ""


def _decoded(state: str) -> dict[str, Any]:
    """oauthenticator's form of a state. Its own reader logs what it cannot read."""
    try:
        value = json.loads(base64.urlsafe_b64decode(state.encode("ascii")))
    except (UnicodeError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
