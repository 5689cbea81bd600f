"""The lab's real node takes everything away that it made: at its end, after a failure, and after a killed run."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import node
from tests.lab.control_plane import own_environment
from tests.lab.tools import cache

pytestmark = pytest.mark.lab("cluster", "node")

RUN = """
import sys, time
from pathlib import Path
from tests.lab.cluster import Cluster
from tests.lab.node import REAL, RealNode
folder = Path(sys.argv[1])
with Cluster(folder / "cluster", disks=False) as cluster, RealNode(cluster, folder / "node"):
    pause = {"name": "pause", "image": "localhost/pause:1", "imagePullPolicy": "Never"}
    place = {"nodeSelector": {REAL: "true"}, "tolerations": [{"key": REAL, "operator": "Exists"}]}
    metadata = {"name": "one", "namespace": cluster.namespace("x")}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**place, "containers": [pause]}})
    cluster.wait_for(lambda: cluster.pod("one", "x")["status"]["phase"] == "Running", 30, "the pod")
    print("running", flush=True)
    if sys.argv[2] == "killed":
        time.sleep(60)
    raise SystemExit("as a failed test does")
"""


def left_of(folder: Path, run: int) -> set[str]:
    """Processes and mounts that have to do with this folder, and the bridge and control groups of this run."""
    found = {entry.name for entry in Path("/sys/class/net").glob(f"dplab{run}")}
    found |= {str(entry) for entry in Path("/sys/fs/cgroup").glob(f"**/devplatform-lab-{run}")}
    found |= {line.split()[1] for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = Path(entry.path, "cmdline").read_bytes() + Path(entry.path, "environ").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in words:
                found.add(words.decode("utf-8", "replace")[:200])
    return found


def setting(name: str) -> str:
    return Path("/proc/sys", name).read_text().strip()


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path: the kubelet has sockets deep inside, whose paths may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="lab-node-") as name:
        yield Path(name)


@pytest.mark.parametrize("how", ["failed", "killed"])
def test_nothing_is_left(folder: Path, how: str) -> None:
    """Processes and mounts go with the run however it ends; what a killed one cannot remove, the next one does."""
    kernel = {name: setting(name) for name in ("vm/overcommit_memory", "kernel/panic", "net/ipv4/ip_forward")}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), how],
        env=own_environment() | {"DEVPLATFORM_CACHE": str(cache())},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "running\n"
    bridge, group = f"dplab{run.pid}", f"devplatform-lab-{run.pid}"
    assert bridge in left_of(folder, run.pid)
    if how == "killed":
        run.send_signal(signal.SIGKILL)
    assert run.wait(30) == {"failed": 1, "killed": -signal.SIGKILL}[how]
    run.stdout.close()
    deadline = time.monotonic() + 15
    of_the_machine = re.compile(rf"{bridge}|/sys/fs/cgroup/.*{group}") if how == "killed" else re.compile("$^")
    while left := {one for one in left_of(folder, run.pid) if not of_the_machine.fullmatch(one)}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    node.end_leftovers()
    assert left_of(folder, run.pid) == set()
    assert {name: setting(name) for name in kernel} == kernel
