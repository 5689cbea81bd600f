"""Calls to an identity provider: what is a refusal, what is an outage, and what never reaches a message."""

import io
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders

from devplatform_hub.authenticators.grants import FreshGrants, Grant
from devplatform_hub.authenticators.provider_calls import ProviderRefused, ask
from devplatform_hub.core.identity import Identity
from devplatform_hub.ports import DirectoryUnavailable

URL = "https://sso.example.com/token?secret=of-the-address"


class Client:
    """Answers every request with this, or raises it."""

    def __init__(self, status: int = 200, body: bytes = b"{}", error: Exception | None = None, **headers: str) -> None:
        self.status, self.body, self.error = status, body, error
        self.headers = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
        self.request: HTTPRequest | None = None

    async def fetch(self, request: HTTPRequest, raise_error: bool) -> HTTPResponse:
        self.request = request
        if self.error:
            raise self.error
        return HTTPResponse(request, self.status, self.headers, io.BytesIO(self.body))


async def asked(client: Any, **request: Any) -> Any:
    return await ask(client, URL, **request)


async def test_an_answer_is_its_json() -> None:
    """Within bounds of time, and no redirect takes a token elsewhere."""
    client = Client(body=b'{"access_token": "t"}')
    assert await asked(client, method="POST", body=b"x") == {"access_token": "t"}
    assert client.request is not None
    assert (client.request.follow_redirects, client.request.connect_timeout, client.request.request_timeout) == (
        False,
        5,
        10,
    )


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        pytest.param(Client(400, b'{"error": "invalid_grant"}'), (400, "invalid_grant"), id="OAuth's name"),
        pytest.param(Client(401, b"<html>"), (401, ""), id="no JSON"),
        pytest.param(Client(403, b'["error"]'), (403, ""), id="a list"),
        pytest.param(Client(403, X_RateLimit_Remaining="4999"), (403, ""), id="with calls left"),
        pytest.param(Client(200, b'{"error": "bad_verification_code"}'), (200, "bad_verification_code"), id="GitHub"),
        pytest.param(Client(400, b'{"error": "a\\nforged line"}'), (400, ""), id="text that is no name"),
        pytest.param(Client(400, b'{"error": {"a": 1}}'), (400, ""), id="an object"),
    ],
)
async def test_a_refusal(client: Client, expected: tuple[int, str]) -> None:
    """The provider answered: for this person, or for the platform, the answer is no."""
    with pytest.raises(ProviderRefused) as refused:
        await asked(client)
    assert (refused.value.status, refused.value.error) == expected


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(Client(500), id="500"),
        pytest.param(Client(503, b'{"error": "invalid_grant"}'), id="503 that says otherwise"),
        pytest.param(Client(429), id="too many"),
        pytest.param(Client(403, X_RateLimit_Remaining="0"), id="GitHub: too many in this hour"),
        pytest.param(Client(403, b'{"message": "x"}', Retry_After="60"), id="GitHub: too many at once"),
        pytest.param(Client(302), id="redirect"),
        pytest.param(Client(200, b"<html>"), id="no JSON"),
        pytest.param(Client(200, b"[]"), id="a list"),
        pytest.param(Client(200, b""), id="nothing"),
        pytest.param(Client(error=ConnectionRefusedError()), id="nobody listens"),
        pytest.param(Client(error=HTTPClientError(599, "Timeout")), id="too slow"),
    ],
)
async def test_an_outage(client: Client) -> None:
    """Nobody gains or loses anything by it, and the message has nothing of the address's query or the body."""
    with pytest.raises(DirectoryUnavailable, match=r"^sso\.example\.com ") as outage:
        await asked(client)
    assert "secret" not in str(outage.value)


STATE = Grant("access", "refresh", "identity", {"sub": "1", "hd": "example.com", "groups": ["old"]}).as_state()


def test_a_grant_survives_the_hub() -> None:
    """As it was; and its text has no token."""
    grant = Grant.of_state(STATE)
    assert grant is not None
    assert grant.as_state() == STATE
    assert not any(secret in repr(grant) for secret in ("access", "refresh", "identity", "example.com"))


@pytest.mark.parametrize("state", [None, {}, {"access_token": "a"}, {"access_token": 1, "claims": {}}, {"claims": {}}])
def test_what_is_no_grant(state: Any) -> None:
    """Such as what another authenticator left."""
    assert Grant.of_state(state) is None


def test_a_renewed_grant_keeps_what_is_not_said_again() -> None:
    """The refresh token and the organisation, but never a group."""
    before = Grant.of_state(STATE)
    renewed = Grant.of_answer({"access_token": "new"}, before).saying({"sub": "1"})
    assert renewed.as_state() == {
        "access_token": "new",
        "refresh_token": "refresh",
        "id_token": "identity",
        "token_type": "Bearer",
        "claims": {"sub": "1", "hd": "example.com"},
    }
    with pytest.raises(DirectoryUnavailable):
        Grant.of_answer({"token_type": "Bearer"}, before)


async def test_nothing_is_said_of_people_who_are_not_signed_in() -> None:
    """Unknown is never empty."""
    grants = FreshGrants()
    alice = Identity("p", "1", "alice")
    grants.put(alice, Grant("a", "", "", {"groups": []}))
    assert await grants.token_of(alice) == "a"
    assert await grants.claims_of(alice) == {"groups": []}
    for stranger in (Identity("q", "1", "alice"), Identity("p", "2", "alice")):
        with pytest.raises(DirectoryUnavailable):
            await grants.token_of(stranger)
