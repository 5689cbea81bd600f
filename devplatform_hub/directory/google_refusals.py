"""What Google refuses, read from its answers: which setting, scope, privilege or permission is missing, and where.

Google says the same thing in three forms: the error of newer APIs (`status`, `details`), that of older ones
(`errors[].reason`) and OAuth's (`error`, `error_description`). Nothing here asks Google anything.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..core.findings import Finding
from ..ports import DirectoryUnavailable

GROUPS_SCOPE = "https://www.googleapis.com/auth/admin.directory.group.readonly"
USERS_SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
SEARCH_SCOPE = "https://www.googleapis.com/auth/cloud-identity.groups.readonly"

_BUSY = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded", "backendError"})
_API_OFF = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_SCOPE_MISSING = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_LONGEST = 300


class Step(StrEnum):
    """Where on the way to an answer Google refused."""

    SOURCE = "the program's own credentials"
    SIGN = "signing as the service account"
    TOKEN = "a token for the administrator"  # noqa: S105
    USERS = "reading accounts"
    GROUPS = "reading groups"
    SEARCH = "searching transitive groups"


@dataclass(frozen=True, slots=True)
class GoogleError:
    """An error answer: its status, Google's short reason, the text for people."""

    status: int
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """Who asks: the service account, the administrator it asks for, and the scope of the call."""

    service_account: str
    admin_subject: str
    scope: str = ""


class GoogleRefused(DirectoryUnavailable):
    """Google said no, for a reason that another try would not change."""

    def __init__(self, error: GoogleError, finding: Finding) -> None:
        super().__init__(f"{finding} (status {error.status}{', ' + error.reason if error.reason else ''})")
        self.error = error
        self.finding = finding


def parse_error(status: int, body: Any) -> GoogleError:
    """The error in a body of any of the three forms; without a reason where it is none of them."""
    holder = body.get("error") if isinstance(body, dict) else None
    if isinstance(holder, str):
        return GoogleError(status, holder[:_LONGEST], _text(body.get("error_description")))
    if not isinstance(holder, dict):
        return GoogleError(status)
    return GoogleError(status, _reason(holder), _text(holder.get("message")))


def is_busy(status: int, body: Any) -> bool:
    """Whether a refusal only means that there were too many questions."""
    return status == 403 and parse_error(status, body).reason in _BUSY


def explain(step: Step, error: GoogleError, setup: Setup) -> Finding:
    """What is missing for this step to work."""
    missing, remedy = _cause(step, error, setup)
    return Finding(step, works=False, missing=missing, remedy=remedy)


def refused(step: Step, error: GoogleError, setup: Setup) -> GoogleRefused:
    """The refusal as an error that can be raised."""
    return GoogleRefused(error, explain(step, error, setup))


def concerns_everybody(error: GoogleError) -> bool:
    """Whether the whole setup lacks something, rather than the right to this person's groups."""
    return error.reason in _API_OFF | _SCOPE_MISSING or error.status == 400


def _cause(step: Step, error: GoogleError, setup: Setup) -> tuple[str, str]:
    if error.reason in _API_OFF:
        return _api_off(step)
    if error.reason in _SCOPE_MISSING or error.reason in {"invalid_scope", "access_denied"}:
        return _scope_missing(setup)
    if step is Step.SOURCE:
        return (
            "a credential of this program",
            "Give its pod a Google service account (Workload Identity), "
            "or run `gcloud auth application-default login`.",
        )
    if step is Step.SIGN:
        return (
            "iam.serviceAccounts.signJwt",
            f"Grant roles/iam.serviceAccountTokenCreator on {setup.service_account} to the account of this program.",
        )
    if step is Step.TOKEN:
        return _token(error, setup)
    return _api_refusal(step, error, setup)


def _token(error: GoogleError, setup: Setup) -> tuple[str, str]:
    if error.reason == "unauthorized_client":
        return _scope_missing(setup)
    if error.reason == "invalid_grant":
        return (
            f"the account {setup.admin_subject}",
            "Name an administrator that exists and is not suspended (admin_subject), and check the machine's clock.",
        )
    if error.reason == "invalid_client":
        return f"the service account {setup.service_account}", "Name one that exists and is enabled (service_account)."
    return _unknown(error)


def _api_refusal(step: Step, error: GoogleError, setup: Setup) -> tuple[str, str]:
    if error.status == 401:
        return "a valid token", "Check that the API roots belong to the same Google as the credentials."
    if error.reason == "domainCannotUseApis":
        return "API access of the Workspace account", "Allow it in the Admin console: Security, API controls."
    if step is Step.SEARCH and error.status == 403:
        return (
            "the edition, or the right to see all of this person's groups,",
            "Transitive search needs Enterprise Standard or Plus, Education or Cloud Identity Premium. "
            "Set transitive_search to 'never' without one of them.",
        )
    if error.status == 403:
        privilege = "Users > Read" if step is Step.USERS else "Groups > Read"
        return (
            f"the privilege {privilege} of {setup.admin_subject}",
            "Give this account an administrator role that has it, such as Groups Reader with Users > Read.",
        )
    return _unknown(error)


def _api_off(step: Step) -> tuple[str, str]:
    apis = {Step.SIGN: "iamcredentials.googleapis.com", Step.SEARCH: "cloudidentity.googleapis.com"}
    api = apis.get(step, "admin.googleapis.com")
    return f"the API {api}", f"Enable it in the project of the service account: gcloud services enable {api}"


def _scope_missing(setup: Setup) -> tuple[str, str]:
    return (
        f"the scope {setup.scope}",
        f"Grant it to the client ID of {setup.service_account} in the Admin console: "
        "Security, API controls, Domain-wide delegation.",
    )


def _unknown(error: GoogleError) -> tuple[str, str]:
    return "something that Google does not name", f"It says: {error.message or 'nothing'}"


def _reason(holder: dict[str, Any]) -> str:
    """The most exact reason: of the details, then of the older list, then the status."""
    for key in ("details", "errors"):
        entries = holder.get(key)
        for entry in entries if isinstance(entries, list) else []:
            reason = entry.get("reason") if isinstance(entry, dict) else None
            if isinstance(reason, str) and reason:
                return reason[:_LONGEST]
    return _text(holder.get("status"))


def _text(value: object) -> str:
    return " ".join(value.split())[:_LONGEST] if isinstance(value, str) else ""
