"""Keeps one tracking server running: started, watched, started again, ended with this process."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp

from devplatform_hub.core.errors import PublicError

from . import tracking_server

_log = logging.getLogger("devplatform.mlflow")
_SCRIPT = Path(tracking_server.__file__).resolve()
SECRET_HEADER = tracking_server.SECRET_HEADER.decode("ascii").title()
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE")
_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_X_FRAME_OPTIONS": "DENY",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True, slots=True)
class TrackingServerSettings:
    """What the tracking server is told on its standard input; the secret never is in an argument or a variable."""

    backend_store: str
    artifacts: str
    prefix: str
    socket: int
    secret: str = field(repr=False)


class TrackingServer:
    """The supervised process. `url` and `secret` lead to it, `ready` says whether it answers."""

    def __init__(self, *, python: str, data: Path, prefix: str, backend_store: str = "", artifacts: str = "") -> None:
        self._python = python
        self._data = data.absolute()
        self._prefix = prefix.rstrip("/")
        self._backend_store = backend_store or f"sqlite:///{self._data / 'mlflow.db'}"
        self._artifacts = artifacts or str(self._data / "artifacts")
        self.secret = secrets.token_hex(32)
        self._answers = asyncio.Event()
        self.problem = ""
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        # We hold the address for as long as we live: when the server dies, nobody else can answer in its place.
        self._socket: socket.socket | None = None

    @property
    def ready(self) -> bool:
        """Whether the tracking server answers."""
        return self._answers.is_set()

    @property
    def url(self) -> str:
        """Scheme, host and port of the tracking server."""
        assert self._socket is not None  # noqa: S101 - open() comes first
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def pid(self) -> int | None:
        """The process id while one runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def open(self) -> None:
        """Start to supervise; returns at once, `ready` follows. Raises `PublicError` where nothing can be started."""
        if not Path(self._python).is_file():
            raise PublicError(
                "The MLflow environment is not there.",
                code="mlflow-environment-missing",
                hint="Run `devplatform up`, which makes it, or set MlflowProxyApp.mlflow_python.",
            )
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._data / "artifacts").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise PublicError(
                f"The MLflow folder cannot be made: {error.strerror}.",
                code="mlflow-folder-unusable",
                hint=f"Check the disk and the permissions of {self._data}.",
            ) from error
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._task = asyncio.create_task(self._supervise())

    async def close(self) -> None:
        """End the tracking server and wait until it is gone."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._end()
        if self._socket:
            self._socket.close()

    async def wait_until_ready(self, seconds: float) -> None:
        """Wait for the first answer. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            await self._answers.wait()

    async def _supervise(self) -> None:
        pause = 1.0
        while True:
            try:
                process = await self._start()
                watch = asyncio.create_task(self._become_ready())
                try:
                    code = await process.wait()
                finally:
                    watch.cancel()
                    was_ready = self.ready
                    self._answers.clear()
                pause = 1.0 if was_ready else min(2 * pause, 30.0)
                self.problem = f"it ended with code {code}"
                _log.error("The tracking server ended with code %s; next start in %.0f s", code, pause)
            except OSError as error:
                self.problem = f"it cannot be started: {error.strerror}"
                _log.exception("The tracking server cannot be started")
            await asyncio.sleep(pause)

    async def _start(self) -> asyncio.subprocess.Process:
        assert self._socket is not None  # noqa: S101 - open() comes first
        number = self._socket.fileno()
        settings = TrackingServerSettings(self._backend_store, self._artifacts, self._prefix, number, self.secret)
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        self._process = await asyncio.create_subprocess_exec(
            self._python,
            "-I",
            str(_SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(number,),
            env={**environment, **_ENVIRONMENT, "HOME": str(self._data)},
            cwd=self._data,
            start_new_session=True,  # a Ctrl-C is for us; we end the child ourselves
        )
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(json.dumps(asdict(settings)).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # it ended already: the wait says so
            await self._process.stdin.drain()
        return self._process

    async def _become_ready(self) -> None:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(headers={SECRET_HEADER: self.secret}, timeout=timeout) as session:
            while not self.ready:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(f"{self.url}{self._prefix}/health") as answer:
                        if answer.status == 200:
                            self.problem = ""
                            self._answers.set()
                await asyncio.sleep(0.1)
        _log.info("The tracking server answers (pid %s)", self.pid)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
