"""Tokens of people: what a directory needs that answers only to the person themselves."""

from collections.abc import Awaitable, Callable

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
