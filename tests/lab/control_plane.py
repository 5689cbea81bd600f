"""How each program of the control plane is started: its arguments, and nothing else."""

import json
import os
from pathlib import Path
from typing import Any

from tests.lab import simulated_failures
from tests.lab.certificates import Authority

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_FAST = ["--kube-api-qps=2000", "--kube-api-burst=4000"]


def own_environment() -> dict[str, str]:
    """The environment of every program of the lab: no proxy of the machine stands between loopback and loopback."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "PYTHONPATH": str(ROOT)}


def etcd(folder: Path, port: int, peer: int, *, fsync: bool) -> list[str]:
    client, other = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    return [
        "--name=lab",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={other}",
        f"--initial-advertise-peer-urls={other}",
        f"--initial-cluster=lab={other}",
        "--quota-backend-bytes=8589934592",
        "--log-level=warn",
        *([] if fsync else ["--unsafe-no-fsync"]),
    ]


def api_server(authority: Authority, port: int, etcd_port: int, extra: list[str]) -> list[str]:
    """Admission is the release's default, with PodSecurity, LimitRanger and ResourceQuota, and NodeRestriction."""
    serving, serving_key = authority.issue("kube-apiserver", "kube-apiserver")
    kubelet, kubelet_key = authority.issue("kube-apiserver-kubelet", "kube-apiserver-kubelet", ("system:masters",))
    public, private = authority.signing_key("service-accounts")
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        # Loopback cannot be an endpoint, and nothing in the cluster asks for the service `kubernetes`.
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--cert-dir={authority.folder}",
        f"--tls-cert-file={serving}",
        f"--tls-private-key-file={serving_key}",
        f"--client-ca-file={authority.certificate}",
        f"--requestheader-client-ca-file={authority.certificate}",
        "--requestheader-allowed-names=front-proxy",
        f"--kubelet-client-certificate={kubelet}",
        f"--kubelet-client-key={kubelet_key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={private}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--profiling=false",
        *extra,
    ]


def _serving(config: Path, authority: Authority) -> list[str]:
    """What it signs in with is also what it serves its health with."""
    certificate = authority.folder / f"{config.stem}.crt"
    return [f"--tls-cert-file={certificate}", f"--tls-private-key-file={certificate.with_suffix('.key')}"]


def controllers(config: Path, authority: Authority, port: int, extra: list[str]) -> list[str]:
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        *_serving(config, authority),
        f"--root-ca-file={authority.certificate}",
        f"--service-account-private-key-file={authority.folder / 'service-accounts.key'}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--profiling=false",
        *_FAST,
        *extra,
    ]


def scheduler(config: Path, authority: Authority, port: int) -> list[str]:
    file = config.with_suffix(".yaml")
    file.write_text(
        json.dumps(
            {
                "apiVersion": "kubescheduler.config.k8s.io/v1",
                "kind": "KubeSchedulerConfiguration",
                "clientConnection": {"kubeconfig": str(config), "qps": 2000, "burst": 4000},
                "leaderElection": {"leaderElect": False},
                "enableProfiling": False,
            }
        ),
        "utf-8",
    )
    return [
        f"--config={file}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        *_serving(config, authority),
    ]


def kwok(config: Path, selector: str) -> list[str]:
    """It plays the kubelets of the nodes with this label, and leaves all others alone."""
    file = config.with_suffix(".yaml")
    failing = ", ".join(map(json.dumps, simulated_failures.BEHAVIOURS))
    usual = (HERE / "kwok.yaml").read_text("utf-8").replace("FAILING_IMAGES", failing)
    file.write_text("\n---\n".join([usual, *map(json.dumps, simulated_failures.stages())]), "utf-8")
    return [
        f"--kubeconfig={config}",
        f"--config={file}",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-label-selector={selector}",
        "--node-ip=127.0.0.1",
        "--node-lease-duration-seconds=40",
    ]


def _storage_class(name: str, mode: str, *, grows: bool, default: bool = False) -> dict[str, Any]:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": "devplatform.test/disks",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": mode,
        "allowVolumeExpansion": grows,
    }


# As on GKE: the default class binds a disk when a pod needs it, and can grow. tests/lab/disks.py makes the disks.
STORAGE_CLASSES = (
    _storage_class("standard", "WaitForFirstConsumer", grows=True, default=True),
    _storage_class("immediate", "Immediate", grows=True),
    _storage_class("fixed", "WaitForFirstConsumer", grows=False),
)
