"""Groups that the identity provider names in a claim about the person: the `GroupDirectory` of any OIDC issuer."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from traitlets import Bool, Unicode
from traitlets.config import LoggingConfigurable

from ..core.claims import groups_of_claim
from ..core.findings import Finding
from ..core.identity import GroupName, Identity
from ..ports import DirectoryUnavailable, Person
from .person_tokens import cannot_be_checked, not_searchable

ClaimsOf = Callable[[Identity], Awaitable[Mapping[str, Any]]]
"""Gives what the provider says of this person now, or raises `DirectoryUnavailable`."""


class ClaimsGroupDirectory(LoggingConfigurable):
    """Groups of a claim of the userinfo endpoint. It can only tell of people who are signed in."""

    groups_claim = Unicode("groups", config=True, help="The claim of the userinfo endpoint that lists all groups.")
    missing_means_none = Bool(
        False,
        config=True,
        help="""Whether somebody without the claim is in no group. Only for providers that leave out an empty list:
        with others a missing claim means that a scope or a mapper is missing, and counts as an outage.""",
    )
    provider = Unicode(help="The `Identity.provider` of the people it knows; anybody else is in no group.")
    group_domain = Unicode(help="The domain of groups that are listed without one.")

    def __init__(self, *, claims_of: ClaimsOf, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._claims_of = claims_of

    async def groups_of(self, identity: Identity) -> frozenset[GroupName]:
        """Every group that the claim lists; complete, or `DirectoryUnavailable`."""
        if identity.provider != self.provider:
            return frozenset()
        claims = await self._claims_of(identity)
        # `_claim_names` says that the list was too long to be included (OpenID Connect Core, section 5.6.2).
        if self.missing_means_none and self.groups_claim not in claims and "_claim_names" not in claims:
            return frozenset()
        groups = groups_of_claim(claims, self.groups_claim, self.group_domain)
        if groups is None:
            raise DirectoryUnavailable(f"the claim {self.groups_claim} is missing in userinfo, or is no list of names")
        return groups

    async def find(self, text: str) -> Person | None:  # noqa: ARG002
        """Raises `PublicError`: claims are made for whoever signs in."""
        raise not_searchable("The identity provider")

    async def check(self, groups: Collection[GroupName]) -> tuple[Finding, ...]:  # noqa: ARG002
        """Nothing can be said before somebody signs in."""
        return (cannot_be_checked(),)
