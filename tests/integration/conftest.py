"""`product`: one started platform for all integration tests, with alice and bob in it, and an administrator."""

from collections.abc import Iterator

import pytest

from tests.integration.product import ADMINS_GROUP, USERS_GROUP, Product, started_product


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with alice and bob, who may use it, admin, who runs it, and eve, who is in no group."""
    with started_product(tmp_path_factory.mktemp("product") / "data folder") as product:
        product.add_person("alice")
        product.add_person("bob")
        product.add_person("boss", USERS_GROUP, ADMINS_GROUP)
        product.add_person("eve", "somebody-else")
        yield product
