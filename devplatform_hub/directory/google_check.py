"""Is the way to Google's directory open? Each step of it tried in turn, for `devplatform check auth`."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ..core.findings import Finding
from ..core.identity import GroupName
from ..ports import DirectoryUnavailable, Person
from .google_refusals import GoogleRefused, Step

if TYPE_CHECKING:
    from .google import GoogleGroupDirectory

Found = TypeVar("Found")


async def find_person(directory: "GoogleGroupDirectory", text: str) -> Person | None:
    """The account with this address. That it belongs to its domain's organisation is believed: only a sign-in says so.

    Without leave to read accounts (`check_accounts`) the address is taken for one that is there.
    """
    address = text.lower()
    domain = address.rpartition("@")[2]
    if not directory.check_accounts:
        return Person({"sub": address, "email": address, "email_verified": True, "hd": domain})
    account = await directory.admin.account(address)
    if account is None:
        return None
    claims = {"sub": account.subject, "email": account.email, "email_verified": True}
    own = account.email.rpartition("@")[2]
    return Person({**claims, "hd": own}, "" if account.active else "is suspended or archived at Google")


async def check_google(directory: "GoogleGroupDirectory", groups: Collection[GroupName]) -> tuple[Finding, ...]:
    """What works and what is missing, in the order of the way: credentials, accounts, groups, transitive search.

    The administrator's own account is what is asked about. Of the search nothing is said where it is switched off.
    """
    findings = []
    customer = directory.customer
    if directory.check_accounts:
        finding, account = await _tried(Step.USERS, lambda: directory.admin.account(directory.admin_subject))
        findings.append(finding)
        customer = customer or (account.customer if account else "")
    finding, _ = await _tried(Step.GROUPS, lambda: directory.admin.groups_with(directory.admin_subject))
    findings.append(finding)
    if finding.works:
        findings += [await _there(directory, group) for group in sorted(groups)]
    if directory.transitive_search != "never" and customer:
        finding, _ = await _tried(Step.SEARCH, lambda: directory.search.groups_of(directory.admin_subject, customer))
        if not finding.works and directory.transitive_search == "auto":
            finding = replace(finding, needed=False, remedy=f"{finding.remedy} Until then groups are walked.")
        findings.append(finding)
    return tuple(findings)


async def _there(directory: "GoogleGroupDirectory", group: GroupName) -> Finding:
    step = f"the group {group}"
    try:
        if await directory.admin.has_group(group):
            return Finding(step, works=True)
    except GoogleRefused as refusal:
        return replace(refusal.finding, step=step)
    except DirectoryUnavailable as error:
        return Finding(step, works=False, missing="an answer", remedy=f"{error}.")
    return Finding(
        step, works=False, missing="this group", remedy="Make it at Google, or name another in the settings."
    )


async def _tried(step: Step, ask: Callable[[], Awaitable[Found]]) -> tuple[Finding, Found | None]:
    try:
        found = await ask()
    except GoogleRefused as refusal:
        return refusal.finding, None
    except DirectoryUnavailable as error:
        return Finding(step, works=False, missing="an answer", remedy=f"{error}."), None
    if found is None:
        return Finding(
            step, works=False, missing="the account of the administrator", remedy="Check admin_subject."
        ), None
    return Finding(step, works=True), found
