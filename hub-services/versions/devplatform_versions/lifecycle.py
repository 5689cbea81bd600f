"""The retention policy as the lifecycle rules of a bucket. Pure.

https://cloud.google.com/storage/docs/lifecycle: the conditions of a rule must all hold, a deletion goes before a change
of class, and of several classes the coldest counts. Every rule asks for `isLive: false`, so that none ever meets a
file that is there, and counts `daysSinceNoncurrentTime`, never `age`: that would count from the day a version was
written, and take the old content of a file that lay untouched for a year a day after it is overwritten.
"""

from typing import Any

from .policy import RETENTION, Retention


def bucket_lifecycle(retention: Retention = RETENTION) -> dict[str, Any]:
    """What a bucket's `lifecycle` has to be, as the JSON API and `gcloud storage buckets update` take it."""
    return {
        "rule": [
            _to_class("NEARLINE", retention.nearline_from, ["STANDARD"]),
            _to_class("COLDLINE", retention.coldline_from, ["STANDARD", "NEARLINE"]),
            _delete(numNewerVersions=retention.kept_versions, daysSinceNoncurrentTime=retention.kept_always_days),
            _delete(daysSinceNoncurrentTime=retention.kept_at_most_days + 1),
            # Parts of uploads by the XML API that nobody finished: they cost, and no listing shows them.
            {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
        ]
    }


def _to_class(name: str, days: int, of: list[str]) -> dict[str, Any]:
    condition = {"isLive": False, "daysSinceNoncurrentTime": days, "matchesStorageClass": of}
    return {"action": {"type": "SetStorageClass", "storageClass": name}, "condition": condition}


def _delete(**conditions: int) -> dict[str, Any]:
    return {"action": {"type": "Delete"}, "condition": {"isLive": False, **conditions}}
