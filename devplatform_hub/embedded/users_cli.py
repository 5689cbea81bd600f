"""`devplatform user ...`: the people of this machine, from a shell."""

import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from ..authenticators.passwords import NewCode, check_password_choice, hash_password, make_code
from ..core.access import DEFAULT_ADMINS_GROUP, DEFAULT_USERS_GROUP, AccessRules, decide_access
from ..core.errors import PublicError
from ..core.identity import GroupName, display_group, parse_group, parse_username
from ..directory.local_users import LocalUser, LocalUsers
from ..directory.users_file import UsersFile
from .options import data_option
from .state import DataFolder, open_data

FIRST_ADMIN = "admin"
_RULES = AccessRules(parse_group(DEFAULT_USERS_GROUP), parse_group(DEFAULT_ADMINS_GROUP))
_DATA = data_option()
_GROUP = click.option(
    "--group", "groups", multiple=True, metavar="NAME", help="A group to be in; give it again for another."
)
_PASSWORD = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of making a one-time code."
)


def ensure_first_admin(root: Path, now: datetime | None = None) -> str | None:
    """A fresh one-time code for `admin` while no administrator has a password; else None.

    An account of that name which was disabled or taken out of the administrators is left as it is.
    """
    file = UsersFile(root / "users.yaml")
    code = make_code(now or datetime.now(UTC))
    made = False

    def make(users: LocalUsers) -> LocalUsers:
        nonlocal made
        if any(_administers(user) and user.password for user in users.users.values()):
            return users
        known = users.users.get(FIRST_ADMIN)
        if known is None:
            groups = [_RULES.users_group, _RULES.admins_group]
            back = FIRST_ADMIN in users.former
            users = users.restore(FIRST_ADMIN, groups) if back else users.add(FIRST_ADMIN, _new_subject(), groups)
        elif not _administers(known):
            return users
        made = True
        return users.set_code(FIRST_ADMIN, code.kept)

    file.change(make)
    return code.text if made else None


@click.group()
def user() -> None:
    """Add, change and remove the people who may sign in."""


@user.command()
@_DATA
@_GROUP
@_PASSWORD
@click.option("--restore", is_flag=True, help="Bring back a removed person, with their files.")
@click.argument("name")
def add(data: Path, groups: tuple[str, ...], password_stdin: bool, restore: bool, name: str) -> None:
    """Add NAME and print a one-time code to sign in with."""
    name = _named(name)
    wanted = [parse_group(group) for group in groups]
    folder = open_data(data)
    secret = _secret(name, password_stdin)

    def make(users: LocalUsers) -> LocalUsers:
        users = users.restore(name, wanted) if restore else users.add(name, _new_subject(), wanted)
        return secret.give(users, name)

    users = UsersFile(folder.users_file).change(make)
    click.echo(f"{name} was added{_in_groups(wanted)}.")
    _warn_without_access(users.get(name))
    secret.show(name)


@user.command("list")
@_DATA
def list_users(data: Path) -> None:
    """Show everybody, their groups and whether they can sign in."""
    users = _existing(data).read()
    rows = [("NAME", "GROUPS", "SIGN-IN")]
    rows += [
        (person.name, _groups_text(person.groups), sign_in_state(person)) for _, person in sorted(users.users.items())
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        click.echo(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")


@user.command()
@_DATA
@click.argument("name")
def remove(data: Path, name: str) -> None:
    """Remove NAME. Sessions, tokens and servers end; files are kept."""
    name = _named(name)
    _existing(data).change(lambda users: users.remove(name))
    click.echo(f"{name} was removed. Their files are kept; `devplatform user add {name} --restore` brings them back.")


@user.command("set-groups")
@_DATA
@_GROUP
@click.argument("name")
def set_groups(data: Path, groups: tuple[str, ...], name: str) -> None:
    """Put NAME into exactly the groups given; without any, into none."""
    name = _named(name)
    wanted = [parse_group(group) for group in groups]
    users = _existing(data).change(lambda users: users.set_groups(name, wanted))
    click.echo(f"{name} is now{_in_groups(wanted) or ' in no group'}.")
    _warn_without_access(users.get(name))


@user.command("reset-password")
@_DATA
@_PASSWORD
@click.argument("name")
def reset_password(data: Path, password_stdin: bool, name: str) -> None:
    """Replace NAME's password by a one-time code. Sessions, tokens and servers of theirs end."""
    name = _named(name)
    file = _existing(data)
    file.read().get(name)
    secret = _secret(name, password_stdin)
    file.change(lambda users: secret.give(users, name))
    secret.show(name)


@user.command()
@_DATA
@click.argument("name")
def disable(data: Path, name: str) -> None:
    """Keep NAME out until `enable`. Sessions, tokens and servers end; files are kept."""
    name = _named(name)
    _existing(data).change(lambda users: users.set_disabled(name, True))
    click.echo(f"{name} cannot sign in any more. `devplatform user enable {name}` lets them in again.")


@user.command()
@_DATA
@click.argument("name")
def enable(data: Path, name: str) -> None:
    """Let NAME in again after `disable`."""
    name = _named(name)
    _existing(data).change(lambda users: users.set_disabled(name, False))
    click.echo(f"{name} can sign in again.")


@dataclass(frozen=True, slots=True)
class _Password:
    kept: str

    def give(self, users: LocalUsers, name: str) -> LocalUsers:
        return users.set_password(name, self.kept)

    def show(self, name: str) -> None:
        click.echo(f"The password of {name} is set.")


@dataclass(frozen=True, slots=True)
class _Code:
    code: NewCode

    def give(self, users: LocalUsers, name: str) -> LocalUsers:
        return users.set_code(name, self.code.kept)

    def show(self, name: str) -> None:
        until = self.code.kept.expires.astimezone()
        click.echo(f"One-time code: {self.code.text}")
        click.echo(f"{name} signs in with it once, until {until:%Y-%m-%d %H:%M}, and chooses a password there.")


def _secret(name: str, from_stdin: bool) -> _Password | _Code:
    """What somebody will sign in with; a password comes from standard input and never from the command line."""
    if not from_stdin:
        return _Code(make_code(datetime.now(UTC)))
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    check_password_choice(name, password, password)
    return _Password(hash_password(password))


def nobody_yet(data: Path) -> PublicError:
    """For a question about people where there are none."""
    return PublicError(
        f"There is nobody in {data} yet.",
        code="users-none",
        hint="devplatform user add NAME adds the first person; --data names another folder.",
    )


def _existing(data: Path) -> UsersFile:
    file = UsersFile(DataFolder(data.absolute()).users_file)
    if not file.path.exists():
        raise nobody_yet(data)
    return file


def _named(text: str) -> str:
    return parse_username(text)


def _new_subject() -> str:
    return secrets.token_hex(16)


def _administers(person: LocalUser) -> bool:
    return not person.disabled and decide_access(person.groups, _RULES).admin


def sign_in_state(person: LocalUser) -> str:
    """How this person can sign in, in a few words."""
    if person.disabled:
        return "disabled"
    if person.password:
        return "password"
    if person.code:
        fresh = person.code_at(datetime.now(UTC))
        return f"one-time code until {person.code.expires.astimezone():%Y-%m-%d %H:%M}" if fresh else "code expired"
    return "none: reset-password gives a code"


def _groups_text(groups: Iterable[GroupName]) -> str:
    return ", ".join(sorted(display_group(group) for group in groups)) or "-"


def _in_groups(groups: list[GroupName]) -> str:
    return f" in {_groups_text(groups)}" if groups else ""


def _warn_without_access(person: LocalUser) -> None:
    access = decide_access(person.groups, _RULES)
    if not access.allowed:
        click.echo(
            f"{person.name} cannot come in: {access.why[0]}. "
            f"devplatform user set-groups {person.name} --group {DEFAULT_USERS_GROUP}",
            err=True,
        )
