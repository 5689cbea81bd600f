"""Sign-in with a GitHub account, on github.com or on a server of one's own. GitHub speaks OAuth without ID tokens."""

from collections.abc import Mapping
from typing import Any

from oauthenticator.github import GitHubOAuthenticator
from traitlets import default

from ..ports import DirectoryUnavailable, GroupDirectory
from .provider import ProviderAccessMixin
from .provider_settings import ProviderSettings, check_address

PROVIDER = "github"
_GITHUB = "https://github.com"


class GitHubAuthenticator(ProviderAccessMixin, GitHubOAuthenticator):
    """GitHub: the number of an account is who somebody is, as names can be given to others; groups are teams."""

    other_ways_in = (*ProviderSettings.other_ways_in, "allowed_organizations")
    without_effect = (*ProviderSettings.without_effect, "populate_teams_in_auth_state")

    @property
    def provider(self) -> str:
        """Numbers of accounts are unique on one server only."""
        return PROVIDER if self.github_url == _GITHUB else str(self.github_url)

    def make_directory(self) -> GroupDirectory:
        """GitHub's directory, for this server, with people's own tokens unless it has one."""
        directory: Any = self.directory_class
        own = self.config.get("GitHubGroupDirectory", {})
        if directory.__name__ != "GitHubGroupDirectory":
            return super().make_directory()
        ours = {} if "api_root" in own else {"api_root": self.github_api}
        made: GroupDirectory = directory(parent=self, provider=self.provider, token_of=self.grants.token_of, **ours)
        return made

    def claims_of_userinfo(self, userinfo: Mapping[str, Any]) -> dict[str, Any]:
        """The account as OpenID Connect would name it. Raises `DirectoryUnavailable`."""
        number, login = userinfo.get("id"), userinfo.get("login")
        if not isinstance(number, int) or isinstance(number, bool) or not isinstance(login, str):
            raise DirectoryUnavailable("GitHub's answer has no account")
        return {"sub": str(number), "preferred_username": login, "email": userinfo.get("email")}

    def check_allow_config(self) -> None:
        """Raises `ValueError` with the name of the setting."""
        check_address("github_url", self.github_url)
        if self.username_claim == "email" or self.require_verified_email:
            raise ValueError("username_claim cannot be email here: GitHub does not say that an address is verified.")
        super().check_allow_config()

    @default("group_domain")
    def _no_organization(self) -> str:
        return ""

    @default("directory_class")
    def _teams(self) -> str:
        return "devplatform_hub.directory.github.GitHubGroupDirectory"

    @default("scope")
    def _organizations_and_teams(self) -> list[str]:
        return ["read:org"]

    @default("username_claim")
    def _login(self) -> str:
        return "preferred_username"

    @default("require_verified_email")
    def _addresses_do_not_count(self) -> bool:
        return False

    @default("require_refresh_token")
    def _tokens_do_not_end(self) -> bool:
        return False
