"""ID tokens: only a token of this issuer, for this client, of this sign-in, is believed."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from devplatform_hub.authenticators.id_tokens import Expected, IdTokenRefused, IssuerKeys, checked_claims
from devplatform_hub.ports import DirectoryUnavailable

ISSUER, CLIENT = "https://sso.example.com", "devplatform"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
RSA, EC = jwt.algorithms.RSAAlgorithm, jwt.algorithms.ECAlgorithm
PUBLISHED = {
    "keys": [
        {**RSA.to_jwk(KEY.public_key(), as_dict=True), "kid": "rsa"},
        {**EC.to_jwk(CURVE.public_key(), as_dict=True), "kid": "ec"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "shared", "alg": "HS256"},
    ]
}
EXPECTED = Expected((ISSUER,), CLIENT, "nonce")


def token(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "rsa", **claims: Any) -> str:
    now = int(time.time())  # when tests are collected, which can be long before this one runs
    content = {"iss": ISSUER, "aud": CLIENT, "sub": "1", "nonce": "nonce", "iat": now, "exp": now + 86_400} | claims
    content = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(content, key, algorithm, headers={"kid": kid} if kid else None)


class Issuer:
    """Its keys, and how often they were asked for."""

    def __init__(self, published: Any = PUBLISHED) -> None:
        self.published, self.asked, self.now = published, 0, 0.0
        self.keys = IssuerKeys(self._fetch, lambda: self.now)

    async def _fetch(self) -> Any:
        self.asked += 1
        return self.published


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(token(), id="RS256"),
        pytest.param(token(algorithm="PS256"), id="PS256"),
        pytest.param(token(CURVE, "ES256", "ec"), id="ES256"),
        pytest.param(token(kid=None), id="one key fits"),
        pytest.param(token(aud=[CLIENT]), id="a list of one audience"),
        pytest.param(token(aud=[CLIENT, "other"], azp=CLIENT), id="several audiences, made for us"),
    ],
)
async def test_a_genuine_token_is_believed(made: str) -> None:
    """Whatever the kind of key."""
    assert (await checked_claims(made, Issuer().keys, EXPECTED))["sub"] == "1"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        pytest.param("nonsense", "no signed token", id="no token"),
        pytest.param(token(iss="https://evil.example"), "another issuer", id="issuer"),
        pytest.param(token(iss=ISSUER + "/"), "another issuer", id="issuer with a slash more"),
        pytest.param(token(aud="other"), "another application", id="audience"),
        pytest.param(token(aud=[CLIENT, "other"]), "another application", id="several audiences, no azp"),
        pytest.param(token(azp="other"), "another application", id="azp of another"),
        pytest.param(token(nonce="old"), "nonce", id="nonce of another sign-in"),
        pytest.param(token(nonce=None), "nonce", id="no nonce"),
        pytest.param(token(nonce=["nonce"]), "nonce", id="a nonce that is a list"),
        pytest.param(token(exp=int(time.time()) - 120), "expired", id="expired"),
        pytest.param(token(iat=int(time.time()) + 40_000), "future", id="from the future"),
        pytest.param(token(exp=None), "missing", id="no end"),
        pytest.param(token(OTHER), "signature is wrong", id="another key"),
        pytest.param(token(OTHER, kid="unknown"), "does not publish", id="unknown key"),
        pytest.param(token(None, "none"), "none that an issuer makes", id="alg none"),
        pytest.param(token("s" * 32, "HS256", "shared"), "none that an issuer makes", id="a shared secret"),
    ],
)
async def test_any_other_token_is_refused(made: str, said: str) -> None:
    """With a reason that holds nothing of the token."""
    with pytest.raises(IdTokenRefused, match=said) as refused:
        await checked_claims(made, Issuer().keys, EXPECTED)
    assert made.split(".")[-1] not in str(refused.value) or made.endswith(".")


async def test_a_renewed_token_needs_no_nonce() -> None:
    """A nonce belongs to a sign-in."""
    claims = await checked_claims(token(nonce=None), Issuer().keys, Expected((ISSUER,), CLIENT))
    assert claims["sub"] == "1"


async def test_keys_are_asked_for_rarely() -> None:
    """A key that rolled over is found; unknown keys, which anybody can name, do not make us ask each time."""
    issuer = Issuer({"keys": PUBLISHED["keys"][1:2]})
    for _ in range(5):
        with pytest.raises(IdTokenRefused):
            await issuer.keys.find("rsa", "RS256")
    assert issuer.asked == 1
    issuer.published, issuer.now = PUBLISHED, 31.0
    assert (await issuer.keys.find("rsa", "RS256")).key_id == "rsa"
    assert issuer.asked == 2
    issuer.now = 31.0 + 3601
    await issuer.keys.find("rsa", "RS256")
    assert issuer.asked == 3


@pytest.mark.parametrize("published", [None, [], {"keys": None}, {"keys": [{"kty": "RSA"}]}, {}])
async def test_keys_that_cannot_be_read_are_an_outage(published: Any) -> None:
    """Nobody is refused by it for good."""
    with pytest.raises(DirectoryUnavailable):
        await checked_claims(token(), Issuer(published).keys, EXPECTED)
