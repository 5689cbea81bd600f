"""What Google's error answers say is missing: the lines of `devplatform check auth`."""

from typing import Any

import pytest

from devplatform_hub.directory.google_cloud_identity import search_query
from devplatform_hub.directory.google_refusals import (
    GROUPS_SCOPE,
    GoogleError,
    Setup,
    Step,
    concerns_everybody,
    explain,
    is_busy,
    parse_error,
)
from devplatform_hub.ports import DirectoryUnavailable

SETUP = Setup("directory@project.iam.gserviceaccount.com", "reader@example.com", GROUPS_SCOPE)


def older(reason: str, status: int = 403) -> dict[str, Any]:
    return {"error": {"code": status, "message": "No.", "errors": [{"domain": "global", "reason": reason}]}}


def newer(status: str, reason: str = "") -> dict[str, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}] if reason else []
    return {"error": {"code": 403, "message": "No.", "status": status, "details": details}}


def oauth(error: str, description: str = "") -> dict[str, Any]:
    return {"error": error, "error_description": description}


@pytest.mark.parametrize(
    ("step", "status", "body", "missing"),
    [
        pytest.param(Step.SOURCE, 0, None, "a credential of this program", id="no identity"),
        pytest.param(
            Step.SIGN,
            403,
            newer("PERMISSION_DENIED", "IAM_PERMISSION_DENIED"),
            "iam.serviceAccounts.signJwt",
            id="sign",
        ),
        pytest.param(
            Step.SIGN,
            403,
            newer("PERMISSION_DENIED", "SERVICE_DISABLED"),
            "the API iamcredentials.googleapis.com",
            id="sign api",
        ),
        pytest.param(Step.TOKEN, 401, oauth("unauthorized_client"), f"the scope {GROUPS_SCOPE}", id="scope"),
        pytest.param(Step.TOKEN, 400, oauth("invalid_scope"), f"the scope {GROUPS_SCOPE}", id="scope unknown"),
        pytest.param(
            Step.TOKEN,
            400,
            oauth("invalid_grant", "Invalid email or User ID"),
            "the account reader@example.com",
            id="admin",
        ),
        pytest.param(
            Step.TOKEN, 401, oauth("invalid_client"), f"the service account {SETUP.service_account}", id="account"
        ),
        pytest.param(
            Step.GROUPS,
            403,
            older("forbidden"),
            "the privilege Groups > Read of reader@example.com",
            id="groups privilege",
        ),
        pytest.param(
            Step.USERS,
            403,
            older("forbidden"),
            "the privilege Users > Read of reader@example.com",
            id="users privilege",
        ),
        pytest.param(
            Step.GROUPS, 403, older("insufficientPermissions"), f"the scope {GROUPS_SCOPE}", id="token's scope"
        ),
        pytest.param(Step.GROUPS, 403, older("accessNotConfigured"), "the API admin.googleapis.com", id="admin api"),
        pytest.param(
            Step.GROUPS, 403, older("domainCannotUseApis"), "API access of the Workspace account", id="api access"
        ),
        pytest.param(
            Step.SEARCH,
            403,
            newer("PERMISSION_DENIED", "SERVICE_DISABLED"),
            "the API cloudidentity.googleapis.com",
            id="api",
        ),
        pytest.param(
            Step.SEARCH,
            403,
            newer("PERMISSION_DENIED"),
            "the edition, or the right to see all of this person's groups,",
            id="edition",
        ),
        pytest.param(Step.GROUPS, 404, older("notFound", 404), "something that Google does not name", id="unknown"),
        pytest.param(Step.GROUPS, 400, "<html>", "something that Google does not name", id="not JSON"),
    ],
)
def test_names_what_is_missing(step: Step, status: int, body: Any, missing: str) -> None:
    """The exact scope, permission, privilege, API or account, and what to do about it."""
    finding = explain(step, parse_error(status, body), SETUP)
    assert (finding.step, finding.works, finding.missing) == (step, False, missing)
    assert finding.remedy
    assert str(finding) == f"{step} is refused: {missing} is missing. {finding.remedy}"


@pytest.mark.parametrize(
    ("status", "body", "busy"),
    [
        pytest.param(403, older("quotaExceeded"), True, id="quota"),
        pytest.param(403, older("userRateLimitExceeded"), True, id="rate of a user"),
        pytest.param(403, older("rateLimitExceeded"), True, id="rate"),
        pytest.param(403, older("dailyLimitExceeded"), False, id="the day's quota: not worth waiting for"),
        pytest.param(403, older("forbidden"), False, id="a real refusal"),
        pytest.param(404, older("quotaExceeded"), False, id="another status"),
        pytest.param(403, None, False, id="no body"),
        pytest.param(403, {"error": {"errors": "quotaExceeded"}}, False, id="another shape"),
    ],
)
def test_tells_busy_from_refused(status: int, body: Any, busy: bool) -> None:
    """A quota error has the status of a refusal; only its reason tells them apart."""
    assert is_busy(status, body) is busy


def test_errors_are_short() -> None:
    """Whatever Google, or somebody in between, puts into an error: one bounded line of it is told."""
    error = parse_error(403, {"error": {"message": "a\nb" * 1000, "status": "X" * 1000}})
    assert (len(error.message), len(error.reason)) == (300, 300)
    assert "\n" not in error.message


def test_tells_whom_a_refusal_concerns() -> None:
    """A missing scope or API is everybody's; a permission may be about one person's groups."""
    assert concerns_everybody(GoogleError(403, "SERVICE_DISABLED"))
    assert concerns_everybody(GoogleError(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"))
    assert not concerns_everybody(GoogleError(403, "PERMISSION_DENIED"))


@pytest.mark.parametrize(
    ("email", "member"),
    [
        pytest.param("alice@example.com", "alice@example.com", id="plain"),
        pytest.param("o'brien@example.com", r"o\'brien@example.com", id="a quote"),
        pytest.param("x' || 'a' == 'a@example.com", r"x\' || \'a\' == \'a@example.com", id="another query"),
        pytest.param("x\\' || true@example.com", r"x\\\' || true@example.com", id="a quote that seems escaped"),
        pytest.param("a+b@example.com", "a+b@example.com", id="a plus"),
    ],
)
def test_no_address_changes_the_query(email: str, member: str) -> None:
    """Whatever is in an address stays inside the quotes of CEL."""
    label = "'cloudidentity.googleapis.com/groups.discussion_forum' in labels"
    expected = f"member_key_id == '{member}' && {label} && parent == 'customers/C046psxkn'"
    assert search_query(email, "C046psxkn") == expected


@pytest.mark.parametrize(
    ("email", "customer"),
    [
        pytest.param("a\n@example.com", "C046psxkn", id="a line"),
        pytest.param("", "C046psxkn", id="no address"),
        pytest.param("alice", "C046psxkn", id="a name"),
        pytest.param("alice@example.com", "C1' || true", id="a customer that is a query"),
        pytest.param("alice@example.com", "my_customer", id="an alias, which the search does not take"),
    ],
)
def test_what_is_no_address_is_no_query(email: str, customer: str) -> None:
    """It is an outage and not a question about somebody else."""
    with pytest.raises(DirectoryUnavailable):
        search_query(email, customer)
