"""A real JupyterHub that signs people in at a double of GitHub, configured as SIGN-IN.md says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.github_server import APP_TOKEN
from tests.doubles.github_sign_in import GitHubSignIn
from tests.integration.oidc_hub import audit_environment, provider_settings, started
from tests.lab.hub import RealHub
from tests.lab.oidc_provider import CLIENT_ID, CLIENT_SECRET

_GITHUB = "devplatform_hub.authenticators.github.GitHubAuthenticator"
WITH_APP_TOKEN = {"app_token": APP_TOKEN, "organizations": ["acme"]}


@dataclass(slots=True)
class GitHubHub(RealHub):
    """The hub, and the GitHub that it trusts."""

    github: GitHubSignIn = field(kw_only=True)


@contextmanager
def github_hub(folder: Path, of_directory: Mapping[str, Any] | None = None) -> Iterator[GitHubHub]:
    """A hub that asks again every second and keeps no answers; both are ended afterwards."""
    fresh = {"answer_lifetime": 0, "group_lifetime": 0, "tries": 1, "timeout": 0.5}
    settings = provider_settings(
        folder, _GITHUB, {"GitHubGroupDirectory": fresh | dict(of_directory or {}), "GitHubAuthenticator": {}}
    )
    origin = str(settings["origin"])
    github = GitHubSignIn((CLIENT_ID, CLIENT_SECRET), f"{origin}/hub/oauth_callback")
    with github.in_thread():
        settings["traits"]["GitHubAuthenticator"] |= {
            "github_url": github.url,
            "group_domain": "acme",
            "last_answer_lifetime": 6,
        }
        environment = audit_environment(folder)
        hub = GitHubHub(origin, folder, folder, settings=settings, environment=environment, github=github)
        with started(hub):
            yield hub
