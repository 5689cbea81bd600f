"""A hub that starts while the API server is away: it comes up, says that it waits, and goes on when there is one."""

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product import Visitor
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import AT_ONCE, ClusterHub, cluster_hub
from tests.lab.control_plane import own_environment
from tests.lab.process import Process

pytestmark = [pytest.mark.lab("cluster", "proxy"), pytest.mark.timeout(240)]

TRAITS = {
    "DevPlatformSpawner": {"poll_interval": 1, "watch_patience": 3.0, "k8s_api_request_retry_timeout": 3},
    "JupyterHub": {"init_spawners_timeout": 2},
}
OWN_PROXY = """
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = s["token"]
"""
"""As on a cluster, where the proxy is a pod of its own and keeps the routes of a hub that is away."""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A control plane for one test alone: after an outage its controllers need a while to come back."""
    with Cluster(tmp_path / "cluster") as cluster:
        cluster.nodes(1)
        yield cluster


@pytest.fixture
def hub(own: Cluster, tmp_path: Path) -> Iterator[ClusterHub]:
    """A hub that was not started, behind a proxy that stays."""
    namespace = own.namespace("people")
    options = {"namespace": namespace, "traits": TRAITS, "config": OWN_PROXY + AT_ONCE, "started": False}
    with cluster_hub(own, tmp_path / "hub", **options) as hub:
        proxy = proxy_of(hub)
        proxy.start()
        try:
            yield hub
        finally:
            proxy.stop()


def proxy_of(hub: ClusterHub) -> Process:
    """configurable-http-proxy where the hub looks for it."""
    settings = hub.settings
    public, api, inner = (settings[name].rpartition(":")[2] for name in ("origin", "proxy_api", "hub_url"))
    ports = ["--ip", "127.0.0.1", "--port", public, "--api-ip", "127.0.0.1", "--api-port", api]
    command = [*settings["proxy"], *ports, "--default-target", f"http://127.0.0.1:{inner}"]
    environment = {**own_environment(), "CONFIGPROXY_AUTH_TOKEN": settings["token"]}
    return Process("proxy", command, hub.folder, environment)


def come_back(cluster: Cluster) -> None:
    """The API server, and at once what works by it, each of which would look for it again after half a minute."""
    cluster.start_api_server()
    for name in ("kube-controller-manager", "kube-scheduler", "kwok"):
        cluster.processes[name].kill()
        cluster.processes[name].start()


def answers(hub: ClusterHub, user: str) -> bool:
    """Whether the proxy has the way to this person's server, and that answers."""
    with urllib.request.urlopen(f"{hub.origin}/user/{user}/lab", timeout=10) as answer:
        return b"Simulated server" in answer.read()


def waiting_lines(hub: ClusterHub) -> list[str]:
    """What of the log says that it waits, and for what."""
    return [
        line.partition("Waiting to watch ")[2].partition(" in ")[0]
        for line in hub.log.splitlines()
        if "Waiting to watch" in line
    ]


def test_a_hub_without_an_api_server_is_up_and_says_why_nothing_starts(own: Cluster, hub: ClusterHub) -> None:
    """The home page answers; a start says in seconds that the cluster does not answer; later it works."""
    own.stop_api_server()
    hub.start()
    bob = Visitor.signed_in(hub.origin, "bob")
    assert 'id="start"' in bob.get("/hub/home").text
    begun = time.monotonic()
    status, answer = hub.api("POST", "/users/bob/server")
    events = list(hub.progress("bob")) if status == 202 else []
    assert time.monotonic() - begun < 8
    says = "The cluster does not answer. Servers that run go on. Try again in a few minutes. [cluster-unreachable]"
    assert says in str(events[-1]["message"] if events else answer["message"])
    assert "The cluster does not answer." in bob.get("/hub/spawn-pending/bob").text
    assert waiting_lines(hub) == ["pods"]
    told = hub.metrics()
    assert told['devplatform_server_starts_total{code="cluster-unreachable",outcome="failed"}'] == 1
    assert told['devplatform_kube_watch_stale_seconds{kind="pods"}'] > 3
    assert "Traceback" not in hub.log
    assert hub.process is not None
    assert hub.process.poll() is None
    come_back(own)
    hub.wait(lambda: "The watch of pods" in hub.log, 30, "the watch")
    hub.start_server("bob")
    assert answers(hub, "bob")
    told = hub.metrics()
    assert told['devplatform_server_starts_total{code="",outcome="allowed"}'] == 1
    assert told['devplatform_server_start_seconds_count{profile="standard"}'] == 1
    assert 0 < told['devplatform_server_start_seconds_sum{profile="standard"}'] < 60
    assert told['devplatform_kube_watch_stale_seconds{kind="pods"}'] == 0
    own.stop_api_server()
    status, answer = hub.api("POST", "/users/alice/server")
    events = list(hub.progress("alice")) if status == 202 else []
    assert says in str(events[-1]["message"] if events else answer["message"])
    assert answers(hub, "bob")
    assert "Traceback" not in hub.log


def test_a_server_of_before_runs_on_and_is_known(own: Cluster, hub: ClusterHub) -> None:
    """Its person reaches it all the time, and the hub that comes back without an API server keeps it."""
    hub.start()
    hub.start_server("alice")
    before = hub.pod_of("alice")["metadata"]["uid"]
    hub.kill()
    own.stop_api_server()
    assert answers(hub, "alice")
    hub.start()
    time.sleep(4)  # longer than the hub waits for what its servers say
    assert answers(hub, "alice")
    assert hub.server("alice")["stopped"] is False
    bob = Visitor.signed_in(hub.origin, "alice")
    assert bob.get("/hub/home").status_code == 200
    come_back(own)
    hub.wait(lambda: hub.server("alice").get("ready"), 30, "the server of alice")
    assert answers(hub, "alice")
    assert hub.pod_of("alice")["metadata"]["uid"] == before
    assert "Traceback" not in hub.log
