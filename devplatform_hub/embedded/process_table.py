"""Processes as Linux shows them in /proc: families, memory, foreground jobs, and ending what is left over.

Standard library only, because a supervisor that starts beside every server must start in no time.
"""

import ctypes
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

SESSION_VARIABLE = "DEVPLATFORM_SESSION"
"""In the environment of every process of a server, so that what outlives its supervisor can still be found."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table; `started`, in clock ticks, tells it from a later process of the same id."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    terminal: int
    foreground: int
    started: int

    @property
    def alive(self) -> bool:
        return self.state not in "ZX"

    @property
    def has_foreground_job(self) -> bool:
        """Whether this is a shell whose terminal runs something other than the shell itself."""
        leads_terminal = self.terminal != 0 and self.session == self.pid
        return leads_terminal and self.foreground > 0 and self.foreground != self.group


def parse_stat(text: str) -> Process:
    """One process from the text of its /proc/<pid>/stat; its name may hold blanks and brackets."""
    pid, _, rest = text.partition(" ")
    fields = rest[rest.rindex(")") + 2 :].split()
    parent, group, session, terminal, foreground = map(int, fields[1:6])
    return Process(int(pid), fields[0], parent, group, session, terminal, foreground, int(fields[19]))


def find(pid: int) -> Process | None:
    """The process of this id, None when there is none."""
    try:
        return parse_stat((_PROC / str(pid) / "stat").read_text("utf-8", "replace"))
    except (OSError, ValueError):
        return None


def table() -> dict[int, Process]:
    """Every process that this account can see."""
    found = (find(int(entry.name)) for entry in os.scandir(_PROC) if entry.name.isdigit())
    return {process.pid: process for process in found if process is not None}


def descendants(root: int, processes: Mapping[int, Process]) -> list[Process]:
    """Children of `root`, their children and so on; `root` itself is not among them."""
    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    family: list[Process] = []
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), []):
            family.append(child)
            waiting.append(child.pid)
    return family


def resident_memory(processes: Iterable[Process]) -> int:
    """Bytes of memory that these processes have in use; what they share is counted for each, so never too low."""
    total = 0
    for process in processes:
        try:
            total += int((_PROC / str(process.pid) / "statm").read_text().split()[1]) * _PAGE
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
    return total


def proportional_memory(processes: Iterable[Process]) -> int:
    """Bytes as `resident_memory`, but what processes share is divided among them: exact, and slower to read."""
    total = 0
    for process in processes:
        try:
            lines = (_PROC / str(process.pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def with_variable(name: str, value: str) -> list[Process]:
    """Processes that were started with this environment variable, this one excepted."""
    wanted = f"{name}={value}".encode()
    found = []
    for process in table().values():
        try:
            environment = (_PROC / str(process.pid) / "environ").read_bytes()
        except OSError:
            continue
        if process.pid != os.getpid() and wanted in environment.split(b"\0"):
            found.append(process)
    return found


def send(processes: Iterable[Process], number: int) -> None:
    """Signal those that are still the processes that they were."""
    for process in processes:
        if is_same(process):
            try:
                os.kill(process.pid, number)
            except (ProcessLookupError, PermissionError):
                continue


def is_same(process: Process) -> bool:
    """Whether this process still lives, and its id does not belong to a later one."""
    now = find(process.pid)
    return now is not None and now.alive and now.started == process.started


def end_session(session: str, *, grace: float = 3.0) -> int:
    """End every process of this session, whoever its parent is now: asked first, killed after `grace` seconds.

    Gives how many there were. For a session whose supervisor is gone; a living one does this for its own family.
    """
    left = [process for process in with_variable(SESSION_VARIABLE, session) if process.alive]
    count = len(left)
    send(left, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if is_same(process)]
    while left and time.monotonic() < deadline + grace:  # one in an uninterruptible wait outlives even SIGKILL
        send(left, signal.SIGKILL)
        time.sleep(0.05)
        left = [process for process in with_variable(SESSION_VARIABLE, session) if process.alive]
    return count


def adopt_orphans() -> None:
    """From now on, children whose parent ends become children of this process, so that none can get away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """For a child just forked by `parent`: get this signal when the parent ends, even by SIGKILL."""
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), number)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
