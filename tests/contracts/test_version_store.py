"""What every version store promises about saving, preconditions, deleting, restoring and retention."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from devplatform_versions.model import Origin, Unchanged, UploadGrant, Version
from devplatform_versions.ports import (
    PreconditionFailed,
    UploadMismatch,
    VersionNotFound,
    VersionReader,
    VersionWriter,
)

from .version_stores import StoreUnderTest, content, request

LARGE = 3 * 1024 * 1024 + 17


async def test_satisfies_the_ports(kit: StoreUnderTest) -> None:
    """An adapter has every method of the two ports."""
    assert isinstance(kit.store, VersionReader)
    assert isinstance(kit.store, VersionWriter)


# Saving


async def test_keeps_every_save_newest_first(kit: StoreUnderTest) -> None:
    """Each save is one version; the older ones are noncurrent since the moment of the next."""
    saved = [await kit.put("alice", "a/report.txt", f"draft {n}".encode(), author=f"author{n}") for n in range(4)]
    listed = (await kit.store.list_versions("alice", "a/report.txt")).items
    assert [v.generation for v in listed] == [v.generation for v in reversed(saved)]
    assert [v.author for v in listed] == ["author3", "author2", "author1", "author0"]
    assert [v.live for v in listed] == [True, False, False, False]
    assert [v.noncurrent_since for v in listed] == [None, *(v.created for v in listed[:-1])]
    assert [await content(kit.store, v) for v in listed] == [b"draft 3", b"draft 2", b"draft 1", b"draft 0"]


async def test_gives_back_what_was_announced(kit: StoreUnderTest) -> None:
    """Size, hash, author, origin and mtime of a version are those of its upload."""
    mtime = kit.clock.now() - timedelta(hours=3, microseconds=7)
    grant = await kit.store.grant_upload("alice", request("x.bin", b"bytes", mtime=mtime), "Alice Example")
    assert isinstance(grant, UploadGrant)
    made = await kit.send(grant, b"bytes")
    assert made == Version(
        path="x.bin",
        generation=made.generation,
        size=5,
        sha256=hashlib.sha256(b"bytes").hexdigest(),
        created=kit.clock.now(),
        author="Alice Example",
        origin=Origin.CAPTURE,
        mtime=mtime,
    )
    assert await kit.store.get_version("alice", "x.bin") == made
    assert await kit.store.get_version("alice", "x.bin", made.generation) == made


async def test_generations_rise_over_the_whole_store(kit: StoreUnderTest) -> None:
    """Over files, owners, restarts, and a clock that stands still or goes back by a year."""
    generations = []
    for step, (owner, path) in enumerate([("alice", "a"), ("bob", "a"), ("alice", "b"), ("alice", "a")] * 2):
        generations.append((await kit.put(owner, path, f"{step}".encode())).generation)
        kit.clock.move(days=-365 if step == 3 else 0, seconds=-1)
        if step in (2, 4):
            await kit.reopen()
    assert generations == sorted(set(generations))


async def test_stores_nothing_when_the_live_version_has_these_bytes(kit: StoreUnderTest) -> None:
    """A save without a change answers with the version that is there."""
    first = await kit.put("alice", "same.txt", b"same")
    answer = await kit.store.grant_upload("alice", request("same.txt", b"same", first.generation), "alice")
    assert answer == Unchanged(first)
    await kit.put("alice", "same.txt", b"other")
    again = await kit.put("alice", "same.txt", b"same")  # the bytes of an old version are a change
    assert len((await kit.store.list_versions("alice", "same.txt")).items) == 3
    assert again.generation > first.generation


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        pytest.param(0, 1, id="empty"),
        pytest.param(1, 1, id="one byte"),
        pytest.param(32 * 1024, 1000, id="the largest small content"),
        pytest.param(32 * 1024 + 1, 1000, id="the smallest large content"),
        pytest.param(LARGE, 65536, id="many chunks"),
        pytest.param(LARGE, LARGE, id="one large chunk"),
    ],
)
async def test_gives_every_byte_back(kit: StoreUnderTest, size: int, chunk: int) -> None:
    """Whole, and any range of it, whatever the size."""
    data = os.urandom(size)
    grant = await kit.store.grant_upload("alice", request("data.bin", data), "alice")
    assert isinstance(grant, UploadGrant)
    version = await kit.send(grant, data, chunk)
    assert await content(kit.store, version) == data
    for start, end in [(0, 0), (0, 1), (size // 2, None), (size // 3, size // 2), (size, None), (0, size + 9), (5, 2)]:
        parts = [p async for p in kit.store.read("alice", "data.bin", version.generation, start=start, end=end)]
        assert b"".join(parts) == data[start : size if end is None else max(start, end)]
        assert all(0 < len(part) <= 1024 * 1024 for part in parts)


@pytest.mark.parametrize("size", [pytest.param(100, id="small"), pytest.param(100_000, id="large")])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(lambda data: data[:-1], id="too short"),
        pytest.param(lambda data: data + b"!", id="too long"),
        pytest.param(lambda data: data[:-1] + bytes([data[-1] ^ 1]), id="one bit differs"),
        pytest.param(lambda _: b"", id="nothing"),
    ],
)
async def test_keeps_nothing_of_a_wrong_upload(kit: StoreUnderTest, size: int, sent: Callable[[bytes], bytes]) -> None:
    """Bytes that are not those announced are refused, and leave no version."""
    data = os.urandom(size)
    grant = await kit.store.grant_upload("alice", request("f", data), "alice")
    assert isinstance(grant, UploadGrant)
    with pytest.raises(UploadMismatch):
        await kit.send(grant, sent(data))
    with pytest.raises(VersionNotFound):
        await kit.store.list_versions("alice", "f")
    assert await content(kit.store, await kit.send(grant, data)) == data  # the grant is still good for its bytes


@pytest.mark.parametrize("matching", [True, False], ids=["with a precondition", "without"])
async def test_a_repeated_upload_adds_nothing(kit: StoreUnderTest, matching: bool) -> None:
    """A PUT whose answer was lost may be sent again: the same version, also after another save came."""
    grant = await kit.store.grant_upload("alice", request("f", b"one", 0 if matching else None), "alice")
    assert isinstance(grant, UploadGrant)
    first = await kit.send(grant, b"one")
    assert await kit.send(grant, b"one") == first
    second = await kit.put("alice", "f", b"two")
    assert (await kit.send(grant, b"one")).generation == first.generation
    assert [v.generation for v in (await kit.store.list_versions("alice", "f")).items] == [
        second.generation,
        first.generation,
    ]


# Preconditions


@pytest.mark.parametrize(
    ("before", "match", "allowed"),
    [
        pytest.param("absent", None, True, id="any, absent"),
        pytest.param("absent", 0, True, id="none, absent"),
        pytest.param("absent", 7, False, id="a generation, absent"),
        pytest.param("live", None, True, id="any, live"),
        pytest.param("live", 0, False, id="none, live"),
        pytest.param("live", "live", True, id="the live one"),
        pytest.param("live", "older", False, id="an older one"),
        pytest.param("deleted", None, True, id="any, deleted"),
        pytest.param("deleted", 0, True, id="none, deleted"),
        pytest.param("deleted", "live", False, id="the one that was deleted"),
    ],
)
@pytest.mark.parametrize("action", ["upload", "restore", "delete"])
async def test_preconditions(
    kit: StoreUnderTest, action: str, before: str, match: int | str | None, allowed: bool
) -> None:
    """0 means that nothing may be live, a number that exactly it must be, None does not ask."""
    older = live = None
    if before != "absent":
        older = await kit.put("alice", "f", b"1")
        live = await kit.put("alice", "f", b"2")
    if before == "deleted":
        await kit.store.delete("alice", "f", "alice")
    named = {"older": older, "live": live}
    version = named[match] if isinstance(match, str) else None
    expected = version.generation if version else match
    assert not isinstance(expected, str)

    async def act() -> object:
        if action == "upload":
            return await kit.put("alice", "f", b"3", match=expected)
        if action == "delete":
            return await kit.store.delete("alice", "f", "alice", if_generation_match=expected)
        generation = older.generation if older else 1
        return await kit.store.restore("alice", "f", generation, "alice", if_generation_match=expected)

    if action == "restore" and before == "absent":
        with pytest.raises(VersionNotFound):
            await act()
    elif allowed:
        done = await act()
        assert (done is None) == (action == "delete" and before != "live")
    else:
        with pytest.raises(PreconditionFailed) as refused:
            await act()
        assert refused.value.live == (live if before == "live" else None)
        if live is not None:
            listed = (await kit.store.list_versions("alice", "f")).items
            assert len(listed) == (3 if before == "deleted" else 2)


@pytest.mark.parametrize("size", [pytest.param(10, id="small"), pytest.param(50_000, id="large")])
async def test_of_twenty_at_once_one_wins(kit: StoreUnderTest, size: int) -> None:
    """Twenty writers saw the same version: exactly one replaces it, the others are told, nothing is lost."""
    base = await kit.put("alice", "f", b"base")
    bodies = [os.urandom(size) for _ in range(20)]
    grants = [await kit.store.grant_upload("alice", request("f", b, base.generation), "alice") for b in bodies]
    outcomes = await asyncio.gather(
        *(kit.send(g, b) for g, b in zip(grants, bodies, strict=True) if isinstance(g, UploadGrant)),
        return_exceptions=True,
    )
    won = [(v, b) for v, b in zip(outcomes, bodies, strict=True) if isinstance(v, Version)]
    assert len(won) == 1
    assert sum(isinstance(outcome, PreconditionFailed) for outcome in outcomes) == 19
    listed = (await kit.store.list_versions("alice", "f")).items
    assert [v.generation for v in listed] == [won[0][0].generation, base.generation]
    assert await content(kit.store, won[0][0]) == won[0][1]


# Deleting and restoring


async def test_a_deletion_is_a_tombstone(kit: StoreUnderTest) -> None:
    """The file is gone from now, its versions stay; a tombstone has no bytes; deleting again does nothing."""
    version = await kit.put("alice", "f", b"1")
    deleted_at = kit.clock.move(seconds=5)
    tombstone = await kit.store.delete("alice", "f", "bob", origin=Origin.UPLOAD)
    assert tombstone is not None
    assert tombstone == Version(
        path="f",
        generation=tombstone.generation,
        size=0,
        sha256="",
        created=deleted_at,
        author="bob",
        origin=Origin.UPLOAD,
        tombstone=True,
    )
    assert not tombstone.live
    assert (await kit.store.list_versions("alice", "f")).items == (
        tombstone,
        replace(version, noncurrent_since=deleted_at),
    )
    assert await kit.store.delete("alice", "f", "bob") is None
    assert await kit.store.delete("alice", "never", "bob") is None
    for generation in (None, tombstone.generation):
        with pytest.raises(VersionNotFound):
            await kit.store.get_version("alice", "f", generation)
    with pytest.raises(VersionNotFound):
        await content(kit.store, tombstone)
    with pytest.raises(VersionNotFound):
        await kit.store.restore("alice", "f", tombstone.generation, "alice")


async def test_restoring_adds_a_version(kit: StoreUnderTest) -> None:
    """The old bytes become the newest version, whose origin says so; nothing goes away."""
    first = await kit.put("alice", "f", b"first")
    second = await kit.put("alice", "f", b"second")
    kit.clock.move(seconds=1)
    restored = await kit.store.restore("alice", "f", first.generation, "bob", if_generation_match=second.generation)
    assert (restored.sha256, restored.author, restored.origin) == (first.sha256, "bob", Origin.RESTORE)
    assert restored.restored_from == first.generation
    listed = (await kit.store.list_versions("alice", "f")).items
    assert [v.generation for v in listed] == [restored.generation, second.generation, first.generation]
    assert [await content(kit.store, v) for v in listed] == [b"first", b"second", b"first"]


async def test_a_deleted_file_comes_back_only_while_it_is_deleted(kit: StoreUnderTest) -> None:
    """Restoring with 0 brings it back once; the second time it is there already."""
    first = await kit.put("alice", "d/f", b"first")
    await kit.store.delete("alice", "d/f", "alice")
    back = await kit.store.restore("alice", "d/f", first.generation, "alice", if_generation_match=0)
    assert await kit.store.get_version("alice", "d/f") == back
    with pytest.raises(PreconditionFailed):
        await kit.store.restore("alice", "d/f", first.generation, "alice", if_generation_match=0)
    assert [e.name for e in (await kit.store.list_folder("alice", "d")).items] == ["f"]


async def test_restores_only_a_version_of_that_file(kit: StoreUnderTest) -> None:
    """A generation of another file, or none at all, is not found, and no version is made of it."""
    other = await kit.put("alice", "other", b"secret")
    mine = await kit.put("alice", "f", b"mine")
    for generation in (other.generation, 1, 2**62):
        with pytest.raises(VersionNotFound):
            await kit.store.restore("alice", "f", generation, "alice")
        with pytest.raises(VersionNotFound):
            await content(kit.store, replace(mine, generation=generation))
        with pytest.raises(VersionNotFound):
            await kit.store.get_version("alice", "f", generation)
    assert (await kit.store.list_versions("alice", "f")).items == (mine,)


@pytest.mark.parametrize(
    "number", [-1, 0, 2**63 - 1, 2**63, 2**64, 10**400], ids=["-1", "0", "2^63-1", "2^63", "2^64", "10^400"]
)
async def test_any_number_may_be_asked_for(kit: StoreUnderTest, number: int) -> None:
    """Generations, cursors and ranges come from a client: no number is an internal error."""
    version = await kit.put("alice", "f", b"12345")
    for call in (
        kit.store.get_version("alice", "f", number),
        kit.store.restore("alice", "f", number, "alice"),
        content(kit.store, replace(version, generation=number)),
    ):
        with pytest.raises(VersionNotFound):
            await call
    for attempt in (
        kit.store.restore("alice", "f", version.generation, "alice", if_generation_match=number),
        kit.store.delete("alice", "f", "alice", if_generation_match=number),
        kit.put("alice", "f", b"other", match=number),
    ):
        with pytest.raises(PreconditionFailed):
            await attempt
    assert len(await kit.store.changes("alice", number)) == (1 if number <= 0 else 0)
    assert len((await kit.store.list_versions("alice", "f", limit=number)).items) == 1
    for start, end, expected in [(number, None, b"12345"[max(0, number) :]), (0, number, b"12345"[: max(0, number)])]:
        parts = [p async for p in kit.store.read("alice", "f", version.generation, start=start, end=end)]
        assert b"".join(parts) == expected


# Retention


async def test_expiry_follows_the_policy(kit: StoreUnderTest) -> None:
    """Thirty days of everything, then ten in all; live versions never go; deleted files end after a year."""
    untouched = await kit.put("alice", "d/untouched", b"u" * 40_000)
    saved = [await kit.put("alice", "d/f", f"{n}".encode()) for n in range(15)]
    deleted = await kit.put("alice", "d/gone/f", b"g" * 40_000)
    await kit.store.delete("alice", "d/gone/f", "alice")
    bobs = [await kit.put("bob", "f", f"{n}".encode()) for n in range(15)]
    kit.clock.move(days=29)
    assert await kit.expire("alice") == 0
    kit.clock.move(days=2)
    gone = await kit.expire("alice")
    listed = (await kit.store.list_versions("alice", "d/f")).items
    assert (gone, [v.generation for v in listed]) == (5, [v.generation for v in reversed(saved[5:])])
    assert {v.storage_class for v in listed[1:]} == {"NEARLINE"}
    with pytest.raises(VersionNotFound):
        await kit.store.restore("alice", "d/f", saved[0].generation, "alice")
    assert len((await kit.store.list_versions("bob", "f")).items) == (10 if kit.sweeps_everybody else len(bobs))
    kit.clock.move(days=340)
    assert await kit.expire("alice") == 10
    assert (await kit.store.list_versions("alice", "d/f")).items == (saved[-1],)
    assert await content(kit.store, untouched) == b"u" * 40_000
    with pytest.raises(VersionNotFound):
        await kit.store.list_versions("alice", deleted.path)
    names = [e.name for e in (await kit.store.list_folder("alice", "d", deleted=True)).items]
    assert names == ["f", "untouched"]
    assert await kit.expire("alice") == 0
    assert await kit.expire("nobody") == 0
