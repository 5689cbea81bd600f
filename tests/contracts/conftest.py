"""The version store that a contract test is about: every test runs over every kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .version_stores import KINDS, LocalUnderTest, opened


@pytest.fixture(params=sorted(KINDS))
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalUnderTest]:
    async with opened(request.param, tmp_path) as under_test:
        yield under_test
