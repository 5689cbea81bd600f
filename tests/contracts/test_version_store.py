"""What every version store promises, one body for every implementation of `version_stores.KINDS`."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devplatform_hub.core.workspace import parse_path
from devplatform_versions.model import Origin, Page, Unchanged, UploadGrant, Version
from devplatform_versions.ports import (
    PreconditionFailed,
    TokenInvalid,
    UploadMismatch,
    VersionNotFound,
    VersionReader,
    VersionWriter,
)

from .version_stores import KINDS, LocalUnderTest, content, opened, request

LARGE = 3 * 1024 * 1024 + 17
HOSTILE = {
    "html": '<img src=x onerror="alert(1)">.txt',
    "quotes": 'it\'s "quoted" `here`; DROP TABLE versions;--.sql',
    "percent and wildcards": "100%_*?[a-z]%2e%2e%2f\\x.csv",
    "composed": "caf\u00e9.txt",
    "decomposed": "cafe\u0301.txt",
    "255 bytes": "n" * 251 + ".txt",
    "255 bytes of four-byte characters": "\U0001f600" * 63 + ".py",
    "control characters": "bell\x07tab\tescape\x1b[31m",
    "right to left": "\u202egnp.exe",
    "spaces": "  leading and trailing  ",
    "dots": "...",
    "dash": "--upload-pack=evil",
    "highest character": "\U0010ffff",
    "zero, the neighbour of the slash": "0",
}


@pytest.fixture(params=sorted(KINDS))
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalUnderTest]:
    async with opened(request.param, tmp_path) as under_test:
        yield under_test


async def all_pages(listing: Callable[..., Awaitable[Page[Any]]], *args: Any, limit: int, **options: Any) -> list[Any]:
    """Every item of a listing, page by page; a listing that does not end fails."""
    items: list[Any] = []
    token: str | None = None
    for _ in range(500):
        page = await listing(*args, token=token, limit=limit, **options)
        assert len(page.items) <= limit
        items.extend(page.items)
        token = page.next_token
        if token is None:
            return items
    raise AssertionError("the listing does not end")


async def paths_at(kit: LocalUnderTest, folder: str, **options: Any) -> list[str]:
    return [version.path for version in (await kit.store.snapshot("alice", folder, **options)).items]


async def test_satisfies_the_ports(kit: LocalUnderTest) -> None:
    """An adapter has every method of the two ports."""
    assert isinstance(kit.store, VersionReader)
    assert isinstance(kit.store, VersionWriter)


# Saving


async def test_keeps_every_save_newest_first(kit: LocalUnderTest) -> None:
    """Each save is one version; the older ones are noncurrent since the moment of the next."""
    saved = [await kit.put("alice", "a/report.txt", f"draft {n}".encode(), author=f"author{n}") for n in range(4)]
    listed = (await kit.store.list_versions("alice", "a/report.txt")).items
    assert [v.generation for v in listed] == [v.generation for v in reversed(saved)]
    assert [v.author for v in listed] == ["author3", "author2", "author1", "author0"]
    assert [v.live for v in listed] == [True, False, False, False]
    assert [v.noncurrent_since for v in listed] == [None, *(v.created for v in listed[:-1])]
    assert [await content(kit.store, v) for v in listed] == [b"draft 3", b"draft 2", b"draft 1", b"draft 0"]


async def test_gives_back_what_was_announced(kit: LocalUnderTest) -> None:
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


async def test_generations_rise_over_the_whole_store(kit: LocalUnderTest) -> None:
    """Over files, owners, restarts, and a clock that stands still or goes back by a year."""
    generations = []
    for step, (owner, path) in enumerate([("alice", "a"), ("bob", "a"), ("alice", "b"), ("alice", "a")] * 2):
        generations.append((await kit.put(owner, path, f"{step}".encode())).generation)
        kit.clock.move(days=-365 if step == 3 else 0, seconds=-1)
        if step in (2, 4):
            await kit.reopen()
    assert generations == sorted(set(generations))


async def test_stores_nothing_when_the_live_version_has_these_bytes(kit: LocalUnderTest) -> None:
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
async def test_gives_every_byte_back(kit: LocalUnderTest, size: int, chunk: int) -> None:
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
async def test_keeps_nothing_of_a_wrong_upload(kit: LocalUnderTest, size: int, sent: Callable[[bytes], bytes]) -> None:
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
async def test_a_repeated_upload_adds_nothing(kit: LocalUnderTest, matching: bool) -> None:
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
    kit: LocalUnderTest, action: str, before: str, match: int | str | None, allowed: bool
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
async def test_of_twenty_at_once_one_wins(kit: LocalUnderTest, size: int) -> None:
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


async def test_a_deletion_is_a_tombstone(kit: LocalUnderTest) -> None:
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


async def test_restoring_adds_a_version(kit: LocalUnderTest) -> None:
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


async def test_a_deleted_file_comes_back_only_while_it_is_deleted(kit: LocalUnderTest) -> None:
    """Restoring with 0 brings it back once; the second time it is there already."""
    first = await kit.put("alice", "d/f", b"first")
    await kit.store.delete("alice", "d/f", "alice")
    back = await kit.store.restore("alice", "d/f", first.generation, "alice", if_generation_match=0)
    assert await kit.store.get_version("alice", "d/f") == back
    with pytest.raises(PreconditionFailed):
        await kit.store.restore("alice", "d/f", first.generation, "alice", if_generation_match=0)
    assert [e.name for e in (await kit.store.list_folder("alice", "d")).items] == ["f"]


async def test_restores_only_a_version_of_that_file(kit: LocalUnderTest) -> None:
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


# Names


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
async def test_any_name_is_kept_as_it_is(kit: LocalUnderTest, name: str) -> None:
    """Names that could be markup, SQL, a pattern or an option come back unchanged, as a file and as a folder."""
    for path in (name, f"{name}/inner.txt", f"outer/{name}"):
        version = await kit.put("alice", parse_path(path), path.encode())
        assert version.path == path
        assert (await kit.store.list_versions("alice", path)).items == (version,)
        assert await content(kit.store, version) == path.encode()
    top = (await kit.store.list_folder("alice", "")).items
    assert [(e.name, e.is_folder) for e in top] == sorted(
        [(name, True), (name, False), ("outer", True)], key=lambda e: (e[0], not e[1])
    )
    assert await paths_at(kit, name) == [f"{name}/inner.txt"]
    assert await paths_at(kit, "outer") == [f"outer/{name}"]
    assert sorted(await all_pages(kit.store.snapshot, "alice", "", limit=1), key=lambda v: v.path) == (
        sorted((await kit.store.snapshot("alice", "")).items, key=lambda v: v.path)
    )
    assert await kit.store.delete("alice", name, "alice") is not None
    assert await paths_at(kit, "") == sorted([f"{name}/inner.txt", f"outer/{name}"])


async def test_all_hostile_names_live_side_by_side(kit: LocalUnderTest) -> None:
    """Composed and decomposed letters, patterns and neighbours are different files; pages miss and double none."""
    made = {name: await kit.put("alice", f"d/{name}", name.encode()) for name in HOSTILE.values()}
    for limit in (1, 2, 3, 500):
        entries = await all_pages(kit.store.list_folder, "alice", "d", limit=limit)
        assert [e.name for e in entries] == sorted(HOSTILE.values())
        assert {e.name: e.newest for e in entries} == made


# Listings


async def test_a_folder_shows_what_is_directly_in_it(kit: LocalUnderTest) -> None:
    """Files with their newest version and how many there are, folders as folders, by name."""
    await kit.put("alice", "a.txt", b"1")
    newest = await kit.put("alice", "a.txt", b"2")
    await kit.put("alice", "b/c/deep.txt", b"3")
    await kit.put("alice", "b", b"a file with the name of a folder")
    await kit.put("alice", "B.txt", b"4")
    page = await kit.store.list_folder("alice", "")
    assert [(e.name, e.is_folder, e.versions) for e in page.items] == [
        ("B.txt", False, 1),
        ("a.txt", False, 2),
        ("b", True, 0),
        ("b", False, 1),
    ]
    assert page.items[1].newest == newest
    assert page.next_token is None
    assert [(e.name, e.is_folder) for e in (await kit.store.list_folder("alice", "b")).items] == [("c", True)]
    for absent in ("nowhere", "a.txt", "b/c/deep.txt", "B"):
        assert await kit.store.list_folder("alice", absent) == Page(())


async def test_what_is_deleted_shows_only_when_asked_for(kit: LocalUnderTest) -> None:
    """A deleted file, and a folder in which nothing is left, appear with `deleted` and come back with a restore."""
    kept = await kit.put("alice", "x/kept.txt", b"1")
    gone = await kit.put("alice", "x/y/gone.txt", b"2")
    await kit.store.delete("alice", "x/y/gone.txt", "alice")
    assert [e.name for e in (await kit.store.list_folder("alice", "x")).items] == ["kept.txt"]
    assert (await kit.store.list_folder("alice", "x/y")).items == ()
    entries = (await kit.store.list_folder("alice", "x", deleted=True)).items
    assert [(e.name, e.is_folder) for e in entries] == [("kept.txt", False), ("y", True)]
    (entry,) = (await kit.store.list_folder("alice", "x/y", deleted=True)).items
    assert (entry.name, entry.deleted, entry.versions) == ("gone.txt", True, 1)
    await kit.store.delete("alice", kept.path, "alice")
    assert (await kit.store.list_folder("alice", "")).items == ()
    await kit.store.restore("alice", gone.path, gone.generation, "alice")
    assert [e.name for e in (await kit.store.list_folder("alice", "")).items] == ["x"]
    assert [e.name for e in (await kit.store.list_folder("alice", "x")).items] == ["y"]


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
async def test_pages_add_up_to_the_whole(kit: LocalUnderTest, limit: int) -> None:
    """Every listing in pages of any size: each item once, in order."""
    for n in range(9):
        await kit.put("alice", f"d/{n % 3}/f{n}.txt", b"x")
        await kit.put("alice", "d/many.txt", f"{n}".encode())
        await kit.put("alice", f"d/g{n}.txt", b"y")
    for listing, args, options in [
        (kit.store.list_folder, ("alice", "d"), {}),
        (kit.store.list_folder, ("alice", "d"), {"deleted": True}),
        (kit.store.list_versions, ("alice", "d/many.txt"), {}),
        (kit.store.snapshot, ("alice", "d"), {}),
        (kit.store.snapshot, ("alice", "d", kit.clock.now() - timedelta(seconds=9)), {}),
    ]:
        whole = await listing(*args, limit=1000, **options)  # type: ignore[operator]
        assert whole.next_token is None
        assert len(whole.items) >= 9
        assert await all_pages(listing, *args, limit=limit, **options) == list(whole.items)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "!!!", id="no base64"),
        pytest.param(lambda _: "\x00\ud800", id="not even text"),
        pytest.param(lambda token: token[: len(token) // 2], id="cut"),
        pytest.param(lambda token: token + "AAAA", id="longer"),
        pytest.param(lambda token: "A" + token[1:], id="changed"),
        pytest.param(lambda _: "W" * 100_000, id="huge"),
        pytest.param(lambda _: "WyJmb2xkZXIiLCJcdWQ4MDAiLDFd", id="a lone surrogate in it"),
        pytest.param(lambda _: "WyJ2ZXJzaW9ucyIsMWU5OTld", id="infinity in it"),
        pytest.param(lambda _: "W1tbW1tbW1tbW1tbW1tb", id="brackets"),
    ],
)
async def test_a_page_token_that_was_not_given_is_refused(kit: LocalUnderTest, spoil: Callable[[str], str]) -> None:
    """400 and a sentence, never a wrong page or an internal error; a token of another listing is no better."""
    for n in range(3):
        await kit.put("alice", f"f{n}", b"x")
        await kit.put("alice", "f", f"{n}".encode())
    tokens = {
        kit.store.list_folder: (await kit.store.list_folder("alice", "", limit=1)).next_token,
        kit.store.list_versions: (await kit.store.list_versions("alice", "f", limit=1)).next_token,
        kit.store.snapshot: (await kit.store.snapshot("alice", "", limit=1)).next_token,
    }
    for listing, own in tokens.items():
        assert own is not None
        where = "f" if listing == kit.store.list_versions else ""
        for token in (spoil(own), *(t for other, t in tokens.items() if other != listing)):
            with pytest.raises(TokenInvalid):
                await listing("alice", where, token=token)  # type: ignore[operator]


# Moments


async def test_a_snapshot_is_what_was_live_then(kit: LocalUnderTest) -> None:
    """At every moment: saved before or at it, not replaced and not deleted by it; also what is deleted today."""
    before = kit.clock.now()
    first = await kit.put("alice", "d/f", b"1")
    at_first = kit.clock.now()
    other = await kit.put("alice", "d/sub/g", b"2")
    second = await kit.put("alice", "d/f", b"3")
    at_second = kit.clock.now()
    kit.clock.move(seconds=1)
    await kit.store.delete("alice", "d/f", "alice")
    ended = {first.generation: second.created, second.generation: kit.clock.now()}

    async def generations(at: Any) -> list[int]:
        versions = (await kit.store.snapshot("alice", "d", at)).items
        assert all(v.noncurrent_since == ended.get(v.generation) for v in versions)
        return [v.generation for v in versions]

    assert await generations(before) == []
    assert await generations(at_first - timedelta(microseconds=1)) == []
    assert await generations(at_first) == [first.generation]
    assert await generations(at_second - timedelta(microseconds=1)) == [first.generation, other.generation]
    assert await generations(at_second) == [second.generation, other.generation]
    assert await generations(None) == [other.generation]
    assert await generations(kit.clock.now()) == [other.generation]


async def test_a_snapshot_stays_inside_its_folder(kit: LocalUnderTest) -> None:
    """Names that begin alike are other folders; the empty name is the whole workspace."""
    paths = ["a", "a!/x", "a.b/x", "a/b/c", "a/x", "a0", "a0/x", "ab", "b/a/x"]
    for path in paths:
        await kit.put("alice", path, b"x")
    assert await paths_at(kit, "a") == ["a/b/c", "a/x"]
    assert await paths_at(kit, "a/b") == ["a/b/c"]
    assert await paths_at(kit, "a/b", at=kit.clock.now()) == ["a/b/c"]
    assert await paths_at(kit, "") == sorted(paths)
    assert await paths_at(kit, "nowhere") == []


async def test_changes_go_on_from_a_cursor(kit: LocalUnderTest) -> None:
    """Versions, restores and tombstones of one owner, oldest first, each once, from any cursor, over restarts."""
    made = [await kit.put("alice", "f", b"1"), await kit.put("alice", "g", b"2")]
    await kit.put("bob", "f", b"3")
    made.append(await kit.store.restore("alice", "f", made[0].generation, "alice"))
    deleted = await kit.store.delete("alice", "g", "alice")
    assert deleted is not None
    made.append(deleted)
    events = await kit.store.changes("alice", 0)
    assert [e.version.generation for e in events] == [v.generation for v in made]
    assert [e.cursor for e in events] == sorted({e.cursor for e in events})
    await kit.reopen()
    for index, event in enumerate(events):
        assert await kit.store.changes("alice", event.cursor) == events[index + 1 :]
    assert await kit.store.changes("alice", 0, limit=2) == events[:2]
    assert await kit.store.changes("nobody", 0) == ()


# Other people


async def test_nobody_sees_or_touches_what_is_somebody_elses(kit: LocalUnderTest) -> None:
    """Every method, asked for another owner's file, answers as if it had never been."""
    secret = await kit.put("bob", "d/secret.txt", b"secret")
    for owner in ("alice", "bo", "bob2", "BOB", "%", "bob/d", ""):
        assert await kit.store.list_folder(owner, "", deleted=True) == Page(())
        assert await kit.store.list_folder(owner, "d", deleted=True) == Page(())
        assert await kit.store.snapshot(owner, "") == Page(())
        assert await kit.store.changes(owner, 0) == ()
        for call in (
            kit.store.list_versions(owner, secret.path),
            kit.store.get_version(owner, secret.path),
            kit.store.get_version(owner, secret.path, secret.generation),
            content(kit.store, secret, owner),
            kit.store.restore(owner, secret.path, secret.generation, "alice"),
        ):
            with pytest.raises(VersionNotFound):
                await call
        assert await kit.store.delete(owner, secret.path, "alice") is None
    assert await content(kit.store, secret, "bob") == b"secret"


async def test_knowing_a_hash_gives_nobody_the_bytes(kit: LocalUnderTest) -> None:
    """Content is kept once, but whoever saves it must send it: a hash alone makes no version."""
    secret = os.urandom(50_000)
    await kit.put("bob", "secret", secret)
    answer = await kit.store.grant_upload("alice", request("mine", secret), "alice")
    assert isinstance(answer, UploadGrant)
    with pytest.raises(UploadMismatch):
        await kit.send(answer, b"")
    with pytest.raises(VersionNotFound):
        await kit.store.get_version("alice", "mine")


# Retention


async def test_expiry_follows_the_policy(kit: LocalUnderTest) -> None:
    """Thirty days of everything, then ten in all; live versions never go; deleted files end after a year."""
    untouched = await kit.put("alice", "d/untouched", b"u" * 40_000)
    saved = [await kit.put("alice", "d/f", f"{n}".encode()) for n in range(15)]
    deleted = await kit.put("alice", "d/gone/f", b"g" * 40_000)
    await kit.store.delete("alice", "d/gone/f", "alice")
    bobs = [await kit.put("bob", "f", f"{n}".encode()) for n in range(15)]
    assert await kit.store.expire("alice", kit.clock.move(days=29)) == 0
    gone = await kit.store.expire("alice", kit.clock.move(days=2))
    listed = (await kit.store.list_versions("alice", "d/f")).items
    assert (gone, [v.generation for v in listed]) == (5, [v.generation for v in reversed(saved[5:])])
    assert {v.storage_class for v in listed[1:]} == {"NEARLINE"}
    with pytest.raises(VersionNotFound):
        await kit.store.restore("alice", "d/f", saved[0].generation, "alice")
    assert len((await kit.store.list_versions("bob", "f")).items) == len(bobs)
    assert await kit.store.expire("alice", kit.clock.move(days=340)) == 10
    assert (await kit.store.list_versions("alice", "d/f")).items == (saved[-1],)
    assert await content(kit.store, untouched) == b"u" * 40_000
    with pytest.raises(VersionNotFound):
        await kit.store.list_versions("alice", deleted.path)
    names = [e.name for e in (await kit.store.list_folder("alice", "d", deleted=True)).items]
    assert names == ["f", "untouched"]
    assert await kit.store.expire("alice", kit.clock.now()) == 0
    assert await kit.store.expire("nobody", kit.clock.now()) == 0
