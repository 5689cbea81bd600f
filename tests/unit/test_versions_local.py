"""What is the local store's own: its folder, what it refuses to open, its upload addresses, a full disk."""

import asyncio
import errno
import hashlib
import json
import os
import sqlite3
import stat
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_versions.listing import list_history
from devplatform_versions.local import queries
from devplatform_versions.local.store import LocalVersionStore
from devplatform_versions.model import UploadGrant, UploadRequest
from devplatform_versions.ports import (
    SIGNATURE_HEADER,
    ContentTracker,
    StoreUnavailable,
    UploadMismatch,
    UploadReceiver,
    UploadRefused,
    VersionStore,
)
from tests.contracts.version_stores import LocalUnderTest, content, opened, request

LARGE = os.urandom(100_000)


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[LocalUnderTest]:
    async with opened("local", tmp_path) as under_test:
        yield under_test


def blob_files(folder: Path) -> list[Path]:
    return sorted((folder / "versions" / "blobs").glob("*/*"))


async def test_satisfies_every_port(kit: LocalUnderTest) -> None:
    """It is a whole store, and its uploads come to the service."""
    assert isinstance(kit.local, VersionStore)
    assert isinstance(kit.local, UploadReceiver)
    assert isinstance(kit.local, ContentTracker)


async def test_a_common_content_is_not_traced(kit: LocalUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at all versions of it would take long: nothing is said, rather than a part. A page says no renames."""
    monkeypatch.setattr(queries, "_TOO_COMMON", 3)
    for name in ("a", "b", "c"):
        last = await kit.put("alice", name, b"same")
    window = (last.created - timedelta(minutes=1), last.created + timedelta(minutes=1))
    found = await kit.local.traces("alice", last, *window)
    assert [trace.version.path for trace in found or ()] == ["a", "b", "c"]
    await kit.put("bob", "d", b"same")
    assert await kit.local.traces("alice", last, *window) is None
    assert (await list_history(kit.store, "alice", "a", None, 10)).renames == {}


# The folder


async def test_only_its_owner_reads_the_folder(kit: LocalUnderTest, tmp_path: Path) -> None:
    """No other account of the machine sees names, content or the key, whatever the umask is."""
    await kit.put("alice", "f", LARGE)
    for path in [tmp_path / "versions", *(tmp_path / "versions").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


async def test_content_is_kept_once(kit: LocalUnderTest, tmp_path: Path) -> None:
    """The same bytes under many names, of many people, in many versions: one file, as long as one needs it."""
    for owner in ("alice", "bob"):
        for path in ("a", "b"):
            await kit.put(owner, path, LARGE)
            await kit.put(owner, path, b"other")
            await kit.put(owner, path, LARGE)
    (blob,) = blob_files(tmp_path)
    assert blob.name == hashlib.sha256(LARGE).hexdigest()
    for path in ("a", "b"):
        await kit.store.delete("alice", path, "alice")
    assert await kit.store.expire("alice", kit.clock.move(days=400)) == 6
    assert blob_files(tmp_path) == [blob]
    for path in ("a", "b"):
        await kit.store.delete("bob", path, "bob")
    assert await kit.store.expire("bob", kit.clock.move(days=400)) == 4 + 2
    assert blob_files(tmp_path) == []


async def test_sweeps_what_a_crash_left(kit: LocalUnderTest, tmp_path: Path) -> None:
    """Content without a row and unfinished uploads go at start; everything that has a row stays."""
    kept = await kit.put("alice", "f", LARGE)
    root = tmp_path / "versions"
    orphan = root / "blobs" / "ab" / ("ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"left")
    (root / "incoming" / "half").write_bytes(b"left")
    await kit.reopen()
    assert kit.local._engine is not None
    await kit.local._engine.swept()
    assert [path.name for path in blob_files(tmp_path)] == [kept.sha256]
    assert list((root / "incoming").iterdir()) == []
    assert await content(kit.store, kept) == LARGE


async def test_abandoned_uploads_go_after_a_day(kit: LocalUnderTest, tmp_path: Path) -> None:
    """With the daily expiry; an upload that is under way stays, whatever time the expiry is asked for."""
    incoming = tmp_path / "versions" / "incoming"
    (incoming / "old").write_bytes(b"left")
    os.utime(incoming / "old", (0, 0))
    (incoming / "new").write_bytes(b"under way")
    await kit.store.expire("alice", kit.clock.move(days=5000))
    assert [path.name for path in incoming.iterdir()] == ["new"]


async def test_a_lost_content_file_is_healed_by_the_next_save(kit: LocalUnderTest, tmp_path: Path) -> None:
    """A disk that lost content says so clearly, and takes the same bytes again."""
    version = await kit.put("alice", "f", LARGE)
    blob_files(tmp_path)[0].unlink()
    with pytest.raises(StoreUnavailable, match="could not read content"):
        await content(kit.store, version)
    await kit.put("alice", "g", LARGE)
    assert await content(kit.store, version) == LARGE


async def test_a_store_of_an_earlier_release_gets_what_came_later(kit: LocalUnderTest, tmp_path: Path) -> None:
    """Without another format: the earlier release opens it still."""
    version = await kit.put("alice", "f", b"1")
    await kit.store.close()
    with closing(sqlite3.connect(tmp_path / "versions" / "store.sqlite")) as database, database:
        database.execute("DROP TABLE visits")
    await kit.open()
    assert await kit.local.visits("alice") == ()
    assert await content(kit.store, version) == b"1"
    with closing(sqlite3.connect(tmp_path / "versions" / "store.sqlite")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


# What is not opened


def newer(root: Path) -> None:
    with closing(sqlite3.connect(root / "store.sqlite")) as database, database:
        database.execute("PRAGMA user_version = 2")


def foreign(root: Path) -> None:
    (root / "store.sqlite").unlink()
    with closing(sqlite3.connect(root / "store.sqlite")) as database, database:
        database.execute("CREATE TABLE theirs (x)")


def without_tables(root: Path) -> None:
    with closing(sqlite3.connect(root / "store.sqlite")) as database, database:
        database.execute("DROP TABLE counters")


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        pytest.param(
            newer, "version-store-newer", "written by a newer release (format 2, this one reads 1)", id="newer"
        ),
        pytest.param(foreign, "version-store-broken", "belongs to another program", id="another program's"),
        pytest.param(
            lambda root: (root / "store.sqlite").write_bytes(b"garbage" * 5000),
            "version-store-broken",
            "file is not a database",
            id="garbage",
        ),
        pytest.param(
            lambda root: (root / "store.sqlite").unlink(), "version-store-broken", "is missing", id="no database"
        ),
        pytest.param(
            lambda root: (root / "store.sqlite").write_bytes(b""), "version-store-broken", "is empty", id="emptied"
        ),
        pytest.param(
            without_tables,
            "version-store-broken",
            "tables are missing in store.sqlite: counters",
            id="a table is missing",
        ),
    ],
)
async def test_refuses_a_folder_that_it_cannot_use(
    kit: LocalUnderTest, tmp_path: Path, spoil: Callable[[Path], object], code: str, says: str
) -> None:
    """One sentence that names the folder and the reason; nothing in the folder is touched."""
    await kit.put("alice", "f", LARGE)
    await kit.store.close()
    root = tmp_path / "versions"
    for left_over in root.glob("store.sqlite-*"):
        left_over.unlink()
    spoil(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    with pytest.raises(PublicError) as refused:
        await LocalVersionStore(root=str(root)).open()
    assert (refused.value.code, refused.value.status) == (code, 503)
    assert refused.value.message.startswith(f"The version store in {root} ")
    assert says in refused.value.message
    after = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and "sqlite-" not in path.name}
    assert after == before


async def test_two_processes_cannot_have_it_open(kit: LocalUnderTest, tmp_path: Path) -> None:
    """The second is refused with a sentence; after the first has ended it may."""
    second = LocalVersionStore(root=str(tmp_path / "versions"))
    with pytest.raises(PublicError, match="in use by another process"):
        await second.open()
    await kit.store.close()
    await second.open()
    await second.close()
    await kit.open()


async def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """Such as one below a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match=r"could not open .*/file/versions: Not a directory\."):
        await LocalVersionStore(root=str(tmp_path / "file" / "versions")).open()


async def test_a_closed_store_says_so(kit: LocalUnderTest) -> None:
    """Every method of a store that is not open is refused with the port's own error."""
    await kit.store.close()
    with pytest.raises(StoreUnavailable, match="not open"):
        await kit.store.list_folder("alice", "")
    with pytest.raises(StoreUnavailable, match="not open"):
        await kit.store.delete("alice", "f", "alice")


# Upload addresses


async def granted(kit: LocalUnderTest, data: bytes = b"data", path: str = "f") -> tuple[str, str]:
    grant = await kit.store.grant_upload("alice", request(path, data), "alice")
    assert isinstance(grant, UploadGrant)
    return grant.url.removeprefix(kit.local.upload_url), grant.headers[SIGNATURE_HEADER]


def with_field(token: str, index: int, value: object) -> str:
    fields = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    fields[index] = value
    return urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda token, signature: (token, ""), id="the URL alone"),
        pytest.param(lambda token, signature: (token, token), id="the token as its signature"),
        pytest.param(lambda token, signature: (token, signature[:-1]), id="a signature cut"),
        pytest.param(lambda token, signature: (token, signature[:-1] + "é"), id="a signature that is not ASCII"),
        pytest.param(lambda token, signature: (token, signature.upper()), id="a signature in capitals"),
        pytest.param(lambda token, signature: (token + "=", signature), id="padding added"),
        pytest.param(lambda token, signature: (token + "\ud800", signature), id="a lone surrogate"),
        pytest.param(lambda token, signature: ("", signature), id="no token"),
        pytest.param(lambda token, signature: ("A" * 1_000_000, signature), id="a huge token"),
        pytest.param(lambda token, signature: (with_field(token, 1, "bob"), signature), id="another owner"),
        pytest.param(lambda token, signature: (with_field(token, 2, "../x"), signature), id="another path"),
        pytest.param(lambda token, signature: (with_field(token, 3, 10**12), signature), id="another size"),
        pytest.param(lambda token, signature: (with_field(token, 4, "ab" * 32), signature), id="other bytes"),
        pytest.param(lambda token, signature: (with_field(token, 5, "bob"), signature), id="another author"),
        pytest.param(lambda token, signature: (with_field(token, 8, None), signature), id="no precondition"),
        pytest.param(lambda token, signature: (with_field(token, 10, 2**62), signature), id="a longer life"),
    ],
)
async def test_an_address_cannot_be_forged(kit: LocalUnderTest, forge: Callable[[str, str], tuple[str, str]]) -> None:
    """Only what was granted, with its signature; anything else is 403 and says nothing about why."""
    token, signature = await granted(kit)
    with pytest.raises(UploadRefused) as refused:
        await kit.local.accept_upload(*forge(token, signature))
    assert refused.value.message == "This upload is not allowed: its address was not granted."
    assert await kit.local.accept_upload(token, signature) is not None


async def test_an_address_runs_out(kit: LocalUnderTest) -> None:
    """A grant may be begun for its time, to the second, and never after."""
    token, signature = await granted(kit)
    kit.clock.move(seconds=899)
    await kit.local.accept_upload(token, signature)
    kit.clock.move(seconds=1)
    with pytest.raises(UploadRefused, match="has run out"):
        await kit.local.accept_upload(token, signature)


async def test_an_address_is_of_one_store(kit: LocalUnderTest, tmp_path: Path) -> None:
    """The key is the store's own; it survives a restart, and a new one makes old addresses worthless."""
    token, signature = await granted(kit)
    await kit.reopen()
    await kit.local.accept_upload(token, signature)
    await kit.store.close()
    (tmp_path / "versions" / "key").unlink()
    await kit.open()
    with pytest.raises(UploadRefused):
        await kit.local.accept_upload(token, signature)


async def test_no_secret_is_in_the_address(kit: LocalUnderTest, tmp_path: Path) -> None:
    """Neither the key nor the signature stands in the URL, which a log may hold."""
    grant = await kit.store.grant_upload("alice", request("f", b"x"), "alice")
    assert isinstance(grant, UploadGrant)
    key = (tmp_path / "versions" / "key").read_bytes()
    token = grant.url.removeprefix(kit.local.upload_url)
    text = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert grant.headers[SIGNATURE_HEADER] not in grant.url
    assert key not in text
    assert key.hex().encode() not in text


@pytest.mark.parametrize(
    ("size", "sha256", "code"),
    [
        pytest.param(-1, "ab" * 32, "upload-invalid", id="a negative size"),
        pytest.param(1, "AB" * 32, "upload-invalid", id="capitals"),
        pytest.param(1, "../../etc/passwd", "upload-invalid", id="a path for a hash"),
        pytest.param(1, "ab" * 32 + "\n", "upload-invalid", id="a line feed at the end"),
        pytest.param(5 * 2**30 + 1, "ab" * 32, "file-too-large", id="too large"),
    ],
)
async def test_an_announcement_is_checked(kit: LocalUnderTest, size: int, sha256: str, code: str) -> None:
    """Sizes and hashes come from a client."""
    with pytest.raises(PublicError) as refused:
        await kit.store.grant_upload("alice", UploadRequest("f", size, sha256), "alice")
    assert refused.value.code == code


async def test_an_aborted_upload_leaves_nothing(kit: LocalUnderTest, tmp_path: Path) -> None:
    """Whenever it is aborted, as often as one likes, and nothing can be added to it afterwards."""
    token, signature = await granted(kit, os.urandom(3 * 2**20))
    for sent in (0, 100, 2 * 2**20):
        sink = await kit.local.accept_upload(token, signature)
        await sink.write(bytes(sent))
        await sink.abort()
        await sink.abort()
        for late in (sink.write(b"x"), sink.commit()):
            with pytest.raises(UploadMismatch, match="ended already"):
                await late
    assert list((tmp_path / "versions" / "incoming").iterdir()) == []


async def test_giving_up_waiting_harms_nobody(kit: LocalUnderTest, tmp_path: Path) -> None:
    """A client that goes away while its upload waits for the writer: it and the others become whole versions."""
    assert kit.local._engine is not None
    held = threading.Event()
    holding = asyncio.create_task(kit.local._engine.writer.run(lambda _: held.wait(30)))
    bodies = [os.urandom(100_000) for _ in range(12)]
    tasks, sinks = [], []
    for number, body in enumerate(bodies):
        sink = await kit.local.accept_upload(*await granted(kit, body, f"f{number}"))
        await sink.write(body)
        sinks.append(sink)
        tasks.append(asyncio.create_task(sink.commit()))
    while not all(sink._dropped for sink in sinks):  # until every one waits for the writer
        await asyncio.sleep(0.005)
    for task, sink in zip(tasks[:6], sinks[:6], strict=True):
        task.cancel()
        await sink.abort()
    held.set()
    assert await holding is True
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["CancelledError"] * 6 + ["Version"] * 6
    for number, body in enumerate(bodies):
        assert await content(kit.store, await kit.store.get_version("alice", f"f{number}")) == body
    assert list((tmp_path / "versions" / "incoming").iterdir()) == []


async def test_the_first_byte_too_many_ends_an_upload(kit: LocalUnderTest, tmp_path: Path) -> None:
    """Nobody fills the disk with what was not granted: the refusal comes with the chunk, not at the end."""
    token, signature = await granted(kit, os.urandom(2 * 2**20))
    sink = await kit.local.accept_upload(token, signature)
    await sink.write(bytes(2 * 2**20))
    with pytest.raises(UploadMismatch, match="longer than the 2097152 bytes"):
        await sink.write(b"!")
    assert list((tmp_path / "versions" / "incoming").iterdir()) == []


async def test_content_is_durable_before_its_row(kit: LocalUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes, then their name, then the transaction, which SQLite makes durable before it answers."""
    assert kit.local._engine is not None
    connection = kit.local._engine.writer._connection
    await kit.put("alice", "before", b"makes every folder but the content's own")
    events: list[str] = []
    fsync = os.fsync

    def recorded(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        events.append(f"fsync {path.parent.name if path.is_file() else path.parent.name + '/shard'}")
        fsync(descriptor)

    def traced(statement: str) -> None:
        if statement.startswith(("INSERT INTO blobs", "INSERT INTO versions", "COMMIT")):
            events.append(statement.partition(" (")[0])

    monkeypatch.setattr(os, "fsync", recorded)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.set_trace_callback(traced)
    await kit.put("alice", "f", LARGE)
    assert events == [
        "fsync incoming",
        "fsync versions/shard",  # the new subfolder of blobs/
        "INSERT INTO blobs",
        "INSERT INTO versions",
        "fsync blobs/shard",
        "COMMIT",
    ]


async def test_a_transaction_that_fails_takes_its_files_back(
    kit: LocalUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Content placed for a commit that could not be made durable goes; content that was there before stays."""
    kept = await kit.put("alice", "kept", LARGE)

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("devplatform_versions.local.writer.make_durable", full)
        for body in (os.urandom(100_000), LARGE, b"small"):
            with pytest.raises(StoreUnavailable, match="the disk is full"):
                await kit.put("alice", "f", body)
    assert [path.name for path in blob_files(tmp_path)] == [kept.sha256]
    assert await kit.store.changes("alice", 0) != ()
    assert [entry.name for entry in (await kit.store.list_folder("alice", "", deleted=True)).items] == ["kept"]
    again = await kit.put("alice", "f", os.urandom(100_000))
    assert len(blob_files(tmp_path)) == 2
    assert again.generation > kept.generation


async def test_an_error_of_one_change_leaves_the_others_alone(
    kit: LocalUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction, a disk error of one upload fails that one only."""
    bodies = [os.urandom(100_000) for _ in range(8)]
    bad = hashlib.sha256(bodies[3]).digest()
    assert kit.local._engine is not None
    place = kit.local._engine.blobs.place

    def failing(incoming: Path, sha256: bytes) -> Path:
        if sha256 == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return place(incoming, sha256)

    monkeypatch.setattr(kit.local._engine.blobs, "place", failing)
    outcomes = await asyncio.gather(
        *(kit.put("alice", f"f{n}", body) for n, body in enumerate(bodies)), return_exceptions=True
    )
    failed = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, StoreUnavailable)]
    assert failed == [3]
    assert str(outcomes[3]) == "The version store could not write: Input/output error."
