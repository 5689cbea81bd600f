"""Tokens for Google's APIs in the name of an administrator: the only module that imports Google's client.

Without a key file nothing secret is stored. The program's own identity (Workload Identity on GKE) signs a statement
as the service account through IAM Credentials, and Google gives a token of the administrator for it: domain-wide
delegation, as with a key. google-auth does all of it, blocking, in a thread.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from urllib.parse import urlsplit

import google.auth
import google.auth.credentials
import google.auth.exceptions
import google.auth.impersonated_credentials
import google.auth.transport.requests
import google.oauth2.service_account

from ..ports import DirectoryUnavailable
from .google_refusals import GoogleError, Setup, Step, parse_error, refused
from .held_token import AccessToken

TOKEN_ROOT = "https://oauth2.googleapis.com"  # noqa: S105
IAM_CREDENTIALS_ROOT = "https://iamcredentials.googleapis.com"
_PROJECTS = "cloudresourcemanager.googleapis.com"
_SOURCE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@dataclass(frozen=True, slots=True)
class CredentialSettings:
    """Who asks in whose name, where, and how long one call may take."""

    service_account: str
    admin_subject: str
    key_file: str = ""
    token_root: str = TOKEN_ROOT
    iam_credentials_root: str = IAM_CREDENTIALS_ROOT
    timeout: float = 5.0


@dataclass(slots=True)
class _Exchange:
    """The last call that was refused: what google-auth's own errors do not carry."""

    step: Step = Step.SOURCE
    status: int = 0
    body: Any = field(default=None, repr=False)


class _Unasked:
    """google-auth looks up the project of a federated identity, which nobody here needs: one call less to reach."""

    status = 404
    headers: Mapping[str, str] = {}
    data = b"{}"


class RootedRequest(google.auth.transport.requests.Request):
    """google-auth's transport with our time limit, and with the two roots where an operator put them."""

    def __init__(self, settings: CredentialSettings) -> None:
        super().__init__()
        self._timeout = settings.timeout
        self._roots = {TOKEN_ROOT: settings.token_root, IAM_CREDENTIALS_ROOT: settings.iam_credentials_root}
        self._service_account = settings.service_account
        self.last = _Exchange()

    def __call__(
        self, url: Any, method: Any = "GET", body: Any = None, headers: Any = None, timeout: Any = None, **kwargs: Any
    ) -> Any:
        """The answer to one call of google-auth."""
        if urlsplit(url).hostname == _PROJECTS:
            return _Unasked()
        limit = min(timeout or self._timeout, self._timeout)
        self.last = _Exchange(_step_of(url, body))
        response = super().__call__(  # type: ignore[no-untyped-call]
            self._rooted(url), method=method, body=body, headers=headers, timeout=limit, **kwargs
        )
        if response.status >= 400:
            self.last = _Exchange(self.last.step, response.status, _json_of(response.data))
        return response

    def _rooted(self, url: str) -> str:
        for original, root in self._roots.items():
            if url.startswith(original + "/"):
                return root + url.removeprefix(original)
        return url


class GoogleCredentials:
    """Gives tokens of one scope. `fetch` never blocks the event loop; it is called by one at a time."""

    def __init__(self, settings: CredentialSettings, scope: str) -> None:
        self._settings = settings
        self._setup = Setup(settings.service_account, settings.admin_subject, scope)
        self._request: RootedRequest | None = None
        self._credentials: Any = None

    async def fetch(self) -> AccessToken:
        """A new token. Raises `DirectoryUnavailable`, or `GoogleRefused` with what is missing."""
        return await asyncio.to_thread(self._fetch)

    def _fetch(self) -> AccessToken:
        request = self._request = self._request or RootedRequest(self._settings)
        request.last = _Exchange()
        try:
            self._credentials = self._credentials or self._make(request)
            self._credentials.refresh(request)
        except google.auth.exceptions.DefaultCredentialsError:
            raise refused(Step.SOURCE, GoogleError(0), self._setup) from None
        except google.auth.exceptions.GoogleAuthError as error:
            raise self._failure(request.last, error) from None
        except (OSError, ValueError) as error:  # the key file, or an answer that google-auth cannot read
            raise DirectoryUnavailable(f"{request.last.step}: {_reason_of(error)}") from None
        text, expiry = self._credentials.token, self._credentials.expiry
        if not text or expiry is None:
            raise DirectoryUnavailable(f"{Step.TOKEN}: Google answered without a token or without its end")
        return AccessToken(text, expiry.replace(tzinfo=UTC).timestamp())

    def _make(self, request: RootedRequest) -> google.auth.credentials.Credentials:
        settings = self._settings
        if settings.key_file:
            made: Any = google.oauth2.service_account.Credentials
            return made.from_service_account_file(
                settings.key_file, scopes=[self._setup.scope], subject=settings.admin_subject
            )
        source, _project = google.auth.default(scopes=[_SOURCE_SCOPE], request=request)
        return google.auth.impersonated_credentials.Credentials(  # type: ignore[no-untyped-call]
            source_credentials=source,
            target_principal=settings.service_account,
            target_scopes=[self._setup.scope],
            subject=settings.admin_subject,
        )

    def _failure(self, last: _Exchange, error: Exception) -> DirectoryUnavailable:
        """google-auth's errors hold whole answers: what is told of them is the reason alone."""
        if 400 <= last.status < 500 and last.status not in (408, 429):
            return refused(last.step, parse_error(last.status, last.body), self._setup)
        if last.status:
            return DirectoryUnavailable(f"{last.step}: Google answered status {last.status}")
        if isinstance(error, google.auth.exceptions.TransportError):
            return DirectoryUnavailable(f"{last.step}: it cannot be reached")
        return DirectoryUnavailable(f"{last.step}: {type(error).__name__}")


def _step_of(url: str, body: Any) -> Step:
    if ":signJwt" in url or ":signBlob" in url:
        return Step.SIGN
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    is_ours = urlsplit(url).path.endswith("/token") and "jwt-bearer" in text
    return Step.TOKEN if is_ours else Step.SOURCE


def _json_of(data: Any) -> Mapping[str, Any] | None:
    try:
        found = json.loads(data)
    except (ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _reason_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"the key file cannot be read: {error.strerror}"
    return f"something is malformed ({type(error).__name__})"
