"""What an identity provider says of a person becomes an `Identity`, or a refusal that they may read.

Claims are statements of the provider, not of the person, but a provider also repeats what a person only claimed:
an e-mail address counts when the provider has verified it, and a domain when the provider says that the account
belongs to it (`hd`), never by what stands behind the @ of an address.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import PublicError
from .identity import GroupName, Identity, fold_username, parse_group, parse_username

_LONGEST_SUBJECT = 255  # OpenID Connect Core, section 2


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """How claims are read. `provider` is who vouches: subjects of two providers are never the same person."""

    provider: str
    username_claim: str = "email"
    verified_email: bool = True
    hosted_domains: frozenset[str] = frozenset()
    """The account must belong to one of these organisations (Google's `hd`); empty: no such claim is looked at."""
    stripped_domains: frozenset[str] = frozenset()
    """Domains that are left out of user names."""


def identity_of(claims: Mapping[str, Any], rules: ClaimRules) -> Identity:
    """The person of these claims. Raises `PublicError` with what is wrong, the first thing first."""
    subject = _text(claims, "sub")
    if not subject or len(subject) > _LONGEST_SUBJECT:
        raise _refused("The identity provider does not say who you are.", "subject-missing")
    _check_domain(claims, rules)
    email = _email(claims, rules)
    given = email if rules.username_claim == "email" else _text(claims, rules.username_claim)
    name, at, domain = fold_username(given).rpartition("@")
    username = name if at and domain in rules.stripped_domains else fold_username(given)
    if not username:
        raise _refused("The identity provider does not give you a user name.", "username-missing")
    return Identity(rules.provider, subject, parse_username(username), email or None)


def groups_of_claim(claims: Mapping[str, Any], claim: str, domain: str) -> frozenset[GroupName] | None:
    """The groups that a claim lists, those without a domain in `domain`; None when that is no complete list.

    Groups whose names cannot be written as `name@domain` are left out: no rule can name them.
    """
    value = claims.get(claim)
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        return None
    named = set()
    for entry in value:
        try:
            name = parse_group(entry, domain)
        except PublicError:
            continue
        # What a person types is forgiven a space or a wide letter; here ` admins` would be a second way to be `admins`.
        if name in (entry.lower(), f"{entry.lower()}@{domain}"):
            named.add(name)
    return frozenset(named)


def _check_domain(claims: Mapping[str, Any], rules: ClaimRules) -> None:
    if rules.hosted_domains and _text(claims, "hd").lower() not in rules.hosted_domains:
        wanted = " or ".join(sorted(rules.hosted_domains))
        raise _refused(f"Your account does not belong to {wanted}.", "domain-refused", "Choose your work account.")


def _email(claims: Mapping[str, Any], rules: ClaimRules) -> str:
    """The address in lower case; empty where none is needed and none was given."""
    email = fold_username(_text(claims, "email"))
    if not rules.verified_email:
        return email
    if email.count("@") != 1 or not all(email.split("@")):
        raise _refused("The identity provider does not give your e-mail address.", "email-missing")
    # Nothing but JSON's true: the text "false" would be true as well.
    if claims.get("email_verified") is not True:
        hint = "Verify it there, then sign in again."
        raise _refused("Your e-mail address is not verified by the identity provider.", "email-unverified", hint)
    return email


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _refused(message: str, code: str, hint: str = "Ask an administrator of this platform.") -> PublicError:
    return PublicError(message, code=code, hint=hint, status=403)
