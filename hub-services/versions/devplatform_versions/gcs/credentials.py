"""Who the service is at Google: access tokens, and signatures without a key. The only module here with Google's client.

The service's own identity (Workload Identity on GKE) gives tokens, and signs through IAM Credentials as its service
account (signBlob), for which that account needs roles/iam.serviceAccountTokenCreator on itself. With a JSON key it
signs by itself. google-auth does all of it, blocking, in a thread.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from datetime import UTC
from typing import Any
from urllib.parse import quote

import google.auth
import google.auth.exceptions
import google.auth.transport.requests

from ..ports import StoreUnavailable

IAM_ROOT = "https://iamcredentials.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_SIGNING_SCOPE = "https://www.googleapis.com/auth/iam"
_AHEAD = 300.0


class GoogleIdentity:
    """Tokens and signatures of the program's own identity. `email` is that of whom it signs as."""

    def __init__(self, email: str = "", iam_root: str = IAM_ROOT, clock: Callable[[], float] = time.time) -> None:
        self._email, self._iam_root, self._clock = email, iam_root, clock
        self._credentials: Any = None
        self._request: Any = None
        self._renewing = asyncio.Lock()

    async def token(self) -> str:
        """A token that is good now, renewed ahead of its end by one caller. Raises `StoreUnavailable`."""
        if not self._is_fresh():
            async with self._renewing:
                if not self._is_fresh():
                    await asyncio.to_thread(self._renew)
        return str(self._credentials.token)

    async def email(self) -> str:
        """The address of the service account. Raises `StoreUnavailable`."""
        await self.token()
        found = self._email or getattr(self._credentials, "service_account_email", "")
        if not found or found == "default":
            raise StoreUnavailable("it is not known as which service account URLs are signed (signer_email)")
        return str(found)

    async def sign(self, text: bytes) -> bytes:
        """The signature of `text` by the service account. Raises `StoreUnavailable`."""
        email, token = await self.email(), await self.token()
        return await asyncio.to_thread(self._signed, text, email, token)

    def _is_fresh(self) -> bool:
        held = self._credentials
        if held is None or not held.token:
            return False
        if held.expiry is None:
            return True
        ends_at = held.expiry.replace(tzinfo=UTC).timestamp()  # google-auth's times are UTC, and do not say so
        return bool(ends_at - self._clock() > _AHEAD)

    def _renew(self) -> None:
        try:
            if self._credentials is None:
                self._request = google.auth.transport.requests.Request()
                self._credentials, _project = google.auth.default(scopes=[_SCOPE, _SIGNING_SCOPE])
            self._credentials.refresh(self._request)
        except (google.auth.exceptions.GoogleAuthError, OSError, ValueError) as error:
            raise StoreUnavailable(f"Google gives the service no token ({type(error).__name__})") from None

    def _signed(self, text: bytes, email: str, token: str) -> bytes:
        signer = getattr(self._credentials, "signer", None)
        if signer is not None and hasattr(signer, "key_id"):  # a JSON key: it is here
            return bytes(signer.sign(text))
        url = f"{self._iam_root}/v1/projects/-/serviceAccounts/{quote(email, safe='')}:signBlob"
        body = json.dumps({"payload": base64.b64encode(text).decode()}).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = self._request(url, method="POST", body=body, headers=headers, timeout=10)
            if answer.status == 200:
                return base64.b64decode(json.loads(answer.data)["signedBlob"])
        except (google.auth.exceptions.GoogleAuthError, OSError, ValueError, KeyError) as error:
            raise StoreUnavailable(f"IAM Credentials does not sign ({type(error).__name__})") from None
        raise StoreUnavailable(
            f"IAM Credentials refuses to sign as {email} (status {answer.status}): it needs "
            "roles/iam.serviceAccountTokenCreator on itself"
        )
