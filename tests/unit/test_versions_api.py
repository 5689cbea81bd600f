"""The HTTP API of file versions (API.md), over the real local store."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from devplatform_versions.client import Endpoint, VersionsClient
from tests.doubles.versions_service import Answer, Running, running

ALICE = "api/v1/w/alice"


@pytest.fixture(params=["local", "gcs"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, request.param) as started:
        yield started


@pytest.fixture
async def local_service(tmp_path: Path) -> AsyncIterator[Running]:
    """Over a store whose granted addresses lead back to the service."""
    async with running(tmp_path) as started:
        yield started


def announced(path: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}


async def upload(service: Running, path: str, data: bytes, **more: Any) -> Answer:
    """What the agent does: ask, then put."""
    granted = await service.fetch("POST", f"{ALICE}/uploads", json={"items": [announced(path, data, **more)]})
    grant = granted.json["results"][0]["grant"]
    return await service.fetch(grant["method"], grant["url"], token="", data=data, headers=grant["headers"])


def version(path: str, generation: int, data: bytes, created: str, **more: Any) -> dict[str, Any]:
    """The JSON of a version, whole."""
    return {
        "path": path,
        "generation": str(generation),
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created": created,
        "author": "alice",
        "origin": "capture",
        "live": True,
        "tombstone": False,
        "noncurrent_since": None,
        "mtime": None,
        "storage_class": "STANDARD",
        "restored_from": None,
    } | more


async def test_tells_who_the_caller_is(service: Running) -> None:
    """A program learns the owner to put into paths."""
    assert (await service.fetch("GET", "api/v1/me")).json == {"name": "alice", "owner": "alice"}


async def test_lists_a_folder_with_the_newest_version_of_each_file(service: Running) -> None:
    """Folders and files by name; deleted files only when asked for; pages with a token."""
    await service.local.put("alice", "data/table.csv", b"1")
    first = await service.local.put("alice", "report.txt", b"one")
    second = await service.local.put("alice", "report.txt", b"two!")
    gone = await service.local.put("alice", "z-old.txt", b"")
    tombstone = await service.local.store.delete("alice", "z-old.txt", "alice")
    assert tombstone
    answer = await service.fetch("GET", f"{ALICE}/folder")
    report = version("report.txt", second.generation, b"two!", "2026-03-01T12:00:03Z")
    assert first.generation < second.generation < gone.generation
    assert answer.json == {
        "entries": [
            {"name": "data", "kind": "folder", "deleted": False, "versions": 0, "newest": None},
            {"name": "report.txt", "kind": "file", "deleted": False, "versions": 2, "newest": report},
        ],
        "next": None,
    }
    page = (await service.fetch("GET", f"{ALICE}/folder?deleted=1&limit=2")).json
    rest = (await service.fetch("GET", f"{ALICE}/folder?deleted=1&limit=2&token={quote(page['next'])}")).json
    assert [entry["name"] for entry in page["entries"]] == ["data", "report.txt"]
    assert [(entry["name"], entry["deleted"]) for entry in rest["entries"]] == [("z-old.txt", True)]
    assert rest["next"] is None


async def test_lists_versions_and_what_was_live_then(service: Running) -> None:
    """Versions newest first with tombstones; a snapshot shows the folder as of a moment."""
    one = await service.local.put("alice", "a/b.txt", b"one")
    then = service.local.clock.now()
    two = await service.local.put("alice", "a/b.txt", b"two")
    service.local.clock.move(seconds=5)
    dead = await service.local.store.delete("alice", "a/b.txt", "alice")
    assert dead
    listed = (await service.fetch("GET", f"{ALICE}/versions?path=a/b.txt")).json
    assert [(v["generation"], v["live"], v["tombstone"]) for v in listed["versions"]] == [
        (str(dead.generation), False, True),
        (str(two.generation), False, False),
        (str(one.generation), False, False),
    ]
    assert (await service.fetch("GET", f"{ALICE}/snapshot?path=a")).json == {"versions": [], "next": None}
    at = then.isoformat().replace("+00:00", "Z")
    snapshot = (await service.fetch("GET", f"{ALICE}/snapshot?path=a&at={at}")).json
    ended = "2026-03-01T12:00:02Z"
    assert snapshot == {
        "versions": [
            version("a/b.txt", one.generation, b"one", "2026-03-01T12:00:01Z", live=False, noncurrent_since=ended)
        ],
        "next": None,
    }


async def test_streams_content_with_ranges_and_conditions(service: Running) -> None:
    """The whole, a part, nothing new, and a range that is not there: always a download, never a page."""
    data = bytes(range(256)) * 4096
    kept = await service.local.put("alice", "big.bin", data)
    url = f"{ALICE}/content?path=big.bin"
    etag = f'"{kept.sha256}"'
    whole = await service.fetch("GET", url)
    assert (whole.status, whole.body, whole.headers["ETag"]) == (200, data, etag)
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.headers["Content-Disposition"] == "attachment; filename=\"big.bin\"; filename*=UTF-8''big.bin"
    assert whole.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    part = await service.fetch("GET", url, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, data[10:20])
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    tail = await service.fetch("GET", url, headers={"Range": "bytes=-3", "If-Range": etag})
    assert (tail.status, tail.body) == (206, data[-3:])
    changed = await service.fetch("GET", url, headers={"Range": "bytes=-3", "If-Range": '"other"'})
    assert (changed.status, len(changed.body)) == (200, len(data))
    same = await service.fetch("GET", url, headers={"If-None-Match": f'"x", W/{etag}'})
    assert (same.status, same.body) == (304, b"")
    outside = await service.fetch("GET", url, headers={"Range": f"bytes={len(data)}-"})
    assert (outside.status, outside.headers["Content-Range"]) == (416, f"bytes */{len(data)}")
    assert outside.json["error"]["code"] == "range-invalid"


async def test_takes_an_upload_that_was_granted(service: Running) -> None:
    """Ask, put the bytes at the granted address, and see the version; the same bytes again are unchanged."""
    data = b"x" * 3_000_000
    put = await upload(service, "models/weights.bin", data, mtime="2026-02-28T23:59:59Z", if_generation_match="0")
    assert put.status == 200, put.text
    listed = (await service.fetch("GET", f"{ALICE}/versions?path=models/weights.bin")).json["versions"]
    generation = int(put.headers["x-goog-generation"])
    wanted = version("models/weights.bin", generation, data, "2026-03-01T12:00:00Z", mtime="2026-02-28T23:59:59Z")
    assert listed == [wanted]
    again = await service.fetch("POST", f"{ALICE}/uploads", json={"items": [announced("models/weights.bin", data)]})
    assert again.json == {"results": [{"path": "models/weights.bin", "unchanged": wanted}]}


async def test_says_what_is_wrong_with_each_item_of_a_batch(service: Running) -> None:
    """One bad item does not spoil the others, and results come in the order of the items."""
    kept = await service.local.put("alice", "here.txt", b"1")
    good = announced("fine.txt", b"x")
    items = [
        good,
        announced("../etc/passwd", b"x"),
        announced("/abs", b"x"),
        announced("a\0b", b"x"),
        good | {"size": -1},
        good | {"sha256": "zz"},
        good | {"mtime": "yesterday"},
        good | {"origin": "restore"},
        announced("here.txt", b"2", if_generation_match="0"),
        "nonsense",
        {"path": 7},
        good | {"if_generation_match": "9" * 30},
    ]
    answer = await service.fetch("POST", f"{ALICE}/uploads", json={"items": items})
    codes = [result.get("error", {}).get("code", "granted") for result in answer.json["results"]]
    assert codes == [
        "granted",
        *["path-invalid"] * 3,
        "value-invalid",
        "upload-invalid",
        "value-invalid",
        "value-invalid",
        "version-conflict",
        *["value-invalid"] * 3,
    ]
    assert [result["path"] for result in answer.json["results"]][8:11] == ["here.txt", None, None]
    deleted = await service.fetch(
        "POST",
        f"{ALICE}/deletions",
        json={"items": [{"path": "here.txt", "if_generation_match": str(kept.generation)}, {"path": "never.txt"}]},
    )
    results = deleted.json["results"]
    assert results[0]["tombstone"]["tombstone"] is True
    assert results[1] == {"path": "never.txt", "tombstone": None}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"items": [{}] * 201}, "too-many-items", id="201 items"),
        pytest.param({"items": {}}, "value-invalid", id="items that are no list"),
        pytest.param({}, "value-invalid", id="nothing"),
    ],
)
async def test_bounds_a_batch(service: Running, body: dict[str, Any], code: str) -> None:
    """A batch is a list of at most 200."""
    for action in ("uploads", "deletions"):
        answer = await service.fetch("POST", f"{ALICE}/{action}", json=body)
        assert (answer.status, answer.json["error"]["code"]) == (400, code)


@pytest.mark.parametrize("name", ["a+b'(c)*!.txt", "a:b@c;d,e$f&g=h", "#?%2F ~", "\u20ac\u202e\x07"])
async def test_the_agents_client_puts_any_name(service: Running, name: str) -> None:
    """The granted address is sent as it was signed, whatever is in a name."""
    client = VersionsClient(Endpoint(service.url, service.origin, "alice", "alice-token"))
    try:
        (result,) = await client.request_uploads([announced(name, b"content")])
        generation = await client.put(result["grant"], 7, b"content")
    finally:
        await client.close()
    assert (await service.local.store.get_version("alice", name)).generation == generation


@pytest.mark.parametrize(
    ("change", "sent", "status", "code"),
    [
        pytest.param({}, b"other bytes!", 400, "upload-mismatch", id="other bytes of the same length"),
        pytest.param({}, b"short", 400, "upload-mismatch", id="too few"),
        pytest.param({}, b"far more than was said" * 90_000, 400, "upload-mismatch", id="too many, 2 MB"),
        pytest.param({"x-devplatform-signature": "0" * 64}, b"right bytes!", 403, "upload-refused", id="forged"),
        pytest.param({"x-devplatform-signature": ""}, b"right bytes!" * 400_000, 403, "upload-refused", id="unsigned"),
    ],
)
async def test_keeps_only_what_was_granted(
    local_service: Running, change: dict[str, str], sent: bytes, status: int, code: str
) -> None:
    """A PUT of anything but the granted bytes with the granted headers leaves no version."""
    granted = await local_service.fetch(
        "POST", f"{ALICE}/uploads", json={"items": [announced("f.txt", b"right bytes!")]}
    )
    grant = granted.json["results"][0]["grant"]
    answer = await local_service.fetch("PUT", grant["url"], token="", data=sent, headers=grant["headers"] | change)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)
    assert (await local_service.fetch("GET", f"{ALICE}/versions?path=f.txt")).status == 404


async def test_answers_a_conflicting_upload_as_a_bucket_does(local_service: Running) -> None:
    """412 when the file changed between the grant and the bytes."""
    item = announced("f.txt", b"mine", if_generation_match="0")
    granted = await local_service.fetch("POST", f"{ALICE}/uploads", json={"items": [item]})
    grant = granted.json["results"][0]["grant"]
    await local_service.local.put("alice", "f.txt", b"theirs")
    answer = await local_service.fetch("PUT", grant["url"], token="", data=b"mine", headers=grant["headers"])
    assert (answer.status, answer.json["error"]["code"]) == (412, "version-conflict")


async def test_wakes_whoever_waits_for_changes(service: Running) -> None:
    """A long poll answers at once when something is written through us: upload, deletion and restore alike."""
    first = await service.local.put("alice", "a.txt", b"1")

    async def wait(since: int) -> Any:
        answer = await service.fetch("GET", f"{ALICE}/changes?since={since}&wait=20")
        return answer.json

    # What is put into a bucket itself, this service does not see.
    uploads = [("b.txt", lambda: upload(service, "b.txt", b"2"))] if service.is_receiver else []
    for path, act in (
        *uploads,
        ("a.txt", lambda: service.fetch("POST", f"{ALICE}/deletions", json={"items": [{"path": "a.txt"}]})),
        (
            "a.txt",
            lambda: service.fetch(
                "POST", f"{ALICE}/restore", json={"path": "a.txt", "generation": str(first.generation)}
            ),
        ),
    ):
        cursor = (await service.fetch("GET", f"{ALICE}/changes")).json["cursor"]
        service.local.clock.move(seconds=1)
        waiting = asyncio.create_task(wait(int(cursor)))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert (await act()).status == 200
        async with asyncio.timeout(3):
            answer = await waiting
        assert [change["version"]["path"] for change in answer["changes"]] == [path]
        assert answer["cursor"] == answer["changes"][-1]["cursor"]
    assert service.app.service.feed._waiting == {}


async def test_ends_waiting_with_nothing_and_forgets_who_left(service: Running) -> None:
    """No change gives an empty list and the same cursor; a caller that hangs up is not waited for."""
    answer = await service.fetch("GET", f"{ALICE}/changes?since=5&wait=1")
    assert answer.json == {"changes": [], "cursor": "5"}
    gone = asyncio.create_task(service.fetch("GET", f"{ALICE}/changes?since=0&wait=20"))
    await asyncio.sleep(0.1)
    assert set(service.app.service.feed._waiting) == {"alice"}
    gone.cancel()
    await asyncio.sleep(0.2)
    assert service.app.service.feed._waiting == {}


async def test_bounds_how_many_wait(service: Running) -> None:
    """The 21st program of one person that waits is told so."""
    waiting = [
        asyncio.create_task(service.fetch("GET", f"{ALICE}/changes?wait=20&since={number}")) for number in range(20)
    ]
    await asyncio.sleep(0.5)
    refused = await service.fetch("GET", f"{ALICE}/changes?wait=20")
    assert (refused.status, refused.json["error"]["code"]) == (429, "too-many-waiting")
    service.app.service.feed.ring("alice")
    answers = await asyncio.gather(*waiting)
    assert {answer.status for answer in answers} == {200}


async def test_restores_with_a_precondition(service: Running) -> None:
    """Restoring adds a version; it does not when the live one is not what the caller saw."""
    old = await service.local.put("alice", "a.txt", b"old")
    new = await service.local.put("alice", "a.txt", b"new")
    body = {"path": "a.txt", "generation": str(old.generation), "if_generation_match": str(old.generation)}
    refused = await service.fetch("POST", f"{ALICE}/restore", json=body)
    assert (refused.status, refused.json["error"]["code"]) == (409, "version-conflict")
    body["if_generation_match"] = str(new.generation)
    restored = (await service.fetch("POST", f"{ALICE}/restore", json=body)).json["version"]
    assert restored == version(
        "a.txt",
        int(restored["generation"]),
        b"old",
        "2026-03-01T12:00:02Z",
        origin="restore",
        restored_from=str(old.generation),
    )
    assert (await service.fetch("GET", f"{ALICE}/content?path=a.txt")).body == b"old"
    versions = (await service.fetch("GET", f"{ALICE}/versions?path=a.txt")).json["versions"]
    assert len(versions) == 3


async def test_restores_a_folder_after_showing_what_would_change(service: Running) -> None:
    """Changed files get their old content, later ones a tombstone, deleted ones come back; a dry run does nothing."""
    await service.local.put("alice", "p/changed.txt", b"old")
    await service.local.put("alice", "p/deleted.txt", b"here")
    await service.local.put("alice", "p/same.txt", b"same")
    await service.local.put("alice", "p2/other.txt", b"other")
    at = service.local.clock.now().isoformat()
    await service.local.put("alice", "p/changed.txt", b"new")
    await service.local.put("alice", "p/later.txt", b"later")
    await service.local.put("alice", "p2/other.txt", b"other, changed")
    service.local.clock.move(seconds=1)
    await service.local.store.delete("alice", "p/deleted.txt", "alice")
    body = {"path": "p", "at": at}
    wanted = {
        "restored": ["p/changed.txt", "p/deleted.txt"],
        "deleted": ["p/later.txt"],
        "unchanged": 1,
        "failed": [],
    }
    before = (await service.fetch("GET", f"{ALICE}/changes")).json["cursor"]
    assert (await service.fetch("POST", f"{ALICE}/restore-folder", json=body | {"dry_run": True})).json == wanted
    assert (await service.fetch("GET", f"{ALICE}/changes")).json["cursor"] == before
    assert (await service.fetch("POST", f"{ALICE}/restore-folder", json=body)).json == wanted
    live = (await service.fetch("GET", f"{ALICE}/snapshot")).json["versions"]
    assert [(v["path"], v["size"]) for v in live] == [
        ("p/changed.txt", 3),
        ("p/deleted.txt", 4),
        ("p/same.txt", 4),
        ("p2/other.txt", 14),
    ]


async def test_restores_a_folder_of_thousands(service: Running) -> None:
    """More files than a batch of the plan holds, and every one is right."""
    store, clock = service.local.store, service.local.clock
    first = await service.local.put("alice", "n/f-00000.txt", b"old")
    for number in range(1500):
        await service.local.put("alice", f"n/f-{number:05}.txt", b"old")
    at = clock.now().isoformat()
    clock.move(seconds=1)
    for number in range(0, 1500, 3):
        await store.delete("alice", f"n/f-{number:05}.txt", "alice")
    answer = (await service.fetch("POST", f"{ALICE}/restore-folder", json={"path": "n", "at": at})).json
    assert answer["restored"] == [f"n/f-{number:05}.txt" for number in range(0, 1500, 3)]
    assert (answer["deleted"], answer["unchanged"], answer["failed"]) == ([], 1000, [])
    assert first.path == "n/f-00000.txt"


async def test_compares_two_versions_as_text(service: Running) -> None:
    """Text as a unified diff, bytes as such."""
    one = await service.local.put("alice", "a.txt", b"one\ntwo\nthree\n")
    two = await service.local.put("alice", "a.txt", b"one\n2\nthree\n")
    answer = await service.fetch("GET", f"{ALICE}/diff?path=a.txt&a={one.generation}&b={two.generation}")
    assert answer.json == {
        "kind": "text",
        "unified": f"--- a.txt\t2026-03-01T12:00:01Z\t{one.generation}\n"
        f"+++ a.txt\t2026-03-01T12:00:02Z\t{two.generation}\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n",
        "truncated": False,
    }
    a = await service.local.put("alice", "a.bin", b"\0\1\2")
    b = await service.local.put("alice", "a.bin", b"\0\1\3")
    answer = await service.fetch("GET", f"{ALICE}/diff?path=a.bin&a={a.generation}&b={b.generation}")
    assert answer.json == {"kind": "binary", "truncated": False}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        pytest.param("folder?path=..", 400, "path-invalid", id="dots"),
        pytest.param("folder?path=/etc", 400, "path-invalid", id="absolute"),
        pytest.param("versions?path=a%00b", 400, "path-invalid", id="NUL"),
        pytest.param("versions?path=a%FFb", 400, "path-invalid", id="not UTF-8"),
        pytest.param("versions?path=" + "x" * 256, 400, "path-invalid", id="256 bytes"),
        pytest.param("versions?path=.versions/x", 400, "path-invalid", id="the platform's own folder"),
        pytest.param("versions", 400, "path-invalid", id="no path"),
        pytest.param("versions?path=never.txt", 404, "version-not-found", id="a file that never was"),
        pytest.param("content?path=a.txt&generation=1", 404, "version-not-found", id="a generation that never was"),
        pytest.param("content?path=a.txt&generation=-1", 400, "value-invalid", id="a negative generation"),
        pytest.param("versions?path=a.txt&generation=x&limit=x", 400, "value-invalid", id="a limit that is no number"),
        pytest.param("versions?path=a.txt&token=made-up", 400, "token-invalid", id="a token that was never given"),
        pytest.param("snapshot?at=2026-03-01T12:00:00", 400, "value-invalid", id="a time without a zone"),
        pytest.param("snapshot?at=0001-01-01T00:00:00%2B23:00", 400, "value-invalid", id="before all time"),
        pytest.param("changes?since=x", 400, "value-invalid", id="a cursor that is no number"),
    ],
)
async def test_refuses_bad_input_with_a_code(service: Running, query: str, status: int, code: str) -> None:
    """What a caller sends is never trusted."""
    await service.local.put("alice", "a.txt", b"1")
    answer = await service.fetch("GET", f"{ALICE}/{query}")
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param('<img src=x onerror="alert(1)">.txt', id="HTML"),
        pytest.param("a'b\"c\\d.txt", id="quotes"),
        pytest.param("invoice\u202excod.exe", id="right to left"),
        pytest.param("ü" * 127, id="254 bytes"),
        pytest.param(" spaces \t and tab ", id="spaces that must stay"),
        pytest.param("one%2F..%2Ftwo", id="escapes that are part of the name"),
        pytest.param("bell\x07name", id="a control character"),
    ],
)
async def test_keeps_any_name_exactly(service: Running, name: str) -> None:
    """A name goes in and comes out as it was, and the download header stays one header."""
    assert (await upload(service, f"d/{name}", b"1")).status == 200
    entries = (await service.fetch("GET", f"{ALICE}/folder?path=d")).json["entries"]
    assert [entry["name"] for entry in entries] == [name]
    answer = await service.fetch("GET", f"{ALICE}/content?path=d/{quote(name)}")
    assert answer.body == b"1"
    disposition = answer.headers["Content-Disposition"]
    assert disposition.endswith(f"; filename*=UTF-8''{quote(name, safe='')}")
    assert disposition.isascii()
    assert disposition.isprintable()
    assert disposition.count('"') == 2


async def test_audits_what_people_do(service: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restoring, deleting, downloading and trying somebody else's files are events; ranges of one file are one."""
    import json

    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", str(tmp_path / "audit.jsonl"))
    kept = await service.local.put("alice", "a.txt", b"0123456789")
    for part in ("0-3", "4-9"):
        await service.fetch("GET", f"{ALICE}/content?path=a.txt", headers={"Range": f"bytes={part}"})
    await service.fetch("POST", f"{ALICE}/deletions", json={"items": [{"path": "a.txt"}]})
    body = {"path": "a.txt", "generation": str(kept.generation)}
    await service.fetch("POST", f"{ALICE}/restore", json=body)
    await service.fetch("GET", f"{ALICE}/folder", token="root-token")
    events = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(event["action"], event["actor"], event["outcome"]) for event in events] == [
        ("version.download", "alice", "allowed"),
        ("version.delete", "alice", "allowed"),
        ("version.restore", "alice", "allowed"),
        ("version.access", "root", "refused"),
    ]
    assert events[0]["target"] == f"{kept.generation} alice/a.txt"


async def test_lets_old_versions_go(local_service: Running) -> None:
    """The sweep applies the retention policy to everybody, by the clock of the local_service."""
    from devplatform_versions.retention import expire_all

    await local_service.local.put("alice", "a.txt", b"1")
    await local_service.local.put("alice", "a.txt", b"2")
    assert await expire_all(local_service.local.store, local_service.local.clock) == 0
    local_service.local.clock.move(days=366)
    assert await expire_all(local_service.local.store, local_service.local.clock) == 1
    listed = (await local_service.fetch("GET", f"{ALICE}/versions?path=a.txt")).json["versions"]
    assert [v["size"] for v in listed] == [1]


async def test_notes_on_versions_are_asked_for(local_service: Running) -> None:
    """Without `notes` the answer is as ever; with them it says what is hidden, folded and renamed, page by page."""
    local = local_service.local
    for text in (b"1", b"2", b"3", b"5", b"6", b"", b"4"):
        last = await local.put("alice", "a.txt", text)
    generations = [v.generation for v in (await local.store.list_versions("alice", "a.txt")).items]
    local.clock.move(minutes=5)
    moved = await local.put("alice", "b.txt", b"4")
    end = await local.store.delete("alice", "a.txt", "alice")
    assert end
    plain = (await local_service.fetch("GET", f"{ALICE}/versions?path=a.txt")).json
    noted = (await local_service.fetch("GET", f"{ALICE}/versions?path=a.txt&notes=1")).json
    burst = {"burst": str(last.generation)}
    notes = [
        {"generation": str(end.generation), "renamed_to": {"path": "b.txt", "generation": str(moved.generation)}},
        {"generation": str(generations[1]), "hidden": "empty"},
        *({"generation": str(generation), **burst} for generation in generations[2:]),
    ]
    assert noted == {**plain, "notes": notes}
    assert (await local_service.fetch("GET", f"{ALICE}/versions?path=b.txt&notes=1")).json["notes"] == [
        {
            "generation": str(moved.generation),
            "renamed_from": {"path": "a.txt", "generation": str(last.generation)},
        }
    ]
    found: list[dict[str, object]] = []
    token = ""
    while token is not None:
        page = (await local_service.fetch("GET", f"{ALICE}/versions?path=a.txt&notes=1&limit=2{token}")).json
        found += page["versions"]
        token = page["next"] and f"&token={page['next']}"
    assert found == plain["versions"]
    refused = await local_service.fetch("GET", f"{ALICE}/versions?path=a.txt&notes=1&token=o.x.y")
    assert (refused.status, refused.json["error"]["code"]) == (400, "token-invalid")


async def test_says_when_the_store_cannot_be_used(service: Running) -> None:
    """A store that does not answer is 503 with a code, never a trace."""
    await service.local.store.close()
    answer = await service.fetch("GET", f"{ALICE}/folder")
    assert (answer.status, answer.json["error"]["code"]) == (503, "store-unavailable")
    assert answer.headers["Retry-After"] == "10"
    await service.local.store.open()
