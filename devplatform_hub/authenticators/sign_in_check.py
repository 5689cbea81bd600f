"""Would people get in? The identity provider and the directory tried in turn, for `devplatform check auth`."""

from collections.abc import Mapping
from typing import Any

from tornado import web

from ..core.findings import Finding
from ..directory.claims import ClaimsGroupDirectory
from ..ports import DirectoryUnavailable, PeopleDirectory
from .base import GroupAccessMixin
from .oidc import OidcAccessMixin
from .provider import ProviderAccessMixin
from .provider_calls import ProviderRefused

_NO_TOKEN = "devplatform-check"  # noqa: S105 - what no provider ever gave as a refresh token
_CLIENT_REFUSED = ("invalid_client", "incorrect_client_credentials")
_UNAUTHORIZED = 401


async def check_sign_in(authenticator: GroupAccessMixin) -> tuple[Finding, ...]:
    """Every step of a sign-in that can be tried without a person, in its order. Raises nothing of its own."""
    findings: list[Finding] = []
    if isinstance(authenticator, OidcAccessMixin):
        findings += await _metadata(authenticator)
    if isinstance(authenticator, ProviderAccessMixin) and all(found.works or not found.needed for found in findings):
        findings.append(await _client(authenticator))
    directory = authenticator.group_directory
    if isinstance(directory, PeopleDirectory):
        rules = authenticator.rules
        findings += await directory.check({rules.users_group, rules.admins_group, *authenticator.roles_of_groups})
    return tuple(findings)


async def _metadata(authenticator: OidcAccessMixin) -> list[Finding]:
    """What the provider publishes about itself (OpenID Connect Discovery 1.0, section 3)."""
    step = f"the provider {authenticator.issuer}"
    try:
        await authenticator.prepare()
    except DirectoryUnavailable as error:
        remedy = f"{error}. Check issuer, and whether this machine reaches it."
        return [Finding(step, works=False, missing="metadata that can be used", remedy=remedy)]
    findings = [Finding(step, works=True)]
    metadata = authenticator.metadata
    scopes = _listed(metadata, "scopes_supported")
    unknown = [scope for scope in authenticator.scope if scopes and scope not in scopes]
    if unknown:
        remedy = "Allow it at the provider, or take it out of `scope`."
        missing = f"the scope {' and '.join(unknown)}"
        findings.append(Finding("scopes", works=False, missing=missing, remedy=remedy, needed=False))
    methods = _listed(metadata, "code_challenge_methods_supported")
    if methods and "S256" not in methods:
        missing, remedy = "the code challenge method S256", "Switch on PKCE (RFC 7636) for this client."
        findings.append(Finding("PKCE", works=False, missing=missing, remedy=remedy))
    claims, directory = _listed(metadata, "claims_supported"), authenticator.group_directory
    if isinstance(directory, ClaimsGroupDirectory) and claims and directory.groups_claim not in claims:
        remedy = "Add it to the userinfo endpoint, or name another (ClaimsGroupDirectory.groups_claim)."
        missing = f"the claim {directory.groups_claim}"
        findings.append(Finding("claims", works=False, missing=missing, remedy=remedy, needed=False))
    try:
        await authenticator.check_keys()
    except DirectoryUnavailable as error:
        findings.append(Finding("keys of ID tokens", works=False, missing="keys that can be read", remedy=f"{error}."))
    return findings


async def _client(authenticator: ProviderAccessMixin) -> Finding:
    """Whether the provider knows the client and its secret, which it looks at before any token (RFC 6749, 5.2).

    A refresh token that was never given is asked with, which changes nothing anywhere.
    """
    step, request = "the client and its secret", authenticator.build_refresh_token_request_params(_NO_TOKEN)
    try:
        await authenticator.get_token_info(None, request)
    except ProviderRefused as refused:
        if refused.status == _UNAUTHORIZED or refused.error in _CLIENT_REFUSED:
            remedy = f"The provider refuses them ({refused}): check client_id and client_secret."
            return Finding(step, works=False, missing="a client that the provider knows", remedy=remedy)
    except DirectoryUnavailable as error:
        return Finding(step, works=False, missing="an answer", remedy=f"{error}.")
    except web.HTTPError:  # oauthenticator's, for an answer without a token and without an error
        return Finding(step, works=False, missing="an answer that OAuth knows", remedy="Check the token endpoint.")
    return Finding(step, works=True)


def _listed(metadata: Mapping[str, Any], name: str) -> list[Any]:
    """A list of the metadata; empty where the provider does not say."""
    value = metadata.get(name)
    return value if isinstance(value, list) else []
