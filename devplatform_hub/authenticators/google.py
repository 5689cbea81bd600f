"""Sign-in with a Google Workspace account: who belongs to the organisation by Google's word, not by an address."""

from typing import Any

from oauthenticator.google import GoogleOAuthenticator
from traitlets import default

from ..core.claims import ClaimRules
from .oidc import OidcAccessMixin
from .provider_settings import ProviderSettings

PROVIDER = "google"
_GOOGLE = "https://accounts.google.com"


class GoogleAuthenticator(OidcAccessMixin, GoogleOAuthenticator):
    """Google Workspace. `hosted_domain` says which organisations; groups come from Google's directory."""

    other_ways_in = (*ProviderSettings.other_ways_in, "allowed_google_groups", "admin_google_groups")
    without_effect = (
        *ProviderSettings.without_effect,
        "google_service_account_keys",
        "gsuite_administrator",
        "include_nested_groups",
        "strip_domain",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.issuer == _GOOGLE:
            self.issuers = (_GOOGLE, "accounts.google.com")  # both are documented

    @property
    def provider(self) -> str:
        """Google: the name by which its directory knows people."""
        return PROVIDER

    @property
    def claim_rules(self) -> ClaimRules:
        """With the organisation, which only Google can say (`hd`)."""
        rules = super().claim_rules
        return ClaimRules(
            provider=rules.provider,
            username_claim=rules.username_claim,
            verified_email=rules.verified_email,
            hosted_domains=frozenset(self.hosted_domain),
            stripped_domains=rules.stripped_domains,
        )

    def check_allow_config(self) -> None:
        """Raises `ValueError` with the name of the setting."""
        if not self.hosted_domain:
            raise ValueError(
                "hosted_domain is needed, such as ['example.com']: without it every Google account could come."
            )
        super().check_allow_config()

    @default("issuer")
    def _google(self) -> str:
        return _GOOGLE

    @default("group_domain")
    def _the_only_domain(self) -> str:
        return self.hosted_domain[0] if len(self.hosted_domain) == 1 else ""

    @default("directory_class")
    def _google_groups(self) -> str:
        return "devplatform_hub.directory.google.GoogleGroupDirectory"

    @default("extra_authorize_params")
    def _offline(self) -> dict[str, str]:
        """A refresh token, which Google gives with consent only, and a list of the organisation's accounts alone."""
        hint = self.hosted_domain[0] if len(self.hosted_domain) == 1 else "*"
        return {"access_type": "offline", "prompt": "consent", "hd": hint}
