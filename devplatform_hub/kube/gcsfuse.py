"""Buckets as folders, by GKE's GCSFuse driver: ephemeral volumes and the annotations of the pod, as plain values.

A value that could end one of gcsfuse's options and begin another is refused here too, whoever checked it before.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ..core.cluster import Bucket, ClusterSettings, FuseTuning
from ..core.cluster_quantities import quantity
from ..core.names import PEOPLE

DRIVER = "gcsfuse.csi.storage.gke.io"
_ANNOTATION = "gke-gcsfuse/"
_STAGING = 5 * 2**30  # disk that GKE gives the sidecar by default, for what is being written
_PREFIX = re.compile(rf"{PEOPLE}/[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
# The driver splits options at commas; the sidecar takes one with a colon as a key of gcsfuse's configuration.
_BREAKS_OPTIONS = re.compile(r"[,:\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class FuseMounts:
    """Volumes and mounts by name, and the annotations that bring the sidecar. All empty where there is no bucket."""

    annotations: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, dict[str, Any]] = field(default_factory=dict)
    mounts: dict[str, dict[str, Any]] = field(default_factory=dict)


def fuse_mounts(cluster: ClusterSettings, *, workspace: str, prefix: str, uid: int, gid: int) -> FuseMounts:
    """What a pod gets so that its buckets are folders, which belong to `uid` and `gid`.

    Of the workspace bucket only `prefix` (`users/<slug>`) is shown, at the path `workspace`.
    """
    tuning = cluster.fuse or FuseTuning()
    wanted: dict[str, Bucket] = {}
    if cluster.workspace_bucket:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(f"{prefix!r} is not one person's folder in a bucket")
        wanted["devplatform-workspace"] = Bucket(cluster.workspace_bucket, workspace, prefix, read_only=False)
    for number, bucket in enumerate(cluster.buckets or ()):
        wanted[f"devplatform-bucket-{number}"] = bucket
    if not wanted:
        return FuseMounts()
    return FuseMounts(
        _annotations(tuning),
        {name: {"name": name, "csi": _volume(bucket, tuning, uid, gid)} for name, bucket in wanted.items()},
        {
            name: {"name": name, "mountPath": bucket.path} | ({"readOnly": True} if bucket.read_only else {})
            for name, bucket in wanted.items()
        },
    )


def _annotations(tuning: FuseTuning) -> dict[str, str]:
    disk = tuning.ephemeral_storage
    if disk is None and tuning.file_cache:
        disk = tuning.file_cache + _STAGING  # a cache larger than the disk around it gets the whole pod evicted
    amounts = {
        "cpu": f"{round(tuning.cpu * 1000)}m" if tuning.cpu else "",
        "memory": quantity(tuning.memory) if tuning.memory else "",
        "ephemeral-storage": quantity(disk) if disk else "",
    }
    found = {f"{_ANNOTATION}volumes": "true"}
    for resource, amount in amounts.items():
        if amount:
            found[f"{_ANNOTATION}{resource}-limit"] = amount
            found[f"{_ANNOTATION}{resource}-request"] = amount
    return found


def _volume(bucket: Bucket, tuning: FuseTuning, uid: int, gid: int) -> dict[str, Any]:
    options = ["implicit-dirs"] if tuning.implicit_dirs is not False else []
    options += [f"uid={uid}", f"gid={gid}", "file-mode=644", "dir-mode=755"]
    if bucket.only_dir:
        options.append(f"only-dir={_one_option(bucket.only_dir)}")
    attributes = {"bucketName": _one_option(bucket.bucket), "mountOptions": ",".join(options)}
    if tuning.metadata_cache_seconds is not None:
        attributes["metadataCacheTTLSeconds"] = str(tuning.metadata_cache_seconds)
    if tuning.file_cache:
        attributes["fileCacheCapacity"] = f"{-(-tuning.file_cache // 2**20)}Mi"  # gcsfuse counts in these
    return {"driver": DRIVER, "readOnly": bucket.read_only, "volumeAttributes": attributes}


def _one_option(value: str) -> str:
    if _BREAKS_OPTIONS.search(value):
        raise ValueError(f"{value!r} cannot be in an option of gcsfuse")
    return value
