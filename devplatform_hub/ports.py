"""What the platform needs from the outside world, as small promises that adapters keep.

A traitlets class cannot inherit a Protocol (metaclass conflict): adapters satisfy these structurally.
"""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from .core.errors import DevPlatformError
from .core.findings import Finding
from .core.identity import GroupName, Identity


class DirectoryUnavailable(DevPlatformError):
    """The directory could not answer completely. Unknown is never empty: nobody gains or loses access by it."""


@runtime_checkable
class GroupDirectory(Protocol):
    """Where group membership comes from."""

    async def groups_of(self, identity: Identity) -> frozenset[GroupName]:
        """Every group of this person, nested ones included; complete, or `DirectoryUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as a directory knows them. `claims` are what a sign-in would say of them, as `core.claims` reads it.

    `blocked` says why they have no groups whatever is in the directory, such as `is disabled`; empty for others.
    """

    claims: Mapping[str, Any] = field(repr=False)
    blocked: str = ""


@runtime_checkable
class PeopleDirectory(Protocol):
    """A `GroupDirectory` that also knows people who are not signed in: for an operator's questions."""

    async def find(self, text: str) -> Person | None:
        """The person with this address or user name; None when there is nobody.

        Raises `DirectoryUnavailable`, and `PublicError` where it cannot know people who are not signed in.
        """
        ...

    async def check(self, groups: Collection[GroupName]) -> tuple[Finding, ...]:
        """Whether everything that answers need is there, these groups included. Raises nothing of its own."""
        ...


@runtime_checkable
class HubApi(Protocol):
    """The parts of JupyterHub's REST API that services use."""

    def users(self, *, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """User models with their servers, page by page; `state` as in `GET /users?state=`, such as `active`."""
        ...

    async def stop_server(self, user: str, server: str) -> bool:
        """Ask the hub to stop a server ("" is the default one). True when it is stopped or was not running."""
        ...


class Clock(Protocol):
    """The time, so that tests can choose it."""

    def now(self) -> datetime:
        """The current time with its zone, UTC."""
        ...
