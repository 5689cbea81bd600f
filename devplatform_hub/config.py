"""The one call that a jupyterhub_config.py makes: `setup(c)` composes the platform out of its parts.

`setup` is for a hub that somebody else runs, such as Zero-to-JupyterHub's; `setup_machine` adds what
one machine needs: addresses on loopback, a database file, local sign-in, and servers as processes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .hub_services import CULLER, MLFLOW, SERVICES, VERSIONS, HubService, managed, roles, server_scopes

_TEN_YEARS = 315_360_000


def setup(c: Any, *, services: Iterable[HubService] = SERVICES) -> None:
    """What every deployment has: roles of people, servers and services, and how activity is counted."""
    chosen = list(services)
    c.JupyterHub.load_roles = roles(chosen)
    c.Spawner.server_token_scopes = server_scopes(chosen)
    # A server reports itself when kernels, terminals and editors were last used. The proxy sees bytes only: the
    # heartbeat of a tab that nobody looks at would keep an unused server alive for ever.
    c.JupyterHub.last_activity_interval = _TEN_YEARS
    c.JupyterHub.template_paths = [str(Path(__file__).parent / "hub_templates")]
    # The hub's own Content-Security-Policy (frame-ancestors 'none') stays: naming one here would replace it.
    c.JupyterHub.tornado_settings = {
        "headers": {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "strict-origin-when-cross-origin"}
    }


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
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def setup_machine(c: Any, machine: Machine) -> None:
    """The whole platform on one machine, on loopback only."""
    setup(c)
    data = Path(machine.data)
    c.JupyterHub.bind_url = machine.origin
    c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{machine.hub_port}"
    c.JupyterHub.db_url = f"sqlite:///{data / 'hub' / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(data / "hub" / "cookie_secret")
    c.JupyterHub.authenticator_class = "devplatform_hub.authenticators.local.LocalAuthenticator"
    c.JupyterHub.spawner_class = "devplatform_hub.embedded.spawner.EmbeddedSpawner"
    c.JupyterHub.services = _machine_services(machine, data)
    c.JupyterHub.log_level = "DEBUG" if machine.debug else "INFO"
    c.JupyterHub.upgrade_db = True
    c.ConfigurableHTTPProxy.command = list(machine.proxy_command)
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{machine.proxy_api_port}"
    c.ConfigurableHTTPProxy.pid_file = str(data / "run" / "proxy.pid")
    c.LocalAuthenticator.users_file = str(data / "users.yaml")
    c.EmbeddedSpawner.data_folder = machine.data
    c.EmbeddedSpawner.profiles_file = str(data / "profiles.yaml")
    c.EmbeddedSpawner.hub_origin = machine.origin
    c.EmbeddedSpawner.session_python = machine.session_python
    c.EmbeddedSpawner.node = machine.node
    c.EmbeddedSpawner.code_server = machine.code_server
    for name, traits in machine.settings.items():
        for trait, value in traits.items():
            c[name][trait] = value


def _machine_services(machine: Machine, data: Path) -> list[dict[str, Any]]:
    arguments: dict[str, dict[str, Mapping[str, Any]]] = {
        VERSIONS.name: {"LocalVersionStore": {"root": data / "versions"}},
        MLFLOW.name: {"MlflowProxyApp": {"mlflow_python": machine.mlflow_python, "data_folder": data / "mlflow"}},
        CULLER.name: {"CullerApp": {"profiles_file": data / "profiles.yaml"}},
    }
    environment = {"DEVPLATFORM_AUDIT_FILE": str(data / "logs" / "audit.jsonl"), "DEVPLATFORM_MACHINE": machine.mark}
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
