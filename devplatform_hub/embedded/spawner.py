"""Servers as processes of this machine: JupyterHub asks, `core.session` decides, `embedded.session` supervises."""

import asyncio
import html
import json
import os
import secrets
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from jupyterhub.spawner import LocalProcessSpawner
from tornado import web
from traitlets import Unicode, default

from ..core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, Access, AccessRules, decide_access
from ..core.errors import PublicError
from ..core.identity import parse_group
from ..core.names import slug
from ..core.profiles import Capabilities, Catalog, Editor, offers
from ..core.profiles_yaml import ProfilesError, parse_profiles
from ..core.session import SessionPlan, parse_request, plan_session
from ..servicekit import audit
from ..spawn_form import render_form, request_from_form
from . import process_table
from .editors import missing_editors, prepare_vscode
from .home import Home, open_log, prepare_home, prepare_state
from .limits import choose_enforcement
from .machine import detect_capabilities
from .refusals import refusal
from .session_launch import KEPT_ENVIRONMENT, Caller, command, environment
from .supervisor import ENDED_FILE

_LONGEST_NOTE = 300
_enforcement = lru_cache(maxsize=1)(choose_enforcement)


class EmbeddedSpawner(LocalProcessSpawner):
    """Starts `jupyterhub-singleuser` under a supervisor, in the person's own folder, with their profile's limits."""

    data_folder = Unicode(help="The folder that holds everything this platform knows. Required.").tag(config=True)
    profiles_file = Unicode(help="The profiles. Default: profiles.yaml in the data folder.").tag(config=True)
    hub_origin = Unicode("http://127.0.0.1:8000", help="Where people's browsers find the platform.").tag(config=True)
    session_python = Unicode(help="The interpreter that servers run in. Default: the hub's own.").tag(config=True)
    node = Unicode(help="Node.js, which VS Code runs in. Empty: VS Code is shown as not available.").tag(config=True)
    code_server = Unicode(
        help="The code-server program. It may appear later: it is looked for whenever the form is shown."
    ).tag(config=True)
    users_group = Unicode(DEFAULT_USERS_GROUP, help="Whose members may start servers.").tag(config=True)
    admins_group = Unicode(DEFAULT_ADMINS_GROUP, help="Whose members may use every profile.").tag(config=True)

    user_options: Any  # JupyterHub's own, which it does not type
    pid: Any
    _held_gpus: ClassVar[dict[str, list[int]]] = {}
    _session = Unicode()
    _started_ticks: int = 0
    _note = Unicode(help="Why the last server ended by itself, in plain words.")
    _profile_name = Unicode()
    _last_choice: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        self._last_choice = {}
        super().__init__(**kwargs)

    @default("profiles_file")
    def _default_profiles_file(self) -> str:
        return str(Path(self.data_folder) / "profiles.yaml")

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

    @default("options_form")
    def _default_options_form(self) -> Any:
        return type(self)._render_form

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return self._checked_form

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        return lambda _spawner, _options: None  # `start` does it, for the form and the REST API alike

    def options_from_query(self, query_data: dict[str, list[str]]) -> dict[str, object]:
        """`/hub/spawn?profile=highmem&editor=vscode`, checked like every other way in."""
        return self._checked({name: values[0] for name, values in query_data.items() if values})

    # What is decided, and by whom

    def _render_form(self) -> str:
        catalog, access = self._catalog(), self._access()
        form = render_form(
            offers(catalog, access, self._capabilities()),
            dict(self.orm_spawner.user_options or {}),
            enforcement=_enforcement().sentence,
        )
        if not self._note:
            return form
        return f'<p class="alert alert-warning" role="status">Your last server: {html.escape(self._note)}</p>{form}'

    def _checked_form(self, formdata: dict[str, list[str]]) -> dict[str, object]:
        return self._checked(request_from_form(formdata))

    def _checked(self, raw: dict[str, object]) -> dict[str, object]:
        try:
            return self._plan(raw).as_user_options()
        except PublicError as error:
            raise self._refuse(error) from None

    def _plan(self, raw: dict[str, object]) -> SessionPlan:
        return plan_session(parse_request(raw), self._catalog(), self._access(), self._capabilities())

    def _catalog(self) -> Catalog:
        path = Path(self.profiles_file)
        try:
            return parse_profiles(path.read_text("utf-8"), path.name)
        except (OSError, UnicodeDecodeError, ProfilesError) as error:
            self.log.error("profiles.yaml cannot be used: %s", error)  # noqa: TRY400 - the text says file and line
            raise refusal(
                PublicError(
                    "The profiles of this platform cannot be read at the moment.",
                    code="profiles-invalid",
                    hint="Ask an administrator to run: devplatform check",
                    status=503,
                )
            ) from None

    def _access(self) -> Access:
        rules = AccessRules(parse_group(self.users_group), parse_group(self.admins_group))
        return decide_access((parse_group(group.name) for group in self.user.groups), rules)

    def _capabilities(self) -> Capabilities:
        return detect_capabilities(self._missing(), _enforcement().sentence)

    def _refuse(self, error: PublicError) -> web.HTTPError:
        audit.emit("server.start", actor=self.user.name, outcome="refused", target=self._key, why=error.code)
        return refusal(error)

    @property
    def _key(self) -> str:
        """This server's name in folders: slugs hold no dot, so no two servers share one."""
        return f"{slug(self.user.name)}.{slug(self.name)}" if self.name else slug(self.user.name)

    # Start, watch, stop

    async def start(self) -> tuple[str, int]:
        """Start the supervisor. Every refusal is a `refusal`, whatever way the request came in."""
        audit.configure()
        try:
            plan = self._plan(dict(self.user_options or {}))
            gpus = self._take_gpus(plan)
            home = prepare_home(Path(self.data_folder), slug(self.user.name))
            state = prepare_state(Path(self.data_folder), self._key)
            log = open_log(Path(self.data_folder), self._key)
        except PublicError as error:
            # The hub has stored what was asked already: put back what was last good, and nothing unchecked.
            self.user_options = self.orm_spawner.user_options = dict(self._last_choice)
            raise self._refuse(error) from None
        self._apply(plan, home, gpus)
        self.cmd = command(plan, self._key, state, _enforcement(), self.session_python)
        self.popen_kwargs = {"cwd": str(home.root), "stdin": -3, "stdout": log, "stderr": log}  # -3: DEVNULL
        try:
            address: tuple[str, int] = await super().start()
        finally:
            os.close(log)
        found = process_table.find(self.pid)
        self._started_ticks = found.started if found else 0
        audit.emit("server.start", actor=self.user.name, outcome="allowed", target=self._key, why=plan.profile)
        await self._wait_until_listening(address)
        return address

    async def _wait_until_listening(self, address: tuple[str, int]) -> None:
        """Look often while the server loads: the hub's own waiting, which backs off, adds more than a second."""
        while True:
            try:
                _, writer = await asyncio.open_connection(*address)
            except OSError:
                if await self.poll() is not None:
                    why = self._note or "It said nothing."
                    raise refusal(
                        PublicError(
                            f"Your server ended while it was starting. {why}",
                            code="server-start-failed",
                            hint="Try again; if it stays so, an administrator finds more in the log of your server.",
                            status=503,
                        )
                    ) from None
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    def _apply(self, plan: SessionPlan, home: Home, gpus: list[int]) -> None:
        self.user_options = self.orm_spawner.user_options = plan.as_user_options()
        self._last_choice = plan.as_user_options()
        self._profile_name, self._note = plan.display_name, ""
        self._session = secrets.token_hex(16)
        self.default_url = plan.default_url
        self.notebook_dir = str(home.workspace)
        self.mem_limit, self.cpu_limit = plan.memory, plan.cpu
        self.environment = environment(
            plan,
            home,
            Caller(self.user.name, self.hub_origin, self.api_token, self._session),
            gpus=gpus,
            session_python=self.session_python,
            vscode={} if self._missing() else prepare_vscode(home.root, self.code_server, self.node),
        )

    def _missing(self) -> dict[Editor, str]:
        return missing_editors(self.code_server, self.node)

    def _take_gpus(self, plan: SessionPlan) -> list[int]:
        wanted = plan.gpu.count if plan.gpu else 0
        held = {gpu for key, gpus in self._held_gpus.items() if key != self._key for gpu in gpus}
        free = [index for index in range(self._capabilities().gpus or 0) if index not in held] if wanted else []
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
        session, resumed = self._session, self.proc is None
        if resumed and self.pid and not self._is_same_process():
            self.pid = 0  # the hub was away, and the number belongs to somebody else now
        status: int | None = await super().poll()
        if status is None or not session:
            return status
        ended = self._read_ended()
        if ended is None:
            self._note = "It was killed from outside."
        else:
            status, self._note = (ended[0] if resumed else status), ended[1]
        left = await asyncio.to_thread(process_table.end_session, session)
        if self._note or left:
            self.log.warning("Server %s: %s (%d processes were left)", self._log_name, self._note, left)
        audit.emit("server.end", actor=self.user.name, outcome="allowed", target=self._key, why=self._note)
        return status

    async def stop(self, now: bool = False) -> None:
        """Stop it with everything it started; also what a killed supervisor left."""
        session = self._session
        await super().stop(now=now)
        if session:
            await asyncio.to_thread(process_table.end_session, session)

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
        self._note = state.get("ended", "")
        self._last_choice = state.get("last_choice", {})
        if state.get("gpus"):
            self._held_gpus[self._key] = state["gpus"]

    def get_state(self) -> dict[str, Any]:
        """For the hub's database, and for administrators through the REST API."""
        state: dict[str, Any] = super().get_state()
        values = {
            "session": self._session,
            "started_ticks": self._started_ticks,
            "profile_name": self._profile_name,
            "ended": self._note,
            "last_choice": self._last_choice,
            "gpus": self._held_gpus.get(self._key, []),
        }
        return state | {name: value for name, value in values.items() if value}

    def clear_state(self) -> None:
        """Forget the process; why it ended and what was last chosen are for the next visit."""
        super().clear_state()
        self._session, self._started_ticks, self._profile_name = "", 0, ""
        self._held_gpus.pop(self._key, None)
