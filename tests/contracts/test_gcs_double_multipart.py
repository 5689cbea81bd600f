"""Multipart uploads of the double's XML API: Google's transfer manager by them, and what goes wrong with parts."""

import os
from pathlib import Path

import pytest
from google.cloud.storage import transfer_manager

from .gcs_kit import BUCKET, Gcs

PART = 5 * 1024 * 1024
RULE = {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7, "matchesPrefix": ["big/"]}}


def test_the_transfer_manager(gcs: Gcs, tmp_path: Path) -> None:
    """Large files go up in parts, several at a time, and come down in slices whose sums are put together."""
    (tmp_path / "up").write_bytes(os.urandom(2 * PART + 12_345))
    blob = gcs.bucket.blob("big/f ä#1")
    threads = {"worker_type": transfer_manager.THREAD, "max_workers": 3}
    transfer_manager.upload_chunks_concurrently(tmp_path / "up", blob, chunk_size=PART, **threads)
    transfer_manager.download_chunks_concurrently(blob, tmp_path / "down", chunk_size=PART, **threads)
    assert (tmp_path / "down").read_bytes() == (tmp_path / "up").read_bytes()
    made = gcs.bucket.get_blob("big/f ä#1")
    assert (made.size, made.md5_hash) == (2 * PART + 12_345, None)
    assert gcs.held.multiparts == {}


def begin(gcs: Gcs, name: str = "big/f") -> str:
    """The address of a new upload."""
    address = f"{gcs.server.url}/{BUCKET}/{name}"
    text = gcs.http.post(f"{address}?uploads", headers={"Content-Type": "text/x-any"}, timeout=10).text
    return f"{address}?uploadId={text.partition('<UploadId>')[2].partition('<')[0]}"


def put(gcs: Gcs, address: str, number: int, body: bytes) -> str:
    answer = gcs.http.put(f"{address}&partNumber={number}", data=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def complete(gcs: Gcs, address: str, *parts: tuple[int, str]) -> tuple[int, str]:
    """Status, and the code of a refusal."""
    named = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in parts)
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"
    answer = gcs.http.post(address, data=body, timeout=10)
    return answer.status_code, answer.text.partition("<Code>")[2].partition("<")[0]


def test_parts_in_any_order(gcs: Gcs) -> None:
    """They are put together by number; one sent again replaces the first; nothing is there before the end."""
    address = begin(gcs)
    second = put(gcs, address, 2, b"end")
    put(gcs, address, 1, b"y" * PART)
    first = put(gcs, address, 1, b"x" * PART)
    assert gcs.bucket.get_blob("big/f") is None
    assert gcs.http.get(address, timeout=10).text.count("<PartNumber>") == 2
    assert complete(gcs, address, (1, first), (2, second)) == (200, "")
    made = gcs.bucket.get_blob("big/f")
    assert (made.download_as_bytes(), made.content_type) == (b"x" * PART + b"end", "text/x-any")
    assert complete(gcs, address, (1, first), (2, second)) == (404, "NoSuchUpload")


def test_parts_that_do_not_fit(gcs: Gcs) -> None:
    """Nothing comes of them; the upload goes on."""
    address = begin(gcs)
    one, two = put(gcs, address, 1, b"small"), put(gcs, address, 2, b"end")
    assert complete(gcs, address, (1, one), (2, two)) == (400, "EntityTooSmall")
    assert complete(gcs, address, (2, two), (1, one)) == (400, "InvalidPartOrder")
    assert complete(gcs, address, (1, two)) == (400, "InvalidPart")
    assert complete(gcs, address, (3, two)) == (400, "InvalidPart")
    assert complete(gcs, address) == (400, "MalformedXML")
    wrong = {"x-goog-hash": "md5=1B2M2Y8AsgTpgAmY7PhCfg=="}
    assert gcs.http.put(f"{address}&partNumber=3", data=b"x", headers=wrong, timeout=10).status_code == 400
    assert gcs.http.put(f"{address}&partNumber=0", data=b"x", timeout=10).status_code == 400
    assert gcs.http.put(address.replace("big/f", "big/g") + "&partNumber=1", data=b"x", timeout=10).status_code == 404
    assert gcs.state() == []
    assert complete(gcs, address, (2, two)) == (200, "")


@pytest.mark.parametrize("name", ["big/f", "other/f"])
def test_forgotten_uploads_end(gcs: Gcs, name: str) -> None:
    """By the lifecycle rule that is for them, or by hand."""
    gcs.held.config["lifecycle"] = {"rule": [RULE]}
    address = begin(gcs, name)
    gcs.server.clock.move(days=6.9)
    assert gcs.server.apply_lifecycle(BUCKET) == []
    gcs.server.clock.move(days=0.1)
    done = gcs.server.apply_lifecycle(BUCKET)
    assert [(one.name, one.action) for one in done] == ([("big/f", "aborted")] if name == "big/f" else [])
    assert gcs.http.delete(address, timeout=10).status_code == (404 if done else 204)
    assert gcs.held.multiparts == {}


@pytest.mark.parametrize("step", ["begin", "part"])
def test_rights(gcs: Gcs, step: str) -> None:
    """Nobody without the right to create begins or goes on."""
    address = begin(gcs)
    gcs.server.iam.enforced = True
    if step == "begin":
        answer = gcs.http.post(f"{gcs.server.url}/{BUCKET}/x?uploads", timeout=10)
    else:
        answer = gcs.http.put(f"{address}&partNumber=1", data=b"x", timeout=10)
    assert answer.status_code == 401
