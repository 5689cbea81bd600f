"""ID tokens: signature, issuer, audience, nonce and time, in this order, before anything in them is believed."""

import hmac
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt

from ..ports import DirectoryUnavailable

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by the issuer's own key. Never `none`, never a shared secret: a public key could be taken for one."""
_CLOCKS_APART = 60
_KEYS_LIFETIME = 3600.0
_KEYS_PAUSE = 30.0


class IdTokenRefused(Exception):
    """The ID token proves nothing; the text says what is wrong with it, and nothing of its content."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Whom a token has to be from and for. `nonce` is empty when a token is renewed."""

    issuers: tuple[str, ...]
    client_id: str
    nonce: str = ""


class IssuerKeys:
    """The issuer's public keys, kept for an hour; asked for again at most every 30 s when a key is unknown."""

    def __init__(self, fetch: Callable[[], Awaitable[Any]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: list[jwt.PyJWK] = []
        self._at = float("-inf")

    async def find(self, key_id: str | None, algorithm: str) -> jwt.PyJWK:
        """The key with this id. Raises `IdTokenRefused`, or `DirectoryUnavailable` without any keys."""
        found = self._of(key_id, algorithm)
        age = self._clock() - self._at
        if age > _KEYS_LIFETIME or (found is None and age > _KEYS_PAUSE):
            await self.renew()
            found = self._of(key_id, algorithm)
        if found is None:
            raise IdTokenRefused("it is signed by a key that the issuer does not publish")
        return found

    def _of(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        fitting = [key for key in self._keys if key.key_type != "oct" and _fits(key, algorithm)]
        if key_id is not None:
            return next((key for key in fitting if key.key_id == key_id), None)
        return fitting[0] if len(fitting) == 1 else None

    async def renew(self) -> None:
        """Ask for them anew. Raises `DirectoryUnavailable` when there are none."""
        content = await self._fetch()
        try:
            keys = jwt.PyJWKSet.from_dict(content).keys
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
            raise DirectoryUnavailable("the identity provider's keys cannot be read") from None
        self._keys, self._at = keys, self._clock()


async def checked_claims(token: str, keys: IssuerKeys, expected: Expected) -> dict[str, Any]:
    """The claims of a genuine token. Raises `IdTokenRefused` or `DirectoryUnavailable`."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise IdTokenRefused("it is no signed token") from None
    algorithm = header.get("alg")
    if algorithm not in _ALGORITHMS:
        raise IdTokenRefused("its signature is none that an issuer makes")
    key = await keys.find(header.get("kid"), str(algorithm))
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=key.key,
            algorithms=[str(algorithm)],
            audience=expected.client_id,
            issuer=list(expected.issuers),
            leeway=_CLOCKS_APART,
            options={"require": ["iss", "sub", "aud", "exp", "iat"]},
        )
    except jwt.PyJWTError as error:
        raise IdTokenRefused(_REASONS.get(type(error), "it cannot be verified")) from None
    _check_party(claims, expected.client_id)
    nonce = claims.get("nonce")
    if expected.nonce and not (isinstance(nonce, str) and hmac.compare_digest(nonce.encode(), expected.nonce.encode())):
        raise IdTokenRefused("its nonce is of another sign-in")
    return claims


def _check_party(claims: dict[str, Any], client_id: str) -> None:
    """OpenID Connect Core, 3.1.3.7: with several audiences, and wherever `azp` is, it has to name this client."""
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if (several or "azp" in claims) and claims.get("azp") != client_id:
        raise IdTokenRefused("it was made for another application")


def _fits(key: jwt.PyJWK, algorithm: str) -> bool:
    return key.algorithm_name == algorithm or (
        key.key_type == "RSA" and algorithm[:2] in ("RS", "PS") and key.algorithm_name[:2] in ("RS", "PS")
    )


_REASONS: dict[type[Exception], str] = {
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.InvalidIssuerError: "it is from another issuer",
    jwt.InvalidAudienceError: "it was made for another application",
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is from the future",
    jwt.MissingRequiredClaimError: "a claim that every ID token has is missing",
}
