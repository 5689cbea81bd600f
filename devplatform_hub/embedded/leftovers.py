"""Every process of one machine's platform, found again whatever became of the process that started it.

All of them carry the mark of their data folder in their environment, so that a hub that was killed leaves nothing
behind that `devplatform up` or `down` could not find; names and stored process ids would find strangers.
"""

import os
from collections.abc import Iterable

import psutil

MARK = "DEVPLATFORM_MACHINE"
"""The environment variable that names the settings of the platform that a process belongs to."""
_WORKSPACE = "DEVPLATFORM_WORKSPACE"


def find_marked(mark: str, *, sessions: bool = True) -> list[psutil.Process]:
    """The processes, ours aside, of the platform whose `MARK` this is; without those of people's servers on request."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue  # gone, or somebody else's
        if environment.get(MARK) == mark and process.pid != os.getpid() and (sessions or _WORKSPACE not in environment):
            found.append(process)
    return found


def find_family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that descends from it."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def end(processes: Iterable[psutil.Process], *, grace: float = 5) -> None:
    """Ask each to end, and kill those that have not after `grace` seconds. psutil never hits a reused process id."""
    remaining = list(processes)
    for send in (psutil.Process.terminate, psutil.Process.kill):
        for process in remaining:
            try:
                send(process)
            except psutil.NoSuchProcess:
                continue
        _, remaining = psutil.wait_procs(remaining, timeout=grace)
        if not remaining:
            return


def describe_listener(port: int) -> str:
    """`name (process 123)` of what listens on this TCP port, or "" where that cannot be known."""
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        return ""
    return ""
