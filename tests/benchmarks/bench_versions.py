"""A folder, one file and a whole workspace in a bucket with a million generations, against Google's own client.

`python -m tests.benchmarks.bench_versions [--files N] [--versions N] [--delay SECONDS]`; the last line is JSON.

The bucket is the double in a process of its own, every answer of which takes 30 ms longer. Ours is `GCSVersionStore`
in this process, whose memory is what is told; the peer is google-cloud-storage's iterator over the same prefix, in a
process of its own, in the same run, one after the other. The ratio is that of listing the whole workspace.
"""

import argparse
import asyncio
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from devplatform_versions.gcs.store import GCSVersionStore

BUCKET, OWNER = "workspaces", "alice"
PER_FOLDER = 200
GOALS = {"folder": 0.3, "file": 0.1, "ratio": 4.0, "memory_mb": 200}


class NoIdentity:
    """The double lets everybody in."""

    async def token(self) -> str:
        return ""


@contextmanager
def bucket(files: int, versions: int, delay: float) -> Iterator[str]:
    """The address of a bucket with that much in it."""
    fill = f"{BUCKET}:{files}:{versions}:users/{OWNER}/"
    command = [sys.executable, "-m", "tests.doubles.gcs", "--bucket", BUCKET, "--fill", fill, "--delay", str(delay)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


async def timed(ask: Callable[[], Awaitable[Any]], rounds: int) -> tuple[float, Any]:
    """The median of so many rounds, in seconds, and the last answer."""
    spent, answer = [], None
    for _ in range(rounds):
        began = time.perf_counter()
        answer = await ask()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent), answer


async def everything(store: GCSVersionStore) -> int:
    """How many files the workspace has, read to the end in pages."""
    token, found = None, 0
    while True:
        page = await store.snapshot(OWNER, "", token=token, limit=5000)
        found += len(page.items)
        token = page.next_token
        if token is None:
            return found


async def ours(url: str, files: int, versions: int) -> dict[str, float]:
    store = GCSVersionStore(bucket=BUCKET, api_root=url, identity=NoIdentity())
    await store.open()
    folder, path = f"d{files // PER_FOLDER // 2:05}", f"d{files // PER_FOLDER // 2:05}/f00007.py"
    try:
        await store.list_folder(OWNER, folder)  # connections
        seconds, page = await timed(lambda: store.list_folder(OWNER, folder), 7)
        assert [entry.versions for entry in page.items] == [versions] * PER_FOLDER
        one, listed = await timed(lambda: store.list_versions(OWNER, path), 7)
        assert len(listed.items) == versions
        whole, count = await timed(lambda: everything(store), 3)
        assert count == files
    finally:
        await store.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"folder": seconds, "file": one, "whole": whole, "memory_mb": memory}


def peers(url: str, files: int, pipe: Any) -> None:
    """Google's iterator over the live files of the prefix, with its own page size and fields."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(project="project", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})
    began = time.perf_counter()
    count = sum(1 for _ in client.list_blobs(BUCKET, prefix=f"users/{OWNER}/"))
    pipe.send((time.perf_counter() - began, count))
    assert count == files


def theirs(url: str, files: int) -> float:
    """Seconds, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=peers, args=(url, files, there))
    process.start()
    seconds, _ = here.recv()
    process.join()
    return float(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--delay", type=float, default=0.03)
    asked = parser.parse_args()
    with bucket(asked.files, asked.versions, asked.delay) as url:
        found = asyncio.run(ours(url, asked.files, asked.versions))
        peer = statistics.median(theirs(url, asked.files) for _ in range(3))
    ratio = peer / found["whole"]
    met = {
        "folder": found["folder"] < GOALS["folder"],
        "file": found["file"] < GOALS["file"] + asked.delay,
        "ratio": ratio >= GOALS["ratio"],
        "memory_mb": found["memory_mb"] < GOALS["memory_mb"],
    }
    print(
        json.dumps(
            {
                "name": "versions",
                "unit": f"seconds to list {asked.files} files of one prefix",
                "ours": round(found["whole"], 3),
                "peer": round(peer, 3),
                "ratio": round(ratio, 2),
                "goal": "a folder of 200 files under 0.3 s, one file under 0.1 s and a request, 4x, under 200 MB",
                "met": all(met.values()),
                "detail": {
                    "peer": "google-cloud-storage's iterator",
                    "generations": asked.files * asked.versions,
                    "seconds_a_request": asked.delay,
                    "met": met,
                    **{name: round(value, 4) for name, value in found.items()},
                },
            }
        )
    )


if __name__ == "__main__":
    main()
