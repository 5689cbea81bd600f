"""The groups of a Google Workspace or Cloud Identity account: a `GroupDirectory`, complete or `DirectoryUnavailable`.

How a person's groups are found:

1. Their account is read by its immutable id. Without an account, or with one that is suspended or archived, they are
   in no group: Google itself leaves suspended people in theirs.
2. Cloud Identity names all groups by one call, nested ones included, where the edition has that and the scope is
   granted; at the same time as 1, unless their address has changed since they signed in.
3. Where Google refuses 2 for good, groups are walked upwards with the Admin SDK, a level at a time, all groups of a
   level at once. A refusal is remembered for `search_retry`, for this person or, where the API or the scope is
   missing, for everybody. Any other failure is an outage.

Groups keep their domain: `admins@partner.com` is never `admins@example.com`. A group of a domain that the
administrator may not ask about is kept as it is named, and what it is itself in stays unknown (`unreadable_groups`);
for groups of the account's own `domains` every refusal is an outage.
"""

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from traitlets import Bool, CaselessStrEnum, Float, Integer, List, TraitError, Unicode, default, validate

from ..core.findings import Finding
from ..core.identity import GroupName, Identity
from ..ports import DirectoryUnavailable, Person
from .answers import Answers
from .google_admin import ADMIN_ROOT, AdminSdk, GoogleAccount, is_beyond_reach
from .google_check import check_google, find_person
from .google_cloud_identity import CLOUD_IDENTITY_ROOT, CloudIdentity, means_walk
from .google_credentials import IAM_CREDENTIALS_ROOT, TOKEN_ROOT, CredentialSettings, GoogleCredentials
from .google_refusals import (
    GROUPS_SCOPE,
    SEARCH_SCOPE,
    USERS_SCOPE,
    GoogleRefused,
    Setup,
    concerns_everybody,
    is_busy,
)
from .group_names import group_of_address
from .held_token import HeldToken
from .json_api import Answer
from .remote import RemoteGroupDirectory
from .walking import WalkLimits, walk

PROVIDER = "google"
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_ROOT = re.compile(r"https?://[^\s?#]+")


class GoogleGroupDirectory(RemoteGroupDirectory):
    """Google groups, read in the name of an administrator of the Workspace account."""

    service_account = Unicode(
        config=True,
        help="""The service account that has domain-wide delegation, such as
        `directory@project.iam.gserviceaccount.com`. The program's own identity needs
        roles/iam.serviceAccountTokenCreator on it; no key is made or stored.""",
    )
    admin_subject = Unicode(
        config=True,
        help="""The whole address of the administrator in whose name groups are read. An account of its own that has
        Groups > Read and Users > Read is enough.""",
    )
    key_file = Unicode(
        config=True,
        help="""A JSON key of the service account, instead of the program's own identity. Danger: whoever reads this
        file can read the directory until the key is deleted. Use it only where there is no other identity.""",
    )
    domains = List(
        Unicode(),
        config=True,
        help="""The domains of the account. For groups of these every refusal is an outage. By default the domain of
        `admin_subject`.""",
    )
    unreadable_groups = CaselessStrEnum(
        ["keep", "fail"],
        default_value="keep",
        config=True,
        help="""What a group of another domain means whose own groups cannot be read: it is kept as it is named, or
        the whole answer counts as an outage.""",
    )
    transitive_search = CaselessStrEnum(
        ["auto", "always", "never"],
        default_value="auto",
        config=True,
        help="""Whether Cloud Identity is asked for all groups at once. `auto` walks where Google refuses that,
        `always` takes a refusal for an outage, `never` does not ask.""",
    )
    search_retry = Float(3600, min=1, config=True, help="Seconds after which a refused search is tried again.")
    check_accounts = Bool(
        True,
        config=True,
        help="""Whether accounts are read, so that somebody suspended or deleted loses access, and somebody who got a
        used address gains none. Without it the scope for users is not needed, and the e-mail address of the sign-in
        is believed. The customer of a search is then `customer`.""",
    )
    customer = Unicode(config=True, help="The id of the Workspace account, such as C046psxkn. Read from accounts.")
    group_lifetime = Float(
        60,
        min=0,
        config=True,
        help="""Seconds for which it is remembered what a group is itself in. Many people share their groups: without
        this, walks would ask Google the same again and again. A group taken out of another counts so much later.""",
    )
    groups_at_most = Integer(2000, min=1, config=True, help="Groups of one person beyond which a walk is an outage.")
    depth_at_most = Integer(32, min=1, config=True, help="Levels of nesting beyond which a walk is an outage.")
    admin_api_root = Unicode(ADMIN_ROOT, config=True, help="Where the Admin SDK is, such as a private endpoint.")
    cloud_identity_root = Unicode(CLOUD_IDENTITY_ROOT, config=True, help="Where Cloud Identity is.")
    token_root = Unicode(TOKEN_ROOT, config=True, help="Where Google's token endpoint is.")
    iam_credentials_root = Unicode(IAM_CREDENTIALS_ROOT, config=True, help="Where IAM Credentials is.")

    def __init__(self, *, wall_clock: Callable[[], float] = time.time, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._wall_clock = wall_clock
        self._check_settings()
        self.setup = Setup(self.service_account, self.admin_subject)
        self._tokens = {scope: self._held(scope) for scope in (GROUPS_SCOPE, USERS_SCOPE, SEARCH_SCOPE)}
        groups, users, search = self._tokens.values()
        admin = self._api("Google's Admin SDK", _is_busy)
        self.admin = AdminSdk(admin, self.admin_api_root, groups=groups, users=users, setup=self.setup)
        identity = self._api("Google's Cloud Identity", _is_busy)
        self.search = CloudIdentity(identity, self.cloud_identity_root, search, self.setup)
        self._above: Answers[str, frozenset[str]] = self._answers(self.group_lifetime)
        self._walked: OrderedDict[str, float] = OrderedDict()
        self._all_walk_until = float("-inf")
        self._customer = self.customer

    async def close(self) -> None:
        """End what is under way, and every connection."""
        await super().close()
        await self._above.close()
        for token in self._tokens.values():
            await token.close()

    async def find(self, text: str) -> Person | None:
        """The account with this address; None when there is none. Raises `DirectoryUnavailable`."""
        return await find_person(self, text)

    async def check(self, groups: Collection[GroupName]) -> tuple[Finding, ...]:
        """Whether credentials, scopes, privileges and these groups are there."""
        return await check_google(self, groups)

    async def _look_up(self, identity: Identity) -> frozenset[GroupName]:
        email = (identity.email or "").lower()
        if not self.check_accounts:
            found = await self._found(identity.subject, email)
        else:
            found = await self._found_for_account(identity.subject, email)
        return self._nameable((address, group_of_address(address)) for address in found)

    async def _found_for_account(self, subject: str, email: str) -> frozenset[str]:
        """The groups of an account; asked for at once with the account where its address is likely to be right."""
        early = asyncio.ensure_future(self._found(subject, email)) if email and self._customer else None
        try:
            account = await self._account(subject)
            if account is None:
                return frozenset()
            if early and account.email == email:
                return await early
            return await self._found(subject, account.email)
        finally:
            if early:
                early.cancel()
                with suppress(asyncio.CancelledError, DirectoryUnavailable):
                    await early

    async def _account(self, subject: str) -> GoogleAccount | None:
        account = await self.admin.account(subject)
        if account is None or not account.active or account.subject != subject:
            return None
        if not self.customer:
            self._customer = account.customer
        return account

    async def _found(self, subject: str, email: str) -> frozenset[str]:
        if self._may_search(subject):
            try:
                return await self.search.groups_of(email, self._customer)
            except GoogleRefused as refusal:
                if self.transitive_search == "always" or not means_walk(refusal):
                    raise
                self._walk_from_now_on(subject, refusal)
        try:
            first = await self.admin.groups_with(subject)
        except GoogleRefused as refusal:
            if refusal.error.status == 404 and not self.check_accounts:
                return frozenset()
            raise  # an account that is there cannot be unknown: Google's parts do not agree yet
        return await walk(first, self._groups_above, WalkLimits(self.groups_at_most, self.depth_at_most))

    async def _groups_above(self, group: str) -> frozenset[str]:
        return await self._above.get(group, lambda: self._ask_above(group))

    async def _ask_above(self, group: str) -> frozenset[str]:
        try:
            return await self.admin.groups_with(group)
        except GoogleRefused as refusal:
            is_foreign = group.rpartition("@")[2] not in self.domains
            if self.unreadable_groups == "fail" or not is_foreign or not is_beyond_reach(refusal):
                raise
            self.log.debug("What %s is in cannot be read: %s", group, refusal)
            return frozenset()

    def _may_search(self, subject: str) -> bool:
        if self.transitive_search == "never" or not self._customer:
            return False
        now = self.clock()
        return now >= self._all_walk_until and now >= self._walked.get(subject, now)

    def _walk_from_now_on(self, subject: str, refusal: GoogleRefused) -> None:
        until = self.clock() + self.search_retry
        if concerns_everybody(refusal.error) or refusal.finding.step != "searching transitive groups":
            self._all_walk_until = until
            self.log.warning("Groups are walked one by one, which takes longer: %s", refusal)
            return
        self._walked[subject] = until
        self._walked.move_to_end(subject)
        while len(self._walked) > self.answers_kept:
            self._walked.popitem(last=False)
        self.log.info("The groups of one person are walked one by one: %s", refusal)

    def _held(self, scope: str) -> HeldToken:
        settings = CredentialSettings(
            service_account=self.service_account,
            admin_subject=self.admin_subject,
            key_file=self.key_file,
            token_root=self.token_root,
            iam_credentials_root=self.iam_credentials_root,
            timeout=self.timeout,
        )
        fetch = GoogleCredentials(settings, scope).fetch
        return HeldToken(fetch, ahead=300, clock=self._wall_clock, log=self.log)

    # Settings.

    def _check_settings(self) -> None:
        if not self.admin_subject:
            raise TraitError("GoogleGroupDirectory.admin_subject is needed: the address of an administrator.")
        if self.key_file:
            self.log.warning(
                "GoogleGroupDirectory.key_file is set: whoever reads %s can read the directory. "
                "Use service_account alone, which needs no key.",
                self.key_file,
            )
        elif not self.service_account:
            raise TraitError("GoogleGroupDirectory.service_account is needed: who has domain-wide delegation.")
        if not self.check_accounts and self.transitive_search == "always" and not self.customer:
            raise TraitError("GoogleGroupDirectory.customer is needed to search without check_accounts.")

    @default("provider")
    def _provider_default(self) -> str:
        return PROVIDER

    @default("domains")
    def _domains_default(self) -> list[str]:
        return [self.admin_subject.rpartition("@")[2].lower()]

    @validate("domains")
    def _fold_domains(self, proposal: Any) -> list[str]:
        return [domain.strip().lower() for domain in proposal.value]

    @validate("admin_subject", "service_account")
    def _is_address(self, proposal: Any) -> Any:
        if proposal.value and not _ADDRESS.fullmatch(proposal.value):
            raise TraitError(f"GoogleGroupDirectory.{proposal.trait.name} has to be a whole address, with its domain.")
        return proposal.value

    @validate("admin_api_root", "cloud_identity_root", "token_root", "iam_credentials_root")
    def _is_root(self, proposal: Any) -> Any:
        if not _ROOT.fullmatch(proposal.value):
            raise TraitError(f"GoogleGroupDirectory.{proposal.trait.name} has to be an address with https://.")
        return proposal.value.rstrip("/")


def _is_busy(answer: Answer) -> bool:
    return is_busy(answer.status, answer.body)
