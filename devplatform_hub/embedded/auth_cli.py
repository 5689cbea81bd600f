"""`devplatform explain` and `devplatform check auth`: what the sign-in would decide, and whether it could.

Exit statuses of `explain`: 0 may come in, 3 kept out, 4 the directory has no answer. Of `check auth`: 0 nothing that
is needed is missing, 3 something is. Of both: 1 it cannot be asked, with a sentence and a code, 2 a wrong command line.
"""

import asyncio
import json
import sys
from collections.abc import Coroutine
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from ..core.access import Access, decide_access
from ..core.claims import identity_of
from ..core.errors import PublicError
from ..core.explanation import Explanation, roles_of
from ..core.findings import Finding, exit_status, told
from ..core.identity import Identity, parse_group, parse_username
from ..ports import DirectoryUnavailable, PeopleDirectory, Person
from .options import data_option, parse_settings, settings_option
from .state import DataFolder
from .users_cli import nobody_yet, sign_in_state

_KEPT_OUT, _NO_ANSWER = 3, 4
_CHECKS = "devplatform.checks"
Answer = TypeVar("Answer")
_DATA = data_option("The data folder of one machine: asked as `devplatform up` last ran there.")
_CONFIG = click.option(
    "--config",
    "-f",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A hub's jupyterhub_config.py, in place of a data folder.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.command(epilog="Exit status: 0 may come in, 3 kept out, 4 the directory has no answer, 1 cannot be asked.")
@_DATA
@_CONFIG
@settings_option
@click.option(
    "--group", "groups", multiple=True, metavar="NAME", help="Suppose these groups and ask no directory. Repeatable."
)
@_JSON
@click.argument("name")
def explain(
    data: Path, config: Path | None, settings: tuple[str, ...], groups: tuple[str, ...], as_json: bool, name: str
) -> None:
    """Say what NAME, a user name or an e-mail address, would get now, and why."""
    hub = _hub(data, config, settings)
    try:
        found = _run(hub, _supposed(hub, name, groups) if groups else _asked(hub, name))
    except DirectoryUnavailable as error:
        click.echo(f"The directory has no complete answer: {error}. [directory-unavailable]", err=True)
        sys.exit(_NO_ANSWER)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else "\n".join(found.lines()))
    sys.exit(0 if found.allowed else _KEPT_OUT)


class Checks(click.Group):
    """Own checks, and those that installed packages name under `devplatform.checks`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(point.name for point in entry_points(group=_CHECKS))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for point in entry_points(group=_CHECKS, name=cmd_name):
            return cast(click.Command, point.load())
        return super().get_command(ctx, cmd_name)


@click.group(cls=Checks)
def check() -> None:
    """Try what the platform needs, and name what is missing."""


@check.command(epilog="Exit status: 0 nothing that is needed is missing, 3 something is, 1 cannot be asked.")
@_DATA
@_CONFIG
@settings_option
@_JSON
def auth(data: Path, config: Path | None, settings: tuple[str, ...], as_json: bool) -> None:
    """Whether people could sign in: settings, identity provider, credentials, scopes, privileges and groups."""
    from ..authenticators.sign_in_check import check_sign_in

    try:
        hub = _hub(data, config, settings)
        findings = [Finding("settings", works=True), *_run(hub, check_sign_in(hub.authenticator))]
    except PublicError as problem:
        if problem.code != "settings-refused":
            raise
        findings = [Finding("settings", works=False, missing="a setting that works", remedy=problem.message)]
    click.echo(told(findings, as_json=as_json))
    sys.exit(exit_status(findings))


def _hub(data: Path, config: Path | None, settings: tuple[str, ...]) -> Any:
    from .configured import hub_of_file, hub_of_machine  # JupyterHub takes a second, which `--help` need not wait

    given = parse_settings(settings)
    if config:
        return hub_of_file(config.absolute(), given)
    return hub_of_machine(DataFolder(data.absolute()), given)


def _run(hub: Any, asking: Coroutine[Any, Any, Answer]) -> Answer:
    async def whole() -> Answer:
        try:
            return await asking
        finally:
            await hub.authenticator.close_directory()

    return asyncio.run(whole())


async def _supposed(hub: Any, name: str, groups: tuple[str, ...]) -> Explanation:
    """Somebody with exactly these groups."""
    held = [parse_group(group, hub.authenticator.group_domain) for group in groups]
    return _explained(hub, parse_username(name), decide_access(held, hub.authenticator.rules))


async def _asked(hub: Any, name: str) -> Explanation:
    """Somebody with the groups that the directory says."""
    authenticator, directory = hub.authenticator, hub.authenticator.group_directory
    people: Any = directory
    if not isinstance(people, PeopleDirectory):
        raise PublicError(
            f"{type(directory).__name__} cannot be asked about people.",
            code="directory-not-searchable",
            hint="Give the groups to try, each by --group.",
        )
    users = getattr(authenticator, "users", None)  # of one machine, which signs people in itself
    if users and not users.path.exists():
        raise nobody_yet(users.path.parent)
    person = await people.find(name)
    if person is None:
        return _explained(hub, name, decide_access((), authenticator.rules), "is unknown to the directory")
    blocked = (person.blocked,) if person.blocked else ()
    try:
        identity = _identity(authenticator, person)
    except PublicError as problem:
        said = f"would read: {problem.message}"
        return _explained(hub, name, decide_access((), authenticator.rules), *blocked, said)
    access = decide_access(await directory.groups_of(identity), authenticator.rules)
    if identity.username in authenticator.blocked_users:
        blocked = (*blocked, "is in blocked_users")
    elif not authenticator.validate_username(identity.username):
        blocked = (*blocked, "has a name that the hub does not take")
    subject = f"{identity.provider}:{identity.subject}"
    found = _explained(hub, identity.username, access, *blocked, subject=subject)
    return replace(found, notes=(("sign-in", sign_in_state(users.read().get(identity.username))),)) if users else found


def _identity(authenticator: Any, person: Person) -> Identity:
    """As a sign-in would make it of the claims. Raises `PublicError` where that would be refused."""
    rules = getattr(authenticator, "claim_rules", None)
    if rules is None:  # users.yaml
        return Identity("local", person.claims["sub"], person.claims["preferred_username"])
    return identity_of(person.claims, rules)


def _explained(hub: Any, name: str, access: Access, *refusals: str, subject: str = "") -> Explanation:
    roles = roles_of(access.groups, hub.authenticator.roles_of_groups)
    return Explanation(name, access, subject, refusals, roles, hub.catalog)
