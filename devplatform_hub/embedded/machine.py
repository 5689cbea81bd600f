"""What this machine can give to servers: cores, memory, NVIDIA GPUs, and the editors that can be started."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from ..core.profiles import Capabilities, Editor

_GPU_TIMEOUT = 10.0
_UNLIMITED = 2**60


def detect_capabilities(editors_missing: Mapping[Editor, str], enforcement: str) -> Capabilities:
    """Measured now: cores this process may use, memory of the machine or of the container around it, GPUs."""
    return Capabilities(
        cpu=float(len(os.sched_getaffinity(0))),
        memory=detect_memory(),
        gpus=count_gpus(),
        editors_missing=editors_missing,
        enforcement=enforcement,
    )


def detect_memory(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes of memory: the machine's, or less where a control group above this process says so."""
    return min([int(psutil.virtual_memory().total), *_container_limits(cgroups, own)])


def count_gpus() -> int:
    """How many NVIDIA GPUs the driver shows; 0 without a driver, and where it does not answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        result = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_GPU_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in result.stdout.splitlines()) if result.returncode == 0 else 0


def _container_limits(cgroups: Path, own: Path) -> list[int]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        for folder in (root, *(root / part for part in _prefixes(path))):
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue
            if text.isdigit() and int(text) < _UNLIMITED:  # version 1 writes "no limit" as a huge number
                limits.append(int(text))
    return limits


def _prefixes(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    return ["/".join(parts[: index + 1]) for index in range(len(parts))]
