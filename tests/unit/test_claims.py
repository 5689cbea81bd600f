"""What a provider says of a person, and whom the platform takes them for."""

from typing import Any

import pytest

from devplatform_hub.core.claims import ClaimRules, groups_of_claim, identity_of
from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import Identity

ISSUER = "https://sso.example.com"
ALICE = {"sub": "1", "email": "alice@example.com", "email_verified": True, "hd": "example.com"}
WORKSPACE = ClaimRules(ISSUER, hosted_domains=frozenset({"example.com"}))


@pytest.mark.parametrize(
    ("claims", "rules", "expected"),
    [
        pytest.param({}, ClaimRules(ISSUER), Identity(ISSUER, "1", "alice@example.com", "alice@example.com"), id="all"),
        pytest.param(
            {"email": "Alice@Example.COM"},
            ClaimRules(ISSUER),
            Identity(ISSUER, "1", "alice@example.com", "alice@example.com"),
            id="one spelling of case",
        ),
        pytest.param(
            {"email": "\uff41lice@example.com"},
            ClaimRules(ISSUER),
            Identity(ISSUER, "1", "alice@example.com", "alice@example.com"),
            id="one spelling of compatibility characters",
        ),
        pytest.param(
            {},
            ClaimRules(ISSUER, stripped_domains=frozenset({"example.com"})),
            Identity(ISSUER, "1", "alice", "alice@example.com"),
            id="stripped domain",
        ),
        pytest.param(
            {"email": "alice@partner.com"},
            ClaimRules(ISSUER, stripped_domains=frozenset({"example.com"})),
            Identity(ISSUER, "1", "alice@partner.com", "alice@partner.com"),
            id="another domain is not stripped",
        ),
        pytest.param(
            {"email_verified": False, "preferred_username": "Ally"},
            ClaimRules(ISSUER, username_claim="preferred_username", verified_email=False),
            Identity(ISSUER, "1", "ally", "alice@example.com"),
            id="a name that is no address",
        ),
        pytest.param({"hd": "EXAMPLE.com"}, WORKSPACE, Identity(ISSUER, "1", "alice@example.com", "alice@example.com")),
    ],
)
def test_a_person_of_claims(claims: dict[str, Any], rules: ClaimRules, expected: Identity) -> None:
    """The subject is whole, the name has one spelling."""
    assert identity_of(ALICE | claims, rules) == expected


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ALICE.items() if key != name}


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param(without("sub"), "subject-missing", id="no subject"),
        pytest.param(ALICE | {"sub": 1}, "subject-missing", id="a subject that is a number"),
        pytest.param(ALICE | {"sub": "x" * 256}, "subject-missing", id="an endless subject"),
        pytest.param(without("hd"), "domain-refused", id="a consumer account with an address of the domain"),
        pytest.param(ALICE | {"hd": "evil.com"}, "domain-refused", id="another organisation"),
        pytest.param(ALICE | {"hd": "evil.example.com"}, "domain-refused", id="a domain below"),
        pytest.param(ALICE | {"hd": ["example.com"]}, "domain-refused", id="a domain that is a list"),
        pytest.param(without("email_verified"), "email-unverified", id="verified: missing"),
        pytest.param(ALICE | {"email_verified": False}, "email-unverified", id="verified: false"),
        pytest.param(ALICE | {"email_verified": "false"}, "email-unverified", id="verified: the text false"),
        pytest.param(ALICE | {"email_verified": "true"}, "email-unverified", id="verified: the text true"),
        pytest.param(ALICE | {"email_verified": 1}, "email-unverified", id="verified: one"),
        pytest.param(without("email"), "email-missing", id="no address"),
        pytest.param(ALICE | {"email": "alice"}, "email-missing", id="an address without a domain"),
        pytest.param(ALICE | {"email": "a@b@example.com"}, "email-missing", id="two domains"),
        pytest.param(ALICE | {"email": "al\u0131ce@example.com"}, "username-invalid", id="a letter that looks alike"),
        pytest.param(ALICE | {"email": "a/../b@example.com"}, "username-invalid", id="a path"),
    ],
)
def test_claims_that_are_refused(claims: dict[str, Any], code: str) -> None:
    """CVE-2026-33175 (anchors, row 7): each with a code, never with an error of the platform's own."""
    with pytest.raises(PublicError) as refused:
        identity_of(claims, WORKSPACE)
    assert (refused.value.code, refused.value.status in (400, 403)) == (code, True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param([], frozenset(), id="none"),
        pytest.param(["Data", "ops@partner.com"], {"data@example.com", "ops@partner.com"}, id="whole names"),
        pytest.param(["data", "has blanks", "a@b@c"], {"data@example.com"}, id="names that no rule can name"),
        pytest.param([" data", "\uff44ata", "data\u00a0"], frozenset(), id="names that only look like another"),
        pytest.param("data", None, id="text instead of a list"),
        pytest.param([1], None, id="numbers"),
        pytest.param(None, None, id="null"),
    ],
)
def test_groups_of_a_claim(value: Any, expected: Any) -> None:
    """A list of names is an answer; anything else is none."""
    assert groups_of_claim({"groups": value}, "groups", "example.com") == expected
    assert groups_of_claim({}, "groups", "example.com") is None
