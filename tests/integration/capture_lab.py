"""What capture tests need: the real versions service and the real agent as processes, and a look at both sides."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil

from devplatform_versions.client import Endpoint, ServiceUnavailable, VersionsClient
from devplatform_versions.model import Version

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(slots=True)
class Lab:
    """One person's workspace with a service behind it. The person is alice."""

    folder: Path
    origin: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    _service: "subprocess.Popen[str] | None" = None
    _agent: "subprocess.Popen[bytes] | None" = None

    @property
    def workspace(self) -> Path:
        """Where alice works."""
        return self.folder / "workspace"

    @property
    def environment(self) -> dict[str, str]:
        """What the spawner gives a session."""
        return {
            **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            "DEVPLATFORM_WORKSPACE": str(self.workspace),
            "DEVPLATFORM_HUB_ORIGIN": self.origin,
            "DEVPLATFORM_VERSIONS_URL": f"{self.origin}/services/versions/",
            "JUPYTERHUB_USER": "alice",
            "JUPYTERHUB_API_TOKEN": "alices-token",
            **self.settings,
        }

    @property
    def endpoint(self) -> Endpoint:
        """Where alice's programs find the service."""
        return Endpoint.from_environment(self.environment)

    @property
    def log(self) -> str:
        """What the agent logged."""
        return (self.folder / "agent.log").read_text(errors="replace")

    @property
    def status(self) -> dict[str, Any]:
        """What the agent says about itself."""
        return dict(json.loads((self.workspace / ".devplatform" / "capture-status.json").read_text()))

    def start_service(self) -> None:
        """Start the service, at the same address as before."""
        port = self.origin.rpartition(":")[2] or "0"
        command = [sys.executable, "-m", "tests.benchmarks.versions_service", str(self.folder / "store"), port]
        log = (self.folder / "service.log").open("ab")
        self._service = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        assert self._service.stdout is not None
        self.origin = self._service.stdout.readline().strip()
        assert self.origin.startswith("http://"), (self.folder / "service.log").read_text()

    def stop_service(self, number: int = signal.SIGTERM) -> None:
        """End the service."""
        _end(self._service, number)
        self._service = None

    def signal_service(self, number: int) -> None:
        """Send the service a signal, such as SIGSTOP: it hangs."""
        assert self._service is not None
        self._service.send_signal(number)

    def start_agent(self) -> int:
        """Start the agent; its process id."""
        with (self.folder / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                [sys.executable, "-m", "devplatform_versions.capture"], cwd="/", env=self.environment, stderr=log
            )
        return self._agent.pid

    def stop_agent(self, number: int = signal.SIGTERM) -> int | None:
        """End the agent; its exit status."""
        agent, self._agent = self._agent, None
        return _end(agent, number)

    async def watching(self) -> None:
        """Wait until the agent has caught up and watches."""

        def watches() -> bool:
            try:
                status = self.status
            except (FileNotFoundError, ValueError):
                return False
            return bool(status["pid"] == getattr(self._agent, "pid", 0) and status["state"] == "watching")

        await eventually(watches, timeout=20)

    async def history(self, path: str) -> list[Version]:
        """Versions and tombstones of a file, newest first."""
        async with VersionsClient(self.endpoint) as client:
            return await client.versions(path)

    async def contents(self, path: str) -> list[bytes | None]:
        """What the file held, oldest first; None for a tombstone."""
        async with VersionsClient(self.endpoint) as client:
            try:
                versions = await client.versions(path)
            except ServiceUnavailable:
                raise
            except Exception as error:
                if getattr(error, "status", 0) == 404:
                    return []
                raise
            return [
                None if v.tombstone else b"".join([c async for c in client.content(path, v.generation)])
                for v in reversed(versions)
            ]

    async def live(self) -> dict[str, str]:
        """What is live now: path and SHA-256."""
        async with VersionsClient(self.endpoint) as client:
            return {version.path: version.sha256 async for version in client.snapshot("")}

    def files(self) -> dict[str, str]:
        """What is in the workspace: path and SHA-256, apart from the platform's own folders."""
        found = {}
        for above, folders, names in os.walk(self.workspace):
            folders[:] = [name for name in folders if name not in (".devplatform", ".versions", ".git")]
            for name in names:
                path = Path(above, name)
                if path.is_file() and not path.is_symlink():
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    found[str(path.relative_to(self.workspace))] = digest
        return found

    async def settled(self, timeout: float = 20) -> None:
        """Wait until what is live is what is in the workspace."""

        async def same() -> bool:
            return await self.live() == self.files()

        await eventually(same, timeout=timeout)

    async def settled_but(self, left_out: str, timeout: float = 20) -> None:
        """The same, but for files in folders of that name."""

        async def same() -> bool:
            files = {path: digest for path, digest in self.files().items() if left_out not in path.split("/")}
            return await self.live() == files

        await eventually(same, timeout=timeout)

    async def restore(self, path: str, index: int) -> Version:
        """Restore a version of a file, counted from the oldest, as the page or the command does."""
        async with VersionsClient(self.endpoint) as client:
            kept = [version for version in reversed(await client.versions(path)) if not version.tombstone]
            return await client.restore(path, kept[index].generation)

    def in_workspace(self, *command: str) -> None:
        """Run a program as a person does in a terminal."""
        subprocess.run(command, cwd=self.workspace, check=True, stdout=subprocess.DEVNULL)

    def start_agent_beside(self) -> "subprocess.Popen[bytes]":
        """Start another agent and go on with that; gives the one before."""
        before = self._agent
        assert before is not None
        self.start_agent()
        return before

    def agent_memory(self) -> int:
        """Resident bytes of the agent."""
        assert self._agent is not None
        return int(psutil.Process(self._agent.pid).memory_info().rss)


@contextmanager
def capture_lab(folder: Path, *, agent: bool = True, **settings: str) -> Iterator[Lab]:
    """A lab with a running service and, unless told otherwise, a running agent."""
    lab = Lab(folder, settings=settings)
    lab.workspace.mkdir(parents=True)
    try:
        lab.start_service()
        if agent:
            lab.start_agent()
        yield lab
    finally:
        lab.stop_agent()
        lab.stop_service()


async def eventually(check: Callable[[], bool | Awaitable[bool]], *, timeout: float = 5) -> float:
    """Wait until `check` is true; how long that took. Fails with its name after `timeout`."""
    begun = time.monotonic()
    while True:
        answer = check()
        if (answer if isinstance(answer, bool) else await answer) is True:
            return time.monotonic() - begun
        if time.monotonic() - begun > timeout:
            raise AssertionError(f"{check} did not become true within {timeout} s")
        await asyncio.sleep(0.05)


def _end(process: "subprocess.Popen[Any] | None", number: int) -> int | None:
    if process is None:
        return None
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    finally:
        if process.stdout is not None:
            process.stdout.close()
