"""`make bench-hub-start`: how long a hub that is started again takes to know 1,750 running servers, and its memory.

Against stock KubeSpawner, each with a control plane of its own, on which its servers run while the hub is restarted.
Ready means that the hub answers and says of every server that it is ready.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from tests.benchmarks.spawn_load import loaded_hub, start_all
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import ClusterHub

GOAL = 1.0
_ROUNDS = 3
_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds until the hub answers, until it knows all servers, and of its processor; its memory then and at most."""

    answers: float
    ready: float
    cpu: float
    rss_mb: float
    peak_mb: float

    def rounded(self) -> dict[str, float]:
        return {name: round(getattr(self, name), 2) for name in self.__slots__}


def run(kind: str, servers: int) -> Restart:
    """The medians of some restarts."""
    with tempfile.TemporaryDirectory(prefix="bench-hub-start-") as name:
        folder = Path(name)
        with Cluster(folder / "cluster") as cluster, loaded_hub(kind, cluster, folder / "hub", servers) as hub:
            started = asyncio.run(start_all(hub, servers))
            assert not started.failed, f"{started.failed} servers of {kind} did not start"
            found = [_restart(hub, servers) for _ in range(_ROUNDS)]
    return Restart(*(statistics.median(getattr(one, name) for one in found) for name in Restart.__slots__))


def _restart(hub: ClusterHub, servers: int) -> Restart:
    assert hub.process is not None
    hub.process.terminate()
    hub.process.wait(60)
    begun = time.monotonic()
    hub.start(within=_PATIENCE)
    answers = time.monotonic() - begun
    while (known := _ready(hub)) < servers:
        assert time.monotonic() - begun < _PATIENCE, f"{known} of {servers} servers are ready"
        time.sleep(0.25)
    ready = time.monotonic() - begun
    process = psutil.Process(hub.process.pid)
    times, peak = process.cpu_times(), _peak_mb(process.pid)
    return Restart(answers, ready, times.user + times.system, process.memory_info().rss / 2**20, peak)


def _ready(hub: ClusterHub) -> int:
    """How many servers the hub calls ready, by the gauge of its own metrics: a list of all people would cost more."""
    status, text = hub.call("GET", "/hub/metrics")
    assert status == 200, text
    lines = str(text).splitlines()
    return int(float(next(line for line in lines if line.startswith("jupyterhub_running_servers ")).split()[1]))


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024


def main(servers: int) -> int:
    found = {}
    for kind in ("stock", "ours"):
        found[kind] = run(kind, servers)
        print(f"{kind}, {servers} servers: {found[kind].rounded()}", file=sys.stderr, flush=True)
    ours, stock = found["ours"], found["stock"]
    ratios = {name: getattr(stock, name) / getattr(ours, name) for name in ("ready", "rss_mb")}
    worst = min(ratios, key=lambda name: ratios[name])
    result = {
        "name": "hub-start",
        "unit": {"ready": "seconds until all servers are known", "rss_mb": "MiB of the hub's memory then"}[worst],
        "ours": round(getattr(ours, worst), 2),
        "peer": round(getattr(stock, worst), 2),
        "ratio": round(ratios[worst], 3),
        "goal": f"ratio >= {GOAL:g} in time and in memory",
        "met": ratios[worst] >= GOAL,
        "detail": {
            "servers": servers,
            "peer": f"jupyterhub-kubespawner {version('jupyterhub-kubespawner')}, jupyterhub {version('jupyterhub')}",
            "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
            **{kind: one.rounded() for kind, one in found.items()},
        },
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=1750)
    sys.exit(main(parser.parse_args().servers))
