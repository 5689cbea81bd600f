"""What every spawner of the platform shares: whose access, which profiles, the form, the plan, the refusal.

Hooks only: what a person may have is decided in `core.session`, how the page looks in `spawn_form`.
"""

import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyterhub import orm
from sqlalchemy import event
from tornado import web
from traitlets import Any as AnyValue
from traitlets import Unicode, default

from . import server_metrics
from .core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, Access, AccessRules, decide_access
from .core.diagnosis import full_disk
from .core.diagnosis.model import Ending
from .core.errors import PublicError
from .core.identity import LOCAL_DOMAIN, GroupName, parse_group
from .core.limited_offers import within
from .core.limits import limits_of
from .core.option_values import is_shallow
from .core.profiles import Capabilities, Catalog, offers
from .core.profiles_yaml import ProfilesError, parse_profiles
from .core.safe_start import RUNNING
from .core.session import SessionPlan, plan_options
from .limited_starts import LimitedStartsMixin
from .servicekit import audit
from .spawn_form import render_form, request_from_form, request_from_query

try:  # JupyterHub 6: no traceback in the log, and counted as a refusal instead of a fault of the hub
    from jupyterhub.spawner import SpawnException
except ImportError:
    SpawnException = None

_CHOICE = "devplatform_choice"
_ENDED, _SAFE = "devplatform_ended", "devplatform_safe"
_DEEPEST = 20


class ProfileSpawnerMixin(LimitedStartsMixin):
    """Mix this in before a spawner: the form, its options and the plan of a start come from `profiles.yaml` and groups.

    The spawner's `start` calls `plan_start()` first, and awaits nothing before: the REST API, the form and a link all
    end there.
    """

    profiles_file = Unicode(
        help="""The profiles.yaml to choose from, read anew when it changes.

        Empty: the profiles that come with the platform.
        """,
    ).tag(config=True)
    group_domain = Unicode(
        help="""The domain of group names that are written without one, such as `example.com`. By default that of the
        platform's sign-in, as are the two groups.""",
    ).tag(config=True)
    users_group = Unicode(help="Members may start servers.").tag(config=True)
    admins_group = Unicode(help="Members may start servers with every profile, whatever group it is limited to.").tag(
        config=True
    )

    # JupyterHub 5 hands on a body of any kind; where that cannot be taken, a server stays that nobody started.
    user_options = AnyValue()

    @default("group_domain")
    def _domain_of_the_sign_in(self) -> str:
        return str(getattr(self.authenticator, "group_domain", "") or LOCAL_DOMAIN)

    @default("users_group")
    def _users_of_the_sign_in(self) -> str:
        return str(getattr(self.authenticator, "users_group", "") or DEFAULT_USERS_GROUP)

    @default("admins_group")
    def _admins_of_the_sign_in(self) -> str:
        return str(getattr(self.authenticator, "admins_group", "") or DEFAULT_ADMINS_GROUP)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._last_choice: dict[str, object] = {}
        self._asked_at = 0.0
        self._ended: Ending | None = None
        self._is_safe = False
        super().__init__(*args, **kwargs)

    # What a spawner may say differently

    def capabilities(self) -> Capabilities:
        """What the place where servers run can give. A cluster that grows knows no limit beforehand."""
        return Capabilities()

    def notice(self) -> str:
        """Why the last server ended, unless its person asked for that; or that this one is a safe start."""
        if self._is_safe:
            return RUNNING
        ended = self._ended
        return f"Your last server: {ended.message} {ended.hint}".strip() if ended else ""

    def needs_safe_start(self) -> bool:
        """Whether a start as always would end as the last one did: its disk was full."""
        return not self._is_safe and self._ended is not None and self._ended.code == full_disk.CODE

    def note_stop(self, ending: Ending) -> None:
        """Keep for `notice` that somebody else stopped the server."""
        self._ended = ending

    # What is decided, and by whom

    def catalog(self) -> Catalog:
        """The profiles as they are now. Raises `PublicError` (`profiles-broken`) when an edit broke the file."""
        path = Path(self.profiles_file) if self.profiles_file else Path(__file__).with_name("profiles.yaml")
        try:
            state = path.stat()
            return _read_catalog(path, self.group_domain, (state.st_mtime_ns, state.st_size, state.st_ino))
        except (OSError, UnicodeError, ProfilesError) as error:
            self.log.error("The profiles cannot be used:\n%s", error)  # noqa: TRY400 - the text says file and line
            raise PublicError(
                "The list of profiles is broken.",
                code="profiles-broken",
                hint="An administrator finds the reason in the hub's log.",
                status=503,
            ) from error

    def access(self) -> Access:
        """What this person may do, from the groups that the authenticator last gave them."""
        users = parse_group(self.users_group, self.group_domain)
        admins = parse_group(self.admins_group, self.group_domain)
        return decide_access(self._groups(), AccessRules(users, admins))

    def plan_start(self) -> SessionPlan:
        """The server that is to start now, from `user_options`. Raises the hub's own refusal.

        The hub has stored what was asked for before anybody looked at it: what is kept is the resolved choice,
        for the admin panel, the culler and the next form; after a refusal the choice before it.
        """
        self._asked_at = time.monotonic()
        try:
            plan = self._plan(self.user_options or {})
        except web.HTTPError:
            self._keep(self._last_choice)
            raise
        self._keep(plan.as_user_options())
        self._is_safe = plan.safe
        self.hold(plan)
        return plan

    def _plan(self, options: object) -> SessionPlan:
        try:
            catalog, access = self.catalog(), self.access()
            plan = plan_options(options, catalog, access, self.capabilities())
            self.keep_within(plan, limits_of(access, catalog.limits))
        except PublicError as error:
            self.report("server.start", "refused", error.code)
            raise as_refusal(error) from error
        return plan

    def report(self, action: str, outcome: str, why: str, *, profile: str = "") -> None:
        """Write to the audit what happened to this person's server; of a start to the metrics too.

        `why` is a code, or what was started; `profile` is that of a start that went well.
        """
        audit.emit(action, actor=self.user.name, outcome=outcome, target=f"{self.user.name}/{self.name}", why=why)
        if action == "server.start":
            server_metrics.started(outcome, profile or why, time.monotonic() - self._asked_at)

    def _groups(self) -> list[GroupName]:
        groups = []
        for group in self.user.groups:
            try:
                groups.append(parse_group(group.name, self.group_domain))
            except PublicError:  # made by hand in the hub; no profile can name it, so it grants nothing
                self.log.debug("%r is not a group name of the platform", group.name)
        return groups

    def _keep(self, choice: Mapping[str, object]) -> None:
        self._last_choice = dict(choice)
        self.user_options = dict(choice)
        if self.orm_spawner:
            self.orm_spawner.user_options = dict(choice)

    # JupyterHub's hooks

    def get_state(self) -> dict[str, Any]:
        """As every spawner; what was last chosen and why it ended, which `clear_state` keeps; and a safe start."""
        state: dict[str, Any] = super().get_state()
        if self._last_choice:
            state[_CHOICE] = self._last_choice
        if self._ended:
            state[_ENDED] = {"code": self._ended.code, "message": self._ended.message, "hint": self._ended.hint}
        if self._is_safe:
            state[_SAFE] = True
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._last_choice = dict(state.get(_CHOICE) or {})
        ended = state.get(_ENDED)
        self._ended = Ending(ended["code"], ended["message"], ended["hint"]) if ended else None
        self._is_safe = bool(state.get(_SAFE))

    def clear_state(self) -> None:
        """Forget the server itself."""
        super().clear_state()
        self._is_safe = False

    @default("user_options")
    def _default_user_options(self) -> dict[str, object]:
        return {}

    @default("options_form")
    def _default_options_form(self) -> Any:
        return type(self).render_options_form

    def render_options_form(self) -> str:
        """The spawn page's form for this person, now."""
        saved = dict(self.orm_spawner.user_options or {}) if self.orm_spawner else {}
        try:
            catalog, access, capabilities = self.catalog(), self.access(), self.capabilities()
        except PublicError as error:
            raise as_refusal(error) from error
        limits = limits_of(access, catalog.limits)
        held = self.held() if limits.limits else []
        return render_form(
            within(offers(catalog, access, capabilities), limits, held, capabilities),
            saved,
            limits=limits,
            held=held,
            enforcement=capabilities.enforcement,
            notice=self.notice(),
            needs_safe_start=self.needs_safe_start(),
        )

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return self._checked_form

    def _checked_form(self, formdata: Mapping[str, list[str]]) -> dict[str, object]:
        # Checked here too: the hub shows what is wrong on the form itself, before anything starts.
        return self._plan(request_from_form(formdata)).as_request()

    def options_from_query(self, query_data: Mapping[str, list[str]]) -> dict[str, object]:
        """A link such as `/hub/spawn?profile=highmem&editor=vscode`, checked like every other way in."""
        return self._plan(request_from_query(query_data)).as_request()

    @default("apply_user_options")
    def _default_apply_user_options(self) -> Any:
        # JupyterHub warns of options that nobody applies; `start` does, through `plan_start`.
        return lambda _spawner, _options: None


def as_refusal(error: PublicError) -> web.HTTPError:
    """`error` as the hub shows it on the page and in its API, without a stack trace, on JupyterHub 5 and 6."""
    text = " ".join(part for part in (error.message, error.hint, f"[{error.code}]") if part)
    refusal: Any
    if SpawnException is None:
        refusal = web.HTTPError(error.status, "%s", text, reason=error.code)
    else:
        refusal = SpawnException(text, reason=error.code, status_code=error.status)
    refusal.jupyterhub_message = text
    refusal.headers = {"X-DevPlatform-Error": error.code}
    return refusal


@event.listens_for(orm.Spawner.user_options, "set", retval=True)
def _storable(_row: orm.Spawner, options: object, _before: object, _initiator: object) -> object:
    """The hub stores what was sent before anybody looks at it, and ends after some requests that it cannot store.

    Lists in lists without end can be read as JSON but not written. What is left out here is refused all the same.
    """
    return options if is_shallow(options, _DEEPEST) else {}


@lru_cache(maxsize=8)
def _read_catalog(path: Path, group_domain: str, _stamp: tuple[int, int, int]) -> Catalog:
    """Fifty profiles take 50 ms to read, and the form is drawn in the hub's only thread: once for each change."""
    return parse_profiles(path.read_text("utf-8"), str(path), group_domain=group_domain)
