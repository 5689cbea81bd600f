"""Limits on real hubs, pods and processes: starts at once, ends, a hub that is killed, the page, groups that change."""

import html
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.product import Visitor
from tests.integration.real_hub import RealHub, running_hub
from tests.lab import simulated_failures
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import cluster_hub

pytestmark = [pytest.mark.lab("proxy"), pytest.mark.timeout(300)]
on_a_cluster = pytest.mark.lab("cluster", "proxy")

PROFILES = f"""\
profiles:
  - {{name: standard, display_name: Standard, cpu: 100m, memory: 100M, default: true}}
  - {{name: large, display_name: Large, cpu: 200m, memory: 600M}}
  - {{name: slow, display_name: Slow, cpu: 100m, memory: 600M, cluster: {{image: "{simulated_failures.SLOW}"}}}}
  - {{name: crashing, cpu: 100m, memory: 600M, cluster: {{image: "{simulated_failures.CRASHING}"}}}}
"""
ONE = "limits: [{servers: 1}]\n"
ONE_LARGE = "limits: [{memory: 1G}, {allowed_groups: [painters], memory: 2G}]\n"
GROUPS = {"developer-platform-users": ["alice", "bob"], "painters": ["bob"]}
AT_ONCE = 5


def start(hub: RealHub, user: str, name: str, profile: str = "standard") -> tuple[int, str]:
    """Ask for a server ("" is the default one) with the person's own token: the status, and what was said."""
    path = f"/hub/api/users/{user}/servers/{name}" if name else f"/hub/api/users/{user}/server"
    status, answer = hub.call("POST", path, {"profile": profile}, hub.token_of(user))
    return status, str((answer or {}).get("message", ""))


def start_at_once(hub: RealHub, user: str, profile: str) -> list[tuple[int, str]]:
    """Ask for several servers of one person in the same moment; what was answered, the least status first."""
    names = ["", *(f"s{number}" for number in range(1, AT_ONCE))]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sorted(pool.map(lambda name: start(hub, user, name, profile), names))


def running(hub: RealHub, user: str) -> dict[str, Any]:
    """The hub's models of the servers of this person that run or start, by name."""
    return dict(hub.call("GET", f"/hub/api/users/{user}")[1]["servers"])


def stop_all(hub: RealHub, user: str) -> None:
    for name in running(hub, user):
        path = f"/hub/api/users/{user}/servers/{name}" if name else f"/hub/api/users/{user}/server"
        assert hub.call("DELETE", path)[0] in (202, 204)
    hub.wait(lambda: not running(hub, user), 60, "the end of all servers")


def refusals(hub: RealHub) -> list[str]:
    """Whose start was refused for a limit, in the audit."""
    return [one["actor"] for one in hub.audit() if (one["outcome"], one.get("why")) == ("refused", "limit-reached")]


@on_a_cluster
def test_of_starts_at_once_only_what_fits_goes_ahead(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """The others get a 409, hold nothing, and leave no pod; a failed start and a stopped server make room."""
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=PROFILES + ONE_LARGE, groups=GROUPS) as hub:
        answers = start_at_once(hub, "alice", "slow")
        assert [status for status, _ in answers] == [201, 409, 409, 409, 409], answers
        for _, said in answers[1:]:
            assert re.fullmatch(
                r"Slow cannot be started now\. The limit for everybody is 1 GB of memory in all servers together;"
                r" this server needs 600 MB and 424 MB are left\."
                r" You have (the default server|'s\d') \(Slow: 0\.1 CPU, 600 MB of memory\)\."
                r" Stop (the default server|'s\d') on the page Home, then try again\. \[limit-reached\]",
                said,
            ), said
        assert len(hub.pods()) == 1
        assert refusals(hub) == ["alice"] * 4
        # A smaller one fits beside it; one that the group of somebody else allows fits for them.
        assert start(hub, "alice", "small")[0] == 201
        assert [start(hub, "bob", name, "large")[0] for name in ("", "a", "b", "c")] == [201, 201, 201, 409]
        stop_all(hub, "alice")
        status, said = start(hub, "alice", "", "crashing")
        assert (status, said.endswith("[server-crashes]")) == (503, True), (status, said)
        hub.wait(lambda: not running(hub, "alice"), 30, "the end of what crashed")
        assert start(hub, "alice", "", "large")[0] == 201
        assert "Traceback" not in hub.log


@on_a_cluster
def test_a_hub_that_comes_back_counts_what_it_finds(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Also a start that was under way, by what it was planned with: the profile says something else by then."""
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=PROFILES + ONE_LARGE, groups=GROUPS) as hub:
        hub.add_user("alice")
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(start, hub, "alice", "train", "slow")
            hub.wait(hub.pods, 10, "the pod")
            hub.kill()
            assert asked.exception() is not None
        (tmp_path / "profiles.yaml").write_text(PROFILES.replace("memory: 600M", "memory: 500M") + ONE_LARGE)
        hub.start()
        status, said = start(hub, "alice", "", "large")
        assert (status, "this server needs 500 MB and 424 MB are left" in said) == (409, True), said
        assert "You have 'train' (Slow: 0.1 CPU, 600 MB of memory)." in said
        hub.wait(lambda: hub.server("alice", "train").get("ready"), 30, "the server")
        hub.restart()
        assert start(hub, "alice", "", "large")[0] == 409
        stop_all(hub, "alice")
        assert start(hub, "alice", "", "large")[0] == 201


@on_a_cluster
def test_the_page_says_what_is_left_and_the_form_refuses(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """A form that was changed by hand, and a link, come back with the reason; an edit of the limits counts at once."""
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=PROFILES + ONE_LARGE, groups=GROUPS) as hub:
        hub.add_user("alice")
        assert start(hub, "alice", "", "large")[0] == 201
        alice = Visitor.signed_in(hub.origin, "alice")
        page = alice.get("/hub/spawn/alice/second").text
        assert (
            '<dt>Memory:</dt> <dd>424 MB of 1 GB left <span class="dp-quiet">(limit for everybody)</span></dd>' in page
        )
        assert "<li>the default server (Large: 0.2 CPU, 600 MB of memory)</li>" in page
        assert re.search(r'id="dp\.large" value="large"\s+disabled', page)
        assert "Needs 600 MB of memory; 424 MB of your 1 GB are left." in page
        address = f"{hub.origin}/hub/spawn/alice/second?_xsrf={alice.xsrf()}"
        answer = alice.http.post(address, data={"profile": "large"}, timeout=30)
        said = html.unescape(answer.text)
        assert (answer.status_code, answer.headers.get("X-DevPlatform-Error")) == (409, "limit-reached")
        assert "Stop the default server on the page Home, then try again. [limit-reached]" in said
        assert "424 MB of 1 GB left" in said, "the form that comes back counts the default server too"
        assert alice.get("/hub/spawn/alice/second?profile=large").status_code == 409
        assert list(running(hub, "alice")) == [""]
        (tmp_path / "profiles.yaml").write_text(PROFILES + ONE)
        page = alice.get("/hub/spawn/alice/second").text
        assert "Your servers leave no room for another one." in page
        assert start(hub, "alice", "second")[0] == 409
        (tmp_path / "profiles.yaml").write_text(PROFILES)
        assert "Your limits" not in alice.get("/hub/spawn/alice/second").text
        assert start(hub, "alice", "second")[0] == 201


@on_a_cluster
def test_a_hub_with_a_limit_that_is_none_does_not_start(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """As with every other mistake in the file."""
    profiles = PROFILES + "limits:\n  - {allowed_groups: [painters]}\n"
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=profiles, started=False) as hub:
        hub.start_process()
        assert hub.process is not None
        assert hub.process.wait(30) == 1
        wrong = f"{tmp_path}/profiles.yaml:7: a limit limits nothing; add one of: servers, cpu, memory, gpu."
        assert hub.log == f"The hub does not start, as its profiles cannot be used:\n{wrong}\n"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    """A hub whose servers are processes."""
    with running_hub(tmp_path_factory.mktemp("machine"), {"JupyterHub": {"allow_named_servers": True}}) as hub:
        yield hub


def test_servers_on_one_machine_are_counted_the_same(machine: RealHub) -> None:
    """Of starts at once one goes ahead; a hub that was killed knows it again; a stop makes room."""
    file = machine.data / "profiles.yaml"
    file.write_text(file.read_text("utf-8") + ONE, "utf-8")
    answers = start_at_once(machine, "alice", "small")
    assert [status for status, _ in answers] == [201, 409, 409, 409, 409], answers
    assert all(said.endswith("[limit-reached]") for _, said in answers[1:]), answers
    assert len(running(machine, "alice")) == 1
    machine.kill()
    machine.start()
    assert start(machine, "alice", "later")[0] == 409
    assert start(machine, "bob", "")[0] == 201, "everybody has a limit of their own"
    stop_all(machine, "alice")
    assert start(machine, "alice", "later", "small")[0] == 201
    stop_all(machine, "alice")
    stop_all(machine, "bob")
