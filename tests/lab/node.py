"""One real machine beside the simulated ones: a kubelet with Debian's containerd and runc, on which pods really run.

    with RealNode(cluster, tmp_path) as node:                    # @pytest.mark.lab("node"); about 3 s
        with node_hub(node, tmp_path, namespace=namespace) as hub: ...

It joins the `Cluster` as `localhost`, with the label and the taint `devplatform.test/real`: only what asks for it comes
here (`PLACE` for a profile). Pods have addresses in a network of this machine alone, with no way out of it; the machine
itself is `address` in it. The image of pods is `IMAGE` (tests/lab/node_image.py).

Everything that it makes goes with it, also after a failure: processes and mounts with the namespaces of
tests/lab/containers.py, and the bridge and the control groups by name. What a killed run left of those is taken away by
the next.
"""

import ipaddress
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from devplatform_hub.embedded.platform import free_ports
from tests.lab import build, node_image
from tests.lab.cluster import Cluster
from tests.lab.containers import NETWORK_STATE, Runtime, find, wait_gone

IMAGE = node_image.NAME
REAL = "devplatform.test/real"
PLACE = f'node_selector: {{{REAL}: "true"}}, tolerations: [{{key: {REAL}}}]'
"""For `cluster: {...}` of a profile in profiles.yaml."""
_NAME = "localhost"  # the API server finds the kubelet by this name, for logs and exec
_NETWORKS = ipaddress.ip_network("10.222.0.0/16")
_CONTROL = Path("/sys/fs/cgroup")
_BRIDGE, _GROUP = "dplab", "devplatform-lab-"  # and the process id of the run
Json = dict[str, Any]


class RealNode:
    """Start it and stop it; `address` is this machine as pods see it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.folder = folder
        self.address = ""
        self.cluster = cluster
        self._bridge, self._group = f"{_BRIDGE}{os.getpid()}", f"{_GROUP}{os.getpid()}"
        self.runtime = Runtime(folder, folder / "root", folder / "network")

    def start(self) -> None:
        """Ready means: the cluster's scheduler may put pods here, and their image is here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        end_leftovers()
        node_image.clone(self.runtime.root)
        self._make_network()
        self._make_groups()
        self.runtime.start()
        project = node_image.with_project(self.folder)
        self.runtime.import_image(project)
        project.unlink()
        kubelet = self.runtime.run("kubelet", [str(build.path("kubelet")), *self._kubelet()])
        kubelet.wait_until(self._is_ready, 60)

    def stop(self) -> None:
        """Take it out of the cluster, then away."""
        try:
            self._leave()
        finally:
            self.runtime.stop()
            _remove(self._bridge, self._group)
            shutil.rmtree(self.runtime.root, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def limits(self, pod_uid: str) -> tuple[float, int]:
        """Cores and bytes that the kernel gives the containers of this pod together."""
        if (_CONTROL / "memory").exists():
            quota, period, memory = (
                (next((_CONTROL / controller / self._group).glob(f"**/pod{pod_uid}")) / file).read_text().strip()
                for controller, file in (
                    ("cpu", "cpu.cfs_quota_us"),
                    ("cpu", "cpu.cfs_period_us"),
                    ("memory", "memory.limit_in_bytes"),
                )
            )
        else:
            group = next((_CONTROL / self._group).glob(f"**/pod{pod_uid}"))
            quota, period = (group / "cpu.max").read_text().split()
            memory = (group / "memory.max").read_text().strip()
        return int(quota) / int(period), int(memory)

    # Joining

    def _is_ready(self) -> bool:
        node = self.cluster.api("GET", f"/api/v1/nodes/{_NAME}", expect=[404])
        if node["kind"] != "Node":
            return False
        taints = [taint["key"] for taint in node["spec"].get("taints", ())]
        ready = [c["status"] for c in node["status"].get("conditions", ()) if c["type"] == "Ready"]
        return ready == ["True"] and taints == [REAL]

    def _leave(self) -> None:
        """No pod is left that nobody would end."""
        for pod in self.cluster.items(f"/api/v1/pods?fieldSelector=spec.nodeName={_NAME}"):
            where = pod["metadata"]
            path = f"/api/v1/namespaces/{where['namespace']}/pods/{where['name']}?gracePeriodSeconds=0"
            self.cluster.api("DELETE", path, expect=[404])
        self.cluster.remove_nodes([_NAME])

    def _kubelet(self) -> list[str]:
        """Its arguments; the API server is let in by its certificate, and everybody else by their rights."""
        user = f"system:node:{_NAME}"
        kubeconfig = self.cluster.client_config("kubelet", ("system:nodes",), user=user)
        certificate = self.cluster.folder / "certificates" / "kubelet.crt"
        config = self.folder / "kubelet.json"
        config.write_text(json.dumps(_kubelet_config(self.cluster.ca, certificate, self._group, self.address)))
        return [
            f"--kubeconfig={kubeconfig}",
            f"--config={config}",
            f"--hostname-override={_NAME}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'kubelet' / 'pki'}",
            f"--node-labels={REAL}=true",
        ]

    # What is outside of its namespaces

    def _make_network(self) -> None:
        """A bridge with the first address of a network that this machine does not use."""
        network = _free_network()
        self.address = str(network[1])
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self.address}/{network.prefixlen}", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        addresses = {"type": "host-local", "ranges": [[{"subnet": str(network)}]]}
        bridge = {"type": "bridge", "bridge": self._bridge, "ipam": addresses}
        folder = self.folder / "network"
        folder.mkdir(exist_ok=True)
        plugins = {"cniVersion": "1.0.0", "name": "lab", "plugins": [bridge]}
        (folder / "lab.conflist").write_text(json.dumps(plugins))

    def _make_groups(self) -> None:
        for group in _groups(self._group):
            group.mkdir(exist_ok=True)


def missing() -> str:
    """What this machine lacks for a real node, in a sentence; empty where it lacks nothing."""
    if not build.found("kubelet", "pause"):
        return f"the kubelet is not built: {build.NEEDS_GO}"
    return node_image.missing() or ("" if node_image.is_built() else "its image is not built: make lab-tools")


def _kubelet_config(ca: Path, certificate: Path, group: str, address: str) -> Json:
    port, health = free_ports(2)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": port,
        "healthzPort": health,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(certificate),
        "tlsPrivateKeyFile": str(certificate.with_suffix(".key")),
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{group}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {},
        "imageGCHighThresholdPercent": 100,
        # The machine's own limits and firewall stay as they are.
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        # Nobody answers there. Without one, every pod would get a warning as an event.
        "clusterDNS": [address],
        "clusterDomain": "cluster.local",
        "registerWithTaints": [{"key": REAL, "value": "true", "effect": "NoSchedule"}],
        "nodeStatusUpdateFrequency": "2s",
        "volumePluginDir": "/run/kubelet-plugins",
    }


def _free_network() -> ipaddress.IPv4Network:
    used = [
        ipaddress.ip_network(route["dst"], strict=False)
        for route in json.loads(_ip("-json", "-4", "route", "show", "table", "all"))
        if re.fullmatch(r"[0-9./]+", route["dst"])
    ]
    for network in _NETWORKS.subnets(new_prefix=24):
        if not any(network.overlaps(other) for other in used):  # type: ignore[arg-type]
            return network
    raise AssertionError(f"no network is free in {_NETWORKS}")


def _ip(*arguments: str) -> str:
    done = subprocess.run([str(find("ip")), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def _groups(name: str) -> Iterator[Path]:
    """This control group in every hierarchy that there is."""
    hierarchies = [entry for entry in _CONTROL.iterdir() if (entry / "cgroup.procs").exists() and entry.is_mount()]
    for hierarchy in hierarchies or [_CONTROL]:
        yield hierarchy / name


def _remove(bridge: str, group: str) -> None:
    """The bridge, and the control groups from the innermost outwards; with the last bridge where CNI kept its books."""
    subprocess.run([str(find("ip")), "link", "delete", bridge], capture_output=True, check=False)
    for top in _groups(group):
        for folder, _, _ in os.walk(top, topdown=False):
            wait_gone(Path(folder))
    if not any(Path("/sys/class/net").glob(f"{_BRIDGE}*")):
        with suppress(OSError):  # not there, or the machine's own
            NETWORK_STATE.rmdir()


def end_leftovers() -> None:
    """What earlier runs made that are no more."""
    links = [entry.name.removeprefix(_BRIDGE) for entry in Path("/sys/class/net").glob(f"{_BRIDGE}*")]
    groups = [entry.name.removeprefix(_GROUP) for top in _groups("") for entry in top.glob(f"{_GROUP}*")]
    for run in {*links, *groups}:
        if run.isdigit() and not Path(f"/proc/{run}").exists():
            _remove(f"{_BRIDGE}{run}", f"{_GROUP}{run}")
