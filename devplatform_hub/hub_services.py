"""The hub's services, described once as data, in the two forms that JupyterHub knows.

*Managed*: the hub starts `python -m <module>` itself (one machine, or a hub image without a chart).
*External*: the service runs elsewhere under an identity of its own and the hub only routes to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .core.group_roles import VISIT_VERSIONS


@dataclass(frozen=True, slots=True)
class HubService:
    """One service: `scopes` is all that its own token may do at the hub, `has_pages` whether people visit it.

    `visitor_scopes` are those of a person's that their sign-in in a browser tells the service of, if they have them.
    `classes` are the traitlets classes that its process reads settings for, from its command line.
    """

    name: str
    module: str
    title: str
    has_pages: bool
    classes: tuple[str, ...]
    scopes: tuple[str, ...] = ()
    visitor_scopes: tuple[str, ...] = ()

    @property
    def access_scope(self) -> str:
        """The scope that lets a person or their server use the service."""
        return f"access:services!service={self.name}"


VERSIONS = HubService(
    "versions",
    "devplatform_versions",
    "File versions",
    has_pages=True,
    classes=("VersionsApp", "LocalVersionStore"),
    visitor_scopes=(VISIT_VERSIONS,),
)
MLFLOW = HubService("mlflow", "devplatform_mlflow_proxy", "MLflow", has_pages=True, classes=("MlflowProxyApp",))
CULLER = HubService(
    "culler",
    "devplatform_culler",
    "Culler",
    has_pages=False,
    classes=("CullerApp",),
    scopes=("list:users", "read:servers", "delete:servers"),
)
SERVICES = (VERSIONS, MLFLOW, CULLER)


def managed(
    service: HubService, *, python: str, port: int, arguments: Iterable[str] = (), environment: Mapping[str, str]
) -> dict[str, Any]:
    """The entry of `c.JupyterHub.services` for a service that the hub starts on a loopback port."""
    entry: dict[str, Any] = {
        "name": service.name,
        "command": [python, "-m", service.module, *arguments],
        "environment": dict(environment),
    }
    if service.has_pages:
        entry |= {"url": f"http://127.0.0.1:{port}", **_of_pages(service)}
    return entry


def external(service: HubService, *, url: str, token: str, redirect_uri: str = "") -> dict[str, Any]:
    """The entry for a service that runs elsewhere with this token, which comes from a secret."""
    entry: dict[str, Any] = {"name": service.name, "api_token": token}
    if service.has_pages:
        entry |= {"url": url, **_of_pages(service)}
        if redirect_uri:
            entry["oauth_redirect_uri"] = redirect_uri
    return entry


def _of_pages(service: HubService) -> dict[str, Any]:
    entry: dict[str, Any] = {"oauth_no_confirm": True, "display": True}
    if service.visitor_scopes:
        entry["oauth_client_allowed_scopes"] = list(service.visitor_scopes)
    return entry


def roles(services: Iterable[HubService]) -> list[dict[str, Any]]:
    """`c.JupyterHub.load_roles`: what people may use, and the least that each service needs."""
    chosen = list(services)
    people = {
        "name": "user",
        "description": "What every signed-in person may do: their own servers, and the platform's services",
        "scopes": ["self", *(service.access_scope for service in chosen if service.has_pages)],
    }
    own = [{"name": f"service-{s.name}", "scopes": list(s.scopes), "services": [s.name]} for s in chosen if s.scopes]
    return [people, *own]


def server_scopes(services: Iterable[HubService]) -> list[str]:
    """What the token inside a person's server may do: report activity, open itself, and use the services."""
    return [
        "users:activity!user",
        "access:servers!server",
        *(service.access_scope for service in services if service.has_pages),
    ]
