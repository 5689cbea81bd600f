"""The sign-in that a hub's configuration describes, made outside the hub: for questions from a shell."""

import contextlib
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub.app import JupyterHub
from jupyterhub.crypto import CryptKeeper
from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from ..authenticators.base import GroupAccessMixin
from ..config import add_settings, setup_sign_in
from ..core.errors import PublicError
from ..core.identity import LOCAL_DOMAIN
from ..core.profiles import Catalog
from ..core.profiles_yaml import parse_profiles
from ..spawning import ProfileSpawnerMixin
from .state import DataFolder

Settings = Mapping[str, Mapping[str, Any]]
"""Traits by class, as `--set` gives them."""
_OWN_PROFILES = Path(__file__).parents[1] / "profiles.yaml"


@dataclass(frozen=True, slots=True)
class ConfiguredHub:
    """What decides who may come in, and what there is to start."""

    authenticator: GroupAccessMixin
    catalog: Catalog


def hub_of_file(file: Path, settings: Settings) -> ConfiguredHub:
    """By a `jupyterhub_config.py`. Raises `PublicError`: `config-broken`, `settings-refused`, `sign-in-foreign`."""
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what a configuration prints is no part of an answer
            config = PyFileConfigLoader(file.name, str(file.parent)).load_config()
    except (Exception, SystemExit) as error:  # a configuration is a program: it can end in any way
        raise PublicError(
            f"{file} cannot be read: {_said(error)}",
            code="config-broken",
            hint="Run it where the hub runs, with the hub's environment.",
        ) from error
    add_settings(config, settings)
    return _made(config)


def hub_of_machine(data: DataFolder, settings: Settings) -> ConfiguredHub:
    """By the data folder of one machine, as `devplatform up` last ran there. Raises `PublicError` as `hub_of_file`."""
    config = Config()
    config.CryptKeeper.keys = [secrets.token_bytes(32)]  # nothing is kept here
    setup_sign_in(config, data.root, last_settings(data))
    add_settings(config, settings)
    return _made(config)


def last_settings(data: DataFolder) -> dict[str, dict[str, Any]]:
    """What `devplatform up --set` was last given there; nothing when it never ran."""
    try:
        found = json.loads(data.machine_file.read_text("utf-8"))["settings"]
        return {str(name): dict(traits) for name, traits in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _made(config: Config) -> ConfiguredHub:
    try:
        hub = JupyterHub(config=config)
        made = hub.authenticator_class
        if not issubclass(made, GroupAccessMixin):
            raise PublicError(
                f"This hub signs people in with {made.__name__}.",
                code="sign-in-foreign",
                hint="Only sign-ins of the platform can be asked: set JupyterHub.authenticator_class to one.",
            )
        CryptKeeper.clear_instance()
        CryptKeeper.instance(config=hub.config)
        authenticator = made(parent=hub)
        authenticator.check_allow_config()
    except (TraitError, ValueError, ImportError) as error:
        raise PublicError(
            f"The hub would not start: {error}", code="settings-refused", hint="SIGN-IN.md shows each sign-in."
        ) from error
    return ConfiguredHub(authenticator, _catalog(hub, authenticator))


def _catalog(hub: JupyterHub, authenticator: GroupAccessMixin) -> Catalog:
    """What people choose from; empty where servers are not started by the platform."""
    spawner = hub.spawner_class
    if not issubclass(spawner, ProfileSpawnerMixin):
        return Catalog(())
    configured = [hub.config[cls.__name__] for cls in spawner.__mro__ if cls.__name__ in hub.config]
    given = {name: value for section in reversed(configured) for name, value in section.items()}
    file = Path(given.get("profiles_file") or _OWN_PROFILES)
    if not file.exists() and "EmbeddedSpawner" in hub.config:  # before the first start of one machine
        file = _OWN_PROFILES
    domain = given.get("group_domain") or authenticator.group_domain or LOCAL_DOMAIN
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise PublicError(f"{file} cannot be read: {_said(error)}", code="profiles-broken") from error
    return parse_profiles(text, str(file), group_domain=domain)


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text[:500] if isinstance(error, SystemExit | PublicError) else f"{type(error).__name__}: {text[:500]}"
