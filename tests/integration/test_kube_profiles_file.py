"""A profiles.yaml that cannot be used: at the hub's start, and after an edit while people work."""

import html
import re
import time
from pathlib import Path

import pytest

from tests.integration.product import Visitor
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import PROFILES, cluster_hub

pytestmark = pytest.mark.lab("cluster", "proxy")

BROKEN = PROFILES.replace("cpu: 2, memory: 8G", "cpu: 2, memory: 8 apples")
WRONG = "profiles.yaml:3: memory: '8 apples' is not a size; write it such as 8G, 512M or a number of bytes."


def test_a_hub_with_broken_profiles_ends_and_says_where(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """File, line, what is wrong and what would be right; no stack trace, and nothing is left running."""
    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=BROKEN, started=False) as hub:
        hub.start_process()
        assert hub.process is not None
        assert hub.process.wait(30) == 1
        assert hub.log == f"The hub does not start, as its profiles cannot be used:\n{tmp_path}/{WRONG}\n"
        (tmp_path / "profiles.yaml").write_text(PROFILES)
        hub.start()


def test_an_edit_that_breaks_them_takes_nobodys_server(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """The page and the API say it in one sentence, servers run on and can be stopped, and mending it is enough."""
    traits = {"DevPlatformSpawner": {"poll_interval": 1}}
    groups = {"developer-platform-users": ["alice", "bob", "carol"]}
    with cluster_hub(cluster, tmp_path, namespace=namespace, traits=traits, groups=groups) as hub:
        hub.add_user("carol")
        hub.start_server("alice")
        hub.start_server("bob", {"profile": "highmem"})
        before = {pod["metadata"]["uid"] for pod in hub.pods()}
        (tmp_path / "profiles.yaml").write_text(BROKEN)
        answer = hub.api("POST", "/users/carol/server", {}, user="carol")
        says = "The list of profiles is broken. An administrator finds the reason in the hub's log. [profiles-broken]"
        assert answer == (503, {"status": 503, "message": says})
        page = Visitor.signed_in(hub.origin, "carol").get("/hub/spawn")
        assert (page.status_code, says in html.unescape(page.text), "apples" in page.text) == (503, True, False)
        time.sleep(3)  # several looks at every server
        assert {pod["metadata"]["uid"] for pod in hub.pods()} == before
        assert all(hub.server(name)["ready"] for name in ("alice", "bob"))
        hub.stop_server("bob")
        assert re.search(f"The profiles cannot be used:\n.*/{re.escape(WRONG)}", hub.log)
        assert "Traceback" not in hub.log
        (tmp_path / "profiles.yaml").write_text(PROFILES)
        hub.start_server("bob", {"profile": "highmem"})
        assert hub.server("alice")["ready"]
