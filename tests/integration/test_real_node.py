"""Servers that really run, in containers of a real kubelet: from the start to every way in which one ends.

One node and one hub for all of them; every test leaves its people without a server.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from devplatform_hub.core.names import session_names
from tests.integration import kernels
from tests.integration.test_kube_sessions import home_page
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import AT_ONCE, ClusterHub
from tests.lab.node import RealNode
from tests.lab.node_hub import DOMAIN, home_of, node_hub

pytestmark = pytest.mark.lab("cluster", "proxy", "node")

MEGABYTE = 2**20
NAMESPACE = "real-node"
STANDARD, SMALL = {"profile": "standard"}, {"profile": "small"}  # without one it would be that of the last start


@pytest.fixture(scope="module")
def node(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with RealNode(cluster, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def running(cluster: Cluster, node: RealNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHub]:
    folder = tmp_path_factory.mktemp("hub")
    with node_hub(node, folder, namespace=cluster.namespace(NAMESPACE), config=AT_ONCE) as hub:
        yield hub
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def hub(running: ClusterHub) -> Iterator[ClusterHub]:
    """The hub of the module; nobody has a server afterwards."""
    yield running
    for user in ("alice", "bob"):
        if running.api("GET", f"/users/{user}")[0] == 200 and running.server(user):
            running.stop_server(user)


def notebook(pod: dict[str, Any]) -> dict[str, Any]:
    (status,) = pod["status"]["containerStatuses"]
    return dict(status)


def run(hub: ClusterHub, user: str, token: str, code: str) -> str:
    """What this code writes in a new kernel of the person's server."""
    return kernels.run(hub, user, token, kernels.start_kernel(hub, user, token), code)


def kubectl(hub: ClusterHub, who: str, *args: str) -> str:
    """What kubectl says to somebody who signs in to the API server as this person."""
    assert hub.cluster is not None
    config = hub.cluster.client_config(f"{who}@{DOMAIN}")
    return hub.cluster.kubectl(f"--namespace={hub.namespace}", *args, kubeconfig=config, check=False)


def ended(hub: ClusterHub, user: str) -> dict[str, Any]:
    """Why the hub says that the person's last server ended."""
    hub.wait(lambda: not hub.server(user), 30, f"the end of the server of {user}")
    status, model = hub.api("GET", f"/users/{user}?include_stopped_servers=1")
    assert status == 200, model
    return dict(model["servers"][""]["state"].get("devplatform_ended", {}))


def test_starts_works_and_stops(hub: ClusterHub) -> None:
    """A start with its story, a cell that computes, a stop after which no pod is left, and the file is there."""
    status, answer = hub.api("POST", "/users/alice/server", STANDARD, user="alice")
    assert status == 202, answer
    events = list(hub.progress("alice"))
    assert events[-1]["ready"], events
    assert len(events) > 2
    token = hub.token_of("alice")
    assert run(hub, "alice", token, "print(6 * 7); open('kept.txt', 'w').write('by alice')") == "42"
    pod = hub.pod_of("alice")
    assert (pod["spec"]["nodeName"], notebook(pod)["restartCount"]) == ("localhost", 0)
    assert (
        run(hub, "alice", token, "import os; print(os.getuid(), os.getgid(), os.getcwd())") == "1000 100 /home/jovyan"
    )
    begun = time.monotonic()
    hub.stop_server("alice")
    assert hub.pods() == []
    assert time.monotonic() - begun < 10
    assert (home_of(hub, "alice") / "kept.txt").read_text() == "by alice"
    token = hub.start_server("alice", STANDARD)
    assert run(hub, "alice", token, "print(open('kept.txt').read())") == "by alice"
    assert hub.pod_of("alice")["metadata"]["uid"] != pod["metadata"]["uid"]


def test_two_people_are_apart(hub: ClusterHub) -> None:
    """Each has a home of their own, a shell in their own pod and its log, and nothing of the other's."""
    tokens = {user: hub.start_server(user, STANDARD) for user in ("alice", "bob")}
    for user, token in tokens.items():
        run(hub, user, token, f"open('whose.txt', 'w').write('{user}')")
    pods = {user: session_names(user, "").pod for user in tokens}
    for user, other in (("alice", "bob"), ("bob", "alice")):
        assert kubectl(hub, user, "exec", pods[user], "--", "cat", "whose.txt") == user
        assert f"/user/{user}/api/kernels" in kubectl(hub, user, "logs", pods[user])
        for args in (["exec", pods[other], "--", "id"], ["logs", pods[other]]):
            assert "Error from server (Forbidden)" in kubectl(hub, user, *args)
        assert hub.call("GET", f"/user/{other}/api/contents", token=tokens[user])[0] == 403
    assert home_of(hub, "alice") != home_of(hub, "bob")


def test_the_kernel_holds_a_server_to_its_profile(hub: ClusterHub, node: RealNode) -> None:
    """What the page offers as CPU and memory is what the container's control group says."""
    token = hub.start_server("alice", SMALL)
    assert node.limits(hub.pod_of("alice")["metadata"]["uid"]) == (0.25, 300 * MEGABYTE)
    assert run(hub, "alice", token, "import os; print(os.environ['MEM_LIMIT'])") == str(300 * MEGABYTE)


def test_what_is_not_there_ends_the_start_at_once(hub: ClusterHub) -> None:
    """The kubelet may not fetch the image: within ten seconds the person knows."""
    begun = time.monotonic()
    status, answer = hub.api("POST", "/users/alice/server", {"profile": "missing"})
    said = str(list(hub.progress("alice"))[-1]["message"] if status == 202 else answer)
    assert time.monotonic() - begun < 10
    assert "[image-not-present]" in said
    assert "is not on the machine, and must not be fetched (localhost/is-not-there:1)." in said
    hub.wait(lambda: not hub.pods(), 10, "the end of the pod")


def test_a_killed_hub_finds_the_server_again(hub: ClusterHub) -> None:
    """The kernel keeps what it has computed; the hub goes on with the same pod."""
    token = hub.start_server("alice", STANDARD)
    kernel = kernels.start_kernel(hub, "alice", token)
    kernels.run(hub, "alice", token, kernel, "answer = 42")
    before = hub.pod_of("alice")["metadata"]["uid"]
    hub.kill()
    hub.start()
    hub.wait(lambda: hub.server("alice").get("ready"), 30, "the server")
    assert kernels.run(hub, "alice", token, kernel, "print(answer)") == "42"
    assert hub.pod_of("alice")["metadata"]["uid"] == before


# The kernel takes the largest process of a container. Anybody may offer another of their own instead.
OFFER_THE_SERVER = "open('/proc/1/oom_score_adj', 'w').write('1000'); "
EAT = "block = bytearray(600 * 2**20)"


def send(hub: ClusterHub, token: str, code: str) -> str:
    """Run it in a new kernel of alice, and wait for nothing; gives the kernel."""
    kernel = kernels.start_kernel(hub, "alice", token)
    kernels.run(hub, "alice", token, kernel, "")  # it runs
    channel = kernels.connect(hub, "alice", token, kernel)
    kernels.execute(channel, code)
    channel.close()
    return kernel


def audited(hub: ClusterHub) -> str:
    """Why the last server ended, by the audit."""
    return str([line["why"] for line in hub.audit() if line["action"] == "server.end"][-1])


def test_a_server_that_runs_out_of_memory_says_so(hub: ClusterHub) -> None:
    """The kernel ends the server's own program: the person reads why, and the audit has it."""
    token = hub.start_server("alice", SMALL)
    send(hub, token, OFFER_THE_SERVER + EAT)
    assert ended(hub, "alice")["code"] == "out-of-memory"
    assert "It used more memory than its 300 MB, so it was ended." in home_page(hub, "alice")
    assert audited(hub) == "out-of-memory"
    hub.wait(lambda: not hub.pods(), 10, "the end of the pod")


def test_a_kernel_that_runs_out_of_memory_does_not_name_the_end(hub: ClusterHub) -> None:
    """Where only the largest process is ended the server goes on, with a new kernel; that it ended was its person.

    The container runtime says `OOMKilled` of a server that shut itself down minutes later.
    """
    token = hub.start_server("alice", SMALL)
    kernel = send(hub, token, EAT)
    pod = session_names("alice", "").pod
    hub.wait(lambda: "restarting kernel" in kubectl(hub, "alice", "logs", pod), 30, "the end of the kernel")
    assert kernels.run(hub, "alice", token, kernel, "print('a new one')") == "a new one"
    assert hub.call("POST", "/user/alice/api/shutdown", {}, token)[0] == 200
    assert ended(hub, "alice") == {"code": "shut-down", "message": "It was shut down from inside.", "hint": ""}
    assert "It was shut down from inside." in home_page(hub, "alice")
    assert audited(hub) == "shut-down"
    hub.wait(lambda: not hub.pods(), 10, "the end of the pod")
