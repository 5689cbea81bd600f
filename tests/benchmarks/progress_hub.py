"""The part of a hub that serves open progress pages, alone in a process: stock KubeSpawner's, or ours.

KUBECONFIG says where the cluster is. When every stream has shown what there was it measures some seconds in which
nothing comes, prints `ready`, measures some in which its caller writes new events, and prints one JSON line.
"""

import argparse
import asyncio
import gc
import json
import re
import resource
import sys
import time
from typing import Any

import psutil
from kubespawner import KubeSpawner

from devplatform_hub.kube import Json
from devplatform_hub.kube.starting import Sight, Story, follow_pod
from devplatform_hub.spawner import DevPlatformSpawner
from tests.doubles.hub_person import belongs_to_alice

_SENT = re.compile(r"sent=([\d.]+)")


class StockSpawner(KubeSpawner):
    """KubeSpawner as it is; it only counts how often it looks at its events."""

    looks = 0

    @property
    def events(self) -> Any:
        StockSpawner.looks += 1
        return super().events


class CountingSight(Sight):
    """What a start of ours sees; it only counts how often it looks at its events."""

    def said(self, name: str, uid: str | None) -> list[Json]:
        StockSpawner.looks += 1
        return super().said(name, uid)


async def _never(_pod: Json) -> bool:
    return False


class PlatformSpawner(DevPlatformSpawner):
    """The platform's spawner as it is while its start waits for its pod: what follows it is part of the cost."""

    async def follow(self) -> None:
        """As the start does once the pod is made."""
        await self.watch()
        self._is_starting, self._story = True, Story((None,))
        pod = self.pod_reflector.get(f"{self.namespace}/{self.pod_name}")
        sight = CountingSight(self.pod_reflector, self.event_reflector, self.namespace)
        await follow_pod(self._story, sight, self.pod_name, pod["metadata"]["uid"], _never)


class Streams:
    """Open progress pages, and how late each line came."""

    def __init__(self) -> None:
        self.lines = 0
        self.lateness: list[float] = []
        self.since = float("inf")

    async def follow(self, spawner: KubeSpawner) -> None:
        async for line in spawner.progress():
            self.lines += 1
            sent = _SENT.search(line["message"])
            if sent and float(sent[1]) >= self.since:
                self.lateness.append(time.time() - float(sent[1]))


async def window(pages: Streams, streams: int, seconds: float) -> dict[str, float]:
    """What these seconds cost, and how late the lines came that were sent in them."""
    pages.since, pages.lateness, looks = time.time(), [], StockSpawner.looks
    begun, cpu = time.monotonic(), time.process_time()
    await asyncio.sleep(seconds)
    lasted, spent, looks = time.monotonic() - begun, time.process_time() - cpu, StockSpawner.looks - looks
    late = sorted(pages.lateness)
    found = {
        "seconds": lasted,
        "cpu_share": spent / lasted,
        "ms_per_look": spent / looks * 1000,
        "looks_per_stream_second": looks / (streams * lasted),
        "lines": len(late),
    }
    if late:
        found |= {"latency_p50": late[len(late) // 2], "latency_p99": late[int(len(late) * 0.99)]}
    return found


async def main(kind: str, namespace: str, streams: int, own: int, seconds: float, busy_seconds: float) -> None:
    Spawner = StockSpawner if kind == "stock" else PlatformSpawner
    # With an account of its own no rights are given: that is no part of a page.
    spawners = [Spawner(_mock=True, namespace=namespace, service_account="people") for _ in range(streams)]
    lines = streams * own if kind == "stock" else streams
    for number, spawner in enumerate(spawners):
        if kind == "ours":
            belongs_to_alice(spawner)
        spawner.pod_name = f"jupyter-user-{number}"
        spawner._start_future = asyncio.get_running_loop().create_future()
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    pages = Streams()
    begun, cpu = time.monotonic(), time.process_time()
    await (spawners[0]._start_watching_events() if kind == "stock" else spawners[0].watch())
    loaded = {"seconds": time.monotonic() - begun, "cpu_seconds": time.process_time() - cpu}
    tasks = []
    if kind == "ours":
        tasks = [asyncio.create_task(spawner.follow()) for spawner in spawners]
        await asyncio.sleep(0.5)
    tasks += [asyncio.create_task(pages.follow(spawner)) for spawner in spawners]
    while pages.lines < lines:
        await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    quiet = await window(pages, streams, seconds)
    print("ready", flush=True)
    busy = await window(pages, streams, busy_seconds)
    memory = {
        "rss_mb": (process.memory_info().rss - before) / 2**20,
        "peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 2**20,
    }
    print(json.dumps({"load": loaded, "quiet": quiet, "busy": busy, "memory": memory}), flush=True)
    for task in tasks:
        task.cancel()
    await Spawner._stop_all_reflectors()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["stock", "ours"])
    parser.add_argument("namespace")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--own", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--busy-seconds", type=float, required=True)
    given = parser.parse_args()
    try:
        asyncio.run(main(given.kind, given.namespace, given.streams, given.own, given.seconds, given.busy_seconds))
    except asyncio.CancelledError:  # stock's reflectors end so
        sys.exit(0)
