"""Programs of the lab as child processes: logs in files, ended by their own id, gone when the tests are gone."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Ended(AssertionError):
    """A program of the lab ended, or did not become ready; the message has the end of its log."""


class Process:
    """One program: start it, wait for it, end it, start it again."""

    def __init__(self, name: str, command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log_file = folder / f"{name}.log"
        self.env = env
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(self) -> None:
        """Start it; a killed test run takes it along, and Ctrl-C in the terminal does not reach it."""
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*guard, *self.command],
                cwd=self.log_file.parent,
                env=dict(self.env) if self.env is not None else None,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def check(self) -> None:
        """Fail with its last words when it is not running any more."""
        if self.process is None or self.process.poll() is not None:
            status = self.process.returncode if self.process else "never started"
            raise Ended(f"{self.name} ended ({status}): {self.log[-3000:]}")

    def wait_until(self, ready: Callable[[], object], within: float) -> None:
        """Wait until it is ready; what `ready` raises as OSError counts as not yet."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            self.check()
            try:
                if ready():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise Ended(f"{self.name} was not ready within {within} s: {self.log[-3000:]}")

    def terminate(self) -> None:
        """Ask it to end; `stop` waits for that."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def stop(self, within: float = 10) -> None:
        """End it, by force when it takes too long."""
        if self.process is None:
            return
        self.terminate()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
