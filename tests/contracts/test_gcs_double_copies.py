"""The double of Cloud Storage, judged by Google's own client: copies, rewrites, moves, patches, holds, batches."""

import datetime
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed
from google.cloud.storage import Blob

from .gcs_kit import BUCKET, Gcs, names, path_of


def test_a_restore_is_a_copy_with_preconditions(gcs: Gcs) -> None:
    """The old content becomes a new live generation, with the old metadata; a stale precondition changes nothing."""
    blob = gcs.bucket.blob("f")
    blob.metadata = {"gcsfuse_mtime": "2026-01-01T00:00:00Z"}
    blob.upload_from_string("one", content_type="text/x-python")
    old = blob.generation
    [live] = gcs.save("f", "two")
    before = gcs.state()
    for stale in (0, old):
        with pytest.raises(PreconditionFailed):
            gcs.bucket.copy_blob(blob, gcs.bucket, "f", source_generation=old, if_generation_match=stale)
    assert gcs.state() == before
    made = gcs.bucket.copy_blob(blob, gcs.bucket, "f", source_generation=old, if_generation_match=live)
    restored = gcs.bucket.get_blob("f")
    assert (restored.download_as_text(), restored.content_type, restored.metadata, restored.generation) == (
        "one",
        "text/x-python",
        {"gcsfuse_mtime": "2026-01-01T00:00:00Z"},
        made.generation,
    )
    assert len(gcs.versions()) == 3


def test_a_deleted_file_is_restored(gcs: Gcs) -> None:
    """ifGenerationMatch=0 says: only if there is none."""
    [made] = gcs.save("f", "one")
    gcs.bucket.delete_blob("f")
    source = gcs.bucket.blob("f")
    gcs.bucket.copy_blob(source, gcs.bucket, "f", source_generation=made, if_generation_match=0)
    assert gcs.bucket.blob("f").download_as_text() == "one"
    with pytest.raises(PreconditionFailed):
        gcs.bucket.copy_blob(source, gcs.bucket, "f", source_generation=made, if_generation_match=0)


def _path(query: str) -> str:
    return f"{path_of('f')}/rewriteTo{path_of('g')}?{query}"


def test_a_rewrite_takes_as_many_calls_as_it_must(gcs: Gcs) -> None:
    """A large one comes with tokens; nothing is there before the last call."""
    made = gcs.save("f", "x" * 2500, "new")
    gcs.server.desk.rewrite_chunk = 1000
    to, source = gcs.bucket.blob("g"), gcs.bucket.blob("f", generation=made[0])
    token, done, total = to.rewrite(source, if_generation_match=0)
    assert (done, total, gcs.bucket.get_blob("g")) == (1000, 2500, None)
    token, done, total = to.rewrite(source, token=token, if_generation_match=0)
    assert (bool(token), done) == (True, 2000)
    with pytest.raises(Exception, match="Invalid rewriteToken"):
        gcs.bucket.blob("other").rewrite(source, token=token)
    assert gcs.call("POST", _path("maxBytesRewrittenPerCall=5")).status_code == 400
    gcs.save("g", "x")
    assert gcs.call("POST", _path(f"ifGenerationMatch=0&sourceGeneration={made[0]}")).status_code == 412
    gcs.bucket.delete_blob("g")
    token, done, total = to.rewrite(source)
    while token:
        token, done, total = to.rewrite(source, token=token, if_generation_match=0)
    assert (done, to.download_as_text()) == (2500, "x" * 2500)


def test_a_patch_changes_no_generation(gcs: Gcs) -> None:
    """The metageneration rises, also of a noncurrent version, and the listing stays as long as it was."""
    made = gcs.save("f", "one", "two")
    live, old = gcs.bucket.get_blob("f"), gcs.bucket.get_blob("f", generation=made[0])
    for blob, note in ((live, "live"), (old, "old")):
        blob.metadata = {"note": note}
        blob.patch()
        assert blob.metageneration == 2
    assert [(b.generation, b.metageneration, b.metadata) for b in gcs.versions()] == [
        (made[0], 2, {"note": "old"}),
        (made[1], 2, {"note": "live"}),
    ]
    live.metadata = {"note": None, "other": "x"}
    live.patch()
    assert gcs.bucket.get_blob("f").metadata == {"other": "x"}


def test_custom_time_only_rises(gcs: Gcs) -> None:
    when = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
    gcs.save("f", "x")
    blob = gcs.bucket.get_blob("f")
    blob.custom_time = when
    blob.patch()
    assert gcs.bucket.get_blob("f").custom_time == when
    blob.custom_time = when - datetime.timedelta(days=1)
    with pytest.raises(Exception, match="customTime"):
        blob.patch()


def test_holds(gcs: Gcs) -> None:
    """What is held is not deleted, replaced or archived; releasing it makes it free; a copy is not held."""
    gcs.save("f", "x")
    blob = gcs.bucket.get_blob("f")
    blob.temporary_hold = True
    blob.patch()
    for change in (
        lambda: gcs.bucket.delete_blob("f"),
        lambda: gcs.save("f", "y"),
        lambda: gcs.bucket.rename_blob(blob, "g"),
        lambda: gcs.bucket.move_blob(blob, "h"),
        lambda: gcs.bucket.copy_blob(gcs.bucket.blob("g"), gcs.bucket, "f"),
        lambda: gcs.bucket.blob("f", chunk_size=256 * 1024).upload_from_file(io.BytesIO(b"x")),
    ):
        with pytest.raises(Exception, match="under active Temporary hold"):
            change()
    assert not gcs.bucket.get_blob("g").temporary_hold
    blob.temporary_hold = False
    blob.patch()
    gcs.bucket.delete_blob("f")


def test_storage_classes(gcs: Gcs) -> None:
    """Given with an upload and by a rewrite; a copy has the bucket's class."""
    blob = gcs.bucket.blob("f")
    blob.storage_class = "NEARLINE"
    blob.upload_from_string("x")
    assert gcs.bucket.get_blob("f").storage_class == "NEARLINE"
    assert gcs.bucket.copy_blob(blob, gcs.bucket, "g").storage_class == "STANDARD"
    blob.update_storage_class("COLDLINE")
    assert [(b.name, b.storage_class, b.time_deleted is None) for b in gcs.versions()] == [
        ("f", "NEARLINE", False),
        ("f", "COLDLINE", True),
        ("g", "STANDARD", True),
    ]


def test_compose(gcs: Gcs) -> None:
    """Parts, one of them an old generation, in one step; the result has a CRC32C and no MD5."""
    old, _ = gcs.save("a", "one,", "new,")
    gcs.save("b", "two")
    to = gcs.bucket.blob("c")
    to.content_type = "text/plain"
    to.compose([gcs.bucket.blob("a", generation=old), gcs.bucket.blob("b")], if_generation_match=0)
    made: Blob = gcs.bucket.get_blob("c")
    assert (made.download_as_text(), made.component_count, made.md5_hash, made.content_type) == (
        "one,two",
        2,
        None,
        "text/plain",
    )
    with pytest.raises(PreconditionFailed):
        to.compose([gcs.bucket.blob("a")], if_generation_match=0)
    with pytest.raises(NotFound):
        to.compose([gcs.bucket.blob("none")])
    with pytest.raises(BadRequest, match="between 1 and 32"):
        to.compose([gcs.bucket.blob("b")] * 33)


def test_a_move_is_one_step(gcs: Gcs) -> None:
    """The new name begins a history; the old name's ends with a noncurrent version."""
    made = gcs.save("f", "x")
    moved = gcs.bucket.move_blob(gcs.bucket.blob("f"), "g", if_generation_match=0)
    assert [(b.name, b.generation, b.time_deleted is None) for b in gcs.versions()] == [
        ("f", made[0], False),
        ("g", moved.generation, True),
    ]
    with pytest.raises(BadRequest, match="must be different"):
        gcs.bucket.move_blob(gcs.bucket.blob("g"), "g")
    gcs.server.store.move_keeps_source = False
    gcs.bucket.move_blob(gcs.bucket.blob("g"), "h")
    assert names(gcs.versions("g")) == []


def test_one_of_many_writers_wins(gcs: Gcs) -> None:
    """Twenty at once with the same ifGenerationMatch."""
    [made] = gcs.save("f", "x")

    def write(number: int) -> bool:
        try:
            gcs.bucket.blob("f").upload_from_string(str(number), if_generation_match=made)
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(write, range(20))) == 1
    assert len(gcs.versions()) == 2


def test_a_batch(gcs: Gcs) -> None:
    """Five deletions in one call."""
    for name in "abcde":
        gcs.save(name, "x")
    with gcs.client.batch():
        for name in "abcde":
            gcs.bucket.delete_blob(name)
    assert names(gcs.client.list_blobs(BUCKET)) == []
    assert gcs.server.calls["batch"] == 1
    with pytest.raises(NotFound), gcs.client.batch():
        gcs.bucket.delete_blob("a")
    part = "--=\r\nContent-Type: application/http\r\n\r\nGET /storage/v1/b HTTP/1.1\r\n\r\n"
    kind = {"Content-Type": "multipart/mixed; boundary=="}
    for count, status in ((100, 200), (101, 400)):
        answer = gcs.call("POST", "", root="/batch/storage/v1", data=f"{part * count}--=--", headers=kind)
        assert (answer.status_code, answer.text.count("HTTP/1.1 200 OK")) == (status, count * (status == 200))
