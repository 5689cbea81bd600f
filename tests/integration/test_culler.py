"""The culler at work in the started product: idle and old servers stop, used ones do not."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product import Product, started_product

PROFILES = """
profiles:
  - {name: standard, default: true, cpu: 1, memory: 2G, idle_timeout: never}
  - {name: brief, cpu: 1, memory: 2G, idle_timeout: never, max_age: 8s}
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A platform whose culler looks every second, with a profile that lives for eight seconds."""
    data = tmp_path_factory.mktemp("culler") / "data"
    with started_product(data, "--set", "CullerApp.interval=1") as product:
        (data / "profiles.yaml").write_text(PROFILES)
        product.add_person("alice")
        product.add_person("bob")
        yield product


@pytest.mark.lab("proxy", "session")
def test_stops_the_old_server_and_leaves_the_other(product: Product, tmp_path: Path) -> None:
    """A server of `brief` is gone after its maximum age, one of `standard` stays; the audit says who and why."""
    alice, bob = product.sign_in("alice"), product.sign_in("bob")
    product.start_server(bob, {"profile": "standard", "editor": "jupyterlab"})
    product.start_server(alice, {"profile": "brief", "editor": "jupyterlab"})
    deadline = time.monotonic() + 60
    while alice.api("GET", "/users/alice").json()["servers"]:
        assert time.monotonic() < deadline, product.log()[-2000:]
        time.sleep(0.5)
    assert list(bob.api("GET", "/users/bob").json()["servers"]) == [""]
    events = [json.loads(line) for line in (product.data / "logs" / "audit.jsonl").read_text().splitlines()]
    culled = [event for event in events if event["action"] == "server.cull"]
    assert [(event["target"], event["outcome"], event["why"]) for event in culled] == [
        ("alice/", "allowed", "it has run for 8 seconds, the most its profile allows")
    ]
    product.stop_server(bob)
