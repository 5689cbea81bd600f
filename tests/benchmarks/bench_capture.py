"""From a save to its version, while 2,000 files change: the real agent and service, against git commits in a loop.

`python -m tests.benchmarks.bench_capture [--files N]`; the last line is one JSON object. Two phases: `steady`, the
files change at a hundred a second, and `burst`, all at once. Probes are files that a person saves meanwhile; the time
is from the close of the file to the version being in the API (the peer: to the end of the commit that has it).
Afterwards everything is compared: what is in the workspace must be live, byte for byte.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devplatform_versions.client import VersionsClient
from tests.integration.capture_lab import ROOT, Lab, capture_lab, eventually

GOAL = 2.0
PROBES = {"steady": (60, 0.3), "burst": (40, 0.1)}
_PATIENCE = 90.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A file that was saved, its content for us and for git, and when it was closed."""

    path: str
    sha256: str
    git: str
    closed: float


async def load(workspace: Path, phase: str, files: int) -> list[Probe]:
    """Put the load of a phase on a workspace."""
    seconds = files / 100 if phase == "steady" else 0
    count, pause = PROBES[phase]
    arguments = [str(workspace), phase, str(files), str(seconds), str(count), str(pause)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.capture_load", *arguments), cwd=ROOT, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return [Probe(**json.loads(line)) for line in output.splitlines()]


async def follow(client: VersionsClient, seen: dict[tuple[str, str], float]) -> None:
    """Note when each version is first in the API."""
    cursor = 0
    while True:
        changes, cursor = await client.changes(cursor, wait=20)
        now = time.time()
        for change in changes:
            seen.setdefault((change.version.path, change.version.sha256), now)


async def measure_ours(files: int) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Seconds for each probe by phase, and what else there is to say."""
    times: dict[str, list[float]] = {}
    detail: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, capture_lab(Path(folder) / "lab") as lab:
        await lab.watching()
        seen: dict[tuple[str, str], float] = {}
        async with VersionsClient(lab.endpoint) as client:
            following = asyncio.create_task(follow(client, seen))
            for phase in PROBES:
                begun = time.monotonic()
                probes = await load(lab.workspace, phase, files)
                loaded = time.monotonic() - begun
                await eventually(lambda probes=probes: _all_seen(probes, seen), timeout=_PATIENCE)  # type: ignore[misc]
                await lab.settled(_PATIENCE)
                times[phase] = [seen[probe.path, probe.sha256] - probe.closed for probe in probes]
                detail[f"{phase}_load_seconds"] = round(loaded, 1)
                detail[f"{phase}_all_captured_seconds"] = round(time.monotonic() - begun, 1)
                progress(f"ours, {phase}: {describe(times[phase])}")
            following.cancel()
        detail["agent_mb"] = round(lab.agent_memory() / 2**20)
        detail["lost"] = await lost(lab)
    return times, detail


def _all_seen(probes: Sequence[Probe], seen: dict[tuple[str, str], float]) -> bool:
    return all((probe.path, probe.sha256) in seen for probe in probes)


async def lost(lab: Lab) -> int:
    """How many files of the workspace are not live with the same bytes, or the other way round."""
    return len(set((await lab.live()).items()) ^ set(lab.files().items()))


async def measure_peer(files: int) -> dict[str, list[float]]:
    """Seconds for each probe by phase."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        log = Path(folder) / "commits"
        with log.open("wb") as out:
            command = [sys.executable, "-m", "tests.benchmarks.capture_peer", str(workspace)]
            peer = subprocess.Popen(command, cwd=ROOT, stdout=out)
        try:
            await eventually(lambda: log.read_text().startswith("ready"), timeout=20)
            await asyncio.sleep(1)
            for phase in PROBES:
                probes = await load(workspace, phase, files)
                last = probes[-1]
                await eventually(lambda last=last: last.git in _blobs(workspace), timeout=_PATIENCE)  # type: ignore[misc]
                await eventually(lambda: not _git(workspace, "status", "--porcelain"), timeout=_PATIENCE)
                times[phase] = peer_times(workspace, log, probes)
                progress(f"git in a loop, {phase}: {describe(times[phase])}")
        finally:
            peer.terminate()
            peer.wait()
    return times


def peer_times(workspace: Path, log: Path, probes: Sequence[Probe]) -> list[float]:
    """Seconds from each save to the end of the commit that brought it."""
    done = dict(line.split() for line in log.read_text().splitlines()[1:] if line.count(" ") == 1)
    first: dict[tuple[str, str], float] = {}
    commit = ""
    for line in _git(workspace, "log", "--reverse", "--format=commit %H", "--raw", "--no-abbrev", "--no-renames").split(
        "\n"
    ):
        if line.startswith("commit "):
            commit = line.split()[1]
        elif line.startswith(":"):
            fields, path = line.split("\t", 1)
            first.setdefault((path, fields.split()[3]), float(done.get(commit, "inf")))
    return [first[probe.path, probe.git] - probe.closed for probe in probes]


def _blobs(workspace: Path) -> str:
    try:
        return _git(workspace, "ls-tree", "-r", "HEAD", "notebooks/")
    except subprocess.CalledProcessError:  # no commit yet
        return ""


def _git(workspace: Path, *arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(workspace), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def describe(values: Sequence[float]) -> str:
    """Median, 99th percentile and maximum."""
    return f"p50 {statistics.median(values):.2f} s, p99 {quantile(values, 0.99):.2f} s, {len(values)} probes"


def progress(text: str) -> None:
    """Tell whoever waits."""
    print(text, file=sys.stderr, flush=True)


async def main(files: int) -> int:
    """Measure both and print the result; whether the goal is met."""
    ours, detail = await measure_ours(files)
    peer = await measure_peer(files)
    worst = max(quantile(values, 0.99) for values in ours.values())
    theirs = max(quantile(values, 0.99) for values in peer.values())
    for who, times in (("ours", ours), ("peer", peer)):
        for phase, values in times.items():
            detail[f"{who}_{phase}_p50"] = round(statistics.median(values), 3)
            detail[f"{who}_{phase}_p99"] = round(quantile(values, 0.99), 3)
    detail |= {"files": files, "steady_rate_per_second": 100, "peer": "git add -A && git commit in a watchfiles loop"}
    result = {
        "name": "capture",
        "unit": "seconds from save to version, p99 of the worse phase",
        "ours": round(worst, 3),
        "peer": round(theirs, 3),
        "ratio": round(theirs / worst, 2),
        "goal": f"p99 below {GOAL} s and nothing lost",
        "met": worst < GOAL and detail["lost"] == 0,
        "detail": detail,
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=2000)
    sys.exit(asyncio.run(main(parser.parse_args().files)))
