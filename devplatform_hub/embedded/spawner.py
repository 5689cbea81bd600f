"""Servers as processes of this machine: `spawning` says what a person gets, `embedded.session` supervises it."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from jupyterhub.spawner import LocalProcessSpawner
from traitlets import Unicode, default

from ..answering import answers
from ..core.diagnosis import full_disk
from ..core.diagnosis.model import Ending
from ..core.errors import PublicError
from ..core.names import slug
from ..core.profiles import Capabilities, Editor
from ..core.progress import Stage
from ..core.session import SessionPlan
from ..spawning import ProfileSpawnerMixin, as_refusal
from . import process_table
from .editors import missing_editors, prepare_vscode
from .home import Home, explain_home, make_safe_home, open_log, prepare_home, prepare_state, remove_safe_home
from .limits import Cgroup, choose_enforcement
from .machine import detect_capabilities
from .session_launch import KEPT_ENVIRONMENT, Caller, cgroup_of, command, environment
from .start_progress import StartProgress
from .supervisor import ENDED_FILE

_LONGEST_NOTE = 300
_enforcement = lru_cache(maxsize=1)(choose_enforcement)


class EmbeddedSpawner(ProfileSpawnerMixin, LocalProcessSpawner):
    """Starts `jupyterhub-singleuser` under a supervisor, in the person's own folder, with their profile's limits."""

    data_folder = Unicode(help="The folder that holds everything this platform knows. Required.").tag(config=True)
    hub_origin = Unicode("http://127.0.0.1:8000", help="Where people's browsers find the platform.").tag(config=True)
    session_python = Unicode(help="The interpreter that servers run in. Default: the hub's own.").tag(config=True)
    node = Unicode(help="Node.js, which VS Code runs in. Empty: VS Code is shown as not available.").tag(config=True)
    code_server = Unicode(
        help="The code-server program. It may appear later: it is looked for whenever the form is shown."
    ).tag(config=True)

    pid: Any  # JupyterHub's own, which it does not type
    _held_gpus: ClassVar[dict[str, list[int]]] = {}
    _session = Unicode()
    _started_ticks: int = 0
    _profile_name = Unicode()
    _safe_home = Unicode(help="The temporary folder of a safe start.")

    def __init__(self, **kwargs: Any) -> None:
        self._progress = StartProgress()
        super().__init__(**kwargs)
        configured: Any = self.environment
        self._configured_environment: dict[str, Any] = dict(configured)

    @default("session_python")
    def _default_session_python(self) -> str:
        return sys.executable

    @default("env_keep")
    def _env_keep_default(self) -> list[str]:
        return list(KEPT_ENVIRONMENT)

    @default("poll_interval")
    def _default_poll_interval(self) -> int:
        return 10

    @default("interrupt_timeout")
    def _default_interrupt_timeout(self) -> int:
        return 20  # what the supervisor needs at most to end everything in order, and some more

    # What the mixin asks

    def capabilities(self) -> Capabilities:
        """This machine, measured now."""
        return detect_capabilities(self._missing_editors(), _enforcement().sentence)

    def _missing_editors(self) -> dict[Editor, str]:
        return missing_editors(self.code_server, self.node)

    @property
    def _key(self) -> str:
        """This server's name in folders: slugs hold no dot, so no two servers share one."""
        return f"{slug(self.user.name)}.{slug(self.name)}" if self.name else slug(self.user.name)

    # Start, watch, stop

    async def start(self) -> tuple[str, int]:
        """The address of the server, which listens already. Every refusal is the hub's own, whoever asked and how."""
        self._progress.begin()
        plan = self.plan_start()
        self.db.commit()  # any request that is answered meanwhile would take back what is not
        self._progress.enter(Stage.WORKSPACE, plan)
        try:
            gpus = self._take_gpus(plan)
            home = self._take_home(plan)
            state = prepare_state(Path(self.data_folder), self._key)
            self._apply(plan, home, gpus)
            log = open_log(Path(self.data_folder), self._key)
        except PublicError as error:
            remove_safe_home(self._safe_home)
            raise self._as_failure(error) from None
        self._progress.enter(Stage.EDITOR, plan)
        try:
            self.cmd = command(plan, self._key, home, state, _enforcement(), self.session_python)
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.popen_kwargs = {"cwd": str(home.root), **streams}
            address: tuple[str, int] = await super().start()
        finally:
            os.close(log)
        found = process_table.find(self.pid)
        self._started_ticks = found.started if found else 0
        self._progress.enter(Stage.ANSWER, plan)
        await self._wait_until_it_answers(address)
        self.report("server.start", "allowed", plan.why, profile=plan.profile)
        return address

    async def progress(self) -> AsyncIterator[dict[str, object]]:
        """What the page says that shows a start."""
        async for event in self._progress.follow(at_most=self.start_timeout):
            yield event

    def _take_home(self, plan: SessionPlan) -> Home:
        home = prepare_home(Path(self.data_folder), slug(self.user.name))
        if plan.safe:
            home = make_safe_home(home)
            self._safe_home = str(home.root)
        return home

    def _apply(self, plan: SessionPlan, home: Home, gpus: list[int]) -> None:
        try:
            vscode = {} if self._missing_editors() else prepare_vscode(home, self.code_server, self.node)
        except OSError as error:
            raise explain_home(error) from None
        self._profile_name, self._ended = plan.display_name, None
        self._session = secrets.token_hex(16)
        self.default_url = plan.default_url
        self.notebook_dir = str(home.workspace)
        self.mem_limit, self.cpu_limit = plan.memory, plan.cpu
        self.environment = self._configured_environment | environment(
            plan,
            home,
            Caller(self.user.name, self.hub_origin, self.api_token, self._session),
            gpus=gpus,
            session_python=self.session_python,
            vscode=vscode,
        )

    async def _wait_until_it_answers(self, address: tuple[str, int]) -> None:
        """Look often while the server loads: the hub's own waiting, which backs off, adds more than a second.

        Listening is not enough: a server that finds its home full has listened for a moment when it ends.
        """
        url = f"http://{address[0]}:{address[1]}{self.server.base_url}api"
        while not await answers(url):
            if await self.poll() is not None:
                raise self._as_failure(self._failed_start()) from None
            await asyncio.sleep(0.05)

    def _failed_start(self) -> PublicError:
        ended = self._ended
        if ended and ended.code == full_disk.CODE:
            return PublicError(full_disk.CANNOT_START, code=full_disk.CODE, hint=full_disk.HINT, status=507)
        return PublicError(
            f"Your server ended while it was starting. {ended.message if ended else ''}".strip(),
            code="server-start-failed",
            hint="Try again; if it stays so, an administrator finds more in the log of your server.",
            status=503,
        )

    def _as_failure(self, error: PublicError) -> Exception:
        """The hub's own refusal of a start that failed; kept for the person's next visit, and in the audit."""
        self._ended = Ending(error.code, f"It did not start. {error.message}", error.hint)
        self.report("server.start", "failed", error.code)
        return as_refusal(error)

    def _take_gpus(self, plan: SessionPlan) -> list[int]:
        wanted = plan.gpu.count if plan.gpu else 0
        held = {gpu for key, gpus in self._held_gpus.items() if key != self._key for gpu in gpus}
        free = [index for index in range(self.capabilities().gpus or 0) if index not in held] if wanted else []
        if wanted > len(free):
            raise PublicError(
                "Every GPU of this machine is in use.",
                code="gpu-busy",
                hint="Choose another profile, or try again when somebody has stopped their server.",
                status=409,
            )
        self._held_gpus[self._key] = free[:wanted]
        return free[:wanted]

    async def poll(self) -> int | None:
        """None while it runs, else its exit status; the reason is kept for the log and the person's next visit."""
        session, safe_home, resumed = self._session, self._safe_home, self.proc is None
        if resumed and self.pid and not self._is_same_process():
            self.pid = 0  # the hub was away, and the number belongs to somebody else now
        status: int | None = await super().poll()
        if status is None or not session:
            return status
        code, reason = self._read_ended() or (status, "It was killed from outside.")
        left = await self._end_leftovers(session, safe_home)
        if reason or left:
            self.log.warning("Server %s ended. %s (%d processes were left)", self._log_name, reason, left)
        if reason:
            self._ended = _ending(code, reason)
        self.report("server.end", "allowed", reason)
        return code if resumed else status

    async def stop(self, now: bool = False) -> None:
        """Stop it with everything it started; also what a killed supervisor left."""
        session, safe_home = self._session, self._safe_home
        await super().stop(now=now)
        if session:
            await self._end_leftovers(session, safe_home)

    async def _end_leftovers(self, session: str, safe_home: str) -> int:
        """How many processes a supervisor left that was killed: none, where it could do its work."""
        count = await asyncio.to_thread(process_table.end_session, session)
        await asyncio.to_thread(remove_safe_home, safe_home)
        path = cgroup_of(_enforcement(), self._key)
        if path is not None and path.exists():
            group = Cgroup(path)
            group.kill()
            group.remove()
        return count

    async def _signal(self, sig: int) -> bool:
        return self._is_same_process() and await super()._signal(sig)

    def _is_same_process(self) -> bool:
        process = process_table.find(self.pid) if self.pid else None
        return process is not None and (not self._started_ticks or process.started == self._started_ticks)

    def _read_ended(self) -> tuple[int, str] | None:
        """What the supervisor left. It is the person's account that wrote it: short, and text to be escaped."""
        path = Path(self.data_folder) / "run" / "servers" / self._key / ENDED_FILE
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as stream:
                content = json.loads(stream.read(4096))
            return int(content["code"]), str(content["reason"])[:_LONGEST_NOTE]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    # What the hub remembers

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Nothing from the machine's accounts: a person of this platform need not have one."""
        return env

    def make_preexec_fn(self, name: str) -> None:
        """Nothing between fork and exec: servers run as the account that runs the hub."""

    def load_state(self, state: dict[str, Any]) -> None:
        """After a restart of the hub."""
        super().load_state(state)
        self._session = state.get("session", "")
        self._started_ticks = state.get("started_ticks", 0)
        self._profile_name = state.get("profile_name", "")
        self._safe_home = state.get("safe_home", "")
        if state.get("gpus"):
            self._held_gpus[self._key] = state["gpus"]

    def get_state(self) -> dict[str, Any]:
        """For the hub's database, and for administrators through the REST API."""
        state: dict[str, Any] = super().get_state()
        values = {
            "session": self._session,
            "started_ticks": self._started_ticks,
            "profile_name": self._profile_name,
            "safe_home": self._safe_home,
            "gpus": self._held_gpus.get(self._key, []),
        }
        return state | {name: value for name, value in values.items() if value}

    def clear_state(self) -> None:
        """Forget the process; why it ended and what was last chosen are for the next visit."""
        super().clear_state()
        self._session, self._started_ticks, self._profile_name, self._safe_home = "", 0, "", ""
        self._held_gpus.pop(self._key, None)


def _ending(code: int, reason: str) -> Ending:
    """What a supervisor left word of, for the person."""
    if code == full_disk.NO_SPACE:
        return Ending(full_disk.CODE, full_disk.ENDED, full_disk.HINT, code)
    return Ending("ended", reason, "", code)
