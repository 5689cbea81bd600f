"""A disk that is really full: one clear error, nothing half written, everything before it intact, and on it goes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devplatform_versions.local.store import LocalVersionStore
from devplatform_versions.model import Version
from devplatform_versions.ports import StoreUnavailable
from tests.contracts.version_stores import LocalUnderTest, content, opened
from tests.lab.small_disks import fill_with_ballast, small_disk

from .test_local_store_crash import check_folder

SIZE = 8 * 2**20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    with small_disk(tmp_path / "disk", SIZE) as folder:
        yield folder


async def fill(kit: LocalUnderTest, size: int) -> dict[int, tuple[Version, bytes]]:
    """Save until the disk is full; what was acknowledged."""
    kept: dict[int, tuple[Version, bytes]] = {}

    async def save_without_end() -> None:
        for number in range(2 * SIZE // size):
            data = os.urandom(size)
            version = await kit.put("alice", f"d/f{number % 7}", data)
            kept[version.generation] = (version, data)

    with pytest.raises(StoreUnavailable, match=r"disk is full\.$"):
        await save_without_end()
    return kept


@pytest.mark.parametrize("size", [pytest.param(20_000, id="small files"), pytest.param(300_000, id="large files")])
async def test_a_full_disk_loses_nothing(disk: Path, size: int) -> None:
    """Saving fails with a sentence; reading goes on; after room is made saving goes on, also after a restart."""
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    async with opened("local", disk) as kit:
        root = disk / "versions"
        kept = await fill(kit, size)
        assert len(kept) > 5
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await kit.put("alice", "one-more", os.urandom(size))
        assert list((root / "incoming").iterdir()) == []
        events = await kit.store.changes("alice", 0, limit=5000)
        assert [event.cursor for event in events] == sorted(kept)
        for version, data in kept.values():
            assert await content(kit.store, version) == data
        ballast.unlink()
        more = await kit.put("alice", "one-more", os.urandom(size))
        await kit.reopen()
        assert await kit.store.get_version("alice", "one-more") == more
        await kit.store.close()
        check_folder(root)
        await kit.open()


async def test_a_full_disk_at_the_start_is_one_sentence(disk: Path) -> None:
    """A store that cannot be made says why, and is made when there is room."""
    ballast = disk / "ballast"
    fill_with_ballast(ballast)
    store = LocalVersionStore(root=str(disk / "versions"))
    with pytest.raises(StoreUnavailable, match=r"could not open .*disk is full\.$"):
        await store.open()
    ballast.unlink()
    await store.open()
    assert (await store.list_folder("alice", "")).items == ()
    await store.close()
