"""Names that people really have, and those that nobody should: each a server of its own on a real API server."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from devplatform_hub.core.names import session_names
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import ClusterHub, cluster_hub

pytestmark = pytest.mark.lab("cluster", "proxy")

PEOPLE = {
    "an address": "zoe.müller+lab@example.com",
    "Chinese": "王小明@example.com",
    "200 characters": "a" * 188 + "@example.com",
    "a word of the platform": "kube-system",
    "digits": "0123456789",
    "an apostrophe": "o'brien@example.com",
    "markup": "<b>x@example.com",
    "a template": "{username}@example.com",
    "another's server": "alice--second",
}
SERVERS = {
    "capitals and signs": "Quarterly.Report_2-b",
    "double hyphens": "a--b",
    "long": "x" * 60,
    "a space": "my server",
    "markup": "<img src=x>",
    "a template": "{servername}",
    "Greek": "Ωμέγα",
}
ALICE = "alice"


@pytest.fixture(scope="module")
def hub(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHub]:
    """A hub for all of them."""
    groups = {"developer-platform-users": [*PEOPLE.values(), ALICE]}
    namespace = cluster.namespace("names")
    with cluster_hub(cluster, tmp_path_factory.mktemp("names"), namespace=namespace, groups=groups) as hub:
        yield hub
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def run_once(hub: ClusterHub, user: str, server: str) -> None:
    """Start and stop one server, and look at its names in between."""
    path = f"/users/{quote(user, safe='')}/servers/{quote(server, safe='')}"
    status, answer = hub.api("POST", path)
    if status == 400 and "Invalid server_name" in answer["message"]:  # JupyterHub 6 takes only some
        assert hub.pod_of(user, server) == {}
        return
    assert status in (201, 202), answer
    names = session_names(user, server)

    def model() -> dict[str, object]:
        found = hub.api("GET", f"/users/{quote(user, safe='')}")[1]
        return dict(found["servers"].get(server, {}))

    hub.wait(lambda: model().get("ready"), 40, f"the server of {user!r}")
    pod = hub.pod_of(user, server)
    claim = next(v["persistentVolumeClaim"] for v in pod["spec"]["volumes"] if "persistentVolumeClaim" in v)
    assert (pod["metadata"]["name"], claim["claimName"], pod["spec"]["serviceAccountName"]) == (
        names.pod,
        names.claim,
        names.account,
    )
    assert hub.api("DELETE", path)[0] in (202, 204)
    hub.wait(lambda: not model(), 40, "its end")
    assert hub.pod_of(user, server) == {}


@pytest.mark.parametrize("user", [pytest.param(name, id=about) for about, name in PEOPLE.items()])
def test_whatever_a_person_is_called_their_server_starts_and_stops(hub: ClusterHub, user: str) -> None:
    """With the names that `core.names` gives, which the API server takes."""
    run_once(hub, user, "")


@pytest.mark.parametrize("server", [pytest.param(name, id=about) for about, name in SERVERS.items()])
def test_whatever_a_server_is_called_it_starts_and_stops(hub: ClusterHub, server: str) -> None:
    """Named servers of one person share their home, and nothing else."""
    run_once(hub, ALICE, server)
