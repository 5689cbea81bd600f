"""Many starts at once while the hub is killed, and while the API server is restarted, busy or slow."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import AT_ONCE, ClusterHub, cluster_hub
from tests.lab.faults import Faults

pytestmark = [pytest.mark.lab("cluster", "proxy"), pytest.mark.timeout(400)]

MANY = 200
PROFILES = "profiles:\n  - {name: standard, cpu: 10m, memory: 10M, default: true}\n"
TRAITS: dict[str, dict[str, Any]] = {
    "JupyterHub": {"concurrent_spawn_limit": 0},
    "DevPlatformSpawner": {"poll_interval": 5, "sweep_interval": 2.0, "orphan_grace": 5.0},
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane for these tests alone, since they stop it and slow its etcd."""
    with Cluster(tmp_path_factory.mktemp("own"), slow_etcd=True) as cluster:
        cluster.nodes(4)
        yield cluster


def people(count: int) -> list[str]:
    return [f"person-{number}" for number in range(count)]


def hub_for(cluster: Cluster, folder: Path, namespace: str, count: int, **options: Any) -> Any:
    """A hub for so many people, each of whom may start servers."""
    groups = {"developer-platform-users": people(count), "developer-platform-admins": ["root"]}
    options = {"namespace": namespace, "groups": groups, "profiles": PROFILES, "traits": TRAITS, **options}
    return cluster_hub(cluster, folder, config=AT_ONCE, **options)


def ask_for(hub: ClusterHub, names: list[str]) -> None:
    """Ask for everybody's server, from twenty sides at once. A hub that is killed answers nobody."""

    def ask(name: str) -> None:
        with suppress(OSError):
            hub.api("POST", f"/users/{name}/server")

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ask, names))


def servers(hub: ClusterHub) -> dict[str, bool]:
    """Every server that the hub knows, and whether it is ready."""
    status, users = hub.api("GET", "/users?state=active&limit=200")
    assert status == 200, users
    return {user["name"]: bool(server["ready"]) for user in users for server in user["servers"].values()}


def pods(hub: ClusterHub) -> dict[str, str]:
    """The uid of each person's pod; a second pod of one person fails."""
    found: dict[str, str] = {}
    for pod in hub.pods():
        person = pod["metadata"]["annotations"]["hub.jupyter.org/username"]
        assert person not in found, f"{person} has two pods"
        found[person] = pod["metadata"]["uid"]
    return found


def all_ready(hub: ClusterHub, names: list[str], within: float) -> None:
    hub.wait(lambda: servers(hub) == dict.fromkeys(names, True), within, "everybody's server")
    assert sorted(pods(hub)) == sorted(names)


def test_a_hub_killed_during_200_starts_loses_and_doubles_nothing(own: Cluster, tmp_path: Path) -> None:
    """Every pod belongs to a server that the hub knows and finishes; who was not begun can start anew."""
    namespace, names = own.namespace("killed"), people(MANY)
    with hub_for(own, tmp_path, namespace, MANY) as hub, ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_for, hub, names)
        hub.wait(lambda: len(hub.pods()) >= MANY // 4, 60, "a quarter of the pods")
        hub.kill()
        asking.result()
        before = pods(hub)
        assert len(before) >= MANY // 4
        hub.start()
        hub.wait(lambda: all(servers(hub).values()) and servers(hub).keys() == pods(hub).keys(), 90, "what was begun")
        after = pods(hub)
        # A pod that the killed hub was about to make is made by nobody; one that was there is the same now.
        assert {name: after.get(name) for name in before} == before
        ask_for(hub, [name for name in names if name not in after])
        all_ready(hub, names, 120)
        assert {name: uid for name, uid in pods(hub).items() if name in before} == before
        assert "Traceback" not in hub.log


def test_an_api_server_that_is_restarted_during_starts_costs_time_alone(own: Cluster, tmp_path: Path) -> None:
    """No start fails, nobody has two pods, and servers that ran before are running after."""
    namespace, names = own.namespace("restarted"), people(60)
    with hub_for(own, tmp_path, namespace, 60) as hub, ThreadPoolExecutor(1) as pool:
        ask_for(hub, names[:10])
        all_ready(hub, names[:10], 60)
        asking = pool.submit(ask_for, hub, names[10:])
        hub.wait(lambda: len(hub.pods()) >= 20, 60, "the first pods")
        own.restart_api_server(kill=True)
        asking.result()
        all_ready(hub, names, 120)
        assert "Unhandled error" not in hub.log


def test_refusals_of_a_busy_api_server_are_waited_out(own: Cluster, tmp_path: Path) -> None:
    """429 with its Retry-After, 500, 503, and a watch that is told 410, in the middle of starts."""
    namespace, names = own.namespace("busy"), people(20)
    with Faults(own.api_url, own.ca) as faults:
        config = faults.kubeconfig(own.kubeconfig_for("hub", namespace), tmp_path)
        with hub_for(own, tmp_path / "hub", namespace, 20, kubeconfig=config) as hub:
            ask_for(hub, names[:2])
            all_ready(hub, names[:2], 60)
            faults.answer(429, times=5, path="/pods", method="POST", headers={"Retry-After": "1"})
            faults.answer(503, times=5, path="/serviceaccounts", method="POST")
            faults.answer(500, times=5, path="/persistentvolumeclaims", method="POST")
            faults.answer(410, path="/pods", watch=True)
            faults.answer(410, path="/events", watch=True)
            ask_for(hub, names[2:])
            all_ready(hub, names, 90)
            assert "Unhandled error" not in hub.log


def test_a_slow_etcd_makes_starts_slow_and_no_more(own: Cluster, tmp_path: Path) -> None:
    """With 0.3 s for every answer of etcd: all servers come, and one stop and start in the middle works too."""
    namespace, names = own.namespace("slow"), people(10)
    with hub_for(own, tmp_path, namespace, 10) as hub:
        assert own.etcd_link is not None
        own.etcd_link.delay = 0.3
        try:
            begun = time.monotonic()
            ask_for(hub, names)
            all_ready(hub, names, 150)
            assert time.monotonic() - begun > 0.3
            hub.stop_server(names[0], 60)
            hub.start_server(names[0], within=90)
        finally:
            own.etcd_link.delay = 0.0
