"""Why somebody is not signed in, in words that they may read."""

import html

from tornado import web

from ..core.errors import PublicError
from ..core.identity import GroupName, display_group


class SignInRefused(web.HTTPError):
    """Nobody is signed in, for a reason that the person may read.

    JupyterHub shows `jupyterhub_message` and `jupyterhub_html_message` of any error on its own error page;
    a handler with `SignInPages` shows the refusal page instead.
    """

    def __init__(self, problem: PublicError, *, username: str = "", retry_after: int = 0) -> None:
        super().__init__(problem.status, "%s", problem.code)
        self.problem = problem
        self.username = username
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(retry_after)} if retry_after else {}
        self.jupyterhub_message = f"{problem.message} {problem.hint}".strip()
        self.jupyterhub_html_message = (
            f"{html.escape(problem.message)} {html.escape(problem.hint)} (<code>{html.escape(problem.code)}</code>)"
        )


def group_missing(username: str, group: GroupName) -> SignInRefused:
    """For somebody who is who they say, and is not in the group that it takes."""
    shown = display_group(group)
    problem = PublicError(
        f"{username} is not a member of {shown}.",
        code="group-missing",
        hint=f"Ask an administrator of this platform to add you to {shown}, then sign in again.",
        status=403,
    )
    return SignInRefused(problem, username=username)


def name_taken(username: str) -> SignInRefused:
    """For somebody whose name belonged to another person here, whose files must not become theirs."""
    problem = PublicError(
        f"{username} is the name of somebody else here.",
        code="name-taken",
        hint="Ask an administrator: the other person's account and files have to be dealt with first.",
        status=403,
    )
    return SignInRefused(problem, username=username)


def directory_unavailable(username: str = "") -> SignInRefused:
    """For everybody, while it cannot be known who is in which group."""
    problem = PublicError(
        "Nobody can sign in right now: it cannot be found out who belongs to which group.",
        code="directory-unavailable",
        hint="Try again in a minute. If it stays so, tell an administrator; the hub's log has the reason.",
        status=503,
    )
    return SignInRefused(problem, username=username, retry_after=30)


def kept_waiting(username: str) -> SignInRefused:
    """For somebody who is signed in, and of whom it is not known any more whether they may be."""
    problem = PublicError(
        "It cannot be found out right now whether you still belong to this platform's users.",
        code="directory-unavailable",
        hint="Nothing of yours is ended: your files and servers wait for you. Reload this page in a minute. If it "
        "stays so, tell an administrator; the hub's log has the reason.",
        status=503,
    )
    return SignInRefused(problem, username=username, retry_after=30)


def provider_unavailable() -> SignInRefused:
    """For everybody, while the identity provider does not answer as it should."""
    problem = PublicError(
        "Nobody can sign in right now: the identity provider does not answer.",
        code="provider-unavailable",
        hint="Try again in a minute. If it stays so, tell an administrator; the hub's log has the reason.",
        status=503,
    )
    return SignInRefused(problem, retry_after=30)


def sign_in_failed() -> SignInRefused:
    """For whoever comes back from the provider with something that proves nothing."""
    problem = PublicError(
        "The sign-in could not be finished.",
        code="sign-in-failed",
        hint="Begin it again from the sign-in page, in one tab.",
        status=403,
    )
    return SignInRefused(problem)


def consent_missing() -> SignInRefused:
    """For somebody who said no at the provider."""
    problem = PublicError(
        "You did not let the identity provider tell this platform who you are.",
        code="consent-missing",
        hint="Sign in again and agree, if you want to use it.",
        status=403,
    )
    return SignInRefused(problem)
