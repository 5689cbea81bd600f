"""Uploads to the double: sums, chunks, status, what breaks off; by Google's client, and by hand where it hides them."""

import io
import json
import socket
from base64 import b64encode
from hashlib import md5
from typing import Any

import google_crc32c
import pytest
from google.api_core.exceptions import PreconditionFailed
from requests import Response

from tests.doubles.gcs import GcsFault

from .gcs_kit import BUCKET, Gcs, path_of, reason

UPLOAD = "/upload/storage/v1"
QUANTUM = 256 * 1024


def sums(body: bytes) -> dict[str, str]:
    crc = google_crc32c.value(body).to_bytes(4, "big")
    return {"md5Hash": b64encode(md5(body).digest()).decode(), "crc32c": b64encode(crc).decode()}


def begin(gcs: Gcs, name: str = "f", body: dict[str, Any] | None = None, **query: str) -> str:
    """The address of a new session."""
    asked = {"uploadType": "resumable", "name": name, **query}
    answer = gcs.call("POST", f"/b/{BUCKET}/o", root=UPLOAD, params=asked, json=body or {})
    assert answer.status_code == 200, answer.text
    return answer.headers["Location"]


def put(gcs: Gcs, address: str, body: bytes, span: str, **headers: str) -> Response:
    return gcs.http.put(address, data=body, headers={"Content-Range": span, **headers}, timeout=10)


def break_off(address: str, method: str, body: bytes, *headers: str) -> None:
    """Send the head of a request and a quantum and a bit of its body, then be gone."""
    host, _, path = address.removeprefix("http://").partition("/")
    name, port = host.split(":")
    lines = [f"{method} /{path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *headers, "", ""]
    with socket.create_connection((name, int(port))) as connection:
        connection.sendall("\r\n".join(lines).encode() + body[: QUANTUM + 1000])


@pytest.mark.parametrize("kind", ["md5", "crc32c"])
@pytest.mark.parametrize("resumable", [False, True])
def test_the_client_and_the_double_agree_on_sums(gcs: Gcs, kind: str, resumable: bool) -> None:
    """The client sends a sum along, and checks the one of what it downloads."""
    blob = gcs.bucket.blob("f", chunk_size=QUANTUM if resumable else None)
    body = bytes(range(256)) * 3000
    blob.upload_from_file(io.BytesIO(body), checksum=kind)
    assert blob.download_as_bytes(checksum=kind) == body
    assert (blob.md5_hash, blob.crc32c) == tuple(sums(body).values())


@pytest.mark.parametrize("field", ["md5Hash", "crc32c"])
def test_content_that_is_not_what_it_should_be(gcs: Gcs, field: str) -> None:
    """400, and nothing is there: at once for a multipart upload, at the end for a resumable one."""
    wrong = {field: sums(b"other")[field]}
    parts = f"--=\r\n\r\n{json.dumps({'name': 'f', **wrong})}\r\n--=\r\n\r\nx\r\n--=--"
    kind = {"Content-Type": 'multipart/related; boundary="="'}
    path = f"/b/{BUCKET}/o?uploadType=multipart"
    assert reason(gcs.call("POST", path, root=UPLOAD, data=parts, headers=kind)) == (400, "invalid")
    assert reason(put(gcs, begin(gcs, body=wrong), b"x", "bytes 0-0/1")) == (400, "invalid")
    header = {"X-Goog-Hash": f"{'md5' if field == 'md5Hash' else 'crc32c'}={wrong[field]}"}
    assert reason(put(gcs, begin(gcs), b"x", "bytes 0-0/1", **header)) == (400, "invalid")
    assert gcs.state() == []


def test_multipart_content_may_hold_anything(gcs: Gcs) -> None:
    """Line ends and dashes in it, nothing at all, and metadata beside it."""
    for body in (b"", b"\r\n", b"--\r\n--", bytes(range(256))):
        blob = gcs.bucket.blob("f")
        blob.metadata = {"ä": "ö"}
        blob.upload_from_string(body, content_type="application/x-any")
        assert gcs.bucket.blob("f").download_as_bytes() == body
    got = gcs.bucket.get_blob("f")
    assert (got.metadata, got.content_type) == ({"ä": "ö"}, "application/x-any")


def test_chunks_and_status(gcs: Gcs) -> None:
    """308 with a Range until all is there; then the object, however often one asks."""
    address, body = begin(gcs), b"x" * (2 * QUANTUM + 5)
    status = put(gcs, address, b"", "bytes */*")
    assert (status.status_code, "Range" in status.headers) == (308, False)
    first = put(gcs, address, body[:QUANTUM], f"bytes 0-{QUANTUM - 1}/*")
    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{QUANTUM - 1}")
    again = put(gcs, address, body[: 2 * QUANTUM], f"bytes 0-{2 * QUANTUM - 1}/*")
    assert (again.status_code, again.headers["Range"]) == (308, f"bytes=0-{2 * QUANTUM - 1}")
    assert put(gcs, address, b"", f"bytes */{len(body)}").status_code == 308
    done = put(gcs, address, body[2 * QUANTUM :], f"bytes {2 * QUANTUM}-{len(body) - 1}/{len(body)}")
    assert (done.status_code, done.json()["size"]) == (200, str(len(body)))
    assert put(gcs, address, b"", "bytes */*").json()["generation"] == done.json()["generation"]
    assert [blob.generation for blob in gcs.versions()] == [int(done.json()["generation"])]
    assert gcs.bucket.blob("f").download_as_bytes() == body


def test_go_clients_see_no_308(gcs: Gcs) -> None:
    """They ask for 200 and the real status in a header."""
    answer = put(gcs, begin(gcs), b"", "bytes */*", **{"X-GUploader-No-308": "yes"})
    assert (answer.status_code, answer.headers["X-Http-Status-Code-Override"]) == (200, "308")


CHUNKS = [
    ("not a multiple", b"x" * 1000, "bytes 0-999/*", 400),
    ("a gap", b"x" * QUANTUM, f"bytes {QUANTUM}-{2 * QUANTUM - 1}/*", 400),
    ("not as long", b"x" * 10, "bytes 0-19/20", 400),
    ("more than all", b"x" * QUANTUM, f"bytes 0-{QUANTUM - 1}/5", 400),
    ("no range", b"x" * 10, "bits 0-9", 400),
    ("empty", b"", "bytes */0", 200),
    ("one byte", b"x", "bytes 0-0/1", 200),
]


@pytest.mark.parametrize(("body", "span", "status"), [row[1:] for row in CHUNKS], ids=[row[0] for row in CHUNKS])
def test_chunks(gcs: Gcs, body: bytes, span: str, status: int) -> None:
    assert put(gcs, begin(gcs), body, span).status_code == status


def test_preconditions_count_at_the_end(gcs: Gcs) -> None:
    """What was true at the beginning has to be true still: somebody may have saved meanwhile."""
    [made] = gcs.save("f", "one")
    stale = gcs.call(
        "POST",
        f"/b/{BUCKET}/o",
        root=UPLOAD,
        params={"uploadType": "resumable", "name": "f", "ifGenerationMatch": str(made - 1)},
        json={},
    )
    assert stale.status_code == 412
    address = begin(gcs, ifGenerationMatch=str(made))
    gcs.save("f", "two")
    assert put(gcs, address, b"x", "bytes 0-0/1").status_code == 412
    with pytest.raises(PreconditionFailed):
        gcs.bucket.blob("f", chunk_size=QUANTUM).upload_from_file(io.BytesIO(b"x" * 300_000), if_generation_match=made)
    assert gcs.bucket.blob("f").download_as_text() == "two"


def test_no_session_for_a_held_object(gcs: Gcs) -> None:
    """It is refused before a byte is sent."""
    gcs.save("f", "x")
    gcs.call("PATCH", path_of("f"), json={"temporaryHold": True})
    asked = {"uploadType": "resumable", "name": "f"}
    assert reason(gcs.call("POST", f"/b/{BUCKET}/o", root=UPLOAD, params=asked, json={})) == (403, "forbidden")


def test_sessions_end(gcs: Gcs) -> None:
    """By cancelling (499), after a week (410); one that never was is not there (404)."""
    address = begin(gcs)
    assert gcs.http.delete(address, timeout=10).status_code == 499
    assert put(gcs, address, b"x", "bytes 0-0/1").status_code == 499
    address = begin(gcs)
    gcs.server.clock.move(days=8)
    assert put(gcs, address, b"x", "bytes 0-0/1").status_code == 410
    assert put(gcs, address + "x", b"x", "bytes 0-0/1").status_code == 404


def test_what_broke_off_is_resumed(gcs: Gcs) -> None:
    """The connection ends in a chunk: whole quanta of it are there, and the rest can follow."""
    address, body = begin(gcs), bytes(range(256)) * 4096
    break_off(address, "PUT", body, f"Content-Range: bytes 0-{len(body) - 1}/{len(body)}")
    have = 0
    for _ in range(100):
        answer = put(gcs, address, b"", f"bytes */{len(body)}")
        have = int(answer.headers.get("Range", "bytes=0--1").partition("-")[2]) + 1
        if have:
            break
    assert have == QUANTUM
    done = put(gcs, address, body[have:], f"bytes {have}-{len(body) - 1}/{len(body)}")
    assert (done.status_code, gcs.bucket.blob("f").download_as_bytes() == body) == (200, True)


def test_an_xml_upload_if_there_is_none(gcs: Gcs) -> None:
    """If-None-Match: * is another way to say so."""
    asked = {"headers": {"If-None-Match": "*"}, "data": "x", "timeout": 10}
    assert [gcs.http.put(f"{gcs.server.url}/{BUCKET}/f", **asked).status_code for _ in range(2)] == [200, 412]


@pytest.mark.parametrize("header", ["Content-MD5", "x-goog-hash"])
def test_an_xml_upload_that_is_not_what_it_should_be(gcs: Gcs, header: str) -> None:
    other = sums(b"other")["md5Hash"]
    headers = {header: other if header == "Content-MD5" else f"md5={other}"}
    answer = gcs.http.put(f"{gcs.server.url}/{BUCKET}/f", data=b"x", headers=headers, timeout=10)
    assert (answer.status_code, "<Code>BadDigest</Code>" in answer.text, gcs.state()) == (400, True, [])


def test_half_an_upload_is_none(gcs: Gcs) -> None:
    """Where it is not resumable, nothing is there, and the log says that it came to nothing."""
    body = b"x" * 1_000_000
    break_off(f"{gcs.server.url}{UPLOAD}/b/{BUCKET}/o?uploadType=media&name=f", "POST", body)
    break_off(f"{gcs.server.url}/{BUCKET}/f", "PUT", body)
    for _ in range(1000):
        if len(gcs.server.log.calls) == 2:
            break
        assert gcs.http.get(f"{gcs.server.url}/-/ledger", timeout=5).ok
    assert [one.status for one in gcs.server.log.calls] == [503, 503]
    assert gcs.state() == []


def test_the_client_goes_on_after_503_in_a_chunk(gcs: Gcs) -> None:
    """Google's client asks how far it is, and sends the rest: one generation, not two."""
    gcs.server.faults.append(GcsFault(status=503, method="storage.objects.insert", after=2, times=1))
    body = bytes(range(256)) * 4096
    gcs.bucket.blob("f", chunk_size=QUANTUM).upload_from_file(io.BytesIO(body), size=len(body), checksum="md5")
    assert gcs.bucket.blob("f").download_as_bytes() == body
    assert len(gcs.versions()) == 1


def test_an_upload_needs_a_name_and_a_kind(gcs: Gcs) -> None:
    for query in ("?uploadType=media", "?name=f", "?uploadType=other&name=f"):
        assert reason(gcs.call("POST", f"/b/{BUCKET}/o{query}", root=UPLOAD, data="x"))[0] == 400
    assert gcs.call("GET", path_of("f")).status_code == 404
