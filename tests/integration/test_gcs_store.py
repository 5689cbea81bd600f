"""`GCSVersionStore` when Cloud Storage is busy, slow, cut off or changed by others, and who it is there."""

import asyncio
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from traitlets import TraitError

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path
from devplatform_versions.gcs import credentials
from devplatform_versions.gcs.api import Answer
from devplatform_versions.gcs.credentials import GoogleIdentity
from devplatform_versions.gcs.store import GCSVersionStore
from devplatform_versions.model import UploadRequest, Version
from devplatform_versions.ports import PreconditionFailed, StoreUnavailable, VersionNotFound
from tests.contracts.version_stores import GcsUnderTest, content, opened
from tests.doubles.gcs import GcsFault, busy


@pytest.fixture
async def kit(tmp_path: Path) -> AsyncIterator[GcsUnderTest]:
    async with opened("gcs", tmp_path) as made:
        yield made


Ask = Callable[[GcsUnderTest, Version], Awaitable[Any]]
LOOKS: dict[str, Ask] = {
    "folder": lambda kit, _: kit.store.list_folder("alice", "d"),
    "folder with deleted": lambda kit, _: kit.store.list_folder("alice", "d", deleted=True, limit=2),
    "versions": lambda kit, old: kit.store.list_versions("alice", old.path),
    "one": lambda kit, old: kit.store.get_version("alice", old.path, old.generation),
    "bytes": lambda kit, old: content(kit.store, old),
    "snapshot": lambda kit, _: kit.store.snapshot("alice", "", limit=3),
    "then": lambda kit, _: kit.store.snapshot("alice", "d", kit.clock.now() - dt.timedelta(seconds=3)),
    "changes": lambda kit, _: kit.store.changes("alice", 0),
}
FAULTS: dict[str, Callable[[], GcsFault]] = {
    "429": lambda: busy(status=429),
    "503 twice": lambda: busy(times=2),
    "reset": lambda: GcsFault(reset=True, times=1),
    "half an answer": lambda: GcsFault(cut=0.5, times=1),
    "a gateway's page": lambda: GcsFault(status=502, text="<html>Bad gateway</html>", times=1),
    "an answer that is not JSON": lambda: GcsFault(status=200, text="{", times=1),
    "pages of one": lambda: GcsFault(page=1),
    "empty pages": lambda: GcsFault(page=0, times=3),
}


async def some_files(kit: GcsUnderTest) -> Version:
    """A few files with histories; an old version of a large one."""
    old = await kit.put("alice", "d/big", b"0123456789abcdef" * 40_000)
    await kit.put("alice", "d/big", b"new")
    for number in range(4):
        await kit.put("alice", f"d/f{number}", b"1")
        await kit.put("alice", f"d/sub{number}/g", b"2")
    await kit.store.delete("alice", "d/f1", "alice")
    return old


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
async def test_a_passing_fault_changes_no_answer(kit: GcsUnderTest, look: Ask, fault: Callable[[], GcsFault]) -> None:
    """Asked again, read on, paged on: the answer is the whole one, or it would be an error."""
    old = await some_files(kit)
    whole = await look(kit, old)
    kit.server.faults.append(fault())
    if look is LOOKS["bytes"] and kit.server.faults[0].text == "{":
        return  # bytes are bytes: what another server sends with status 200 cannot be told from them
    assert await look(kit, old) == whole


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
async def test_a_lasting_fault_is_said(kit: GcsUnderTest, look: Ask) -> None:
    """Not an empty folder, not a missing file: the store cannot be reached, and that within its patience."""
    old = await some_files(kit)
    await kit.reopen(patience=0.5)
    kit.server.faults.append(busy(times=None))
    with pytest.raises(StoreUnavailable):
        await look(kit, old)


@pytest.mark.parametrize("match", ["none", "live"])
async def test_a_restore_whose_answer_was_lost_is_one_restore(kit: GcsUnderTest, match: str) -> None:
    """The repeated call is refused by its own first result, which is recognised."""
    old = await kit.put("alice", "f", b"old")
    live = await kit.put("alice", "f", b"new")
    kit.server.faults.append(GcsFault(method="storage.objects.rewrite", lost=True, times=1))
    expected = live.generation if match == "live" else None
    made = await kit.store.restore("alice", "f", old.generation, "alice", if_generation_match=expected)
    listed = (await kit.store.list_versions("alice", "f")).items
    assert [v.generation for v in listed] == [made.generation, live.generation, old.generation]
    assert await content(kit.store, made) == b"old"


@pytest.mark.parametrize("method", ["storage.objects.delete", "storage.objects.patch"])
async def test_a_deletion_whose_answer_was_lost_is_one_deletion(kit: GcsUnderTest, method: str) -> None:
    """The same for both of its calls; who deleted the file is known."""
    live = await kit.put("alice", "f", b"1")
    kit.clock.move(seconds=1)
    kit.server.faults.append(GcsFault(method=method, lost=True, times=1))
    tombstone = await kit.store.delete("alice", "f", "bob", if_generation_match=live.generation)
    assert tombstone
    assert tombstone.author == "bob"
    assert [v.tombstone for v in (await kit.store.list_versions("alice", "f")).items] == [True, False]


async def test_a_file_that_changes_under_a_restore_is_not_lost(kit: GcsUnderTest) -> None:
    """Somebody saves between the look and the copy: the person is told, and both contents are there."""
    old = await kit.put("alice", "f", b"old")
    live = await kit.put("alice", "f", b"new")

    def save() -> None:
        kit.save_behind("users/alice/f", b"newest")

    kit.server.faults.append(GcsFault(method="storage.objects.rewrite", before=save, times=1))
    for match in (live.generation, None):
        if match is None:
            kit.server.faults.append(GcsFault(method="storage.objects.rewrite", before=save, times=1))
        with pytest.raises(PreconditionFailed) as refused:
            await kit.store.restore("alice", "f", old.generation, "alice", if_generation_match=match)
        assert refused.value.live
        assert await content(kit.store, refused.value.live) == b"newest"


async def test_a_version_that_is_gone_by_lifecycle(kit: GcsUnderTest) -> None:
    """Between the list and the click: not found, for reading and for restoring; nothing else."""
    old = await kit.put("alice", "f", b"old")
    await kit.put("alice", "f", b"new")
    kit.clock.move(days=400)
    assert await kit.expire("alice") == 1
    for ask in (content(kit.store, old), kit.store.restore("alice", "f", old.generation, "alice")):
        with pytest.raises(VersionNotFound):
            await ask


async def test_a_listing_that_changes_while_it_is_read(kit: GcsUnderTest) -> None:
    """Files come and go between two pages: those that stay are there once."""
    for number in range(9):
        await kit.put("alice", f"f{number}", b"1")

    def change() -> None:
        kit.save_behind("users/alice/f00", b"2")
        kit.save_behind("users/alice/f99", b"2")

    kit.server.faults += [GcsFault(page=3), GcsFault(method="storage.objects.list", before=change, after=1, times=1)]
    names = [entry.name for entry in (await kit.store.list_folder("alice", "")).items]
    assert [name for name in names if len(name) == 2] == [f"f{number}" for number in range(9)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "name", ["users/alice/d/", "users/alice//x", "users/alice/.devplatform/x", "users/alice/a\x85b"]
)
async def test_objects_that_are_no_files_of_ours(kit: GcsUnderTest, name: str) -> None:
    """Placeholders of folders, our own folders, odd names: never an error, never an entry that leads nowhere."""
    await kit.put("alice", "d/f", b"1")
    kit.save_behind(name, b"")
    for entry in (await kit.store.list_folder("alice", "")).items:
        assert parse_path(entry.name) == entry.name
    assert [e.name for e in (await kit.store.list_folder("alice", "d")).items] == ["f"]
    for version in (await kit.store.snapshot("alice", "")).items:
        assert await kit.store.get_version("alice", version.path) == version


# Whose objects.


class Recorder:
    """A bucket without anything in it, which writes down what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def page(self, **query: str) -> dict[str, Any]:
        self.asked.append(query["prefix"])
        return {}

    async def get(self, name: str, **_: str) -> Answer:
        self.asked.append(name)
        return Answer(404, None)

    async def read(self, name: str, *_: Any) -> AsyncIterator[bytes]:
        self.asked.append(name)
        raise FileNotFoundError(name)
        yield b""


class Nobody:
    """Signs nothing."""

    async def email(self) -> str:
        raise StoreUnavailable("nobody")


_TEXT = st.text(alphabet=st.sampled_from("ab./\\%2e\x00\n *\u202eusersbob-"), max_size=24)


def test_no_request_leaves_a_persons_prefix() -> None:
    """100,000 requests with whatever owners and paths: each is below the prefix of its owner."""
    recorder = Recorder()
    store = GCSVersionStore(bucket="b", identity=Nobody())
    store._api = recorder  # type: ignore[assignment]
    made = 0

    async def ask(owner: str, path: str, number: int) -> None:
        request = UploadRequest(path, 1, "ab" * 32)
        calls: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.list_folder(owner, path),
            lambda: store.list_versions(owner, path),
            lambda: store.get_version(owner, path, number),
            lambda: store.snapshot(owner, path),
            lambda: store.changes(owner, number),
            lambda: store.restore(owner, path, number, "x"),
            lambda: store.delete(owner, path, "x"),
            lambda: content(store, Version(path, number, 1, "", dt.datetime.now(dt.UTC), "x"), owner),
            lambda: store.grant_upload(owner, request, "x"),
        ]
        for call in calls:
            recorder.asked.clear()
            try:
                await call()
            except (PublicError, ValueError, StoreUnavailable):
                continue
            finally:
                outside = [name for name in recorder.asked if not name.startswith(f"users/{owner}/")]
                assert outside == [], (owner, path)

    with asyncio.Runner() as runner:

        @settings(max_examples=11_200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(owner=_TEXT, raw=_TEXT, number=st.integers(-5, 2**64))
        def fuzz(owner: str, raw: str, number: int) -> None:
            nonlocal made
            made += 9
            try:
                path = parse_path(raw)
            except PublicError:
                path = "f"
            runner.run(ask(owner, path, number))

        fuzz()
    assert made >= 100_000


# Who it is.


class Lent:
    """Credentials without a key, as of Workload Identity: a token, and the address of a service account."""

    service_account_email = "versions@project.iam.gserviceaccount.com"

    def __init__(self, token: str) -> None:
        self.token: str | None = None
        self.expiry: dt.datetime | None = None
        self._next = token
        self.renewed = 0

    def refresh(self, _request: Any) -> None:
        self.token = self._next
        self.expiry = dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(hours=1)
        self.renewed += 1


async def test_signs_without_a_key(kit: GcsUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By IAM Credentials, as the account itself; an upload with that signature arrives."""
    member = f"serviceAccount:{Lent.service_account_email}"
    lent = Lent(kit.server.accounts.token(member))
    kit.server.accounts.add(Lent.service_account_email)
    kit.server.accounts.signers.add((member, Lent.service_account_email))
    monkeypatch.setattr(credentials.google.auth, "default", lambda scopes: (lent, "project"))
    kit.gcs.identity = GoogleIdentity(iam_root=kit.server.url)
    version = await kit.put("alice", "f", b"signed from afar")
    assert await content(kit.store, version) == b"signed from afar"
    assert lent.renewed == 1
    kit.server.accounts.signers.clear()
    with pytest.raises(StoreUnavailable, match=r"roles/iam\.serviceAccountTokenCreator on itself"):
        await kit.put("alice", "f", b"other")


async def test_signs_with_a_key(kit: GcsUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A JSON key gives tokens and signs here; nobody else is asked to."""
    account = kit.server.accounts.add("keyed@project.iam.gserviceaccount.com")
    (tmp_path / "key.json").write_text(json.dumps(account.key_file(kit.server.url)))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    identity = GoogleIdentity(iam_root="http://127.0.0.1:9")
    assert kit.server.accounts.member(f"Bearer {await identity.token()}") == account.member
    assert await identity.email() == account.email
    assert account.signed(b"text", await identity.sign(b"text"))


async def test_no_identity_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, the store cannot be reached; no path of a file and no key is told."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "gone.json"))
    store = GCSVersionStore(bucket="b")
    await store.open()
    with pytest.raises(StoreUnavailable, match=r"^Google gives the service no token \(DefaultCredentialsError\)$"):
        await store.list_folder("alice", "")
    await store.close()


async def test_a_grant_is_for_what_was_announced(kit: GcsUnderTest) -> None:
    """Another object, method, size, precondition or hash, no or another header, or too late: refused by the bucket."""
    grant = await kit.store.grant_upload("alice", UploadRequest("f", 4, _sha256(b"data")), "alice")
    url, headers = grant.url, grant.headers  # type: ignore[union-attr]
    tries: dict[str, tuple[str, str, dict[str, str], bytes]] = {
        "object": ("PUT", url.replace("users/alice/f", "users/bob/f"), headers, b"data"),
        "method": ("DELETE", url, headers, b""),
        "size": ("PUT", url, headers, b"data!"),
        "precondition": ("PUT", url, headers | {"x-goog-if-generation-match": "1"}, b"data"),
        "author": ("PUT", url, headers | {"x-goog-meta-devplatform-author": "ada"}, b"data"),
        "more": ("PUT", url, headers | {"x-goog-meta-more": "1"}, b"data"),
        "less": ("PUT", url, {k: v for k, v in headers.items() if k != "x-goog-if-generation-match"}, b"data"),
        "bytes": ("PUT", url, headers, b"atad"),
    }
    answers = {name: await kit.raw(*given) for name, given in tries.items()}
    assert {name: status in (400, 403) for name, status in answers.items()} == dict.fromkeys(tries, True), answers
    kit.clock.move(seconds=kit.gcs.grant_seconds + 1)
    assert await kit.raw("PUT", url, headers, b"data") == 400
    with pytest.raises(VersionNotFound):
        await kit.store.list_versions("alice", "f")
    assert "ya29" not in url


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_bucket_has_to_be_named() -> None:
    """An error at start, with the setting's name."""
    with pytest.raises(TraitError, match=r"GCSVersionStore\.bucket is needed"):
        asyncio.run(GCSVersionStore().open())
