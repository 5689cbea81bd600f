"""KubeSpawner's shared clients of the API server, asked without a detour through threads.

The client's session looks into ~/.netrc and the environment's proxies again for every request, each in a thread of
its own: a quarter of what a request costs the hub. Where the API server is does not change while the hub runs.
"""

from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubespawner.clients import shared_client

_READ_BUFFER = 2**21  # as the client's own: one line of a watch is a whole object


def api_client(kind: str) -> Any:
    """The client of this kind, such as `RbacAuthorizationV1Api`, that everything in this event loop shares."""
    client = shared_client(kind)
    go_direct(client)
    return client


def go_direct(client: Any) -> None:
    """Let this client look up the environment's proxy once, now. Nothing is done the second time."""
    rest = client.api_client.rest_client
    session = rest.pool_manager
    if session.trust_env:
        rest.pool_manager = aiohttp.ClientSession(connector=session.connector, read_bufsize=_READ_BUFFER)
        session.detach()
        rest.proxy = rest.proxy or _proxy_of(client.api_client.configuration.host)


def _proxy_of(url: str) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say about the API server."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)
