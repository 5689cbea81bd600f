"""SETTINGS.md, made from the product's own traits: `make settings` writes it, a test compares it."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from traitlets import TraitType, Undefined

from devplatform_culler.app import CullerApp
from devplatform_hub.authenticators.github import GitHubAuthenticator
from devplatform_hub.authenticators.google import GoogleAuthenticator
from devplatform_hub.authenticators.keycloak import KeycloakAuthenticator
from devplatform_hub.authenticators.local import LocalAuthenticator
from devplatform_hub.authenticators.oidc import OidcAuthenticator
from devplatform_hub.directory.claims import ClaimsGroupDirectory
from devplatform_hub.directory.github import GitHubGroupDirectory
from devplatform_hub.directory.google import GoogleGroupDirectory
from devplatform_hub.directory.keycloak import KeycloakGroupDirectory
from devplatform_hub.embedded.spawner import EmbeddedSpawner
from devplatform_hub.kube.settings import DECIDED
from devplatform_hub.spawner import DevPlatformSpawner
from devplatform_mlflow_proxy.app import MlflowProxyApp
from devplatform_versions.app import VersionsApp
from devplatform_versions.gcs.store import GCSVersionStore
from devplatform_versions.local.store import LocalVersionStore

TABLE = Path(__file__).parents[2] / "SETTINGS.md"
_OURS = ("devplatform_hub", "devplatform_culler", "devplatform_mlflow_proxy", "devplatform_versions")
_CLASSES: tuple[tuple[Any, str], ...] = (
    (DevPlatformSpawner, "Servers as pods. Every trait of KubeSpawner that is not named here works as KubeSpawner's."),
    (EmbeddedSpawner, "Servers as processes of one machine."),
    (LocalAuthenticator, "Sign-in on one machine."),
    (
        OidcAuthenticator,
        "Sign-in at any OpenID Connect provider (`devplatform-oidc`). Every trait of GenericOAuthenticator that is not "
        "named here works as oauthenticator's, but those that would let people in past the groups.",
    ),
    (GoogleAuthenticator, "Sign-in with Google Workspace (`devplatform-google`)."),
    (KeycloakAuthenticator, "Sign-in at Keycloak (`devplatform-keycloak`)."),
    (GitHubAuthenticator, "Sign-in with GitHub (`devplatform-github`)."),
    (ClaimsGroupDirectory, "Groups that the provider names in a claim."),
    (GoogleGroupDirectory, "Groups of a Google Workspace or Cloud Identity account."),
    (KeycloakGroupDirectory, "Groups of a Keycloak realm."),
    (GitHubGroupDirectory, "Organisations and teams of GitHub."),
    (VersionsApp, "The service of file versions."),
    (LocalVersionStore, "Versions in a folder of one machine."),
    (
        GCSVersionStore,
        "Versions in a bucket of Google Cloud Storage; the service has it by `VersionsApp.store_class`.",
    ),
    (MlflowProxyApp, "The proxy before MLflow."),
    (CullerApp, "The culler."),
)
_OTHER_DEFAULTS = ("delete_pvc", "storage_pvc_ensure", "pvc_name_template")
_REPLACED = ("cpu_limit", "cpu_guarantee", "mem_limit", "mem_guarantee", "default_url")
_HEAD = """\
# Settings

Every setting that the platform adds to JupyterHub and its spawner, and those of theirs that it decides.
Made by `make settings` from the code; on one machine they are set by `devplatform up --set CLASS.TRAIT=VALUE`,
on a cluster in `jupyterhub_config.py` as `c.CLASS.TRAIT = VALUE` before `devplatform_hub.setup(c)`.
"""


def table() -> str:
    """The whole file."""
    parts = [_HEAD]
    for cls, about in _CLASSES:
        parts.append(f"\n## {cls.__name__}\n\n{about}\n\n" + "\n".join(_rows(cls)) + "\n")
        if cls is DevPlatformSpawner:
            parts.append(_decided())
    return "".join(parts)


def _rows(cls: Any) -> Iterator[str]:
    yield "| Setting | Type | Default | What it is |"
    yield "|---|---|---|---|"
    for name, trait in sorted(cls.class_traits(config=True).items()):
        if str(trait.this_class.__module__).startswith(_OURS):
            yield f"| `{name}` | {_kind(trait)} | {_default(cls, trait)} | {_text(trait.help)} |"


def _decided() -> str:
    spawner = DevPlatformSpawner.__new__(DevPlatformSpawner)  # defaults alone: it looks for no cluster
    ours = {name: getattr(spawner, name) for name in _OTHER_DEFAULTS}
    lines = [
        "\nOf KubeSpawner's own, these have another default:",
        *(f"`{name}` is `{value!r}`." for name, value in ours.items()),
        "\n\nThese come from the profile alone, and what is configured has no effect:",
        ", ".join(f"`{name}`" for name in DECIDED if name in _REPLACED) + ".",
        "\n\nThese are taken as configured for every pod, and the profile's are added or go before:",
        ", ".join(f"`{name}`" for name in DECIDED if name not in _REPLACED) + ".",
        "\n\n`profile_list` is not used: profiles come from `profiles_file`.\n",
    ]
    return " ".join(lines).replace("\n ", "\n").replace(" \n", "\n")


def _kind(trait: TraitType[Any, Any]) -> str:
    return type(trait).__name__


def _default(cls: Any, trait: TraitType[Any, Any]) -> str:
    """As code; what is worked out when the program starts says so."""
    computed = any(trait.name in vars(base).get("_trait_default_generators", {}) for base in cls.__mro__)
    return "worked out" if computed or trait.default_value is Undefined else f"`{trait.default_value!r}`"


def _text(help_text: str) -> str:
    return " ".join(inspect.cleandoc(help_text).split()).replace("|", "\\|")


if __name__ == "__main__":
    TABLE.write_text(table(), "utf-8")
    print(f"Wrote {TABLE.name}")
