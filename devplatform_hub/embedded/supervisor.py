"""Runs one server and the platform's helpers beside it until the server ends or somebody asks to stop.

Who outlives whom: the hub may restart, or be killed, while servers go on; a new hub finds them by process id.
A supervisor's children do not outlive it: they get SIGTERM when it is gone, and the hub ends what ignores that
(`process_table.end_session`). One thread, which waits for signals: nothing here can race, and forking is safe.
"""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.diagnosis.full_disk import ENDED, NO_SPACE, is_full
from . import process_table
from .limits import Cgroup, Limits, choose_cores, limit_this_process
from .mounts import unmount_below
from .own_log import log, log_since, log_size
from .process_table import Process

MEMORY_EXCEEDED = 137
"""Exit status of a server that used too much memory, as a shell shows one that the kernel killed."""
ENDED_FILE = "ended.json"

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_SERVER_GRACE = 6.0  # a busy kernel gets 5 s from Jupyter itself
_FAMILY_GRACE = 1.0
_HELPER_GRACE = 5.0  # the last capture
_READY_WITHIN = 15.0  # then helpers start, whether the server answers or not
_LONGEST_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a supervisor is told. `state` is a private folder in which it leaves word of how the server ended.

    `folder` is where programs start, by default the workspace.
    """

    state: Path
    workspace: Path
    limits: Limits | None = None
    cgroup: Cgroup | None = None
    port: int = 0
    folder: Path | None = None


@dataclass(slots=True)
class Helper:
    """A program of the platform beside the server. It is restarted when it fails, later each time."""

    name: str
    command: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    wait: float = 1.0
    due: float | None = 0.0

    def ended(self, status: int, now: float) -> None:
        """Plan the restart: at once where there was a long good run; never after a success, which was meant."""
        self.process = None
        if status == 0:
            self.due = None
            return
        self.wait = 1.0 if now - self.started > _LONGEST_WAIT else min(self.wait * 2, _LONGEST_WAIT)
        self.due = now + self.wait


@dataclass(slots=True)
class Supervisor:
    """Runs one server and its helpers until the server ends or a signal asks to stop."""

    settings: Settings
    command: Sequence[str]
    helpers: list[Helper]
    prepare: Callable[[], None] = lambda: None
    _server: "subprocess.Popen[bytes] | None" = None
    _status: int | None = None
    _asked: int = 0
    _over_limit: bool = False
    _next_watch: float = 0.0
    _kills: int = 0
    _lock: int | None = field(default=None)
    _unprepared: OSError | None = None
    _log_from: int = 0

    def run(self) -> int:
        """The exit status of the server (`MEMORY_EXCEEDED` when it was ended for that), with nothing left behind."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        process_table.adopt_orphans()
        if self.settings.cgroup and self.settings.limits:
            self.settings.cgroup.create(self.settings.limits)
        self._log_from = log_size()
        self._server = self._start(self.command, limited=True)
        try:
            self.prepare()  # while the server loads: what a person needs only once it answers
        except OSError as error:
            log(f"The home of the server cannot be prepared: {error}")
            self._unprepared = error
        else:
            self._serve()
        self._stop()
        return self._report()

    def _serve(self) -> None:
        helpers_from = time.monotonic() + _READY_WITHIN
        ready = False
        while self._status is None and not self._asked and not self._over_limit:
            now = time.monotonic()
            ready = ready or now > helpers_from or self._answers()
            if ready and self._owns_workspace():
                for helper in self.helpers:
                    self._start_helper_when_due(helper, now)
            if now >= self._next_watch:
                self._watch_memory(now)
            self._wait(1.0 if ready else 0.1)

    def _start(self, command: Sequence[str], *, limited: bool) -> "subprocess.Popen[bytes]":
        supervisor = os.getpid()
        limits, cgroup = self.settings.limits, self.settings.cgroup
        cores = choose_cores(limits.cpu, os.sched_getaffinity(0), supervisor) if limits else set()

        def in_child() -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            process_table.die_with_parent(supervisor)
            if not limited:
                os.nice(5)  # helpers yield to the person's own work
            elif cgroup is not None:
                cgroup.enter()
            elif limits is not None:
                limit_this_process(limits, cores)

        # preexec_fn is safe here: this process has one thread, always.
        folder = self.settings.folder or self.settings.workspace
        return subprocess.Popen(command, preexec_fn=in_child, start_new_session=True, cwd=folder)

    def _start_helper_when_due(self, helper: Helper, now: float) -> None:
        if helper.process is None and helper.due is not None and now >= helper.due:
            helper.started, helper.due = now, None
            helper.process = self._start(helper.command, limited=False)

    def _owns_workspace(self) -> bool:
        """Whether our helpers serve the workspace: a second server of the same person leaves it to the first."""
        if self._lock is not None:
            return True
        # The folder itself, since a full disk takes no file; released by the kernel however this process ends.
        descriptor = os.open(self.settings.workspace.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        unmount_below(self.settings.workspace)  # what a session left that was killed
        return True

    def _answers(self) -> bool:
        if not self.settings.port:
            return True
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self.settings.port)) == 0

    def _wait(self, seconds: float) -> None:
        """Sleep, or until a signal; then take note of everything that ended or was asked."""
        received = signal.sigtimedwait(_SIGNALS, max(0.0, seconds))
        if received is not None and received.si_signo != signal.SIGCHLD:
            self._asked += 1
        while True:
            try:
                pid, raw = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, os.waitstatus_to_exitcode(raw))

    def _ended(self, pid: int, status: int) -> None:
        if self._server is not None and pid == self._server.pid:
            self._server.returncode = self._status = status
        for helper in self.helpers:
            if helper.process is not None and helper.process.pid == pid:
                helper.process.returncode = status
                helper.ended(status, time.monotonic())
                again = "" if helper.due is None else f"; it is started again in {helper.wait:.0f} s"
                log(f"{helper.name} ended with status {status}{again}")

    def _watch_memory(self, now: float) -> None:
        """End the server when all its processes together are over the limit; look more often as it comes near."""
        limits, cgroup = self.settings.limits, self.settings.cgroup
        self._next_watch = now + 3.0
        if limits is None:
            return
        if cgroup is not None:
            kills = cgroup.memory_kills()
            if kills > self._kills:
                log(f"The kernel ended {kills - self._kills} process(es): more memory than the server may use.")
            self._kills = kills
            return
        family = self._family()
        used = process_table.resident_memory(family)
        if used > limits.memory:
            used = process_table.proportional_memory(family)
        self._over_limit = used > limits.memory
        self._next_watch = now + (3.0 if used < limits.memory / 2 else 0.5)

    def _family(self, *, with_helpers: bool = False) -> list[Process]:
        """The server's processes: every descendant but the helpers and theirs."""
        everything = process_table.table()
        family = [p for p in process_table.descendants(os.getpid(), everything) if p.alive]
        if with_helpers:
            return family
        own = {helper.process.pid for helper in self.helpers if helper.process is not None}
        own |= {child.pid for pid in own for child in process_table.descendants(pid, everything)}
        return [process for process in family if process.pid not in own]

    def _stop(self) -> None:
        """Server, then what it left, then helpers: they see the last save of everybody else."""
        if self._status is None and self._server is not None and not self._over_limit:
            process_table.send(_as_processes([self._server.pid]), signal.SIGTERM)
            self._wait_until(lambda: self._status is not None, _SERVER_GRACE)
        self._end(self._family, 0.0 if self._over_limit else _FAMILY_GRACE)
        if self.settings.cgroup is not None:
            self.settings.cgroup.kill()
        running = [helper.process.pid for helper in self.helpers if helper.process is not None]
        process_table.send(_as_processes(running), signal.SIGTERM)
        self._wait_until(lambda: all(helper.process is None for helper in self.helpers), _HELPER_GRACE)
        self._end(lambda: self._family(with_helpers=True), 0.0)
        if self._lock is not None:
            unmount_below(self.settings.workspace)
        if self.settings.cgroup is not None and not self.settings.cgroup.remove():
            log(f"{self.settings.cgroup.path} could not be removed")

    def _end(self, family: Callable[[], list[Process]], grace: float) -> None:
        if grace:
            process_table.send(family(), signal.SIGTERM)
            self._wait_until(lambda: not family(), grace)
        deadline = time.monotonic() + 5.0  # a process in an uninterruptible wait outlives even SIGKILL
        while (left := family()) and time.monotonic() < deadline:
            process_table.send(left, signal.SIGKILL)
            self._wait(0.05)

    def _wait_until(self, done: Callable[[], bool], seconds: float) -> None:
        """A second request to stop while stopping means: now."""
        deadline = time.monotonic() + seconds
        asked = self._asked
        while not done() and time.monotonic() < deadline and self._asked == asked:
            self._wait(0.05)

    def _report(self) -> int:
        """Leave word of why, for the hub's log and the person's next visit."""
        if self._over_limit and self.settings.limits:
            code, reason = MEMORY_EXCEEDED, self.settings.limits.memory_reason
        elif self._asked:
            code, reason = 0, ""
        elif self._unprepared is not None:
            is_room = self._unprepared.errno not in (errno.ENOSPC, errno.EDQUOT)
            code, reason = 1, f"Its home could not be prepared: {self._unprepared.strerror}."
            code, reason = (code, reason) if is_room else (NO_SPACE, ENDED)
        elif self._status not in (0, None) and is_full(self._status, log_since(self._log_from)):
            code, reason = NO_SPACE, ENDED
        elif self._kills and self._status not in (0, None) and self.settings.limits:
            code, reason = MEMORY_EXCEEDED, self.settings.limits.memory_reason
        else:
            status = self._status or 0
            code = 128 - status if status < 0 else status
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            reason = f"Its server program {how}." if status else "It was shut down from inside."
        if reason:
            log(reason)
        write_privately(self.settings.state / ENDED_FILE, json.dumps({"code": code, "reason": reason}))
        return code


def write_privately(path: Path, text: str) -> None:
    """Replace `path`, readable by its owner only, so that a reader never sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as stream:
        stream.write(text)
    temporary.replace(path)


def _as_processes(pids: Sequence[int]) -> list[Process]:
    return [process for pid in pids if (process := process_table.find(pid)) is not None]
