"""What a provider gave for one person: tokens to ask again with, and what it last said of them."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.identity import Identity
from ..ports import DirectoryUnavailable

_SAID_ONCE = ("iss", "sub", "hd", "email", "email_verified", "preferred_username")
"""Claims that some providers put only into the ID token of the sign-in."""
_KEPT_AT_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Grant:
    """Kept by the hub as the person's encrypted `auth_state`."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    id_token: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a kind of token

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any], before: "Grant | None" = None) -> "Grant":
        """Of the token endpoint's answer; what it leaves out stays as `before`. Raises `DirectoryUnavailable`."""
        access = answer.get("access_token")
        if not isinstance(access, str) or not access:
            raise DirectoryUnavailable("the identity provider gave no access token")
        return cls(
            access,
            _text(answer, "refresh_token") or (before.refresh_token if before else ""),
            _text(answer, "id_token") or (before.id_token if before else ""),
            before.claims if before else {},
            _text(answer, "token_type") or "Bearer",
        )

    @classmethod
    def of_state(cls, state: Mapping[str, Any] | None) -> "Grant | None":
        """Of what the hub kept; None when there is nothing of ours."""
        if not state or not isinstance(state.get("access_token"), str) or not isinstance(state.get("claims"), dict):
            return None
        access, refresh, identity = (_text(state, name) for name in ("access_token", "refresh_token", "id_token"))
        return cls(access, refresh, identity, state["claims"], _text(state, "token_type") or "Bearer")

    def as_state(self) -> dict[str, Any]:
        """What the hub keeps."""
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "id_token": self.id_token,
            "token_type": self.token_type,
            "claims": dict(self.claims),
        }

    def saying(self, claims: Mapping[str, Any]) -> "Grant":
        """With these claims; of the former only what is said once, so that no group outlives its membership."""
        kept = {name: self.claims[name] for name in _SAID_ONCE if name in self.claims}
        return replace(self, claims={**kept, **claims})


class FreshGrants:
    """The newest grant of everybody who was asked about in this process, for directories that need their token."""

    def __init__(self) -> None:
        self._grants: OrderedDict[tuple[str, str], Grant] = OrderedDict()

    def put(self, identity: Identity, grant: Grant) -> None:
        """Remember it in place of an older one."""
        key = (identity.provider, identity.subject)
        self._grants[key] = grant
        self._grants.move_to_end(key)
        while len(self._grants) > _KEPT_AT_MOST:
            self._grants.popitem(last=False)

    async def claims_of(self, identity: Identity) -> Mapping[str, Any]:
        """What the provider last said of this person. Raises `DirectoryUnavailable`."""
        return self._of(identity).claims

    async def token_of(self, identity: Identity) -> str:
        """Their access token. Raises `DirectoryUnavailable`."""
        return self._of(identity).access_token

    def _of(self, identity: Identity) -> Grant:
        grant = self._grants.get((identity.provider, identity.subject))
        if grant is None:
            raise DirectoryUnavailable("the identity provider says nothing of people who are not signed in")
        return grant


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""
