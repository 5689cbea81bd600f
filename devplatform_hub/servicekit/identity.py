"""Who is calling a service: JupyterHub's OAuth with a bounded, short-lived memory of what the hub answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyterhub.services.auth import HubOAuth, _ExpiringDict
from traitlets import default

from ..core.names import slug
from ..core.next_page import is_path_here

_MAX_REMEMBERED = 10_000
_LONGEST_PAGE = 2048


@dataclass(frozen=True, slots=True)
class Person:
    """The signed-in person: the hub's name, its slug (the owner of files), administrator or not, whole group names.

    `scopes` are those of the credential that was used, which may be fewer than the person's.
    """

    name: str
    slug: str
    admin: bool
    groups: frozenset[str]
    scopes: frozenset[str] = frozenset()

    @classmethod
    def of_model(cls, model: Mapping[str, Any]) -> "Person":
        """The person of a hub user model (`GET /hub/api/user`)."""
        name = str(model["name"])
        groups = frozenset(str(group) for group in model.get("groups") or ())
        scopes = frozenset(str(scope) for scope in model.get("scopes") or ())
        return cls(name=name, slug=slug(name), admin=bool(model.get("admin")), groups=groups, scopes=scopes)


class BoundedAnswers(_ExpiringDict):
    """What is kept for a short while, and of so many at most: the hub's word about tokens, sign-ins under way.

    JupyterHub's own cache also remembers every wrong token that anybody sent, and every page that a stranger opened,
    until they are too old; this one forgets the oldest.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        while len(self.values) >= _MAX_REMEMBERED:
            oldest = next(iter(self.values))
            self.values.pop(oldest, None)
            self.timestamps.pop(oldest, None)
        super().__setitem__(key, value)


class HubSignIn(HubOAuth):
    """`HubOAuth` for our services. `cache_max_age` bounds how long a revoked token still opens a service: 30 s."""

    @default("cache_max_age")
    def _short_memory(self) -> int:
        return 30

    @default("cache")
    def _bounded_cache(self) -> BoundedAnswers:
        return BoundedAnswers(self.cache_max_age)

    @default("_oauth_states")
    def _bounded_states(self) -> BoundedAnswers:
        return BoundedAnswers(self.oauth_state_max_age)

    def generate_state(self, next_url: str | None = None, **extra_state: Any) -> str:
        """JupyterHub's. Anybody who opens a page begins a sign-in: what is remembered of each is bounded."""
        is_usable = next_url is not None and len(next_url) <= _LONGEST_PAGE and is_path_here(next_url)
        kept = next_url if is_usable else None
        return str(super().generate_state(kept, **extra_state))
