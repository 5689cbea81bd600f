"""The real hub and proxy on a `Cluster`, with the rights that the chart gives it, and DevPlatformSpawner or another.

    with cluster_hub(cluster, tmp_path, namespace=namespace, profiles=PROFILES) as hub:
        token = hub.start_server("alice")                      # through the REST API, as an administrator
        status, answer = hub.api("POST", "/users/bob/server", {"profile": "gpu"}, user="bob")
        for event in hub.progress("bob"): ...
        hub.kill(); hub.start()                                # a hub that comes back finds its pods again

For comparisons: `cluster_hub(cluster, folder, namespace=..., spawner="kubespawner.KubeSpawner", traits={...})`.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devplatform_hub.embedded.platform import free_ports
from tests.lab.cluster import Cluster
from tests.lab.control_plane import own_environment
from tests.lab.hub import BASE_CONFIG, RealHub, base_settings
from tests.lab.process import Process

OURS = "devplatform_hub.spawner.DevPlatformSpawner"
STOCK = "kubespawner.KubeSpawner"
GROUPS: dict[str, list[str]] = {
    "developer-platform-users": ["alice", "bob", "root"],
    "developer-platform-admins": ["root"],
}
PROFILES = """\
profiles:
  - {name: standard, display_name: Standard, description: Everyday work., cpu: 1, memory: 1G, default: true}
  - {name: highmem, display_name: High memory, description: Large data., cpu: 2, memory: 8G}
  - {name: closed, display_name: Closed, description: For few., cpu: 1, memory: 1G, allowed_groups: [painters]}
  - {name: gpu, display_name: GPU, description: With a GPU., cpu: 1, memory: 1G, gpu: {count: 1}}
"""
AT_ONCE = "c.JupyterHub.tornado_settings = {**c.JupyterHub.tornado_settings, 'slow_spawn_timeout': 0}\n"
"""For `config`: a request for a server is answered before that is there, as its progress page needs it."""
LOCAL_SIGN_IN = """\
c.JupyterHub.authenticator_class = "devplatform_hub.authenticators.local.LocalAuthenticator"
c.LocalAuthenticator.users_file = s["folder"] + "/data/users.yaml"
del c.Authenticator["allow_all"]
c.JupyterHub.load_groups = {}
"""
"""For `config`, with no groups: people sign in with what `devplatform user add --data FOLDER/data` gave them."""
_CONFIG = """\
c.JupyterHub.load_groups = s["groups"]
c.Authenticator.admin_users = set(s["admins"])
c.DummyAuthenticator.password = s["password"]
if s["ours"]:
    import devplatform_hub
    c.DevPlatformSpawner.profiles_file = s["profiles_file"]
    devplatform_hub.setup(c)
c.JupyterHub.spawner_class = s["spawner"]
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.KubeSpawner.namespace = s["namespace"]
c.KubeSpawner.image = "registry.test/notebook:1"
c.KubeSpawner.ip = "0.0.0.0"
c.KubeSpawner.port = s["server_port"]
for _name, _traits in s["traits"].items():
    for _trait, _value in _traits.items():
        setattr(c[_name], _trait, _value)
"""


@dataclass(slots=True)
class ClusterHub(RealHub):
    """A hub whose servers are pods."""

    cluster: Cluster | None = None
    namespace: str = ""
    simulated: Process | None = None

    def api(self, method: str, path: str, body: object = None, *, user: str = "") -> tuple[int, Any]:
        """Status and JSON of a request below /hub/api, as administrator or as this person."""
        if user:
            return self.call(method, f"/hub/api{path}", body, self.token_of(user))
        return self.call(method, f"/hub/api{path}", body)

    def pods(self) -> list[dict[str, Any]]:
        """All pods of the hub's namespace, as the API server has them."""
        assert self.cluster is not None
        return self.cluster.items(f"/api/v1/namespaces/{self.namespace}/pods")

    def pod_of(self, user: str, name: str = "") -> dict[str, Any]:
        """The pod of this server; {} when there is none."""
        wanted = {"hub.jupyter.org/username": user, "hub.jupyter.org/servername": name}
        for pod in self.pods():
            marks = pod["metadata"].get("labels", {}) | pod["metadata"].get("annotations", {})
            if all(marks.get(key, "") == value for key, value in wanted.items()):
                return pod
        return {}

    def restart(self) -> None:
        """As a rollout does: ended in order, then started."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(60)
        self.start()


@contextmanager
def cluster_hub(
    cluster: Cluster,
    folder: Path,
    *,
    namespace: str,
    spawner: str = OURS,
    profiles: str = PROFILES,
    groups: Mapping[str, list[str]] = GROUPS,
    admins: tuple[str, ...] = ("root",),
    password: str = "",
    traits: Mapping[str, Mapping[str, Any]] | None = None,
    config: str = "",
    database: str = "",
    origin: str = "",
    address: str = "127.0.0.1",
    server_port: int = 0,
    kubeconfig: Path | None = None,
    started: bool = True,
) -> Iterator[ClusterHub]:
    """A hub in this namespace, ended afterwards; its pods stay until the namespace goes.

    `traits` by class name; `config` is Python that comes last, with `c` and `s`. `address` is where servers find the
    hub: a bridge's address for pods that really run. `server_port`: 0 is the stand-in of all simulated pods.
    `kubeconfig`: another than the hub's own, such as one through a proxy. `started=False`: call `start()` yourself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    profiles_file = folder / "profiles.yaml"
    profiles_file.write_text(profiles, "utf-8")
    simulated = None
    if not server_port:
        (server_port,) = free_ports(1)
        command = [sys.executable, "-m", "tests.lab.simulated_pods", str(server_port)]
        simulated = Process("simulated-pods", command, folder, own_environment())
        simulated.start()
    settings = base_settings(folder, groups, address) | {
        "admins": list(admins),
        "password": password,
        "ours": spawner != STOCK,
        "spawner": spawner,
        "profiles_file": str(profiles_file),
        "namespace": namespace,
        "server_port": server_port,
        "traits": {name: dict(values) for name, values in (traits or {}).items()},
    }
    settings |= {name: value for name, value in (("database", database), ("origin", origin)) if value}
    (folder / "jupyterhub_config.py").write_text(BASE_CONFIG + _CONFIG + config, "utf-8")
    hub = ClusterHub(
        str(settings["origin"]),
        folder,
        folder,
        settings=settings,
        # Not the cluster administrator's: what the hub may not do on a real cluster it must not do here.
        environment={
            "KUBECONFIG": str(kubeconfig or cluster.kubeconfig_for("hub", namespace)),
            "NO_PROXY": "127.0.0.1,localhost",
            "DEVPLATFORM_AUDIT_FILE": str(folder / "audit.jsonl"),
        },
        cluster=cluster,
        namespace=namespace,
        simulated=simulated,
    )
    try:
        if started:
            hub.start()
        yield hub
    finally:
        hub.stop()
        if simulated is not None:
            simulated.stop()
