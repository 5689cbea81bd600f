"""The clients of the API server look up the environment's proxy once, and never for a request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api

from devplatform_hub.kube.clients import go_direct


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A client of an API server that nobody asks."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    configuration = Configuration()
    configuration.host = "https://10.96.0.1:443"
    async with ApiClient(configuration) as api:
        yield CoreV1Api(api)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"HTTPS_PROXY": "http://proxy:3128"}, "http://proxy:3128", id="for https"),
        pytest.param({"HTTP_PROXY": "http://proxy:3128"}, None, id="for http alone"),
        pytest.param({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "10.96.0.1"}, None, id="not for this server"),
        pytest.param({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None, id="for nothing"),
    ],
)
async def test_the_proxy_of_the_environment_is_used(
    client: Any, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str | None
) -> None:
    """As the client itself would for each request."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    go_direct(client)
    rest = client.api_client.rest_client
    assert (rest.proxy, rest.pool_manager.trust_env) == (expected, False)


async def test_the_connections_stay_and_nothing_is_left_open(client: Any) -> None:
    """The new session has the connections of the old one, which must not close them; twice is as once."""
    rest = client.api_client.rest_client
    old, connector = rest.pool_manager, rest.pool_manager.connector
    go_direct(client)
    new = rest.pool_manager
    go_direct(client)
    assert (rest.pool_manager, new.connector, old.closed, connector.closed) == (new, connector, True, False)


async def test_a_configured_proxy_stays(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody said of this client goes before what the environment says of all."""
    monkeypatch.setenv("HTTPS_PROXY", "http://other:3128")
    client.api_client.rest_client.proxy = "http://configured:3128"
    go_direct(client)
    assert client.api_client.rest_client.proxy == "http://configured:3128"
