"""What integration tests share: `product`, a started platform, and `cluster`, a Kubernetes control plane."""

import re
import secrets
from collections.abc import Iterator

import pytest

from tests.integration.product import ADMINS_GROUP, USERS_GROUP, Product, started_product
from tests.lab.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane with four simulated nodes; a test makes its own namespace, and takes its own nodes away.

    A test that stops the API server or slows etcd starts a `Cluster` of its own.
    """
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.nodes(4, prefix="standard")
        yield cluster


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for this test alone, in `cluster`."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")
    name = f"{words}-{secrets.token_hex(4)}"
    yield cluster.namespace(name)
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with alice and bob, who may use it, admin, who runs it, and eve, who is in no group."""
    with started_product(tmp_path_factory.mktemp("product") / "data folder") as product:
        product.add_person("alice")
        product.add_person("bob")
        product.add_person("boss", USERS_GROUP, ADMINS_GROUP)
        product.add_person("eve", "somebody-else")
        yield product
