"""Is the way to Google's directory open? Each step of it tried in turn, for `devplatform check auth`."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..ports import DirectoryUnavailable
from .google import GoogleGroupDirectory
from .google_refusals import Finding, GoogleRefused, Step

Found = TypeVar("Found")


async def check_google(directory: GoogleGroupDirectory) -> tuple[Finding, ...]:
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
    if directory.transitive_search != "never" and customer:
        finding, _ = await _tried(Step.SEARCH, lambda: directory.search.groups_of(directory.admin_subject, customer))
        findings.append(finding)
    return tuple(findings)


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
