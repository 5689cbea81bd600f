"""The limits of a profile on real processes: by cgroup v2 where this account may write one, else by rlimits.

| what | cgroup v2 | rlimits and affinity |
|---|---|---|
| memory | memory.max, swap 0, of the whole server | RLIMIT_DATA of each process, and a watch over the sum of all |
| CPU | cpu.max, exact | sched_setaffinity to whole cores, rounded up |
| processes | pids.max | - (RLIMIT_NPROC counts an account, not a server) |

RLIMIT_DATA and not RLIMIT_AS: V8 reserves far more address space than it ever uses.
"""

import math
import os
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..core.quantities import format_size

_CONTROLLERS = {"cpu", "memory", "pids"}
_PERIOD = 100_000  # microseconds, the kernel's own default
_MOST_PROCESSES = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server may use: `cpu` cores and `memory` bytes."""

    cpu: float
    memory: int
    processes: int = _MOST_PROCESSES

    @property
    def memory_reason(self) -> str:
        """Why a server ended that wanted more."""
        return f"It ended because it used more memory than its {format_size(self.memory)}."


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How limits are set on this machine. `parent` is the cgroup under which servers get theirs, None for rlimits."""

    parent: Path | None

    @property
    def sentence(self) -> str:
        """For the page on which people choose a profile."""
        if self.parent is not None:
            return "The limits hold for a server as a whole, set by the kernel (cgroup v2)."
        return (
            "Memory is limited for each process and watched for a server as a whole; CPU is limited to whole cores "
            "(rlimits: this account may not write cgroup v2 limits)."
        )


def choose_enforcement(
    *, mounts: Path = Path("/proc/self/mountinfo"), own: Path = Path("/proc/self/cgroup")
) -> Enforcement:
    """The best that works here, found by trying it: a cgroup is made, limited, entered by a process and removed."""
    for parent in _candidates(mounts, own):
        if _works(parent):
            return Enforcement(parent)
    return Enforcement(None)


def _candidates(mounts: Path, own: Path) -> list[Path]:
    """Where a server's cgroup could be: below our own, or beside it (a cgroup with processes may not delegate)."""
    try:
        mount_points = [
            (fields[4], fields[3])
            for line in mounts.read_text().splitlines()
            if " - cgroup2 " in line and (fields := line.split())
        ]
        path = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    candidates: list[Path] = []
    for mount, _root in mount_points:
        here = Path(mount) / path.lstrip("/")
        candidates += [here] if here == Path(mount) else [here, here.parent]
    return [candidate for candidate in candidates if os.access(candidate, os.W_OK)]


def _works(parent: Path) -> bool:
    probe = Cgroup(parent / f"devplatform-probe-{os.getpid()}")
    try:
        probe.create(Limits(1, 64 * 2**20))
        with subprocess.Popen(["sleep", "5"]) as child:
            try:
                probe.enter(child.pid)
                return str(child.pid) in (probe.path / "cgroup.procs").read_text().split()
            finally:
                child.kill()
    except OSError:
        return False
    finally:
        probe.remove()


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The control group of one server."""

    path: Path

    def create(self, limits: Limits) -> None:
        """Make it with these limits. Raises `OSError` where the kernel or the account does not allow that."""
        self._delegate()
        self.path.mkdir(exist_ok=True)
        self._write("memory.max", str(limits.memory))
        if (self.path / "memory.swap.max").exists():  # absent where the kernel has no swap accounting
            self._write("memory.swap.max", "0")
        self._write("cpu.max", f"{max(1000, round(limits.cpu * _PERIOD))} {_PERIOD}")
        self._write("pids.max", str(limits.processes))

    def enter(self, pid: int = 0) -> None:
        """Put this process (0: the calling one) and all its later children inside."""
        self._write("cgroup.procs", str(pid))

    def kill(self) -> None:
        """End everything inside at once, forks in flight too (Linux 5.14); without that file the caller must."""
        if (self.path / "cgroup.kill").exists():
            self._write("cgroup.kill", "1")

    def memory_kills(self) -> int:
        """How often the kernel ended a process inside for want of memory."""
        try:
            lines = (self.path / "memory.events").read_text().splitlines()
            return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
        except (OSError, ValueError, IndexError):
            return 0

    def remove(self) -> bool:
        """Remove it; False while a process is still inside, or when the kernel refuses."""
        try:
            self.path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def _delegate(self) -> None:
        available = set((self.path.parent / "cgroup.controllers").read_text().split())
        missing = _CONTROLLERS - available
        if missing:
            raise OSError(f"{self.path.parent} has no {', '.join(sorted(missing))} controller")
        control = self.path.parent / "cgroup.subtree_control"
        absent = _CONTROLLERS - set(control.read_text().split())
        if absent:
            control.write_text(" ".join(f"+{name}" for name in sorted(absent)))

    def _write(self, name: str, value: str) -> None:
        # One unbuffered write each, as the kernel takes these files: a value is accepted or refused whole.
        descriptor = os.open(self.path / name, os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)


def choose_cores(cpu: float, available: set[int], offset: int) -> set[int]:
    """As many of the available cores as `cpu` rounded up; `offset` spreads servers over the machine."""
    cores = sorted(available)
    count = min(len(cores), max(1, math.ceil(cpu)))
    return {cores[(offset + index) % len(cores)] for index in range(count)}


def limit_this_process(limits: Limits, cores: set[int]) -> None:
    """Set rlimits and affinity on the calling process and everything that it will start."""
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file of the limit's size would fill the disk
    os.sched_setaffinity(0, cores)
