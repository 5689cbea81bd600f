"""The one call that a jupyterhub_config.py makes: `setup(c)` composes the platform out of its parts.

`setup` is for a hub that somebody else runs, such as Zero-to-JupyterHub's; `setup_machine` adds what
one machine needs: addresses on loopback, a database file, local sign-in, and servers as processes.
"""

import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .atomic_files import write_atomically
from .core.group_roles import CUSTOM_SCOPES
from .core.identity import LOCAL_DOMAIN
from .hub_database import connection_settings
from .hub_services import CULLER, MLFLOW, SERVICES, VERSIONS, HubService, managed, roles, server_scopes
from .servicekit.audit import AUDIT_FILE_VARIABLE, AUDIT_VARIABLES

_TEN_YEARS = 315_360_000
_SPAWNER = "devplatform_hub.spawner.DevPlatformSpawner"
_STOCK = ("kubespawner.KubeSpawner", "kubespawner.spawner.KubeSpawner")
_DATABASE = "sqlite:///jupyterhub.sqlite"
"""JupyterHub's own default."""
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}


def setup(c: Any, *, services: Iterable[HubService] | None = None) -> None:
    """The platform on a cluster: servers as pods, roles of people, servers and services, and how activity is counted.

    Call it last: what is configured already stays, and is added to. `services` are those of the platform that this
    hub has; by default the ones that `c.JupyterHub.services` names, as a role for any other would end the hub.
    Profiles that cannot be used end the hub here, with file, line and what would be right.
    """
    if services is None:
        names = {entry.get("name") for entry in _so_far(c.JupyterHub, "services", [])}
        services = [service for service in SERVICES if service.name in names]
    _compose(c, list(services))
    spawner = c.JupyterHub.get("spawner_class")
    if spawner is None or spawner in _STOCK or getattr(spawner, "__name__", "") == "KubeSpawner":
        c.JupyterHub.spawner_class = _SPAWNER
    _check_profiles(c)
    if "allow_named_servers" not in c.JupyterHub:
        c.JupyterHub.allow_named_servers = True
    # A hub that is rolled out anew leaves people's servers alone.
    if "cleanup_servers" not in c.JupyterHub:
        c.JupyterHub.cleanup_servers = False
    _speed_up_database(c)


def _compose(c: Any, services: list[HubService]) -> None:
    """What every deployment has."""
    # Not above: the command line reads `Machine` from here, and these take half a second that it has no use for.
    import jupyterhub

    from .log_filter import without_traces
    from .stop_notes import log_and_note

    own = {name: dict(scope) for name, scope in CUSTOM_SCOPES.items()}
    c.JupyterHub.custom_scopes = {**_so_far(c.JupyterHub, "custom_scopes", {}), **own}
    given = _so_far(c.JupyterHub, "load_roles", [])
    names = {role.get("name") for role in given}
    c.JupyterHub.load_roles = [*given, *(role for role in roles(services) if role["name"] not in names)]
    if "server_token_scopes" not in c.Spawner:
        c.Spawner.server_token_scopes = server_scopes(services)
    # A server reports itself when kernels, terminals and editors were last used. The proxy sees bytes only: the
    # heartbeat of a tab that nobody looks at would keep an unused server alive for ever.
    c.JupyterHub.last_activity_interval = _TEN_YEARS
    ours = str(Path(__file__).parent / "hub_templates")
    paths = _so_far(c.JupyterHub, "template_paths", [])
    c.JupyterHub.template_paths = [*(path for path in paths if path != ours), ours]
    # The hub's own Content-Security-Policy (frame-ancestors 'none') stays: naming one here would replace it.
    settings = _so_far(c.JupyterHub, "tornado_settings", {})
    headers = {**_HEADERS, **settings.get("headers", {})}
    c.JupyterHub.tornado_settings = {"log_function": log_and_note, **settings, "headers": headers}
    c.JupyterHub.logging_config = without_traces(_so_far(c.JupyterHub, "logging_config", {}))
    if jupyterhub.version_info[0] < 6:
        # It counts people who may not start what they asked for as failures, and ends itself after a few of them.
        c.Spawner.consecutive_failure_limit = 0


def _speed_up_database(c: Any) -> None:
    """Unless an operator says how the hub connects: that is theirs to answer for."""
    if not _so_far(c.JupyterHub, "db_kwargs", {}):
        c.JupyterHub.db_kwargs = connection_settings(c.JupyterHub.get("db_url", _DATABASE))


def _check_profiles(c: Any) -> None:
    """An edit that breaks them later is said on the page; a hub that starts with broken ones would only look well."""
    from .core.profiles_yaml import ProfilesError, parse_profiles

    # A class of the operator's own may have them under its own name.
    names = str(c.JupyterHub.spawner_class).rpartition(".")[2], _SPAWNER.rpartition(".")[2]
    given = {trait: value for name in reversed(names) for trait, value in c[name].items()}
    file = given.get("profiles_file")
    if not file:
        return
    try:
        text = Path(file).read_text("utf-8")
        parse_profiles(text, str(file), group_domain=given.get("group_domain") or LOCAL_DOMAIN)
    except (OSError, UnicodeError, ProfilesError) as error:
        raise SystemExit(f"The hub does not start, as its profiles cannot be used:\n{_in_words(file, error)}") from None


def _in_words(file: str, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"{file}: byte {error.start} is not UTF-8 text; save it as UTF-8."
    if isinstance(error, OSError):
        return f"{file}: {error.strerror}; put it there, or leave profiles_file empty for the platform's own."
    return str(error)


def _so_far(section: Any, name: str, initial: Any) -> Any:
    """What is configured until now, however it was: set, or with `append`, `extend` or `update`; else `initial`."""
    value = section.get(name, initial)
    return value.get_value(initial) if hasattr(value, "get_value") else value


@dataclass(frozen=True, slots=True)
class Machine:
    """Where the parts of a platform on one machine are. Paths are absolute, ports are free loopback ports."""

    data: str
    port: int
    hub_port: int
    proxy_api_port: int
    service_ports: Mapping[str, int]
    python: str
    session_python: str
    mlflow_python: str
    proxy_command: tuple[str, ...]
    node: str = ""
    code_server: str = ""
    mark: str = ""
    """What every process of this platform carries in its environment (embedded.leftovers)."""
    debug: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Traits that an operator sets on top, by class: {"EmbeddedSpawner": {"start_timeout": 30}}."""

    @property
    def signs_in_elsewhere(self) -> bool:
        """Whether an identity provider signs people in, and not `users.yaml`."""
        return "authenticator_class" in self.settings.get("JupyterHub", {})

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def setup_machine(c: Any, machine: Machine) -> None:
    """The whole platform on one machine, on loopback only."""
    _compose(c, list(SERVICES))
    data = Path(machine.data)
    c.JupyterHub.bind_url = machine.origin
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{machine.hub_port}"
    c.JupyterHub.db_url = f"sqlite:///{data / 'hub' / 'jupyterhub.sqlite'}"
    _speed_up_database(c)
    c.JupyterHub.cookie_secret_file = str(data / "hub" / "cookie_secret")
    c.JupyterHub.services = _machine_services(machine, data)
    c.JupyterHub.log_level = "DEBUG" if machine.debug else "INFO"
    c.JupyterHub.upgrade_db = True
    c.ConfigurableHTTPProxy.command = list(machine.proxy_command)
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{machine.proxy_api_port}"
    c.ConfigurableHTTPProxy.pid_file = str(data / "run" / "proxy.pid")
    if machine.signs_in_elsewhere:
        c.CryptKeeper.keys = [_crypt_key(data / "hub" / "crypt_key")]
    c.EmbeddedSpawner.data_folder = machine.data
    c.EmbeddedSpawner.hub_origin = machine.origin
    c.EmbeddedSpawner.session_python = machine.session_python
    c.EmbeddedSpawner.node = machine.node
    c.EmbeddedSpawner.code_server = machine.code_server
    setup_sign_in(c, data, machine.settings)


def setup_sign_in(c: Any, data: Path, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Who may come in and what they may start, on one machine; last the `settings` of an operator, of any class."""
    c.JupyterHub.authenticator_class = "devplatform_hub.authenticators.local.LocalAuthenticator"
    c.JupyterHub.spawner_class = "devplatform_hub.embedded.spawner.EmbeddedSpawner"
    c.LocalAuthenticator.users_file = str(data / "users.yaml")
    c.EmbeddedSpawner.profiles_file = str(data / "profiles.yaml")
    add_settings(c, settings)


def add_settings(c: Any, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Traits by class, over what is configured."""
    for name, traits in settings.items():
        for trait, value in traits.items():
            c[name][trait] = value


def _crypt_key(file: Path) -> bytes:
    """The key that people's tokens are kept with, made when it is first needed."""
    if not file.exists():
        write_atomically(file, secrets.token_hex(32))
    return bytes.fromhex(file.read_text("ascii"))


def _machine_services(machine: Machine, data: Path) -> list[dict[str, Any]]:
    arguments: dict[str, dict[str, Mapping[str, Any]]] = {
        VERSIONS.name: {"LocalVersionStore": {"root": data / "versions"}},
        MLFLOW.name: {"MlflowProxyApp": {"mlflow_python": machine.mlflow_python, "data_folder": data / "mlflow"}},
        CULLER.name: {"CullerApp": {"profiles_file": data / "profiles.yaml"}},
    }
    rotation = {name: os.environ[name] for name in AUDIT_VARIABLES if name in os.environ}
    environment = {
        **rotation,
        AUDIT_FILE_VARIABLE: str(data / "logs" / "audit.jsonl"),
        "DEVPLATFORM_MACHINE": machine.mark,
    }
    return [
        managed(
            service,
            python=machine.python,
            port=machine.service_ports.get(service.name, 0),
            arguments=[
                f"--{name}.{trait}={value}"
                for name in service.classes
                for trait, value in {**arguments[service.name].get(name, {}), **machine.settings.get(name, {})}.items()
            ],
            environment=environment,
        )
        for service in SERVICES
    ]
