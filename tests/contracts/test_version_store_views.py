"""What every version store promises about names, listings, moments in time, and other people's files."""

import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from devplatform_hub.core.workspace import parse_path
from devplatform_versions.model import Page, UploadGrant
from devplatform_versions.ports import (
    TokenInvalid,
    UploadMismatch,
    VersionNotFound,
)

from .version_stores import StoreUnderTest, content, request

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


async def paths_at(kit: StoreUnderTest, folder: str, **options: Any) -> list[str]:
    return [version.path for version in (await kit.store.snapshot("alice", folder, **options)).items]


# Names


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
async def test_any_name_is_kept_as_it_is(kit: StoreUnderTest, name: str) -> None:
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


async def test_all_hostile_names_live_side_by_side(kit: StoreUnderTest) -> None:
    """Composed and decomposed letters, patterns and neighbours are different files; pages miss and double none."""
    made = {name: await kit.put("alice", f"d/{name}", name.encode()) for name in HOSTILE.values()}
    for limit in (1, 2, 3, 500):
        entries = await all_pages(kit.store.list_folder, "alice", "d", limit=limit)
        assert [e.name for e in entries] == sorted(HOSTILE.values())
        assert {e.name: e.newest for e in entries} == made


# Listings


async def test_a_folder_shows_what_is_directly_in_it(kit: StoreUnderTest) -> None:
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


async def test_what_is_deleted_shows_only_when_asked_for(kit: StoreUnderTest) -> None:
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
async def test_pages_add_up_to_the_whole(kit: StoreUnderTest, limit: int) -> None:
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
async def test_a_page_token_that_was_not_given_is_refused(kit: StoreUnderTest, spoil: Callable[[str], str]) -> None:
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


async def test_a_snapshot_is_what_was_live_then(kit: StoreUnderTest) -> None:
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


async def test_a_snapshot_stays_inside_its_folder(kit: StoreUnderTest) -> None:
    """Names that begin alike are other folders; the empty name is the whole workspace."""
    paths = ["a", "a!/x", "a.b/x", "a/b/c", "a/x", "a0", "a0/x", "ab", "b/a/x"]
    for path in paths:
        await kit.put("alice", path, b"x")
    assert await paths_at(kit, "a") == ["a/b/c", "a/x"]
    assert await paths_at(kit, "a/b") == ["a/b/c"]
    assert await paths_at(kit, "a/b", at=kit.clock.now()) == ["a/b/c"]
    assert await paths_at(kit, "") == sorted(paths)
    assert await paths_at(kit, "nowhere") == []


async def test_changes_go_on_from_a_cursor(kit: StoreUnderTest) -> None:
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


async def test_nobody_sees_or_touches_what_is_somebody_elses(kit: StoreUnderTest) -> None:
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


async def test_knowing_a_hash_gives_nobody_the_bytes(kit: StoreUnderTest) -> None:
    """Content is kept once, but whoever saves it must send it: a hash alone makes no version."""
    secret = os.urandom(50_000)
    await kit.put("bob", "secret", secret)
    answer = await kit.store.grant_upload("alice", request("mine", secret), "alice")
    assert isinstance(answer, UploadGrant)
    with pytest.raises(UploadMismatch):
        await kit.send(answer, b"")
    with pytest.raises(VersionNotFound):
        await kit.store.get_version("alice", "mine")
