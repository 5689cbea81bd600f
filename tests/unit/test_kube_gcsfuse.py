"""Buckets as folders: what the driver is told, that nothing more can be told it, and what it has to reach."""

from typing import Any

import pytest

from devplatform_hub.core.cluster import Bucket, ClusterSettings, FuseTuning
from devplatform_hub.core.names import slug
from devplatform_hub.kube.gcsfuse import FuseMounts, fuse_mounts
from devplatform_hub.kube.network import Z2JH_VALUES, identity_egress, identity_policy

GIB = 2**30
OPTIONS = "implicit-dirs,uid=1000,gid=100,file-mode=644,dir-mode=755"


def mounts(cluster: ClusterSettings, prefix: str = "users/alice") -> FuseMounts:
    return fuse_mounts(cluster, workspace="/w", prefix=prefix, uid=1000, gid=100)


def csi(bucket: str, options: str = OPTIONS, *, read_only: bool = False, **attributes: str) -> dict[str, Any]:
    return {
        "driver": "gcsfuse.csi.storage.gke.io",
        "readOnly": read_only,
        "volumeAttributes": {"bucketName": bucket, "mountOptions": options, **attributes},
    }


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        pytest.param(ClusterSettings(fuse=FuseTuning(cpu=1)), FuseMounts(), id="no bucket, no sidecar"),
        pytest.param(
            ClusterSettings(workspace_bucket="ws"),
            FuseMounts(
                {"gke-gcsfuse/volumes": "true"},
                {
                    "devplatform-workspace": {
                        "name": "devplatform-workspace",
                        "csi": csi("ws", f"{OPTIONS},only-dir=users/alice"),
                    }
                },
                {"devplatform-workspace": {"name": "devplatform-workspace", "mountPath": "/w"}},
            ),
            id="the workspace is the person's own folder",
        ),
        pytest.param(
            ClusterSettings(
                buckets=(Bucket("data", "/mnt/d"),),
                fuse=FuseTuning(1.5, GIB, 7 * GIB, False, 600, GIB + 1),
            ),
            FuseMounts(
                {
                    "gke-gcsfuse/volumes": "true",
                    "gke-gcsfuse/cpu-limit": "1500m",
                    "gke-gcsfuse/cpu-request": "1500m",
                    "gke-gcsfuse/memory-limit": "1Gi",
                    "gke-gcsfuse/memory-request": "1Gi",
                    "gke-gcsfuse/ephemeral-storage-limit": "7Gi",
                    "gke-gcsfuse/ephemeral-storage-request": "7Gi",
                },
                {
                    "devplatform-bucket-0": {
                        "name": "devplatform-bucket-0",
                        "csi": csi(
                            "data",
                            OPTIONS.removeprefix("implicit-dirs,"),
                            read_only=True,
                            metadataCacheTTLSeconds="600",
                            fileCacheCapacity="1025Mi",
                        ),
                    }
                },
                {
                    "devplatform-bucket-0": {
                        "name": "devplatform-bucket-0",
                        "mountPath": "/mnt/d",
                        "readOnly": True,
                    }
                },
            ),
            id="a shared folder with every knob",
        ),
    ],
)
def test_mounts(cluster: ClusterSettings, expected: FuseMounts) -> None:
    """Volumes, mounts and annotations, whole."""
    assert mounts(cluster) == expected


def test_a_cache_brings_the_disk_that_it_lies_on() -> None:
    """With GKE's default of 5 GB around a cache of 20 the kubelet would evict the pod once the cache is full."""
    annotations = mounts(ClusterSettings(workspace_bucket="ws", fuse=FuseTuning(file_cache=20 * GIB))).annotations
    assert annotations["gke-gcsfuse/ephemeral-storage-limit"] == "25Gi"


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param("users/alice,only-dir=users/bob", id="a second option"),
        pytest.param("users/alice,allow_other", id="an option of FUSE"),
        pytest.param("users/x:y", id="a key of gcsfuse's configuration"),
        pytest.param("users/", id="everybody's"),
        pytest.param("", id="the whole bucket"),
        pytest.param("users/alice/../bob", id="up and down"),
        pytest.param("users/alice\n", id="a line break"),
        pytest.param("teams/alice", id="not a person's"),
    ],
)
def test_a_prefix_is_one_persons_folder_or_nothing_is_mounted(prefix: str) -> None:
    """Whoever made the prefix: it cannot end its option and begin another."""
    with pytest.raises(ValueError, match="is not one person's folder"):
        mounts(ClusterSettings(workspace_bucket="ws"), prefix)


@pytest.mark.parametrize("name", ["alice", "a,b=c", "Ünï,uid=0", "x" * 200, "a@example.com,implicit-dirs", "../bob"])
def test_every_name_of_a_person_makes_one_option(name: str) -> None:
    """Through the names that the platform makes of it, hostile ones too."""
    volume = mounts(ClusterSettings(workspace_bucket="ws"), f"users/{slug(name)}").volumes["devplatform-workspace"]
    options = volume["csi"]["volumeAttributes"]["mountOptions"].split(",")
    assert options[-1] == f"only-dir=users/{slug(name)}"
    assert options[:-1] == OPTIONS.split(",")


@pytest.mark.parametrize(
    "bucket",
    [Bucket("b", "/mnt/b", "a,uid=0"), Bucket("b", "/mnt/b", "a:b"), Bucket("b,c", "/mnt/b"), Bucket("b\n", "/mnt/b")],
)
def test_no_value_can_begin_another_option(bucket: Bucket) -> None:
    """Also where it did not come through profiles.yaml."""
    with pytest.raises(ValueError, match="cannot be in an option"):
        mounts(ClusterSettings(buckets=(bucket,)))


def test_the_network_rule_is_narrow_and_gives_its_reasons() -> None:
    """GKE's metadata server in both of its forms, Google's APIs, and nothing else."""
    assert identity_policy("identity", "people", {"component": "singleuser-server"}) == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "identity", "namespace": "people"},
        "spec": {
            "podSelector": {"matchLabels": {"component": "singleuser-server"}},
            "policyTypes": ["Egress"],
            "egress": [
                {
                    "to": [{"ipBlock": {"cidr": "169.254.169.252/32"}}],
                    "ports": [{"protocol": "TCP", "port": 988}],
                },
                {
                    "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}],
                    "ports": [{"protocol": "TCP", "port": 80}],
                },
                {
                    "to": [{"ipBlock": {"cidr": "199.36.153.8/30"}}, {"ipBlock": {"cidr": "199.36.153.4/30"}}],
                    "ports": [{"protocol": "TCP", "port": 443}],
                },
            ],
        },
    }
    assert all(egress.reason for egress in identity_egress())
    assert Z2JH_VALUES == {"singleuser": {"cloudMetadata": {"blockWithIptables": False}}}
