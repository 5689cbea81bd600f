"""Signed URLs of the double: Google's libraries sign, with a key or without one, and the double checks for real."""

import datetime
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from google.auth import credentials, iam
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from tests.doubles.gcs import GcsServer
from tests.doubles.gcs.accounts import Account

from .gcs_kit import BUCKET, Gcs, client_of, opened_gcs

SIGNER = "versions@project.iam.gserviceaccount.com"
CALLER = "serviceAccount:pod@project.iam.gserviceaccount.com"
MINUTES = datetime.timedelta(minutes=5)
_ACCOUNT = Account(SIGNER)


class Keyless(credentials.Credentials, credentials.Signing):
    """Signs by IAM Credentials' signBlob with somebody's token, as a pod with Workload Identity does."""

    def __init__(self, server: GcsServer, token: str) -> None:
        super().__init__()
        self.token = token
        self._signer = iam.Signer(self._ask, self, SIGNER)
        self._server = server
        self._http = Request()

    def _ask(self, url: str, **more: Any) -> Any:
        return self._http(url.replace("https://iamcredentials.googleapis.com", self._server.url), **more)

    def refresh(self, request: Any) -> None:
        raise AssertionError("the token is valid")

    def sign_bytes(self, message: bytes) -> bytes:
        return bytes(self._signer.sign(message))

    @property
    def signer_email(self) -> str:
        return SIGNER

    @property
    def signer(self) -> Any:
        return self._signer

    def close(self) -> None:
        self._http.session.close()


@pytest.fixture
def gcs() -> Iterator[Gcs]:
    """A double that lets nobody in but the signing account."""
    with opened_gcs() as under_test:
        under_test.save("users/alice/f", "one", "two")
        server = under_test.server
        server.accounts.known[SIGNER] = _ACCOUNT
        server.accounts.signers.add((CALLER, SIGNER))
        server.iam.bind(_ACCOUNT.member, "roles/storage.objectUser")
        server.iam.enforced = True
        yield under_test


Sign = Callable[..., str]


@pytest.fixture(params=["key", "keyless"])
def sign(request: pytest.FixtureRequest, gcs: Gcs) -> Iterator[Sign]:
    """Makes URLs, by a key file or by signBlob."""
    keyless = Keyless(gcs.server, gcs.server.accounts.token(CALLER))
    key = service_account.Credentials.from_service_account_info(_ACCOUNT.key_file(gcs.server.url))
    signing = key if request.param == "key" else keyless

    def url(name: str, method: str, **more: Any) -> str:
        asked = {"version": "v4", "expiration": MINUTES, "credentials": signing} | more
        blob = gcs.bucket.blob(name)
        return str(blob.generate_signed_url(method=method, api_access_endpoint=gcs.server.url, **asked))

    yield url
    keyless.close()


def code(answer: requests.Response) -> tuple[int, str]:
    """Status and code of a refusal of the XML API."""
    return answer.status_code, answer.text.partition("<Code>")[2].partition("<")[0]


def test_a_read(gcs: Gcs, sign: Sign) -> None:
    """Content of the live one or of a generation, in parts, under the name that the signer wants."""
    old = gcs.held.versions["users/alice/f"][0].number
    assert gcs.http.get(sign("users/alice/f", "GET"), timeout=10).text == "two"
    url = sign("users/alice/f", "GET", generation=old, response_disposition='attachment; filename="ä.txt"')
    answer = gcs.http.get(url, headers={"Range": "bytes=1-"}, timeout=10)
    assert (answer.status_code, answer.text, answer.headers["x-goog-generation"]) == (206, "ne", str(old))
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert gcs.http.head(sign("users/alice/f", "HEAD"), timeout=10).headers["Content-Length"] == "3"


def test_a_write_bound_to_precondition_size_and_content(gcs: Gcs, sign: Sign) -> None:
    """What the capture agent uses: one object, one method, if nobody saved meanwhile, and not more than agreed."""
    live = gcs.held.versions["users/alice/f"][1].number
    body = b"three"
    headers = {
        "Content-Type": "text/plain",
        "x-goog-if-generation-match": str(live),
        "x-goog-content-length-range": "0,5",
        "x-goog-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-goog-meta-saved-by": "alice",
    }
    url = sign("users/alice/f", "PUT", headers=headers)
    other = {**headers, "x-goog-content-length-range": "0,500"}
    assert code(gcs.http.put(url, data=body, headers=other, timeout=10)) == (403, "SignatureDoesNotMatch")
    assert code(gcs.http.put(url, data=b"other", headers=headers, timeout=10)) == (400, "BadDigest")
    done = gcs.http.put(url, data=body, headers=headers, timeout=10)
    assert (done.status_code, int(done.headers["x-goog-generation"]) > live) == (200, True)
    assert code(gcs.http.put(url, data=body, headers=headers, timeout=10)) == (412, "PreconditionFailed")
    one = gcs.held.live("users/alice/f")
    assert one is not None
    assert (one.content(), one.details["metadata"]) == (body, {"saved-by": "alice"})


def test_size_limits(gcs: Gcs, sign: Sign) -> None:
    headers = {"x-goog-content-length-range": "2,3"}
    url = sign("users/alice/g", "PUT", headers=headers)
    said = [code(gcs.http.put(url, data=body, headers=headers, timeout=10)) for body in (b"1", b"1234", b"123")]
    assert said == [(400, "EntityTooSmall"), (400, "EntityTooLarge"), (200, "")]


def test_a_resumable_upload(gcs: Gcs, sign: Sign) -> None:
    """The signed POST begins it; its address needs no signature, and keeps to the limits."""
    headers = {"x-goog-resumable": "start", "x-goog-content-length-range": "0,5", "x-goog-if-generation-match": "0"}
    begun = gcs.http.post(sign("users/alice/g", "POST", headers=headers), headers=headers, timeout=10)
    assert begun.status_code == 201
    address = begun.headers["Location"]
    assert code(gcs.http.put(address, data=b"123456", timeout=10)) == (400, "EntityTooLarge")
    begun = gcs.http.post(sign("users/alice/g", "POST", headers=headers), headers=headers, timeout=10)
    done = gcs.http.put(begun.headers["Location"], data=b"12345", timeout=10)
    assert (done.status_code, "x-goog-generation" in done.headers) == (200, True)


def _altered(url: str) -> str:
    return url[:-2] + ("00" if url[-2:] != "00" else "11")


RANGE, MALFORMED = {"Range": "bytes=0-1"}, (400, "MalformedSecurityHeader")
REFUSED: list[tuple[str, str, Callable[[str], str], dict[str, str], tuple[int, str]]] = [
    ("another object", "GET", lambda url: url.replace("/f?", "/g?"), {}, (403, "SignatureDoesNotMatch")),
    ("another method", "PUT", lambda url: url, {}, (403, "SignatureDoesNotMatch")),
    ("another signature", "GET", _altered, {}, (403, "SignatureDoesNotMatch")),
    ("another generation", "GET", lambda url: url + "&generation=1", {}, (403, "SignatureDoesNotMatch")),
    ("a longer life", "GET", lambda url: url.replace("Expires=300", "Expires=900"), {}, (403, "SignatureDoesNotMatch")),
    ("another account", "GET", lambda url: url.replace("versions%40", "other%40"), {}, (403, "SignatureDoesNotMatch")),
    ("not signed", "GET", lambda url: url.partition("?")[0], {}, (401, "Required")),
    ("unsigned header", "GET", lambda url: url, {"x-goog-if-generation-match": "0"}, (400, "MalformedSecurityHeader")),
    ("host not signed", "GET", lambda url: url.replace("Headers=host", "Headers=range"), RANGE, MALFORMED),
    ("of the future", "GET", lambda url: re.sub(r"20\d{6}(?=T|%2F)", "20991231", url), {}, (403, "AccessDenied")),
    ("no hex", "GET", lambda url: url[:-1] + "z", {}, (403, "SignatureDoesNotMatch")),
    ("no algorithm", "GET", lambda url: url.replace("GOOG4-RSA", "GOOG4-HMAC"), {}, (400, "InvalidArgument")),
    ("another place", "GET", lambda url: url.replace("goog4_request", "goog5"), {}, (400, "InvalidArgument")),
    ("two weeks", "GET", lambda url: url.replace("Expires=300", "Expires=1209600"), {}, (400, "InvalidArgument")),
]


@pytest.mark.parametrize("sign", ["key"], indirect=True)
@pytest.mark.parametrize(("method", "change", "headers", "said"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_was_not_signed(
    gcs: Gcs, sign: Sign, method: str, change: Callable[[str], str], headers: dict[str, str], said: tuple[int, str]
) -> None:
    """A URL is good for exactly what was signed."""
    before = gcs.state()
    url = change(sign("users/alice/f", "GET"))
    assert code(gcs.http.request(method, url, headers=headers, data=b"x", timeout=10)) == said
    assert gcs.state() == before


@pytest.mark.parametrize("sign", ["key"], indirect=True)
def test_it_expires(gcs: Gcs, sign: Sign) -> None:
    url = sign("users/alice/f", "GET")
    gcs.server.clock.move(seconds=299)
    assert gcs.http.get(url, timeout=10).status_code == 200
    gcs.server.clock.move(seconds=2)
    assert code(gcs.http.get(url, timeout=10)) == (400, "ExpiredToken")


@pytest.mark.parametrize("sign", ["key"], indirect=True)
def test_a_signed_header_must_come(gcs: Gcs, sign: Sign) -> None:
    """Leaving out the precondition that was signed is no way around it."""
    url = sign("users/alice/f", "PUT", headers={"x-goog-if-generation-match": "0"})
    assert code(gcs.http.put(url, data=b"x", timeout=10)) == (400, "MalformedSecurityHeader")


@pytest.mark.parametrize("sign", ["key"], indirect=True)
def test_the_signer_needs_the_right(gcs: Gcs, sign: Sign) -> None:
    """A URL can do what its account can, at the time of the request."""
    url = sign("users/alice/f", "GET")
    gcs.server.iam.bindings.clear()
    assert code(gcs.http.get(url, timeout=10)) == (403, "AccessDenied")


def test_not_everybody_may_sign(gcs: Gcs) -> None:
    """signBlob asks for a right on that account."""
    for member, status in ((CALLER, 200), ("user:mallory@example.com", 403)):
        headers = {"Authorization": f"Bearer {gcs.server.accounts.token(member)}"}
        url = f"{gcs.server.url}/v1/projects/-/serviceAccounts/{SIGNER}:signBlob"
        answer = gcs.http.post(url, json={"payload": "eA=="}, headers=headers, timeout=10)
        assert answer.status_code == status


def test_a_key_file_brings_tokens(gcs: Gcs) -> None:
    """google-auth exchanges a signed JWT for an access token, which the double knows."""
    info = json.loads(json.dumps(_ACCOUNT.key_file(gcs.server.url)))
    scopes = ["https://www.googleapis.com/auth/devstorage.read_write"]
    signing = service_account.Credentials.from_service_account_info(info, scopes=scopes)
    client = client_of(gcs.server, signing)
    assert client.bucket(BUCKET).blob("users/alice/f").download_as_text() == "two"
    assert gcs.server.log.calls[-1].member == _ACCOUNT.member
    client.close()


@pytest.mark.parametrize("sign", ["key"], indirect=True)
def test_pages_of_an_origin_may_fetch_it(gcs: Gcs, sign: Sign) -> None:
    """A signed URL answers a page as the bucket's cross-origin rules say; other pages see no permission."""
    rule = {"origin": ["https://hub.example"], "method": ["GET"], "responseHeader": ["Range"], "maxAgeSeconds": 60}
    gcs.held.config["cors"] = [rule]
    url = sign("users/alice/f", "GET")
    for origin, allowed in (("https://hub.example", "https://hub.example"), ("https://evil.example", None)):
        answer = gcs.http.get(url, headers={"Origin": origin}, timeout=10)
        assert (answer.text, answer.headers.get("Access-Control-Allow-Origin")) == ("two", allowed)
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "Range, X"}
        of_put = gcs.http.options(url, headers=asked | {"Access-Control-Request-Method": "PUT"}, timeout=10)
        assert "Access-Control-Allow-Origin" not in of_put.headers
        said = gcs.http.options(url, headers=asked, timeout=10).headers
        assert said.get("Access-Control-Allow-Origin") == allowed
        assert said.get("Access-Control-Allow-Headers") == (allowed and "Range")
