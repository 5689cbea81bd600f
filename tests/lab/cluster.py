"""A real Kubernetes control plane on loopback: etcd, API server with RBAC, controllers, scheduler, simulated nodes.

    def test_something(cluster: Cluster) -> None:                # the session's cluster: @pytest.mark.lab("cluster")
        namespace = cluster.namespace("something")
        cluster.nodes(2, prefix="gpu", gpus=1, labels={"pool": "gpu"}, taints=["nvidia.com/gpu=present:NoSchedule"])
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": namespace}, ...})
        cluster.wait_for(lambda: cluster.pod("one", namespace)["status"]["phase"] == "Running", 10, "the pod")
        hub = cluster.kubeconfig_for("hub", namespace)           # rights of hub_rbac.py and no others
        assert cluster.kubectl("auth", "can-i", "get", "secrets", "-n", "kube-system", kubeconfig=hub, check=False)
        cluster.restart_api_server(kill=True)                    # etcd keeps what was stored

    with Cluster(folder, slow_etcd=True) as own:                 # one of its own: 5 to 8 s
        own.etcd_link.delay = 0.3

What a simulated pod does is decided by its image: see simulated_failures.py. Real nodes join with tests/lab/node.py.
"""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import requests

from devplatform_hub.embedded.platform import free_ports
from tests.lab import build, control_plane, hub_rbac
from tests.lab.certificates import Authority
from tests.lab.process import Process
from tests.lab.slow_link import SlowLink

SIMULATED = "devplatform.test/simulated"
Json = dict[str, Any]


class Cluster:
    """Start it, put nodes and pods on it, stop it. Everything is in `folder`: logs, certificates, kubeconfigs."""

    def __init__(
        self,
        folder: Path,
        *,
        fsync: bool = False,
        slow_etcd: bool = False,
        disks: bool = True,
        api_server: Iterable[str] = (),
        controllers: Iterable[str] = (),
    ) -> None:
        programs = build.found(*build.CONTROL_PLANE)
        assert programs is not None, "the control plane is not built: make lab-tools"
        self.folder = folder
        self._programs = programs
        self._fsync, self._slow, self._with_disks = fsync, slow_etcd, disks
        self._extra = {"api_server": list(api_server), "controllers": list(controllers)}
        self.processes: dict[str, Process] = {}
        self.etcd_link: SlowLink | None = None

    # Its life

    def start(self) -> None:
        """Ready means: the API server, the controllers and the scheduler answer, and kwok runs."""
        self.folder.mkdir(parents=True, exist_ok=True)
        authority = self._authority = Authority(self.folder / "certificates")
        self.ca = authority.certificate
        etcd, peer, port, *ports = free_ports(5)
        self.api_url = f"https://127.0.0.1:{port}"
        self.kubeconfig = self.client_config("admin", ("system:masters",))
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(self.ca)
        self._session.cert = (str(authority.folder / "admin.crt"), str(authority.folder / "admin.key"))
        self._add("etcd", control_plane.etcd(self.folder, etcd, peer, fsync=self._fsync))
        self.processes["etcd"].start()
        if self._slow:
            self.etcd_link = SlowLink(etcd)
            self.etcd_link.start()
            etcd = self.etcd_link.port
        arguments = control_plane.api_server(authority, port, etcd, self._extra["api_server"])
        self._add("kube-apiserver", arguments)
        self.start_api_server()
        configs = {
            name: self.client_config(name, user="system:" + name)
            for name in ("kube-controller-manager", "kube-scheduler")
        }
        controllers = control_plane.controllers(
            configs["kube-controller-manager"], authority, ports[0], self._extra["controllers"]
        )
        self._add("kube-controller-manager", controllers)
        self._add("kube-scheduler", control_plane.scheduler(configs["kube-scheduler"], authority, ports[1]))
        self._add("kwok", control_plane.kwok(self.client_config("kwok", ("system:masters",)), f"{SIMULATED}=true"))
        if self._with_disks:
            command = [sys.executable, "-m", "tests.lab.disks", str(self.kubeconfig), str(self.folder / "disks")]
            self.processes["disks"] = Process("disks", command, self.folder, control_plane.own_environment())
        for name, process in self.processes.items():
            if name not in ("etcd", "kube-apiserver"):
                process.start()
        self.apply(*control_plane.STORAGE_CLASSES)
        for name, at in zip(configs, ports, strict=True):
            ready = f"https://127.0.0.1:{at}/healthz"
            self.processes[name].wait_until(partial(self._healthy, ready), 60)
        self.wait_for(lambda: self._exists("/api/v1/namespaces/default/serviceaccounts/default"), 30, "the controllers")

    def stop(self) -> None:
        """End everything, and delete what was stored; logs stay."""
        for process in reversed(self.processes.values()):
            process.kill()
        if self.etcd_link is not None:
            self.etcd_link.stop()
        self._session.close()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)
        shutil.rmtree(self.folder / "disks", ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start_api_server(self, within: float = 60) -> None:
        """Start the API server (again) on its own port, and wait until it is ready."""
        process = self.processes["kube-apiserver"]
        process.start()
        process.wait_until(lambda: self._healthy(f"{self.api_url}/readyz"), within)

    def stop_api_server(self, *, kill: bool = False) -> None:
        """Take the API server away: nobody reaches it until `start_api_server`."""
        process = self.processes["kube-apiserver"]
        if kill:
            process.kill()
        process.stop(5)

    def restart_api_server(self, *, kill: bool = False) -> None:
        """Every watch ends, every connection breaks; what was stored stays."""
        self.stop_api_server(kill=kill)
        self.start_api_server()

    # Who may ask it

    def client_config(self, name: str, groups: tuple[str, ...] = (), *, user: str = "") -> Path:
        """A kubeconfig that signs in as this user in these groups, by certificate."""
        certificate, key = self._authority.issue(name, user or name, groups)
        return self._config(name, {"client-certificate": str(certificate), "client-key": str(key)})

    def kubeconfig_for(self, service_account: str, namespace: str, *, rules: Iterable[Json] = hub_rbac.RULES) -> Path:
        """A kubeconfig with a token of this service account, which is made with a Role of these rules.

        Without `rules` these are what the chart gives to the hub, in its own namespace.
        """
        self.apply(*hub_rbac.manifests(service_account, namespace, rules))
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86400}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        token = self.api("POST", path, asked)["status"]["token"]
        return self._config(f"{namespace}-{service_account}", {"token": token}, namespace)

    def _config(self, name: str, user: Json, namespace: str = "default") -> Path:
        path = self.folder / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        cluster = {"server": self.api_url, "certificate-authority": str(self.ca)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name, "namespace": namespace}}],
            "current-context": "lab",
        }
        path.write_text(json.dumps(content, indent=1), "utf-8")
        return path

    # Asking it

    def api(self, method: str, path: str, body: Json | None = None, *, expect: Iterable[int] = ()) -> Json:
        """One request as cluster administrator; a refusal that is not expected fails with the server's words."""
        patch = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else None
        answer = self._session.request(method, f"{self.api_url}{path}", json=body, headers=patch, timeout=30)
        assert answer.ok or answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text}"
        content: Json = answer.json()
        return content

    def kubectl(self, *args: str, check: bool = True, input: str | None = None, kubeconfig: Path | None = None) -> str:
        """What kubectl prints: its output, and its errors too when they are not to fail (`check=False`)."""
        command = [str(self._programs["kubectl"]), "--kubeconfig", str(kubeconfig or self.kubeconfig), *args]
        result = subprocess.run(
            command,
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if check else subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
            env=control_plane.own_environment(),
        )
        assert not check or result.returncode == 0, f"kubectl {' '.join(args)}: {result.stderr}"
        return result.stdout

    def apply(self, *manifests: Json) -> None:
        """Make these objects, or bring them to this state."""
        self.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(_list(manifests)))

    def pod(self, name: str, namespace: str) -> Json:
        """The pod as it is now; {} when there is none."""
        found = self.api("GET", f"/api/v1/namespaces/{namespace}/pods/{name}", expect=[404])
        return found if found["kind"] == "Pod" else {}

    def items(self, path: str) -> list[Json]:
        """Everything in a list: `items("/api/v1/namespaces/x/pods")`."""
        return list(self.api("GET", path)["items"])

    def wait_for(self, condition: Callable[[], Any], within: float, what: str) -> Any:
        """What the condition gives as soon as that is true."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(0.05)
        raise AssertionError(f"waited {within} s for {what}")

    # What is on it

    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """A namespace in which pods can be made: its default service account is there."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
        self.wait_for(
            lambda: self._exists(f"/api/v1/namespaces/{name}/serviceaccounts/default"), 20, f"namespace {name}"
        )
        return name

    def nodes(
        self,
        count: int,
        *,
        prefix: str = "node",
        labels: Mapping[str, str] | None = None,
        gpus: int = 0,
        taints: Iterable[str] = (),
        cpu: str = "64",
        memory: str = "256Gi",
        pods: int = 110,
    ) -> list[str]:
        """Simulated machines `prefix-0` and on, ready for pods; taints as `key=value:Effect`."""
        capacity = {"cpu": cpu, "memory": memory, "pods": str(pods), "ephemeral-storage": "100Gi"}
        if gpus:
            capacity["nvidia.com/gpu"] = str(gpus)
        names = [f"{prefix}-{number}" for number in range(count)]
        for name in names:
            self.api("POST", "/api/v1/nodes", _node(name, dict(labels or {}), capacity, list(taints)))
        wanted = set(names)
        self.wait_for(lambda: wanted <= self._ready_nodes(), 30 + count / 10, f"the nodes {prefix}")
        return names

    def remove_nodes(self, names: Iterable[str]) -> None:
        """Take machines away; the pods on them go within a minute, as in a real cluster, or at once by `kubectl`."""
        for name in names:
            self.api("DELETE", f"/api/v1/nodes/{name}", expect=[404])

    def _ready_nodes(self) -> set[str]:
        not_yet = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}
        return {
            node["metadata"]["name"]
            for node in self.items("/api/v1/nodes")
            if not not_yet & {taint["key"] for taint in node["spec"].get("taints", ())}
            and any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ()))
        }

    def _add(self, name: str, arguments: list[str]) -> None:
        command = [str(self._programs[name]), *arguments]
        self.processes[name] = Process(name, command, self.folder, control_plane.own_environment())

    def _exists(self, path: str) -> bool:
        return self.api("GET", path, expect=[404]).get("kind") != "Status"

    def _healthy(self, url: str) -> bool:
        return bool(self._session.get(url, timeout=5).ok)


def _list(manifests: Iterable[Json]) -> Json:
    return {"apiVersion": "v1", "kind": "List", "items": list(manifests)}


def _node(name: str, labels: Mapping[str, str], capacity: Json, taints: Iterable[str]) -> Json:
    parsed = []
    for taint in taints:
        key, _, effect = taint.rpartition(":")
        key, _, value = key.partition("=")
        parsed.append({"key": key, "value": value, "effect": effect})
    own = {
        SIMULATED: "true",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": own | dict(labels), "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": {"taints": parsed},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
