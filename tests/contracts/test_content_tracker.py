"""What every store promises that finds a content again under another name (`ContentTracker`)."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from devplatform_versions.listing import list_history
from devplatform_versions.model import Trace, Version
from devplatform_versions.ports import ContentTracker
from devplatform_versions.renames import Rename

from .version_stores import StoreUnderTest, opened

TRACKERS = ["local"]
"""Kinds of stores that can: a bucket would have to be listed for it."""


@pytest.fixture(params=TRACKERS)
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StoreUnderTest]:
    async with opened(request.param, tmp_path) as under_test:
        yield under_test


async def traces(kit: StoreUnderTest, content: Version, *, seconds: float = 60, owner: str = "alice") -> list[Trace]:
    """What the store tells of a content, so long before and after now."""
    assert isinstance(kit.store, ContentTracker)
    now: datetime = kit.clock.now()
    around = timedelta(seconds=seconds)
    found = await kit.store.traces(owner, content, now - around, now + around)
    assert found is not None
    return list(found)


async def gone(kit: StoreUnderTest, path: str, owner: str = "alice") -> Version:
    """Delete a file, one second after the last thing that happened."""
    kit.clock.move(seconds=1)
    tombstone = await kit.store.delete(owner, path, owner)
    assert tombstone
    return tombstone


async def latest(kit: StoreUnderTest, path: str, place: int = 0) -> Version:
    """A version of a file as the store lists it now."""
    return (await kit.store.list_versions("alice", path)).items[place]


async def test_tells_where_a_content_came_and_went(kit: StoreUnderTest) -> None:
    """New names and deletions of these bytes, by time; not saves over other content, nor other bytes."""
    await kit.put("alice", "other.txt", b"something else")
    await kit.put("alice", "over.txt", b"before")
    first = await kit.put("alice", "d/old.txt", b"same")
    await kit.put("alice", "new.txt", b"same")
    await kit.put("alice", "over.txt", b"same")
    tombstone = await gone(kit, "d/old.txt")
    await gone(kit, "other.txt")
    found = await traces(kit, first)
    old = await latest(kit, "d/old.txt", 1)
    assert found == [Trace(old), Trace(await latest(kit, "new.txt")), Trace(old, tombstone)]
    assert [trace.at for trace in found] == sorted(trace.at for trace in found)


async def test_a_content_comes_again_after_a_deletion(kit: StoreUnderTest) -> None:
    """A name that was deleted is a new name; one whose content was replaced before the deletion did not let it go."""
    first = await kit.put("alice", "a", b"same")
    await gone(kit, "a")
    await kit.put("alice", "a", b"same")
    await kit.put("alice", "a", b"more")
    await gone(kit, "a")
    assert [(trace.version.path, trace.is_end) for trace in await traces(kit, first)] == [
        ("a", False),
        ("a", True),
        ("a", False),
    ]


async def test_tells_of_the_time_and_the_owner_asked_for(kit: StoreUnderTest) -> None:
    """Both ends of the time count; what others have is nobody's business."""
    first = await kit.put("alice", "a", b"same")
    await kit.put("bob", "b", b"same")
    assert isinstance(kit.store, ContentTracker)
    long_ago = first.created - timedelta(days=1)
    assert await kit.store.traces("alice", first, long_ago, first.created - timedelta(seconds=1)) == ()
    kit.clock.move(seconds=100)
    assert await traces(kit, first, seconds=100) == []
    assert [trace.version.path for trace in await traces(kit, first, seconds=101)] == ["a"]
    assert [trace.version.path for trace in await traces(kit, first, seconds=101, owner="bob")] == ["b"]
    assert await traces(kit, first, seconds=101, owner="nobody") == []


async def test_a_rename_is_seen_from_both_sides(kit: StoreUnderTest) -> None:
    """By the pages of both files; a second copy of the content makes it unknown again."""
    source = await kit.put("alice", "old.txt", b"work")
    kit.clock.move(minutes=5)
    target = await kit.put("alice", "d/new.txt", b"work")
    tombstone = await gone(kit, "old.txt")
    old = await list_history(kit.store, "alice", "old.txt", None, 100)
    new = await list_history(kit.store, "alice", "d/new.txt", None, 100)
    assert old.renames == {tombstone.generation: Rename("d/new.txt", target.generation, came_from=False)}
    assert new.renames == {target.generation: Rename("old.txt", source.generation, came_from=True)}
    await kit.put("alice", "copy.txt", b"work")
    for path in ("old.txt", "d/new.txt", "copy.txt"):
        assert (await list_history(kit.store, "alice", path, None, 100)).renames == {}


async def test_pages_of_a_history_overlap(kit: StoreUnderTest) -> None:
    """Every version once, whatever the size of a page, each page with its neighbours, also when they expire."""
    for number in range(9):
        await kit.put("alice", "a.txt", str(number).encode())
    whole = (await kit.store.list_versions("alice", "a.txt")).items
    for size in (1, 2, 3, 4, 8, 9, 10, 5000):
        found: list[Version] = []
        token: str | None = None
        while True:
            page = await list_history(kit.store, "alice", "a.txt", token, size)
            begin = len(found)
            found += page.versions
            assert page.newer == (whole[begin - 1] if begin and size > 1 else None)
            assert page.older == (whole[len(found)] if len(found) < len(whole) else None)
            assert len(page.versions) <= size
            token = page.next_token
            if token is None:
                break
        assert tuple(found) == whole


async def test_nothing_is_missed_when_the_overlap_is_gone(kit: StoreUnderTest) -> None:
    """A token names the version that it leads to: another one there is not taken for it."""
    for number in range(4):
        await kit.put("alice", "a.txt", str(number).encode())
    whole = (await kit.store.list_versions("alice", "a.txt")).items
    token = (await list_history(kit.store, "alice", "a.txt", None, 2)).next_token
    assert token
    _, _, place = token.removeprefix("o.").partition(".")
    page = await list_history(kit.store, "alice", "a.txt", f"o.1.{place}", 5)
    assert (page.newer, page.versions) == (None, whole[1:])
