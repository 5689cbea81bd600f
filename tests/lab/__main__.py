"""`make lab`: the control plane with twenty simulated machines and the hub on it, for a person to click through.

Where this machine can run containers there is a real one too, and a profile whose servers really run on it.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from devplatform_hub.kube.user_access import admin_objects
from tests.lab import build, node, tools
from tests.lab import simulated_failures as failures
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import LOCAL_SIGN_IN, ClusterHub, cluster_hub
from tests.lab.control_plane import own_environment
from tests.lab.node import IMAGE, PLACE, RealNode

_USERS, _ADMINS = "developer-platform-users", "developer-platform-admins"
_ADMINS_IN_CLUSTER = f"{_ADMINS}@example.com"
_PEOPLE = {"alice": [_USERS], "bob": [_USERS, "ml-team"], "boss": [_USERS, _ADMINS]}
_GPU = {"cloud.google.com/gke-accelerator": "nvidia-l4"}
_SPOT = {"cloud.google.com/gke-spot": "true"}
_GPU_TAINT, _SPOT_TAINT = "nvidia.com/gpu=present:NoSchedule", "cloud.google.com/gke-spot=true:NoSchedule"
_PROFILES = f"""\
profiles:
  - {{name: standard, display_name: Standard, description: Everyday work., cpu: 2, memory: 8G, default: true}}
  - {{name: highmem, display_name: High memory, description: Large data., cpu: 4, memory: 100G}}
  - name: gpu
    display_name: GPU
    description: For the ml-team (bob). Spot machines first, then others.
    cpu: 8
    memory: 32G
    gpu: {{count: 1}}
    allowed_groups: [ml-team]
    cluster:
      placements: [{{name: spot, spot: true}}, {{name: on-demand}}]
  - {{name: too-large, display_name: Too large, description: No machine has that much., cpu: 500, memory: 8G}}
  - name: slow
    display_name: A large image
    description: The image takes some seconds.
    cpu: 1
    memory: 1G
    cluster: {{image: "{failures.SLOW}"}}
  - name: missing
    display_name: A missing image
    description: The image is not there.
    cpu: 1
    memory: 1G
    cluster: {{image: "{failures.MISSING}"}}
  - name: hungry
    display_name: Out of memory
    description: Ends for want of memory after some seconds.
    cpu: 1
    memory: 1G
    cluster: {{image: "{failures.OUT_OF_MEMORY}"}}
"""
_REAL = f"""\
  - name: real
    display_name: A real server
    description: JupyterLab and VS Code that really run, in a container on this machine.
    cpu: 1
    memory: 2G
    cluster: {{image: "{IMAGE}", {PLACE}}}
"""


def machines(cluster: Cluster) -> None:
    """Twenty: standard, high memory, with a GPU behind its taint, and the same as spot."""
    cluster.nodes(8, prefix="standard", cpu="8", memory="32Gi", labels={"pool": "standard"})
    cluster.nodes(4, prefix="highmem", cpu="16", memory="128Gi", labels={"pool": "highmem"})
    cluster.nodes(4, prefix="gpu", cpu="16", memory="64Gi", gpus=1, labels=_GPU, taints=[_GPU_TAINT])
    cluster.nodes(
        4, prefix="gpu-spot", cpu="16", memory="64Gi", gpus=1, labels=_GPU | _SPOT, taints=[_GPU_TAINT, _SPOT_TAINT]
    )


def add_people(folder: Path) -> list[str]:
    """What `devplatform user add` says about each: a one-time code to choose a password with."""
    said = []
    for name, groups in _PEOPLE.items():
        command = [str(Path(sys.executable).with_name("devplatform")), "user", "add", name, "--data", str(folder)]
        command += [part for group in groups for part in ("--group", group)]
        said.append(subprocess.run(command, check=True, capture_output=True, text=True, env=own_environment()).stdout)
    return said


def show(cluster: Cluster, hub: ClusterHub, said: list[str]) -> None:
    kubectl = f"{build.path('kubectl')} --kubeconfig {cluster.kubeconfig}"
    print("", *said, sep="\n")
    print(f"The hub:      {hub.origin}")
    print(f"Look around:  {kubectl} get pods,events -n people -o wide")
    print(f"As boss:      {kubectl} get pods -n people --as boss@example.com --as-group {_ADMINS_IN_CLUSTER}")
    print(f"Logs:         {hub.folder}/hub.log, {cluster.folder}/*.log")
    missing = node.missing()
    print(f"Only simulated machines: {missing}" if missing else "Real servers: choose the profile `A real server`")
    print("Ctrl-C ends all of it.", flush=True)


def main() -> int:
    """Until Ctrl-C; everything that it made goes with it."""
    missing = [name for name in ("cluster", "proxy") if tools.TOOLS[name][0]() is None]
    if missing:
        print(f"Not on this machine: {', '.join(f'{name} ({tools.TOOLS[name][1]})' for name in missing)}")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="devplatform-lab-"))
    print("Starting the control plane, twenty machines and the hub ...", flush=True)
    try:
        with Cluster(folder / "cluster") as cluster, ExitStack() as more:
            machines(cluster)
            address, profiles = "127.0.0.1", _PROFILES
            if not node.missing():
                address, profiles = more.enter_context(RealNode(cluster, folder / "node")).address, _PROFILES + _REAL
            said = add_people(folder / "data")
            namespace = cluster.namespace("people")
            cluster.apply(*admin_objects(_ADMINS_IN_CLUSTER, namespace=namespace))  # as the chart does
            origin = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}"
            with cluster_hub(
                cluster,
                folder,
                namespace=namespace,
                profiles=profiles,
                groups={},
                admins=(),
                config=LOCAL_SIGN_IN,
                origin=origin,
                address=address,
            ) as hub:
                show(cluster, hub, said)
                signal.pause()
    except KeyboardInterrupt:
        print("\nEnding ...", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
