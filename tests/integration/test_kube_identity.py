"""Who a person's pod is, what they may do with it, and what is left of that: by the real hub, at a real API server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devplatform_hub.core.names import session_names
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import ClusterHub, cluster_hub

pytestmark = pytest.mark.lab("cluster", "proxy")

ALICE, BOB = "alice@example.com", "bob@example.com"
# Names that anybody can search for: their servers' pods have the same 32 bits of a hash.
FIRST, FIRST_SERVER = "christopher.anderson1@example.com", "quarterly-report-7266"
SECOND, SECOND_SERVER = "christopher.anderson2@example.com", "quarterly-report-8160"
PEOPLE = [ALICE, BOB, FIRST, SECOND, "root"]
GROUPS = {"developer-platform-users": PEOPLE, "developer-platform-admins": ["root"]}
KINDS = {
    "serviceaccounts": "/api/v1/namespaces/{}/serviceaccounts",
    "roles": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


@pytest.fixture
def hub(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[ClusterHub]:
    """A hub that looks after rights every second, and for unknown pods after three."""
    traits = {"DevPlatformSpawner": {"poll_interval": 1, "sweep_interval": 1.0, "orphan_grace": 3.0}}
    with cluster_hub(cluster, tmp_path, namespace=namespace, groups=GROUPS, traits=traits) as hub:
        yield hub


def kept(hub: ClusterHub) -> dict[str, list[str]]:
    """Every person's objects by kind."""
    assert hub.cluster is not None
    found = {kind: hub.cluster.items(path.format(hub.namespace)) for kind, path in KINDS.items()}
    return {
        kind: sorted(item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith("person-"))
        for kind, items in found.items()
    }


def may(hub: ClusterHub, who: str, question: str) -> bool:
    """What `kubectl auth can-i --as` answers."""
    assert hub.cluster is not None
    command = ["auth", "can-i", *question.split(), f"--as={who}", "-n", hub.namespace]
    return hub.cluster.kubectl(*command, check=False).strip() == "yes"


def meant(*servers: tuple[str, str]) -> dict[str, list[str]]:
    """What these servers' people are to have."""
    names = [session_names(user, server) for user, server in servers]
    roles = sorted(name.role for name in names)
    return {"serviceaccounts": sorted({name.account for name in names}), "roles": roles, "rolebindings": roles}


def test_a_person_may_look_into_their_own_server_while_it_runs(hub: ClusterHub) -> None:
    """Logs and a shell of the own pod, nothing of another's, no list, no secrets; and nothing when it has ended."""
    hub.start_server(ALICE)
    hub.start_server(BOB)
    mine, other = (hub.pod_of(name)["metadata"]["name"] for name in (ALICE, BOB))
    assert hub.pod_of(ALICE)["spec"]["serviceAccountName"] == session_names(ALICE, "").account
    asked = {
        f"get pods/{mine} --subresource=log": True,
        f"create pods/{mine} --subresource=exec": True,
        f"get pods/{mine}": True,
        f"delete pods/{mine}": False,
        f"get pods/{other} --subresource=log": False,
        f"create pods/{other} --subresource=exec": False,
        "list pods": False,
        "get secrets": False,
        "create pods": False,
        "create rolebindings.rbac.authorization.k8s.io": False,
    }
    said = {question: may(hub, ALICE, question) for question in asked}
    assert said == asked
    assert kept(hub) == meant((ALICE, ""), (BOB, ""))
    hub.stop_server(ALICE)
    assert kept(hub) == meant((BOB, ""))
    assert not may(hub, ALICE, f"get pods/{mine} --subresource=log")


def test_an_account_stays_for_the_servers_that_are_left(hub: ClusterHub) -> None:
    """Of two servers one ends: its role goes, the person's account stays until the other has ended too."""
    for server in ("", "second"):
        assert hub.api("POST", f"/users/{ALICE}/servers/{server}")[0] in (201, 202)
        hub.wait(lambda server=server: hub.server(ALICE, server).get("ready"), 30, f"the server {server!r}")
    assert kept(hub) == meant((ALICE, ""), (ALICE, "second"))
    assert hub.api("DELETE", f"/users/{ALICE}/servers/second")[0] in (202, 204)
    hub.wait(lambda: kept(hub) == meant((ALICE, "")), 10, "the end of the role")
    hub.stop_server(ALICE)
    hub.wait(lambda: kept(hub) == meant(), 10, "the end of the account")


def test_a_server_whose_name_meets_anothers_is_refused(hub: ClusterHub) -> None:
    """The first one's pod, rights and disk stay as they are, when the second starts, fails and is stopped."""
    assert session_names(FIRST, FIRST_SERVER).pod == session_names(SECOND, SECOND_SERVER).pod
    assert hub.api("POST", f"/users/{FIRST}/servers/{FIRST_SERVER}")[0] in (201, 202)
    hub.wait(lambda: hub.server(FIRST, FIRST_SERVER).get("ready"), 30, "the first server")
    before = hub.pod_of(FIRST, FIRST_SERVER)["metadata"]["uid"]
    status, answer = hub.api("POST", f"/users/{SECOND}/servers/{SECOND_SERVER}", user=SECOND)
    said = str(answer) if status != 202 else str(list(hub.progress(SECOND, SECOND_SERVER))[-1])
    assert "[access-name-taken]" in said, (status, said)
    hub.api("DELETE", f"/users/{SECOND}/servers/{SECOND_SERVER}")
    assert hub.pod_of(FIRST, FIRST_SERVER)["metadata"]["uid"] == before
    assert hub.server(FIRST, FIRST_SERVER)["ready"]
    hub.wait(lambda: kept(hub) == meant((FIRST, FIRST_SERVER)), 10, "the second one's account to go")


def test_the_sweep_puts_right_what_a_killed_hub_and_others_left(hub: ClusterHub) -> None:
    """Rights of a server that ended meanwhile go, missing ones come back, strangers' objects stay as they are."""
    cluster = hub.cluster
    assert cluster is not None
    hub.start_server(ALICE)
    hub.start_server(BOB)
    stranger = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "person-of-somebody-else"}}
    stranger["metadata"] |= {"namespace": hub.namespace, "labels": {"app.kubernetes.io/managed-by": "devplatform-hub"}}
    cluster.apply(stranger)
    hub.kill()
    names = session_names(ALICE, "")
    cluster.api("DELETE", f"{KINDS['rolebindings'].format(hub.namespace)}/{names.role}")
    cluster.api("DELETE", f"/api/v1/namespaces/{hub.namespace}/pods/{session_names(BOB, '').pod}")
    hub.start()
    left = meant((ALICE, ""))
    left["serviceaccounts"] = sorted([*left["serviceaccounts"], "person-of-somebody-else"])
    hub.wait(lambda: kept(hub) == left, 20, "the sweep")
    assert may(hub, ALICE, f"get pods/{names.pod} --subresource=log")


def test_a_pod_of_a_server_that_nobody_knows_is_ended(hub: ClusterHub) -> None:
    """Such as one of a hub whose database was set back; another hub's and a person's own pods are let be."""
    cluster = hub.cluster
    assert cluster is not None
    hub.start_server(ALICE)
    known = hub.pod_of(ALICE)

    def copy(name: str, user: str, labels: dict[str, str]) -> None:
        spec = {"containers": [{"name": "notebook", "image": "registry.test/notebook:1"}]}
        metadata = {"name": name, "namespace": hub.namespace, "annotations": {"hub.jupyter.org/username": user}}
        metadata["labels"] = {**known["metadata"]["labels"], **labels}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    copy("jupyter-lost", "lost@example.com", {})
    copy("jupyter-other-hubs", "lost@example.com", {"devplatform.io/hub": "another"})
    hub.wait(lambda: len(hub.pods()) == 2, 20, "the end of the lost pod")
    names = sorted(pod["metadata"]["name"] for pod in hub.pods())
    assert names == sorted([known["metadata"]["name"], "jupyter-other-hubs"])
    assert hub.server(ALICE)["ready"]


def test_with_an_account_of_the_operators_nobody_gets_rights(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Pods run as that account, and nothing is made for people."""
    traits = {"KubeSpawner": {"service_account": "default"}}
    with cluster_hub(cluster, tmp_path, namespace=namespace, groups=GROUPS, traits=traits) as hub:
        hub.start_server(ALICE)
        assert hub.pod_of(ALICE)["spec"]["serviceAccountName"] == "default"
        assert kept(hub) == meant()
