"""`make bench-up`: warm start to the login page, and sign-in to a usable editor, against stock JupyterHub.

Both run in the same environment, with the same proxy and JupyterLab, one after the other and in turns. Ours is timed
from the `devplatform up` command a person types, so it carries the command itself, three services and their checks.
Signing in is timed when each has come to rest, as a person finds it who comes in the morning.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from devplatform_hub.embedded.platform import free_ports
from devplatform_hub.embedded.state import DataFolder, find_running
from tests.benchmarks.hub_clock import Browser, wait_for_login_page, wait_until_idle
from tests.benchmarks.stock_hub import started_stock_hub
from tests.integration.product import PASSWORD, command_environment, devplatform

ROUNDS = 5
GOAL = 1 / 1.15


def main() -> None:
    """Print what was measured; the last line is the verdict as JSON."""
    with tempfile.TemporaryDirectory(prefix="bench-up-") as folder:
        ours, peer = Path(folder) / "ours", Path(folder) / "peer"
        _start_ours(ours, time_it=False)  # the first start makes databases: from now on it is warm
        devplatform("user", "add", "alice", "--group", "developer-platform-users", "--password-stdin",
                    "--data", str(ours), stdin=PASSWORD + "\n")  # fmt: skip
        devplatform("down", "--data", str(ours))
        with started_stock_hub(peer):
            pass
        starts: dict[str, list[float]] = {"ours": [], "peer": []}
        editors: dict[str, list[float]] = {"ours": [], "peer": []}
        for round_number in range(ROUNDS + 1):
            measured = {"ours": _measure_ours(ours), "peer": _measure_peer(peer)}
            if round_number == 0:
                continue  # the first servers of all: file caches and home folders
            for who, (start, editor) in measured.items():
                starts[who].append(start)
                editors[who].append(editor)
                print(f"round {round_number} {who}: login page {start:.2f} s, editor {editor:.2f} s", flush=True)
    _report(starts, editors)


def _start_ours(data: Path, *, time_it: bool = True) -> tuple[str, float]:
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "devplatform_hub.embedded.cli", "up", "--detach", "--data", str(data)]
    started = time.monotonic()
    with subprocess.Popen(
        [*command, "--port", str(port)], env=command_environment(), stdout=subprocess.DEVNULL
    ) as process:
        wait_for_login_page(port)
        seconds = time.monotonic() - started if time_it else 0.0
        process.wait(timeout=60)
    return f"http://127.0.0.1:{port}", seconds


def _measure_ours(data: Path) -> tuple[float, float]:
    origin, start = _start_ours(data)
    try:
        running = find_running(DataFolder(data))
        assert running is not None
        hub = running.process()
        assert hub is not None
        wait_until_idle(hub)
        browser = Browser(origin, "alice", PASSWORD)
        editor = browser.seconds_to_editor()
        browser.stop_server()
    finally:
        devplatform("down", "--data", str(data))
    return start, editor


def _measure_peer(folder: Path) -> tuple[float, float]:
    with started_stock_hub(folder) as hub:
        wait_until_idle(hub.process)
        browser = Browser(hub.origin, "alice", PASSWORD)
        editor = browser.seconds_to_editor()
        browser.stop_server()
        return hub.seconds, editor


def _report(starts: dict[str, list[float]], editors: dict[str, list[float]]) -> None:
    detail = {}
    for what, measured in (("login page", starts), ("editor", editors)):
        ours, peer = statistics.median(measured["ours"]), statistics.median(measured["peer"])
        detail[what] = {"ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(peer / ours, 3)}
    worst = min(detail.values(), key=lambda row: row["ratio"])
    print(
        json.dumps(
            {
                "name": "bench-up",
                "unit": "s",
                **worst,
                "goal": round(GOAL, 3),
                "met": worst["ratio"] >= GOAL,
                "detail": {**detail, "rounds": ROUNDS},
            }
        )
    )


if __name__ == "__main__":
    main()
