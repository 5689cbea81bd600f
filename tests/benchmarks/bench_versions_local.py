"""Listing and restoring one file of 10,000 with 10 versions each, against git with the same history.

`python -m tests.benchmarks.bench_versions_local [--files N] [--versions N]`; the last line is one JSON object.

Ours is the running versions service over HTTP (who is calling comes from a table instead of a hub, as the hub's
answer is remembered anyway), and the same store in-process. The peer is git, in two layouts of the same history:
`per-save` has one commit for every save, because a commit is where git keeps the time of one; it is packed and has a
commit graph with changed-path filters, git's own remedy for `git log -- FILE`. `per-round` has one commit for every
round of saves: faster, but ten times for 100,000 saves.
"""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from devplatform_versions.local.store import LocalVersionStore

from .versions_history import build_git, build_store, git, history, progress

R = TypeVar("R")
GOAL_RATIO = 5.0
GOAL_MEMORY_MB = 150
PREFIX = "/services/versions/"
ASKED = 12
TIMES = 3


def timed(call: Callable[[], R]) -> tuple[float, R]:
    """Milliseconds, and the answer."""
    began = time.perf_counter()
    answer = call()
    return 1000 * (time.perf_counter() - began), answer


async def timed_async(answer: Awaitable[R]) -> tuple[float, R]:
    """Milliseconds, and the answer."""
    began = time.perf_counter()
    got = await answer
    return 1000 * (time.perf_counter() - began), got


def measure_git(repository: Path, paths: list[str], versions: int) -> dict[str, list[float]]:
    """Milliseconds, for each file, of what a person would ask git; the answers are checked.

    `list_folder` is `git ls-tree -l`: names and sizes. `list_folder_with_times` also says when each file was saved and
    how often, as ours does.
    """
    spent: dict[str, list[float]] = {}

    def ask(name: str, *arguments: str, times: int = 1) -> bytes:
        answers = [timed(lambda: git(repository, *arguments)) for _ in range(times)]
        spent.setdefault(name, []).append(statistics.median(took for took, _ in answers))
        return answers[0][1]

    for number, path in enumerate(paths):
        folder = path.rpartition("/")[0]
        log = ask("list_versions", "log", "--format=%H %ct %an", "main", "--", path, times=TIMES)
        lines = log.decode().splitlines()
        assert len(lines) == versions, (path, len(lines))
        ask("list_folder", "ls-tree", "-l", f"main:{folder}")
        if number < 3:
            ask("list_folder_with_times", "log", "--format=%ct", "--name-only", "main", "--", folder)
        assert ask("read_old_version", "show", f"{lines[-1].split()[0]}:{path}")
    return spent


async def measure_in_process(root: Path, paths: list[str], versions: int) -> dict[str, list[float]]:
    """Milliseconds, for each file, in the store itself, without HTTP."""
    store = LocalVersionStore(root=str(root))
    await store.open()
    spent: dict[str, list[float]] = {"list_versions": [], "list_folder": [], "read_old_version": [], "restore": []}
    for path in paths:
        took, page = await timed_async(store.list_versions("alice", path))
        assert len(page.items) == versions
        oldest = page.items[-1].generation
        spent["list_versions"].append(took)
        spent["list_folder"].append((await timed_async(store.list_folder("alice", path.rpartition("/")[0])))[0])

        async def read(path: str = path, generation: int = oldest) -> bytes:
            return b"".join([chunk async for chunk in store.read("alice", path, generation)])

        spent["read_old_version"].append((await timed_async(read()))[0])
        spent["restore"].append((await timed_async(store.restore("alice", path, oldest, "alice")))[0])
    await store.close()
    return spent


class Service:
    """The versions service in a process of its own, asked over HTTP."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.versions_service", str(root)], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().decode().strip()

    def memory_mb(self) -> tuple[float, float]:
        """Resident now, and at its most."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        kib = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Vm")}
        return int(kib["VmRSS"]) / 1024, int(kib["VmHWM"]) / 1024

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


async def measure_http(service: Service, paths: list[str], versions: int) -> dict[str, list[float]]:
    """Milliseconds, for each file, of the requests to the service over one connection."""
    spent: dict[str, list[float]] = {"list_versions": [], "list_folder": [], "read_old_version": [], "restore": []}
    headers = {"Authorization": "Bearer alices-token"}
    async with aiohttp.ClientSession(service.url, headers=headers) as session:

        async def ask(method: str, name: str, **options: Any) -> Any:
            async with session.request(method, f"{PREFIX}api/v1/w/alice/{name}", **options) as answer:
                body = await answer.read()
                assert answer.status == 200, (answer.status, body[:300])
                return json.loads(body) if answer.content_type == "application/json" else body

        async def spend(name: str, question: Awaitable[Any]) -> Any:
            took, answer = await timed_async(question)
            spent[name].append(took)
            return answer

        await ask("GET", "folder", params={"path": ""})  # the first request also finds out who asks
        for path in paths:
            asked = [await timed_async(ask("GET", "versions", params={"path": path})) for _ in range(TIMES)]
            spent["list_versions"].append(statistics.median(took for took, _ in asked))
            listed = asked[0][1]
            assert len(listed["versions"]) == versions
            folder = path.rpartition("/")[0]
            assert (await spend("list_folder", ask("GET", "folder", params={"path": folder})))["entries"]
            oldest = {"path": path, "generation": listed["versions"][-1]["generation"]}
            assert await spend("read_old_version", ask("GET", "content", params=oldest))
            await spend("restore", ask("POST", "restore", json=oldest))
        token: str | None = ""
        while token is not None:  # everything there is: what the service needs at its most
            whole = await ask(
                "GET", "snapshot", params={"path": "", "limit": "1000"} | ({"token": token} if token else {})
            )
            token = whole["next"]
    return spent


def p50(spent: dict[str, list[float]]) -> dict[str, float]:
    """The median of each, named with its unit."""
    return {f"{name}_ms": round(statistics.median(values), 2) for name, values in spent.items()}


def p95(spent: dict[str, list[float]]) -> dict[str, float]:
    """What 19 of 20 stay under, named with its unit."""
    return {f"{name}_ms": round(sorted(values)[int(len(values) * 0.95)], 2) for name, values in spent.items()}


async def run(files: int, versions: int, folder: Path) -> dict[str, Any]:
    root = folder / "store"
    progress(f"Saving {files} files {versions} times in our store ...")
    rate = await build_store(root, history(files, versions))
    progress(f"The same in git, one commit for each of {files * versions} saves ...")
    build_git(folder / "per-save.git", history(files, versions), per_save=True)
    progress("The same in git, one commit for each round ...")
    build_git(folder / "per-round.git", history(files, versions), per_save=False)
    chance = random.Random(5)
    names = sorted({save.path for save in history(files, 1)})
    ours_paths, in_process_paths = chance.sample(names, 200), chance.sample(names, 200)
    paths = ours_paths[:ASKED]  # git is slow: it is asked for fewer
    progress("Measuring ...")
    peer = measure_git(folder / "per-save.git", paths, versions)
    rounds = measure_git(folder / "per-round.git", paths, versions)
    service = Service(root)
    try:
        spent = await measure_http(service, ours_paths, versions)
        memory, most = service.memory_mb()
    finally:
        service.stop()
    inside = await measure_in_process(root, [p for p in in_process_paths if p not in ours_paths], versions)
    # The worst of the files that both were asked for.
    ratio, ours, gits = min(
        (theirs / mine, mine, theirs)
        for mine, theirs in zip(spent["list_versions"], peer["list_versions"], strict=False)
    )
    return {
        "name": "versions-local",
        "unit": "ms to list the versions of one file",
        "ours": round(ours, 2),
        "peer": round(gits, 2),
        "ratio": round(ratio, 1),
        "goal": f"ratio >= {GOAL_RATIO:g} and service memory < {GOAL_MEMORY_MB} MB",
        "met": ratio >= GOAL_RATIO and most < GOAL_MEMORY_MB,
        "detail": {
            "files": files,
            "versions_each": versions,
            "ours": f"service over HTTP, the worst of {ASKED} files, median of {TIMES}",
            "peer": f"git log -- FILE, the same file, median of {TIMES}: a commit a save, packed, changed-path filters",
            "service_http_p50": p50(spent),
            "service_http_p95": p95(spent),
            "store_in_process_p50": p50(inside),
            "git_commit_per_save_p50": p50(peer),
            "git_commit_per_round_p50": p50(rounds) | {"note": "10 times for all saves: the rest is lost"},
            "service_memory_mb": {"resident": round(memory, 1), "most": round(most, 1)},
            "versions_kept_per_second": round(rate),
            "disk_mb": {
                name: round(sum(f.stat().st_size for f in (folder / name).rglob("*") if f.is_file()) / 2**20, 1)
                for name in ("store", "per-save.git", "per-round.git")
            },
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=10)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-versions-") as folder:
        result = asyncio.run(run(chosen.files, chosen.versions, Path(folder)))
    print(json.dumps(result))
    sys.exit(0 if result["met"] else 1)


if __name__ == "__main__":
    main()
