"""What open progress pages cost the hub while the namespace is full of events: KubeSpawner 7.1.0 against ours.

A real API server holds 35,000 events about 5,000 pods; 500 pages are open, and 50 events a second come for their
pods. One process for each of the two serves the pages (progress_hub.py).
"""

import argparse
import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import aiohttp

from tests.lab.cluster import Cluster

ROOT = Path(__file__).resolve().parent.parent.parent
GOAL = 0.1
_OWN = 7
_RATE = 50
_WRITERS = 24
_STOCK_SERVES = 15
_REASONS = ("Scheduled", "SuccessfulAttachVolume", "Pulling", "Pulled", "Created", "Started", "Unhealthy")
_MESSAGE = "{reason}: container image registry.test/science/notebook:2026.11 of this pod on a node of the user pool"


class Writer:
    """Writes events into a namespace, as the kubelets of a cluster do."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        rules = [{"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}]
        config = json.loads(cluster.kubeconfig_for("kubelets", namespace, rules=rules).read_text("utf-8"))
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        self._url = f"{cluster.api_url}/api/v1/namespaces/{namespace}/events"
        self._ssl = ssl.create_default_context(cafile=str(cluster.ca))
        self._cluster, self._namespace, self._number = cluster, namespace, 0
        self._uids: dict[int, str] = {}

    async def __aenter__(self) -> "Writer":
        connector = aiohttp.TCPConnector(ssl=self._ssl, limit=_WRITERS)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    def make_pods(self, pods: int) -> None:
        """The pods that the pages are about: they wait for a machine that never comes."""
        container = {"name": "notebook", "image": "registry.test/notebook:1"}
        for number in range(pods):
            metadata = {"name": f"jupyter-user-{number}", "labels": {"component": "singleuser-server"}}
            body = {"metadata": metadata, "spec": {"schedulerName": "nobody", "containers": [container]}}
            made = self._cluster.api("POST", f"/api/v1/namespaces/{self._namespace}/pods", body)
            self._uids[number] = made["metadata"]["uid"]

    async def write(self, pod: int, reason: str, message: str) -> None:
        self._number += 1
        uid = self._uids.get(pod, f"uid-{pod}")
        name, now = f"jupyter-user-{pod}", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"kind": "Pod", "apiVersion": "v1", "namespace": self._namespace, "name": name, "uid": uid}
        body = {
            "metadata": {"name": f"{name}.{self._number:016x}"},
            "involvedObject": about | {"fieldPath": "spec.containers{notebook}", "resourceVersion": str(pod)},
            "type": "Normal",
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "kubelet", "host": f"user-pool-{pod % 100}"},
            "reportingComponent": "kubelet",
            "reportingInstance": f"user-pool-{pod % 100}",
        }
        async with self._session.post(self._url, json=body) as answer:
            assert answer.status == 201, await answer.text()

    async def fill(self, events: int) -> None:
        """So many events, in an order in which a busy cluster writes them: all pods mixed."""
        numbers = iter(range(events))
        pods = events // _OWN

        async def work() -> None:
            for number in numbers:
                reason = _REASONS[number // pods % _OWN]
                await self.write(number % pods, reason, _MESSAGE.format(reason=reason))

        await asyncio.gather(*(work() for _ in range(_WRITERS)))

    async def keep_on(self, streams: int) -> None:
        """Events for the pods of open pages, `_RATE` a second, each with the time at which it was sent."""
        begun, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, begun + number / _RATE - time.monotonic()))
            # A kind of event that nothing is known of: such are shown in their own words by both.
            await self.write(number * 7 % streams, "AddedInterface", f"sent={time.time():.4f}")
            number += 1


async def measure(
    kind: str, config: Path, namespace: str, writer: Writer, streams: int, seconds: float, busy_seconds: float
) -> dict[str, float]:
    """What progress_hub.py found, by `window_figure`."""
    command = [sys.executable, "-m", "tests.benchmarks.progress_hub", kind, namespace]
    options = [f"--streams={streams}", f"--own={_OWN}"]
    options += [f"--seconds={seconds}", f"--busy-seconds={busy_seconds}"]
    env = os.environ | {"KUBECONFIG": str(config)}
    process = await asyncio.create_subprocess_exec(
        *command, *options, cwd=ROOT, env=env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert (await process.stdout.readline()).strip() == b"ready", f"{kind} did not start"
        writing = asyncio.create_task(writer.keep_on(streams))
        line = await process.stdout.readline()
        writing.cancel()
        found = json.loads(line)
        return {f"{part}_{name}": round(value, 4) for part in found for name, value in found[part].items()}
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def progress(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


async def run(cluster: Cluster, events: int, streams: int) -> int:
    """Measure both and print the result; whether the goal is met."""
    namespace = cluster.namespace("people")
    config = cluster.kubeconfig_for("hub", namespace)
    begun = time.monotonic()
    found = {}
    async with Writer(cluster, namespace) as writer:
        writer.make_pods(streams)
        await writer.fill(events)
        progress(f"{events} events written in {time.monotonic() - begun:.0f} s")
        for name, kind, pages, seconds, busy in (
            ("ours", "ours", streams, 20.0, 20.0),
            ("stock", "stock", streams, 30.0, 90.0),
            # So many it can serve: how late its lines are then.
            ("stock_alone", "stock", min(streams, _STOCK_SERVES), 15.0, 40.0),
        ):
            found[name] = await measure(kind, config, namespace, writer, pages, seconds, busy)
            progress(f"{name}, {pages} pages: {found[name]}")
    # A tick is one look at the events of one's own pod, which stock takes once a second, or a second of ours, whichever
    # costs more. With nothing new that is all that a page costs; the rest is the price of each new event, and in
    # `detail` with how late it came. No latency: no line came at all.
    ours = max(found["ours"]["quiet_ms_per_look"], found["ours"]["quiet_cpu_share"] * 1000 / streams)
    stock = found["stock"]["quiet_ms_per_look"]
    result = {
        "name": "progress",
        "unit": "ms of hub CPU per stream and tick",
        "ours": round(ours, 4),
        "peer": round(stock, 4),
        "ratio": round(stock / ours, 1),
        "goal": f"below {GOAL} ms",
        "met": ours < GOAL,
        "detail": {
            "events": events,
            "streams": streams,
            "new_events_per_second": _RATE,
            "stock_alone_streams": min(streams, _STOCK_SERVES),
            "peer": f"jupyterhub-kubespawner {version('jupyterhub-kubespawner')}",
            **{f"{name}_{what}": value for name, values in found.items() for what, value in values.items()},
        },
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=35_000)
    parser.add_argument("--streams", type=int, default=500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder) / "cluster", disks=False) as lab:
        sys.exit(asyncio.run(run(lab, arguments.events, arguments.streams)))
