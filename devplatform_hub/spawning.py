"""What every spawner of the platform shares: whose access, which profiles, the form, the plan, the refusal.

Hooks only: what a person may have is decided in `core.session`, how the page looks in `spawn_form`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyterhub.spawner import Spawner
from tornado import web
from traitlets import Unicode, default

from .core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, Access, AccessRules, decide_access
from .core.errors import PublicError
from .core.identity import LOCAL_DOMAIN, parse_group
from .core.profiles import Capabilities, Catalog, offers
from .core.profiles_yaml import ProfilesError, parse_profiles
from .core.session import SessionPlan, parse_request, plan_session
from .spawn_form import render_form, request_from_form

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5
    SpawnException = None


class ProfileSpawnerMixin(Spawner):
    """Mix this in before a spawner: the form, its options and `plan()` come from `profiles.yaml` and the groups."""

    profiles_file = Unicode(
        help="""The profiles.yaml to choose from, read anew whenever a form is shown or a server starts.

        Empty: the profiles that come with the platform.
        """,
    ).tag(config=True)
    group_domain = Unicode(
        LOCAL_DOMAIN, help="The domain of group names that are written without one, such as `example.com`."
    ).tag(config=True)
    users_group = Unicode(DEFAULT_USERS_GROUP, help="Members may start servers.").tag(config=True)
    admins_group = Unicode(
        DEFAULT_ADMINS_GROUP, help="Members may start servers with every profile, whatever group it is limited to."
    ).tag(config=True)

    def capabilities(self) -> Capabilities:
        """What the place where servers run can give. A cluster that grows knows no limit beforehand."""
        return Capabilities()

    def catalog(self) -> Catalog:
        """The profiles as they are now. Raises `PublicError` (`profiles-broken`) when an edit broke the file."""
        path = Path(self.profiles_file) if self.profiles_file else Path(__file__).with_name("profiles.yaml")
        try:
            return parse_profiles(path.read_text("utf-8"), str(path), group_domain=self.group_domain)
        except (OSError, UnicodeError, ProfilesError) as error:
            self.log.warning("The profiles cannot be read: %s", error)
            raise PublicError(
                "The list of profiles is broken.",
                code="profiles-broken",
                hint="An administrator finds the reason in the hub's log.",
                status=503,
            ) from error

    def access(self) -> Access:
        """What this person may do, from the groups that the authenticator last gave them."""
        groups = [parse_group(group.name, self.group_domain) for group in self.user.groups]
        users = parse_group(self.users_group, self.group_domain)
        admins = parse_group(self.admins_group, self.group_domain)
        return decide_access(groups, AccessRules(users, admins))

    def plan(self, user_options: Mapping[str, object]) -> SessionPlan:
        """The server that these options lead to. Raises the hub's own refusal with our message, hint and code."""
        try:
            return self.plan_or_explain(user_options)
        except PublicError as error:
            raise as_refusal(error) from error

    def plan_or_explain(self, user_options: Mapping[str, object]) -> SessionPlan:
        """As `plan`, but raises the `PublicError` itself."""
        return plan_session(parse_request(user_options), self.catalog(), self.access(), self.capabilities())

    def keep(self, plan: SessionPlan) -> None:
        """Remember the resolved choice for the admin panel, the culler and the next start of this server."""
        self.user_options = plan.as_user_options()
        self.orm_spawner.user_options = self.user_options

    @default("options_form")
    def _options_form(self) -> Any:
        return type(self)._render_profiles

    async def _render_profiles(self) -> str:
        saved = self.orm_spawner.user_options if self.orm_spawner else {}
        try:
            catalog, access, capabilities = self.catalog(), self.access(), self.capabilities()
        except PublicError as error:
            raise as_refusal(error) from error
        return render_form(offers(catalog, access, capabilities), saved or {}, enforcement=capabilities.enforcement)

    @default("options_from_form")
    def _options_from_form(self) -> Any:
        return self._checked_form

    def _checked_form(self, formdata: Mapping[str, list[str]]) -> dict[str, object]:
        options = request_from_form(formdata)
        self.plan(options)  # a wrong choice is shown on the form itself, before anything starts
        return options

    @default("apply_user_options")
    def _apply_user_options(self) -> Any:
        # JupyterHub 6 warns of options that nobody applies; `start` does, through `plan`.
        return lambda spawner, options: None  # noqa: ARG005


def as_refusal(error: PublicError) -> web.HTTPError:
    """`error` as the hub shows it on the page and in its API, without a stack trace: JupyterHub 6's own or 5's."""
    text = f"{error.message} {error.hint}".strip() + f" [{error.code}]"
    if SpawnException is not None:
        refusal: Any = SpawnException(text, reason=error.code, status_code=error.status)
    else:
        refusal = web.HTTPError(error.status, "%s", text)
    refusal.jupyterhub_message = text
    return refusal
