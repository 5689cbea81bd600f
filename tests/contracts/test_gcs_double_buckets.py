"""Buckets of the double: their settings, what they refuse, policies with conditions, folders, notifications."""

from typing import Any

import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Bucket
from google.oauth2.credentials import Credentials

from tests.doubles.gcs import conditions
from tests.doubles.gcs.errors import ApiError
from tests.doubles.gcs.iam import LIST_PREFIX

from .gcs_kit import BUCKET, Gcs, client_of, names, path_of, reason

KEY = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"


def test_settings_are_kept(gcs: Gcs) -> None:
    """All that a bucket is made with comes back; what nobody says is as Cloud Storage has it."""
    bucket = Bucket(gcs.client, "made")
    bucket.versioning_enabled = True
    bucket.storage_class = "NEARLINE"
    bucket.default_kms_key_name = KEY
    bucket.labels = {"owner": "platform"}
    bucket.iam_configuration.uniform_bucket_level_access_enabled = True
    bucket.iam_configuration.public_access_prevention = "enforced"
    gcs.client.create_bucket(bucket, location="europe-west1")
    got = gcs.client.get_bucket("made")
    assert (got.location, got.location_type, got.storage_class, got.versioning_enabled, got.labels) == (
        "EUROPE-WEST1",
        "region",
        "NEARLINE",
        True,
        {"owner": "platform"},
    )
    access = got.iam_configuration
    assert (access.uniform_bucket_level_access_enabled, access.public_access_prevention) == (True, "enforced")
    assert (got.soft_delete_policy.retention_duration_seconds, got.default_kms_key_name) == (7 * 86400, KEY)
    blob = got.blob("f")
    blob.upload_from_string("x")
    assert got.get_blob("f").kms_key_name == f"{KEY}/cryptoKeyVersions/1"
    assert got.get_blob("f").storage_class == "NEARLINE"


def test_patches(gcs: Gcs) -> None:
    """The metageneration rises; null takes a setting away; what is not named stays."""
    bucket = gcs.client.get_bucket(BUCKET)
    before = bucket.metageneration
    bucket.labels = {"a": "b"}
    bucket.patch()
    bucket.versioning_enabled = False
    bucket.patch()
    got = gcs.client.get_bucket(BUCKET)
    assert (got.metageneration, got.labels, got.versioning_enabled) == (before + 2, {"a": "b"}, False)
    assert reason(gcs.call("PATCH", f"/b/{BUCKET}", json={"location": "EU"})) == (400, "invalid")
    gcs.call("PATCH", f"/b/{BUCKET}", json={"labels": None})
    assert gcs.client.get_bucket(BUCKET).labels == {}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("a name too short", {"name": "ab"}),
    ("upper case", {"name": "ABC"}),
    ("a class that there is not", {"storageClass": "COOL"}),
    ("soft delete for a day", {"softDeletePolicy": {"retentionDurationSeconds": "86400"}}),
    ("versions in a hierarchy", {"hierarchicalNamespace": {"enabled": True}, "versioning": {"enabled": True}}),
    (
        "a hierarchy without uniform access",
        {"hierarchicalNamespace": {"enabled": True}, "iamConfiguration": {"uniformBucketLevelAccess": {}}},
    ),
    ("prevention of something", {"iamConfiguration": {"publicAccessPrevention": "some"}}),
    ("a rule without conditions", {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {}}]}}),
    ("an unknown action", {"lifecycle": {"rule": [{"action": {"type": "Shrink"}, "condition": {"age": 1}}]}}),
    ("an unknown condition", {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"ages": 1}}]}}),
    ("an age in words", {"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": "1"}}]}}),
]


@pytest.mark.parametrize("settings", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_settings_that_are_refused(gcs: Gcs, settings: dict[str, Any]) -> None:
    """400, and the bucket is not there."""
    uniform = {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}}}
    given = {"name": "made", **uniform, **settings}
    assert reason(gcs.call("POST", "/b?project=project", json=given)) == (400, "invalid")
    assert "made" not in gcs.server.store.buckets


def test_a_default_hold(gcs: Gcs) -> None:
    """New objects are held for an event, where the bucket says so."""
    gcs.held.config["defaultEventBasedHold"] = True
    gcs.save("f", "x")
    assert gcs.bucket.get_blob("f").event_based_hold
    assert gcs.call("DELETE", path_of("f")).status_code == 403


def test_buckets_are_listed_and_deleted(gcs: Gcs) -> None:
    gcs.client.create_bucket("another")
    assert names(gcs.client.list_buckets()) == ["another", BUCKET]
    with pytest.raises(Conflict):
        gcs.client.create_bucket("another")
    gcs.client.bucket("another").delete()
    with pytest.raises(NotFound):
        gcs.client.get_bucket("another")
    with pytest.raises(NotFound):
        list(gcs.client.list_blobs("another"))


def test_a_hierarchical_namespace(gcs: Gcs) -> None:
    """It has folders, and refuses versions later, too."""
    gcs.server.make_bucket("tree", versioned=False, hierarchicalNamespace={"enabled": True})
    assert gcs.call("GET", "/b/tree/storageLayout").json()["hierarchicalNamespace"] == {"enabled": True}
    assert gcs.call("POST", "/b/tree/folders", json={"name": "a/b"}).json()["name"] == "a/b/"
    assert [one["name"] for one in gcs.call("GET", "/b/tree/folders").json()["items"]] == ["a/b/"]
    bucket = gcs.client.get_bucket("tree")
    bucket.versioning_enabled = True
    with pytest.raises(BadRequest, match="not supported for hierarchical namespace"):
        bucket.patch()
    assert gcs.call("POST", f"/b/{BUCKET}/folders", json={"name": "a"}).status_code == 400


def test_managed_folders(gcs: Gcs) -> None:
    path = f"/b/{BUCKET}/managedFolders"
    assert gcs.call("POST", path, json={"name": "users/alice/"}).status_code == 200
    assert gcs.call("POST", path, json={"name": "users/alice/"}).status_code == 409
    assert [one["name"] for one in gcs.call("GET", path).json()["items"]] == ["users/alice/"]
    assert gcs.call("DELETE", f"{path}/users%2Falice%2F").status_code == 204
    assert gcs.call("GET", f"{path}/users%2Falice%2F").status_code == 404


def test_notifications(gcs: Gcs) -> None:
    """They are kept and listed; nothing is delivered."""
    made = gcs.bucket.notification("saves", topic_project="project", event_types=["OBJECT_FINALIZE"])
    made.create()
    assert [one.topic_name for one in gcs.bucket.list_notifications()] == ["saves"]
    made.delete()
    assert list(gcs.bucket.list_notifications()) == []


def test_policies(gcs: Gcs) -> None:
    """Set, read back, and not by two at once."""
    policy = gcs.bucket.get_iam_policy(requested_policy_version=3)
    stale = gcs.bucket.get_iam_policy(requested_policy_version=3)
    policy.version = 3
    condition = {"title": "own", "expression": f"resource.name.startsWith('projects/_/buckets/{BUCKET}/objects/a/')"}
    binding = {"role": "roles/storage.objectUser", "members": {"user:a@example.com"}, "condition": condition}
    policy.bindings.append(binding)
    gcs.bucket.set_iam_policy(policy)
    assert gcs.bucket.get_iam_policy(requested_policy_version=3).bindings == [binding]
    with pytest.raises(Conflict):
        gcs.bucket.set_iam_policy(stale)
    assert gcs.call("PUT", f"/b/{BUCKET}/iam", json={"bindings": [{**binding, "members": []}]}).status_code == 400
    for wrong in ({"role": "roles/none"}, {**binding, "members": ["allUsers"], "condition": {"expression": "now()("}}):
        body = {"version": 3, "bindings": [{**wrong, "members": []}]}
        assert gcs.call("PUT", f"/b/{BUCKET}/iam", json=body).status_code == 400


def test_public_access_is_prevented(gcs: Gcs) -> None:
    body = {"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]}
    gcs.call("PATCH", f"/b/{BUCKET}", json={"iamConfiguration": {"publicAccessPrevention": "enforced"}})
    assert gcs.call("PUT", f"/b/{BUCKET}/iam", json=body).status_code == 412


OWN = f"resource.name.startsWith('projects/_/buckets/{BUCKET}/objects/users/alice/')"
LISTED = f"api.getAttribute('{LIST_PREFIX}', '').startsWith('users/alice/')"


def _alice(gcs: Gcs) -> Any:
    """A client that may use what is below users/alice/, in a bucket that lets nobody else in."""
    for name in ("users/alice/f", "users/bob/f", "users/alice2/f"):
        gcs.save(name, "one", "two")
    gcs.server.iam.bind("user:alice@example.com", "roles/storage.objectUser", f"{OWN} || {LISTED}")
    gcs.server.iam.enforced = True
    return client_of(gcs.server, Credentials(gcs.server.accounts.token("user:alice@example.com")))


def test_a_prefix_is_a_border(gcs: Gcs) -> None:
    """A condition on a prefix lets through what is below it, and the log tells what was after something else."""
    client = _alice(gcs)
    bucket = client.bucket(BUCKET)
    assert bucket.blob("users/alice/f").download_as_text() == "two"
    assert names(client.list_blobs(BUCKET, prefix="users/alice/", versions=True)) == ["users/alice/f"] * 2
    bucket.copy_blob(bucket.blob("users/alice/f"), bucket, "users/alice/g")
    assert gcs.server.log.outside(BUCKET, "users/alice/", "user:alice@example.com") == []
    refused = [
        gcs.call("GET", path_of("users/bob/f"), headers=_token(gcs)),
        gcs.call("GET", f"/b/{BUCKET}/o?prefix=users/", headers=_token(gcs)),
        gcs.call("GET", f"/b/{BUCKET}/o?prefix=users/alice", headers=_token(gcs)),
        gcs.call("POST", f"{path_of('users/bob/f')}/rewriteTo{path_of('users/alice/h')}", headers=_token(gcs)),
        gcs.call("POST", f"{path_of('users/alice/f')}/copyTo{path_of('users/alice2/f')}", headers=_token(gcs)),
    ]
    assert [reason(answer) for answer in refused] == [(403, "forbidden")] * 5
    assert [what for _, what in gcs.server.log.outside(BUCKET, "users/alice/", "user:alice@example.com")] == [
        f"{BUCKET}/users/bob/f",
        f"{BUCKET}/users/*",
        f"{BUCKET}/users/alice*",
        f"{BUCKET}/users/bob/f",
        f"{BUCKET}/users/alice2/f",
    ]
    client.close()


def _token(gcs: Gcs) -> dict[str, str]:
    return {"Authorization": f"Bearer {gcs.server.accounts.token('user:alice@example.com')}"}


def test_nobody_and_wrong_tokens(gcs: Gcs) -> None:
    """401 without a token and with one that there is not, once rights count."""
    _alice(gcs).close()
    assert reason(gcs.call("GET", path_of("users/alice/f"))) == (401, "required")
    assert reason(gcs.call("GET", path_of("users/alice/f"), headers={"Authorization": "Bearer x"})) == (
        401,
        "authError",
    )


def test_permissions_are_told(gcs: Gcs) -> None:
    gcs.server.iam.enforced = True
    asked = ["storage.objects.list", "storage.buckets.get"]
    anonymous = client_of(gcs.server, AnonymousCredentials())
    assert anonymous.bucket(BUCKET).test_iam_permissions(asked) == []
    gcs.server.iam.bind("allUsers", "roles/storage.objectViewer")
    assert anonymous.bucket(BUCKET).test_iam_permissions(asked) == ["storage.objects.list"]
    anonymous.close()


VALUES = {"resource.name": "projects/_/buckets/b/objects/a/f", "resource.type": "storage.googleapis.com/Object"}
EXPRESSIONS = [
    ("resource.name.startsWith('projects/_/buckets/b/objects/a/')", True),
    ("resource.name.startsWith('projects/_/buckets/b/objects/b/')", False),
    ('resource.name.endsWith("/f") && resource.type == "storage.googleapis.com/Object"', True),
    ("!(resource.name.endsWith('/f'))", False),
    ("resource.type != 'x' || resource.name == 'y'", True),
    ("resource.type == 'x' || (resource.name == 'y' && true_name == '')", False),
    ("api.getAttribute('none', 'users/').startsWith('users/')", True),
    ("resource.name.matches('.*')", False),
    ("resource.name", False),
]


@pytest.mark.parametrize(("text", "holds"), EXPRESSIONS)
def test_conditions(text: str, holds: bool) -> None:
    """What they say, and nothing where they say nothing that is true."""
    assert conditions.holds(text, VALUES) is holds


@pytest.mark.parametrize("text", ["", "(", "resource.name ==", "a b", "'open", "f(", "a && || b"])
def test_wrong_conditions(text: str) -> None:
    with pytest.raises(ApiError):
        conditions.parsed(text)
