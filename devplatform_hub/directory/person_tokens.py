"""Tokens of people: what a directory needs that answers only to the person themselves."""

from collections.abc import Awaitable, Callable

from ..core.errors import PublicError
from ..core.findings import Finding
from ..core.identity import Identity
from ..ports import DirectoryUnavailable

TokenOf = Callable[[Identity], Awaitable[str]]
"""Gives a valid access token of this person, renewed if need be, or raises `DirectoryUnavailable`."""


async def no_token(_identity: Identity) -> str:
    """Until a sign-in says otherwise there are no tokens."""
    raise DirectoryUnavailable("no token of this person is known")


class PersonToken:
    """The token of one person, as what gives the token of a call. One that is refused is not replaced."""

    def __init__(self, token_of: TokenOf, identity: Identity) -> None:
        self._token_of, self._identity = token_of, identity

    async def token(self) -> str:
        """Their token. Raises `DirectoryUnavailable`."""
        return await self._token_of(self._identity)

    def forget(self, token: str) -> None:
        """Whoever gave it learns of its end from the refusal."""


def not_searchable(provider: str) -> PublicError:
    """For a question about somebody who is not signed in, to a directory that needs their token."""
    return PublicError(
        f"{provider} tells this platform only of people who are signed in.",
        code="directory-not-searchable",
        hint="Give the groups to try, each by --group.",
    )


def cannot_be_checked() -> Finding:
    """For a check of such a directory."""
    remedy = "Groups are read with the token of whoever signs in: sign in once, and look at the hub's log."
    return Finding("reading groups", works=False, missing="anybody's token", remedy=remedy, needed=False)
