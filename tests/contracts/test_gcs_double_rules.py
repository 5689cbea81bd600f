"""Time in the double: lifecycle rules, soft deletion, minimum durations, and what operations would cost."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.doubles.gcs import Clock, Fill, GcsServer
from tests.doubles.gcs.clock import DAY, micros
from tests.doubles.gcs.lifecycle import Applied
from tests.doubles.gcs.store import Place

from .gcs_kit import BUCKET, Gcs, names, path_of, reason

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = [
    ({"type": "SetStorageClass", "storageClass": "NEARLINE"}, {"isLive": False, "daysSinceNoncurrentTime": 31}),
    ({"type": "SetStorageClass", "storageClass": "COLDLINE"}, {"isLive": False, "daysSinceNoncurrentTime": 91}),
    ({"type": "Delete"}, {"isLive": False, "numNewerVersions": 10, "daysSinceNoncurrentTime": 30}),
    ({"type": "Delete"}, {"isLive": False, "daysSinceNoncurrentTime": 366}),
]


def rules(*pairs: tuple[dict[str, Any], dict[str, Any]]) -> dict[str, Any]:
    return {"rule": [{"action": action, "condition": condition} for action, condition in pairs]}


def bucket_of(*pairs: tuple[dict[str, Any], dict[str, Any]], **settings: Any) -> GcsServer:
    """A double at the first of January with these rules."""
    server = GcsServer(Clock(BEGIN))
    server.make_bucket(BUCKET, lifecycle=rules(*pairs), **settings)
    return server


def write(server: GcsServer, name: str = "f", details: dict[str, Any] | None = None, klass: str | None = None) -> int:
    return server.store.write(Place(server.store.bucket(BUCKET), name), b"x", details or {}, klass).number


def kept(server: GcsServer) -> list[tuple[str, str, bool]]:
    """Name, class and whether it is live, of all there is."""
    return [(name, one.storage_class, one.deleted is None) for name, one in server.store.bucket(BUCKET).all()]


# Three generations of "f": of day 0 and day 10 (noncurrent since days 10 and 20) and a live one of day 20; a live
# "g.tmp" in Nearline of day 0 with a custom time of day 5. The rule deletes; the days of creation tell what is left.
CONDITIONS: list[tuple[dict[str, Any], int, list[str]]] = [
    ({"age": 25}, 24, ["f0", "f10", "f20", "g0"]),
    ({"age": 25}, 25, ["f10", "f20", "g0-"]),
    ({"age": 25, "isLive": False}, 25, ["f10", "f20", "g0"]),
    ({"isLive": True}, 20, ["f0", "f10", "f20-", "g0-"]),
    ({"createdBefore": "2026-01-11"}, 20, ["f10", "f20", "g0-"]),
    ({"createdBefore": "2026-01-12"}, 20, ["f20", "g0-"]),
    ({"daysSinceNoncurrentTime": 11}, 20, ["f0", "f10", "f20", "g0"]),
    ({"daysSinceNoncurrentTime": 10}, 20, ["f10", "f20", "g0"]),
    ({"daysSinceNoncurrentTime": 10}, 30, ["f20", "g0"]),
    ({"noncurrentTimeBefore": "2026-01-20"}, 30, ["f10", "f20", "g0"]),
    ({"numNewerVersions": 1}, 20, ["f20", "g0"]),
    ({"numNewerVersions": 2}, 20, ["f10", "f20", "g0"]),
    ({"numNewerVersions": 1, "daysSinceNoncurrentTime": 10}, 20, ["f10", "f20", "g0"]),
    ({"daysSinceCustomTime": 16}, 20, ["f0", "f10", "f20", "g0"]),
    ({"daysSinceCustomTime": 15}, 20, ["f0", "f10", "f20", "g0-"]),
    ({"customTimeBefore": "2026-01-06"}, 20, ["f0", "f10", "f20", "g0"]),
    ({"customTimeBefore": "2026-01-07"}, 20, ["f0", "f10", "f20", "g0-"]),
    ({"matchesStorageClass": ["NEARLINE"]}, 20, ["f0", "f10", "f20", "g0-"]),
    ({"matchesPrefix": ["g", "x"]}, 20, ["f0", "f10", "f20", "g0-"]),
    ({"matchesSuffix": [".tmp"]}, 20, ["f0", "f10", "f20", "g0-"]),
]


@pytest.mark.parametrize(("condition", "day", "left"), CONDITIONS, ids=[f"{c[0]}-day-{c[1]}" for c in CONDITIONS])
def test_conditions(condition: dict[str, Any], day: int, left: list[str]) -> None:
    """Each condition, just before it holds and when it does; a "-" is a live one that became noncurrent."""
    server = bucket_of(({"type": "Delete"}, condition))
    custom = {"customTime": (BEGIN + timedelta(days=5)).isoformat()}
    write(server, "g.tmp", custom, "NEARLINE")
    for wait in (10, 10, day - 20):
        write(server)
        server.clock.move(days=wait)
    server.apply_lifecycle(BUCKET)
    begin = micros(BEGIN)
    live = {"f20", "g0"}
    found = []
    for name, one in server.store.bucket(BUCKET).all():
        label = f"{name[0]}{(one.created - begin) // DAY}"
        found.append(label + ("-" if label in live and one.deleted is not None else ""))
    assert found == left


def test_delete_beats_a_class_and_the_coldest_wins() -> None:
    server = bucket_of(
        ({"type": "SetStorageClass", "storageClass": "ARCHIVE"}, {"matchesPrefix": ["a"]}),
        ({"type": "SetStorageClass", "storageClass": "NEARLINE"}, {"age": 0}),
        ({"type": "Delete"}, {"matchesPrefix": ["c"]}),
    )
    for name in "abc":
        write(server, name)
    assert [(one.name, one.action) for one in server.apply_lifecycle(BUCKET)] == [
        ("a", "ARCHIVE"),
        ("b", "NEARLINE"),
        ("c", "archived"),
    ]
    number = server.store.bucket(BUCKET).versions["c"][0].number
    assert server.apply_lifecycle(BUCKET) == [Applied("c", number, "deleted")]


def test_classes_only_get_colder() -> None:
    server = bucket_of(({"type": "SetStorageClass", "storageClass": "NEARLINE"}, {"age": 0}))
    write(server, "f", klass="COLDLINE")
    assert server.apply_lifecycle(BUCKET) == []
    assert kept(server) == [("f", "COLDLINE", True)]


def test_held_objects_stay() -> None:
    server = bucket_of(({"type": "Delete"}, {"age": 0}))
    write(server, "f", {"temporaryHold": True})
    assert server.apply_lifecycle(BUCKET) == []


def test_a_policy_played_for_400_days() -> None:
    """At least 30 days, then ten in all, Nearline from 31, Coldline from 91, none after a year; the live one stays."""
    server = bucket_of(*POLICY, softDeletePolicy={"retentionDurationSeconds": "0"})
    most = 0
    for day in range(430):
        if day < 60:
            write(server)
        server.apply_lifecycle(BUCKET)
        most = max(most, len(kept(server)))
        if day == 59 + 60:
            assert kept(server) == [("f", "NEARLINE", False)] * 9 + [("f", "STANDARD", True)]
        server.clock.move(days=1)
    assert most == 31
    assert kept(server) == [("f", "STANDARD", True)]
    assert server.ledger.early == []
    assert server.ledger.operations["lifecycle.Delete"] == 59


def test_early_deletion_is_accounted_for() -> None:
    """What a class's minimum lacks, counted from when the object was added; nothing for Standard."""
    server = bucket_of()
    bucket = server.store.bucket(BUCKET)
    for name, klass in (("s", "STANDARD"), ("n", "NEARLINE"), ("c", "COLDLINE"), ("a", "ARCHIVE")):
        write(server, name, klass=klass)
    server.clock.move(days=20)
    write(server, "n")
    assert server.ledger.early == []
    for name in "snca":
        server.store.delete(Place(bucket, name, bucket.versions[name][0].number))
    assert [(one.name, one.storage_class, one.days) for one in server.ledger.early] == [
        ("n", "NEARLINE", 10.0),
        ("c", "COLDLINE", 70.0),
        ("a", "ARCHIVE", 345.0),
    ]


def test_rules_by_the_client(gcs: Gcs) -> None:
    """Set and read back with Google's own words."""
    bucket = gcs.client.get_bucket(BUCKET)
    bucket.add_lifecycle_delete_rule(number_of_newer_versions=10, days_since_noncurrent_time=30, is_live=False)
    bucket.add_lifecycle_set_storage_class_rule("NEARLINE", days_since_noncurrent_time=31, matches_suffix=["x"])
    bucket.add_lifecycle_abort_incomplete_multipart_upload_rule(age=7)
    bucket.patch()
    got = [dict(rule) for rule in gcs.client.get_bucket(BUCKET).lifecycle_rules]
    assert [rule["action"]["type"] for rule in got] == ["Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"]
    assert got[0]["condition"] == {"isLive": False, "numNewerVersions": 10, "daysSinceNoncurrentTime": 30}


def test_soft_deletion(gcs: Gcs) -> None:
    """What left the bucket is listed for a week, not read, and restored as a new generation with its metadata."""
    blob = gcs.bucket.blob("f")
    blob.metadata = {"a": "b"}
    blob.upload_from_string("one")
    old = blob.generation
    gcs.save("f", "two")
    gcs.bucket.delete_blob("f", generation=old)
    [soft] = gcs.client.list_blobs(BUCKET, soft_deleted=True)
    assert (soft.name, soft.generation) == ("f", old)
    assert (soft.hard_delete_time - soft.soft_delete_time).days == 7
    assert gcs.bucket.get_blob("f", generation=old) is None
    assert gcs.bucket.get_blob("f", generation=old, soft_deleted=True).metadata == {"a": "b"}
    live = gcs.bucket.get_blob("f").generation
    query = {"generation": str(old), "ifGenerationMatch": "0"}
    assert reason(gcs.call("POST", f"{path_of('f')}/restore", params=query)) == (412, "conditionNotMet")
    restored = gcs.bucket.restore_blob("f", generation=old, if_generation_match=live)
    assert (restored.generation > live, gcs.bucket.blob("f").download_as_text()) == (True, "one")
    assert [(b.generation, b.time_deleted is None) for b in gcs.versions()] == [
        (live, False),
        (restored.generation, True),
    ]
    gcs.server.clock.move(days=7, seconds=1)
    assert list(gcs.client.list_blobs(BUCKET, soft_deleted=True)) == []
    assert reason(gcs.call("POST", f"{path_of('f')}/restore", params=query)) == (404, "notFound")


def test_soft_deletion_of_an_unversioned_bucket(gcs: Gcs) -> None:
    """Replaced and deleted objects go there, in order; a plain delete in a versioned bucket is none."""
    gcs.server.make_bucket("plain", versioned=False)
    bucket = gcs.client.bucket("plain")
    for name in ("b/f", "a", "b/f"):
        bucket.blob(name).upload_from_string("x")
    bucket.delete_blob("b/f")
    listed = gcs.client.list_blobs("plain", soft_deleted=True, delimiter="/")
    assert (names(listed), listed.prefixes) == ([], {"b/"})
    assert names(gcs.client.list_blobs("plain", soft_deleted=True, page_size=1)) == ["b/f", "b/f"]
    gcs.save("f", "x")
    gcs.bucket.delete_blob("f")
    assert list(gcs.client.list_blobs(BUCKET, soft_deleted=True)) == []
    assert reason(gcs.call("GET", f"/b/{BUCKET}/o?softDeleted=true&versions=true")) == (400, "invalid")


def test_without_soft_deletion_it_is_gone(gcs: Gcs) -> None:
    gcs.server.make_bucket("plain", versioned=False, softDeletePolicy={"retentionDurationSeconds": "0"})
    gcs.client.bucket("plain").blob("f").upload_from_string("x")
    gcs.client.bucket("plain").delete_blob("f")
    assert list(gcs.client.list_blobs("plain", soft_deleted=True)) == []


def test_operations_are_counted_by_class(gcs: Gcs) -> None:
    """Writes and listings are of class A, reads of B, deletions free (cloud.google.com/storage/pricing)."""
    gcs.save("f", "x")
    list(gcs.client.list_blobs(BUCKET))
    gcs.bucket.blob("f").download_as_bytes()
    gcs.bucket.delete_blob("f")
    assert dict(gcs.server.ledger.classes) == {"A": 2, "B": 1, "free": 1}


def test_a_filled_bucket_is_like_any_other(gcs: Gcs) -> None:
    """What did not come by HTTP is listed, read with the right sums, restored and deleted the same way."""
    gcs.server.fill(BUCKET, Fill(files=450, versions=3, prefix="users/alice/"))
    listed = gcs.client.list_blobs(BUCKET, prefix="users/alice/", delimiter="/")
    assert (names(listed), len(listed.prefixes)) == ([], 3)
    name = "users/alice/d00001/f00007.py"
    versions = gcs.versions(name)
    assert [b.time_deleted for b in versions[:-1]] == [b.time_created for b in versions[1:]]
    bodies = {gcs.bucket.blob(name, generation=b.generation).download_as_bytes(checksum="md5") for b in versions}
    assert len(bodies) == 3
    old = versions[0].generation
    gcs.bucket.copy_blob(gcs.bucket.blob(name), gcs.bucket, name, source_generation=old)
    assert gcs.bucket.get_blob(name).md5_hash == versions[0].md5_hash
    gcs.bucket.delete_blob(name)
    assert len(gcs.versions()) == 450 * 3 + 1


def test_generations_rise_while_the_clock_stands() -> None:
    """Also of different names; times do not."""
    server = bucket_of()
    made = [write(server, name) for name in "ffgf"]
    assert made == sorted(set(made))
    bucket = server.store.bucket(BUCKET)
    assert {one.created for _, one in bucket.all()} == {micros(BEGIN)}
