"""What is said of a bucket's settings: each that counts, and rules that would destroy what people rely on."""

from typing import Any

import pytest

from devplatform_versions.bucket_check import Wanted, check_bucket
from devplatform_versions.lifecycle import bucket_lifecycle

KEY = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k"
GOOD: dict[str, Any] = {
    "name": "b",
    "location": "EUROPE-WEST4",
    "versioning": {"enabled": True},
    "lifecycle": bucket_lifecycle(),
    "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "enforced"},
    "encryption": {"defaultKmsKeyName": KEY},
    "softDeletePolicy": {"retentionDurationSeconds": "604800"},
}
WANTED = Wanted("europe-west4", KEY)
AGE = {"action": {"type": "Delete"}, "condition": {"age": 365}}
OLD = {"action": {"type": "Delete"}, "condition": {"isLive": False, "daysSinceNoncurrentTime": 1}}
ARCHIVE = {"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": {"isLive": False, "age": 9}}


def rules(*, without: int | None = None, also: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    kept = [rule for place, rule in enumerate(bucket_lifecycle()["rule"]) if place != without]
    return {"lifecycle": {"rule": [*also, *reversed(kept)]}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({}, [], id="as it should be"),
        pytest.param(rules(), [], id="rules in another order"),
        pytest.param({"versioning": {}}, [("missing", "Object Versioning")], id="no versions"),
        pytest.param(
            {"hierarchicalNamespace": {"enabled": True}}, [("missing", "a flat namespace")], id="hierarchical"
        ),
        pytest.param(rules(without=3), [("missing", "this rule")], id="a rule is missing"),
        pytest.param({"lifecycle": None}, [("missing", "this rule")] * 5, id="no rules"),
        pytest.param(rules(also=(AGE,)), [("missing", "a bucket without this rule")], id="deletes files"),
        pytest.param(rules(also=(OLD,)), [("missing", "a bucket without this rule")], id="deletes versions early"),
        pytest.param(rules(also=(ARCHIVE,)), [("note", "a reason for this rule")], id="another class"),
        pytest.param(
            {"iamConfiguration": {"publicAccessPrevention": "inherited"}},
            [("missing", "uniform bucket-level access"), ("missing", "public access prevention")],
            id="open to the public",
        ),
        pytest.param({"encryption": {}}, [("missing", f"the key {KEY}")], id="no key"),
        pytest.param(
            {"encryption": {"defaultKmsKeyName": "other"}}, [("missing", f"the key {KEY} in place of other")], id="key"
        ),
        pytest.param(
            {"softDeletePolicy": {"retentionDurationSeconds": "0"}},
            [("note", "soft delete for 7 days")],
            id="no soft delete",
        ),
        pytest.param({"location": "US"}, [("missing", "the location europe-west4")], id="elsewhere"),
    ],
)
def test_each_difference_is_named(change: dict[str, Any], told: list[tuple[str, str]]) -> None:
    """With what to do about it; everything else works."""
    findings = check_bucket(GOOD | change, WANTED)
    assert [(finding.mark, finding.missing) for finding in findings if not finding.works] == told
    assert all(finding.remedy for finding in findings if not finding.works)
    assert len({finding.step for finding in findings}) == len(findings)


def test_a_rule_that_deletes_files_says_so() -> None:
    """By age without a word of being live, old content of a file that is there goes, and the file itself."""
    told = {f.remedy for f in check_bucket(GOOD | rules(also=(AGE,)), WANTED) if not f.works}
    assert told == {"It deletes files that are there. Take it away."}


def test_what_an_operator_does_not_ask_for_is_not_missed() -> None:
    """Any location, and Google's own key, will do."""
    findings = check_bucket(GOOD | {"encryption": {}}, Wanted())
    assert [finding for finding in findings if not finding.works] == []


@pytest.mark.parametrize("bucket", [{}, {"lifecycle": {}, "iamConfiguration": None, "versioning": []}, {"name": 5}])
def test_whatever_comes_is_an_answer(bucket: dict[str, Any]) -> None:
    """A resource that leaves things out has them not."""
    assert not all(finding.works for finding in check_bucket(bucket, WANTED))
