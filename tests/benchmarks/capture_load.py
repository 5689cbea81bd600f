"""The load of `bench_capture`, as a process: 2,000 files change, and somebody saves probes meanwhile.

`python -m tests.benchmarks.capture_load WORKSPACE PHASE FILES SECONDS PROBES PAUSE`; prints one JSON object for each
probe, `{"path", "sha256", "closed"}`, with the time when its file was closed. SECONDS 0 is as fast as it goes.
"""

import hashlib
import json
import random
import sys
import threading
import time
from pathlib import Path


def change_files(workspace: Path, phase: str, count: int, seconds: float) -> None:
    """Write so many files of 0.2 to 20 KB, evenly over the time."""
    dice = random.Random(phase)
    begun = time.monotonic()
    for number in range(count):
        path = workspace / "data" / f"{number % 40}" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randrange(200, 20_000)))
        pause = begun + seconds * number / count - time.monotonic()
        if pause > 0:
            time.sleep(pause)


def save_probes(workspace: Path, phase: str, count: int, pause: float) -> None:
    """Save so many files one after another, as a person does, and say when each was closed."""
    (workspace / "notebooks").mkdir(exist_ok=True)
    for number in range(count):
        content = f"{phase} {number} ".encode() * 200
        path = workspace / "notebooks" / f"probe-{phase}-{number}.ipynb"
        path.write_bytes(content)
        closed = time.time()
        sha256 = hashlib.sha256(content).hexdigest()
        git = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        line = {"path": str(path.relative_to(workspace)), "sha256": sha256, "git": git, "closed": closed}
        print(json.dumps(line), flush=True)
        time.sleep(pause)


def main(workspace: str, phase: str, files: str, seconds: str, probes: str, pause: str) -> None:
    """Both at once."""
    changing = threading.Thread(target=change_files, args=(Path(workspace), phase, int(files), float(seconds)))
    changing.start()
    save_probes(Path(workspace), phase, int(probes), float(pause))
    changing.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
