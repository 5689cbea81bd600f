"""The version store that a contract test is about: every test runs over every kind. And the double of Cloud Storage."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from .gcs_kit import Gcs, opened_gcs
from .version_stores import KINDS, StoreUnderTest, opened


@pytest.fixture(params=sorted(KINDS))
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
    async with opened(request.param, tmp_path) as under_test:
        yield under_test


@pytest.fixture
def gcs() -> Iterator[Gcs]:
    with opened_gcs() as under_test:
        yield under_test
