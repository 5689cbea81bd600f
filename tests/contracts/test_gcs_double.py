"""The double of Cloud Storage, judged by Google's own client: versions, reads, copies, and what outlives a save."""

import pytest
from google.api_core.exceptions import Conflict, NotFound
from requests import Response

from .gcs_kit import BUCKET, Gcs, names, path_of

# Versions.


def test_saves_make_rising_generations(gcs: Gcs) -> None:
    """Twelve saves are twelve generations, eleven of them noncurrent, oldest first, each with all of its metadata."""
    made = gcs.save("f", *(f"v{turn}" for turn in range(12)), content_type="text/x-python")
    assert made == sorted(set(made))
    versions = gcs.versions()
    assert [blob.generation for blob in versions] == made
    assert [blob.time_deleted is None for blob in versions] == [False] * 11 + [True]
    assert [(b.size, b.content_type, b.storage_class, b.metageneration) for b in versions[:2]] == [
        (2, "text/x-python", "STANDARD", 1)
    ] * 2
    assert all(blob.md5_hash and blob.crc32c and blob.etag and blob.id for blob in versions)
    assert [b.time_deleted for b in versions[:-1]] == [b.time_created for b in versions[1:]]
    assert names(gcs.client.list_blobs(BUCKET)) == ["f"]


def test_a_generation_is_a_time(gcs: Gcs) -> None:
    """Generations are microseconds since 1970, as real ones are."""
    [made] = gcs.save("f", "x")
    when = gcs.bucket.get_blob("f").time_created.timestamp()
    assert abs(made / 1_000_000 - when) < 0.01


def test_a_plain_delete_keeps_all_versions(gcs: Gcs) -> None:
    """Deleting in a versioned bucket makes the live one noncurrent, and deleting again finds nothing."""
    made = gcs.save("f", "one", "two")
    gcs.bucket.delete_blob("f")
    assert [(b.generation, b.time_deleted is None) for b in gcs.versions()] == [(made[0], False), (made[1], False)]
    assert names(gcs.client.list_blobs(BUCKET)) == []
    with pytest.raises(NotFound):
        gcs.bucket.delete_blob("f")
    with pytest.raises(NotFound):
        gcs.bucket.blob("f").download_as_bytes()


@pytest.mark.parametrize(("which", "left"), [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])])
def test_deleting_a_generation_is_final(gcs: Gcs, which: int, left: list[int]) -> None:
    """With its generation, a version goes; the live one too, and no older one takes its place."""
    made = gcs.save("f", "one", "two", "three")
    gcs.bucket.delete_blob("f", generation=made[which])
    assert [blob.generation for blob in gcs.versions()] == [made[place] for place in left]
    assert (gcs.bucket.get_blob("f") is None) == (which == 2)


def test_generation_zero_means_the_live_one(gcs: Gcs) -> None:
    """gcsfuse deletes with generation=0; that archives."""
    made = gcs.save("f", "one")
    assert gcs.call("DELETE", f"{path_of('f')}?generation=0").status_code == 204
    assert [(b.generation, b.time_deleted is None) for b in gcs.versions()] == [(made[0], False)]


def test_an_unversioned_bucket_keeps_nothing(gcs: Gcs) -> None:
    """Replaced and deleted objects are gone from it."""
    gcs.server.make_bucket("plain", versioned=False)
    bucket = gcs.client.bucket("plain")
    for body in ("one", "two"):
        bucket.blob("f").upload_from_string(body)
    assert [b.download_as_text() for b in gcs.client.list_blobs("plain", versions=True)] == ["two"]
    bucket.delete_blob("f")
    assert names(gcs.client.list_blobs("plain", versions=True)) == []


def test_suspended_versioning_keeps_what_there_is(gcs: Gcs) -> None:
    """Without versioning the live one is replaced for good; older versions stay."""
    made = gcs.save("f", "one", "two")
    gcs.bucket.reload()
    gcs.bucket.versioning_enabled = False
    gcs.bucket.patch()
    [third] = gcs.save("f", "three")
    assert [blob.generation for blob in gcs.versions()] == [made[0], third]


# Reads.


def test_old_generations_are_read(gcs: Gcs) -> None:
    """Content, ranges and metadata of any generation; 404 for one that is not there."""
    made = gcs.save("f", "0123456789", "new")
    old = gcs.bucket.blob("f", generation=made[0])
    assert old.download_as_text() == "0123456789"
    assert old.download_as_bytes(start=2, end=4) == b"234"
    assert gcs.bucket.get_blob("f", generation=made[0]).size == 10
    assert gcs.bucket.get_blob("f", generation=12345) is None
    with pytest.raises(NotFound):
        gcs.bucket.blob("f", generation=12345).download_as_bytes()


RANGES = [
    ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
    ("bytes=7-", 206, "789", "bytes 7-9/10"),
    ("bytes=-3", 206, "789", "bytes 7-9/10"),
    ("bytes=-30", 206, "0123456789", "bytes 0-9/10"),
    ("bytes=8-99", 206, "89", "bytes 8-9/10"),
    ("bytes=10-", 416, None, None),
    ("lines=1-2", 200, "0123456789", None),
]


@pytest.mark.parametrize(("asked", "status", "text", "header"), RANGES, ids=[row[0] for row in RANGES])
def test_ranges(gcs: Gcs, asked: str, status: int, text: str | None, header: str | None) -> None:
    gcs.save("f", "0123456789")
    answer: Response = gcs.call("GET", f"{path_of('f')}?alt=media", headers={"Range": asked})
    assert (answer.status_code, answer.headers.get("Content-Range")) == (status, header)
    assert text is None or answer.text == text


def test_etags(gcs: Gcs) -> None:
    """They change with the metadata; If-None-Match gives 304, If-Match 412."""
    gcs.save("f", "x")
    etag = gcs.bucket.get_blob("f").etag
    asked = [gcs.call("GET", path_of("f"), headers={"If-None-Match": text}) for text in (etag, f'"{etag}"', "other")]
    asked += [gcs.call("GET", path_of("f"), headers={"If-Match": text}) for text in (etag, "other")]
    assert [answer.status_code for answer in asked] == [304, 304, 200, 200, 412]
    blob = gcs.bucket.get_blob("f")
    blob.content_type = "text/markdown"
    blob.patch()
    assert gcs.call("GET", path_of("f"), headers={"If-None-Match": etag}).status_code == 200


def test_a_bucket_that_is_not_empty_stays(gcs: Gcs) -> None:
    """Noncurrent versions count."""
    gcs.save("f", "x")
    gcs.bucket.delete_blob("f")
    with pytest.raises(Conflict):
        gcs.bucket.delete()
