"""What the proxy costs: MLflow through hub, configurable-http-proxy and our service, against a stock `mlflow server`.

`python -m tests.benchmarks.bench_mlflow [--requests N] [--mebibytes N]`; the last line is one JSON object.

Ours is a real hub with the MLflow service that it starts, called with a person's hub token at the public address.
The peer is `mlflow server --workers 1` of the same environment, without jobs, called straight at its port; it gets
every request at the same time as ours, in turn, so that a busy machine is busy for both.
"""

import argparse
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.lab.mlflow_hub import MlflowHub, mlflow_hub
from tests.lab.tools import mlflow_python

GOAL_ADDED_MS = 5.0
GOAL_GROWTH_MIB = 64.0
MIB = 2**20
PIECE = os.urandom(MIB)
API = "/api/2.0/mlflow/"


@dataclass(slots=True)
class Server:
    """One way to a tracking server, with a kept connection and a run to log to."""

    url: str
    token: str = ""
    run: str = ""
    experiment: str = ""
    base: str = ""
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
        self.base = parts.path

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
        """The body of the answer; anything but 200 ends the benchmark."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        data = json.dumps(body) if isinstance(body, dict) else body
        self.connection.request(method, self.base + path, data, sent)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path} at {self.url}: {answer.status} {content[:300]!r}")
        return content

    def begin_run(self) -> None:
        self.experiment = json.loads(self.call("POST", f"{API}experiments/create", {"name": "bench"}))["experiment_id"]
        made = json.loads(self.call("POST", f"{API}runs/create", {"experiment_id": self.experiment}))
        self.run = made["run"]["info"]["run_id"]

    def log_metric(self, step: int) -> None:
        now = int(time.time() * 1000)
        self.call(
            "POST",
            f"{API}runs/log-metric",
            {"run_id": self.run, "key": "loss", "value": 1 / (step + 1), "timestamp": now, "step": step},
        )

    def log_batch(self, size: int, start: int) -> None:
        now = int(time.time() * 1000)
        metrics = [{"key": "batch", "value": n * 0.5, "timestamp": now, "step": start + n} for n in range(size)]
        self.call("POST", f"{API}runs/log-batch", {"run_id": self.run, "metrics": metrics})

    def timed(self, action: Callable[[], object]) -> float:
        begin = time.perf_counter()
        action()
        return time.perf_counter() - begin


class Memory(threading.Thread):
    """The most resident memory of a process while this runs."""

    def __init__(self, process: psutil.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._done = threading.Event()
        self.before = process.memory_info().rss
        self.most = self.before

    def run(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, self._process.memory_info().rss)

    def grown(self) -> float:
        """MiB above the start; ends the thread."""
        self._done.set()
        self.join()
        return (self.most - self.before) / MIB


@contextmanager
def stock_server(folder: Path) -> Iterator[Server]:
    """`mlflow server` as its documentation starts it, with one worker and no jobs, as ours has."""
    python = mlflow_python()
    assert python is not None
    with http_port() as port:
        pass
    command = [
        str(python.with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/peer.db", "--artifacts-destination", str(folder / "artifacts"),
        "--serve-artifacts",
    ]  # fmt: skip
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "peer.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    server = Server(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                server.call("GET", "/health")
                break
            except OSError:
                server.connection.close()
                if time.monotonic() > deadline:
                    raise SystemExit((folder / "peer.log").read_text()) from None
                time.sleep(0.3)
        yield server
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        psutil.wait_procs(children, 5)


@contextmanager
def http_port() -> Iterator[int]:
    """A free port."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield int(opened.getsockname()[1])


def latency(ours: Server, peer: Server, requests: int) -> dict[str, Any]:
    """Milliseconds of one `log_metric`, ours and the peer's in turn."""
    for step in range(20):
        ours.log_metric(step)
        peer.log_metric(step)
    pairs = [(ours.timed(lambda s=n: ours.log_metric(s)), peer.timed(lambda s=n: peer.log_metric(s)))
             for n in range(20, 20 + requests)]  # fmt: skip
    mine, theirs = ([1000 * pair[side] for pair in pairs] for side in (0, 1))
    return {
        "ours_p50_ms": percentile(mine, 50),
        "ours_p95_ms": percentile(mine, 95),
        "peer_p50_ms": percentile(theirs, 50),
        "peer_p95_ms": percentile(theirs, 95),
        "added_p50_ms": round(percentile(mine, 50) - percentile(theirs, 50), 2),
        "added_p95_ms": round(percentile(mine, 95) - percentile(theirs, 95), 2),
    }


def rates(ours: Server, peer: Server, batches: int) -> dict[str, Any]:
    """Metrics a second: batches of 1,000, in turn."""
    spent = {"ours": 0.0, "peer": 0.0}
    for number in range(batches):
        start = 100_000 + number * 1000
        spent["ours"] += ours.timed(lambda s=start: ours.log_batch(1000, s))
        spent["peer"] += peer.timed(lambda s=start: peer.log_batch(1000, s))
    return {f"{name}_metrics_per_s_in_batches": round(1000 * batches / seconds) for name, seconds in spent.items()}


def transfer(server: Server, mebibytes: int) -> dict[str, float]:
    """Seconds that an artifact of this size takes up, and down."""
    path = f"/api/2.0/mlflow-artifacts/artifacts/{server.experiment}/{server.run}/artifacts/large.bin"
    server.connection.close()  # uvicorn ends a connection that was idle for 5 s
    pieces = (PIECE for _ in range(mebibytes))
    headers = {"Content-Length": str(mebibytes * MIB), "Content-Type": "application/octet-stream"}
    up = server.timed(lambda: server.call("PUT", path, pieces, headers))

    def download() -> None:
        sent = {"Authorization": f"Bearer {server.token}"} if server.token else {}
        server.connection.request("GET", server.base + path, headers=sent)
        answer = server.connection.getresponse()
        got = 0
        while piece := answer.read(MIB):
            got += len(piece)
        if answer.status != 200 or got != mebibytes * MIB:
            raise SystemExit(f"the artifact came back as {answer.status} with {got} bytes")

    return {"up_s": round(up, 2), "down_s": round(server.timed(download), 2)}


def percentile(values: list[float], share: int) -> float:
    return round(statistics.quantiles(values, n=100)[share - 1], 2)


def measure(hub: MlflowHub, peer: Server, requests: int, mebibytes: int) -> dict[str, Any]:
    """The result, with what it is made of."""
    token = hub.token_of("alice")
    hub.wait_until_ready(token)
    ours = Server(hub.url, token)
    for server in (ours, peer):
        server.begin_run()
    progress("latency")
    times = latency(ours, peer, requests)
    progress("batches")
    speed = rates(ours, peer, 20)
    speed["ours_metrics_per_s_one_by_one"] = round(1000 / times["ours_p50_ms"])
    speed["peer_metrics_per_s_one_by_one"] = round(1000 / times["peer_p50_ms"])
    progress(f"{mebibytes} MiB up and down")
    memory = Memory(hub.proxy_process())
    memory.start()
    moved = transfer(ours, mebibytes)
    grown = round(memory.grown(), 1)
    theirs = transfer(peer, mebibytes)
    met = times["added_p50_ms"] < GOAL_ADDED_MS and grown < GOAL_GROWTH_MIB
    return {
        "name": "bench-mlflow",
        "unit": "ms for one log_metric, p50",
        "ours": times["ours_p50_ms"],
        "peer": times["peer_p50_ms"],
        "ratio": round(times["peer_p50_ms"] / times["ours_p50_ms"], 3),
        "goal": f"added p50 < {GOAL_ADDED_MS} ms; {mebibytes} MiB with < {GOAL_GROWTH_MIB} MiB more in the proxy",
        "met": met,
        "detail": {
            "requests": requests,
            **times,
            **speed,
            "artifact_mib": mebibytes,
            "ours_artifact": moved,
            "peer_artifact": theirs,
            "proxy_memory_mib": {"before": round(memory.before / MIB, 1), "grown_at_most": grown},
            "ours": "hub token at the public address: configurable-http-proxy, our service, tracking server",
            "peer": "mlflow server --workers 1, straight",
        },
    }


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--mebibytes", type=int, default=1024)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-mlflow-") as folder:
        root = Path(folder)
        (root / "hub").mkdir()
        (root / "peer").mkdir()
        progress("starting a hub and a stock server")
        with mlflow_hub(root / "hub") as hub, stock_server(root / "peer") as peer:
            result = measure(hub, peer, chosen.requests, chosen.mebibytes)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
