"""Who a person is: the provider's immutable subject, a user name, and groups that keep their domain."""

import re
import unicodedata
from dataclasses import dataclass
from typing import NewType

from .errors import PublicError

GroupName = NewType("GroupName", str)
"""A group as `name@domain`, lower case. Shortening is for display only."""

LOCAL_DOMAIN = "local"
"""The domain of groups that exist on one machine only."""

_GROUP_PART = re.compile(r"[a-z0-9](?:[a-z0-9._+-]{0,62}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_USERNAME = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Identity:
    """One person as a provider vouches for them. `subject` never changes; `username` is the hub's name."""

    provider: str
    subject: str
    username: str
    email: str | None = None


def parse_group(text: str, default_domain: str = LOCAL_DOMAIN) -> GroupName:
    """`text` as a whole group name; a bare name gets `default_domain`. Raises `PublicError` for anything else."""
    folded = unicodedata.normalize("NFKC", text).strip().lower()
    name, _, domain = folded.partition("@")
    domain = domain or default_domain
    if not _GROUP_PART.fullmatch(name) or not _DOMAIN.fullmatch(domain) or folded.endswith("@"):
        raise PublicError(
            f"{text!r} is not a group name.",
            code="group-name-invalid",
            hint="Use letters, digits, dots, hyphens and underscores, such as data-team or data-team@example.com.",
        )
    return GroupName(f"{name}@{domain}")


def display_group(group: GroupName) -> str:
    """The group as a person on one machine knows it: without `@local`, whole otherwise."""
    return group.removesuffix(f"@{LOCAL_DOMAIN}")


def fold_username(text: str) -> str:
    """The spelling that all ways to type one name share; it may still not be a user name."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def parse_username(text: str) -> str:
    """`text` as a user name: NFKC, lower case, 1 to 64 of `a-z 0-9 . _ @ + -`. Raises `PublicError` otherwise.

    One spelling per person: without this, `Alice` and `alice` would be two accounts with one folder.
    """
    folded = fold_username(text)
    if not _USERNAME.fullmatch(folded):
        raise PublicError(
            "That is not a user name this platform can use.",
            code="username-invalid",
            hint="Use 1 to 64 letters, digits, dots, hyphens or underscores, starting with a letter or digit.",
        )
    return folded
