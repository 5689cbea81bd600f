"""Service accounts with real RSA keys, and access tokens: what stands behind signed URLs and keyless signing."""

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from .errors import ApiError

AUDIENCE = "https://oauth2.googleapis.com/token"
"""google-auth writes this one into its JWTs, wherever it sends them."""


@dataclass
class Account:
    """A service account of the project; its key pair is made when it is first needed."""

    email: str

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        """The key that Google would hold."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def member(self) -> str:
        """As policies name it."""
        return f"serviceAccount:{self.email}"

    def sign(self, payload: bytes) -> bytes:
        """What signBlob gives."""
        return self.key.sign(payload, padding.PKCS1v15(), hashes.SHA256())

    def signed(self, payload: bytes, signature: bytes) -> bool:
        """Whether this account signed it."""
        try:
            self.key.public_key().verify(signature, payload, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def key_file(self, base: str) -> dict[str, Any]:
        """The content of a JSON key, whose tokens come from the double at `base`."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "project",
            "client_email": self.email,
            "private_key_id": "k",
            "private_key": pem.decode(),
            "token_uri": f"{base}/token",
        }


@dataclass
class Accounts:
    """Who there is. `signers` are (member, email) pairs: who may sign as whom without a key."""

    known: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    signers: set[tuple[str, str]] = field(default_factory=set)

    def add(self, email: str) -> Account:
        """A service account."""
        return self.known.setdefault(email, Account(email))

    def token(self, member: str) -> str:
        """A new access token of a member, such as "serviceAccount:a@b" or "user:c@d"."""
        token = f"ya29.{len(self.tokens)}.{member}"
        self.tokens[token] = member
        return token

    def member(self, authorization: str) -> str | None:
        """Who sends this header; None for nobody. Raises ApiError (401) for a token that there is not."""
        if not authorization:
            return None
        member = self.tokens.get(authorization.removeprefix("Bearer "))
        if member is None:
            raise ApiError(401, "authError", "Invalid Credentials", "AuthenticationRequired")
        return member

    def may_sign(self, member: str | None, email: str) -> bool:
        """Whether signBlob works for them."""
        return member is not None and (member, email) in self.signers

    def exchanged(self, assertion: str, audience: str) -> str:
        """A token for a JWT that a key of a known account signed. Raises ApiError (400)."""
        try:
            email = jwt.decode(assertion, options={"verify_signature": False})["iss"]
            # By the machine's clock, as the client that wrote it has no other.
            jwt.decode(
                assertion, self.known[email].key.public_key(), ["RS256"], audience=[audience, AUDIENCE], leeway=60
            )
        except (jwt.InvalidTokenError, KeyError):
            raise ApiError(400, "invalidGrant", "Invalid JWT Signature.") from None
        return self.token(self.known[email].member)


def token_answer(token: str) -> dict[str, Any]:
    """What the token endpoint says."""
    return {"access_token": token, "expires_in": 3600, "token_type": "Bearer", "issued_at": int(time.time())}
