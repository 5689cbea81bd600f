"""One spelling per person, at every sign-in: another one is the same account, or none."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyterhub.crypto import CryptKeeper
from traitlets.config import Config

from devplatform_hub.authenticators.github import GitHubAuthenticator
from devplatform_hub.authenticators.google import GoogleAuthenticator
from devplatform_hub.authenticators.keycloak import KeycloakAuthenticator
from devplatform_hub.authenticators.local import LocalAuthenticator
from devplatform_hub.authenticators.oidc import OidcAuthenticator
from devplatform_hub.core.claims import ClaimRules, identity_of
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import parse_username

_TRAITS: dict[Any, dict[str, Any]] = {
    LocalAuthenticator: {"users_file": "users.yaml"},
    OidcAuthenticator: {"issuer": "https://sso.example.com", "group_domain": "example.com"},
    GoogleAuthenticator: {"hosted_domain": ["example.com"]},
    KeycloakAuthenticator: {"server_url": "https://sso.example.com", "realm": "staff"},
    GitHubAuthenticator: {"group_domain": "acme"},
}
SAME = {
    "as it is": "alice",
    "capitals": "ALICE",
    "mixed": "aLiCe",
    "blanks around": "  alice\t\r\n",
    "no-break space after": "alice\u00a0",
    "wide letters": "\uff41\uff4c\uff49\uff43\uff45",
    "mathematical letters": "\U0001d41a\U0001d425\U0001d422\U0001d41c\U0001d41e",
    "letters in circles": "\u24d0\u24db\u24d8\u24d2\u24d4",
    "small letters above": "al\u2071ce",
    "Roman hundred": "ali\u217de",
}
NONE = {
    "dotless i": "al\u0131ce",
    "capital I with a dot": "AL\u0130CE",
    "Cyrillic a": "\u0430lice",
    "Greek iota": "al\u03b9ce",
    "accent": "\u00e0lice",
    "accent, apart": "a\u0300lice",
    "zero width": "ali\u200bce",
    "joiner at the end": "alice\u200d",
    "byte order mark": "\ufeffalice",
    "soft hyphen": "ali\u00adce",
    "from right to left": "\u202ealice",
    "dot at the end": "alice.",
    "dot before": ".alice",
    "blank inside": "ali ce",
    "line break inside": "ali\nce",
    "null": "alice\x00",
    "null and more": "alice\x00bob",
    "escaped": "alice%20",
    "path": "../alice",
    "empty": "",
    "blank": "\u3000",
    "65 letters": "a" * 65,
}


@pytest.fixture(autouse=True)
def crypt_keys() -> Iterator[None]:
    CryptKeeper.clear_instance()
    CryptKeeper.instance(keys=[b"0" * 32], n_threads=1)
    yield
    CryptKeeper.clear_instance()


@pytest.fixture(params=list(_TRAITS), ids=lambda kind: kind.__name__)
def authenticator(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    kind = request.param
    given = {"client_id": "c", "client_secret": "s"} if kind is not LocalAuthenticator else {}
    return kind(config=Config({kind.__name__: given | _TRAITS[kind]}))


@pytest.mark.parametrize("spelling", SAME.values(), ids=SAME)
async def test_spellings_of_one_person(authenticator: Any, spelling: str) -> None:
    """CVE-2021-41194 (anchors, row 8): what is typed or claimed differently is the same name, at every sign-in."""
    assert authenticator.normalize_username(spelling) == "alice"
    assert authenticator.validate_username(authenticator.normalize_username(spelling))


@pytest.mark.parametrize("spelling", NONE.values(), ids=NONE)
async def test_spellings_of_nobody(authenticator: Any, spelling: str) -> None:
    """CVE-2021-41194 (anchors, row 8): what only looks like a name is nobody's, at every sign-in."""
    assert not authenticator.validate_username(authenticator.normalize_username(spelling))


@pytest.mark.parametrize("spelling", [*SAME.values(), *NONE.values()], ids=[*SAME, *NONE])
def test_spellings_that_a_provider_claims(spelling: str) -> None:
    """CVE-2021-41194 (anchors, row 8): as the name itself, and before the @ of an address."""
    for rules, claims in (
        (ClaimRules("p", username_claim="name", verified_email=False), {"name": spelling}),
        (ClaimRules("p", stripped_domains=frozenset({"example.com"})), {"email": f"{spelling}@Example.com"}),
    ):
        said = {"sub": "1", "email_verified": True, **claims}
        try:
            assert identity_of(said, rules).username == "alice"
            assert spelling in SAME.values()
        except PublicError:
            # A blank before the @ is inside of the address.
            assert spelling in NONE.values() or spelling != spelling.strip()


@given(st.text(max_size=70))
def test_no_two_spellings_of_a_name_are_two_names(text: str) -> None:
    """CVE-2021-41194 (anchors, row 8): a name is its own spelling, also after every way to fold it once more."""
    try:
        name = parse_username(text)
    except PublicError:
        return
    folded = (name.upper(), name.title(), f" {name} ", unicodedata.normalize("NFKD", name), name.swapcase())
    assert {parse_username(each) for each in folded} == {name}
    assert name.isascii()
