"""Settings of every sign-in of the platform, and those of JupyterHub that have no place beside its one rule."""

from difflib import get_close_matches
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import Bool, Dict, Float, List, TraitError, Unicode, default, validate

from ..core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, AccessRules
from ..core.errors import PublicError
from ..core.group_roles import ADMIN_ROLE, USER_ROLE, problem_of
from ..core.identity import LOCAL_DOMAIN, GroupName, parse_group


class AccessSettings(Authenticator):
    """Which groups decide, and what they bring.

    JupyterHub's own ways to let people in (`allow_all`, `allowed_users`, `admin_users`, ...) are refused when
    the hub starts: there is one rule, and a setting that is silently without effect would hide it.
    """

    group_domain = LOCAL_DOMAIN
    """The domain of group names that are configured without one."""

    users_group = Unicode(DEFAULT_USERS_GROUP, config=True, help="Members may use the platform.")
    admins_group = Unicode(DEFAULT_ADMINS_GROUP, config=True, help="Members may use and administer the platform.")
    group_roles = Dict(
        value_trait=List(Unicode()),
        key_trait=Unicode(),
        config=True,
        help="""Roles of `JupyterHub.load_roles` that members of a group have: `{"data-leads": ["lead"]}`. Members of
        users_group have the role jupyter-user, of admins_group jupyter-admin. Who leaves the group loses the role.""",
    )
    last_answer_lifetime = Float(
        900,
        min=0,
        config=True,
        help="""Seconds for which somebody who is signed in keeps the last known decision while the directory
        cannot answer. After that they are kept out until it answers; nothing of theirs is ended.""",
    )

    audit_refreshes = Bool(
        True,
        config=True,
        help="""Whether the audit has a line (`person.refresh`) for each refresh that found nothing different: for
        somebody who is at work about one in `auth_refresh_age` seconds, another with a server that runs, and one at
        each start. With the 300 seconds of a hub these are 200 lines or 50 KB a person and working day, with the
        30 seconds of the local sign-in ten times that. Refreshes that changed, ended or could not decide something
        are always there.""",
    )

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rules = AccessRules(
            users_group=parse_group(self.users_group, self.group_domain),
            admins_group=parse_group(self.admins_group, self.group_domain),
        )
        self.roles_of_groups = self._roles_of_groups()

    def _roles_of_groups(self) -> dict[GroupName, list[str]]:
        granted = {self.rules.users_group: [USER_ROLE], self.rules.admins_group: [ADMIN_ROLE]}
        for text, names in self.group_roles.items():
            granted.setdefault(parse_group(text, self.group_domain), []).extend(names)
        return granted

    @default("manage_groups")
    def _groups_come_from_the_directory(self) -> bool:
        return True

    @default("auth_refresh_strict")
    def _refuse_stale_tokens(self) -> bool:
        return True  # since JupyterHub 6.1 the default would let a token outlive its owner's access

    @default("any_allow_config")
    def _groups_are_allow_config(self) -> bool:
        return True

    @validate("allow_all", "allowed_users", "allow_existing_users", "admin_users")
    def _only_groups_decide(self, proposal: Any) -> Any:
        if proposal.value:
            raise TraitError(
                f"{proposal.trait.name} has no place here: membership of {self.users_group} and {self.admins_group} "
                "decides who may come in and who administers. Remove the setting."
            )
        return proposal.value

    @validate("group_roles")
    def _are_groups(self, proposal: Any) -> Any:
        for text in proposal.value:
            try:
                parse_group(text, self.group_domain)
            except PublicError as error:
                raise TraitError(f"group_roles: {error.message} {error.hint}") from None
        return proposal.value

    @validate("auth_refresh_age")
    def _refresh_stays_on(self, proposal: Any) -> Any:
        if proposal.value <= 0:
            raise TraitError("auth_refresh_age has to be above 0: without it nobody would ever lose access.")
        return proposal.value

    @validate("users_group", "admins_group")
    def _is_group(self, proposal: Any) -> Any:
        try:
            parse_group(proposal.value, self.group_domain)
        except PublicError as error:
            raise TraitError(f"{proposal.trait.name}: {error.message} {error.hint}") from None
        return proposal.value

    def check_allow_config(self) -> None:
        """Raises `ValueError` when groups would not decide, or when everybody would be an administrator."""
        self._check_spelling()
        if not self.manage_groups:  # equal to the trait's own default, so that traitlets validates nothing
            raise ValueError("manage_groups has to be true: groups decide who may come in. Remove the setting.")
        if self.rules.users_group == self.rules.admins_group:
            raise ValueError(f"users_group and admins_group are both {self.users_group}: use two groups.")
        names = {name for roles_of_group in self.roles_of_groups.values() for name in roles_of_group}
        problem = problem_of(names, getattr(self.parent, "load_roles", ()))
        if problem:
            raise ValueError(f"group_roles: {problem}")

    def _check_spelling(self) -> None:
        """traitlets only warns of a name that it does not know: a limit that was misspelt would limit nobody."""
        known = type(self).class_trait_names(config=True)
        for cls in type(self).__mro__:
            if not cls.__module__.startswith("devplatform_hub.") or cls.__name__ not in self.config:
                continue
            for name in self.config[cls.__name__]:
                # A section may hold those of objects that are made with this one as their parent.
                if name not in known and name[:1].islower():
                    close = get_close_matches(name, known, 1)
                    meant = f" Did you mean {close[0]}?" if close else ""
                    raise ValueError(f"{cls.__name__}.{name} is no setting.{meant}")
