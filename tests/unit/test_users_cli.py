"""`devplatform user ...`, as somebody types it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from devplatform_hub.authenticators.passwords import Match, recognise
from devplatform_hub.core.errors import PublicError
from devplatform_hub.directory.users_file import UsersFile
from devplatform_hub.embedded.users_cli import ensure_first_admin, user

PASSWORD = "correct horse battery"
USERS, ADMINS = "developer-platform-users", "developer-platform-admins"
CODE = re.compile(r"One-time code: ((?:[0-9A-HJKMNP-TV-Z]{4}-?){4})\n")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def run(command: click.Command, data: Path, *arguments: str, typed: str | None = None) -> Result:
    first, rest = (arguments[:1], arguments[1:]) if isinstance(command, click.Group) else ((), arguments)
    return CliRunner().invoke(command, [*first, "--data", str(data), *rest], input=typed)


def people(data: Path) -> UsersFile:
    return UsersFile(data / "users.yaml")


def test_add_prints_a_code_that_is_not_kept(data: Path) -> None:
    """The code signs in; the file has its digest only; the folder is for its owner only."""
    result = run(user, data, "add", "alice", "--group", USERS)
    assert result.exit_code == 0, result.output
    code = CODE.search(result.output)
    assert code
    alice = people(data).read().users["alice"]
    assert recognise(alice, code[1], datetime.now(UTC)) is Match.CODE
    assert code[1].replace("-", "") not in people(data).path.read_text()
    assert data.stat().st_mode & 0o777 == 0o700


def test_add_with_a_password_from_standard_input(data: Path) -> None:
    """Set directly, and nowhere on the command line, in the output or in the file."""
    result = run(user, data, "add", "alice", "--group", USERS, "--password-stdin", typed=PASSWORD + "\n")
    assert (result.exit_code, result.output) == (
        0,
        "alice was added in developer-platform-users.\nThe password of alice is set.\n",
    )
    assert recognise(people(data).read().users["alice"], PASSWORD, datetime.now(UTC)) is Match.PASSWORD
    assert PASSWORD not in people(data).path.read_text()
    assert "--password " not in run(user, data, "add", "--help").output


@pytest.mark.parametrize(
    ("arguments", "typed", "code"),
    [
        pytest.param(["add", "../alice"], None, "username-invalid", id="a path"),
        pytest.param(["add", "bob"], None, "user-exists", id="twice"),
        pytest.param(["add", "BOB"], None, "user-exists", id="twice in capitals"),
        pytest.param(["add", "alice", "--group", "a b"], None, "group-name-invalid", id="group"),
        pytest.param(["add", "alice", "--password-stdin"], "", "password-short", id="nothing on standard input"),
        pytest.param(["add", "alice", "--password-stdin"], "short\n", "password-short", id="short"),
        pytest.param(["remove", "alice"], None, "user-unknown", id="remove nobody"),
        pytest.param(["reset-password", "alice"], None, "user-unknown", id="reset nobody"),
        pytest.param(["disable", "alice"], None, "user-unknown", id="disable nobody"),
    ],
)
def test_mistakes_change_nothing(data: Path, arguments: list[str], typed: str | None, code: str) -> None:
    """Each has a stable code, and the file stays as it was."""
    run(user, data, "add", "bob")
    before = people(data).path.read_bytes()
    result = run(user, data, *arguments, typed=typed)
    assert isinstance(result.exception, PublicError)
    assert result.exception.code == code
    assert people(data).path.read_bytes() == before


@pytest.mark.parametrize("arguments", [["list"], ["remove", "x"], ["set-groups", "x"], ["enable", "x"]])
def test_a_folder_without_people(data: Path, arguments: list[str]) -> None:
    """Says so and makes nothing."""
    result = run(user, data, *arguments)
    assert isinstance(result.exception, PublicError)
    assert result.exception.code == "users-none"
    assert not data.exists()


def test_the_life_of_an_account(data: Path) -> None:
    """Listed in every state; removal keeps the name for a restore."""
    run(user, data, "add", "alice", "--group", USERS, "--password-stdin", typed=PASSWORD + "\n")
    run(user, data, "add", "bob")
    run(user, data, "set-groups", "bob", "--group", USERS, "--group", "data-team@example.com")
    run(user, data, "disable", "bob")
    listed = run(user, data, "list").output.splitlines()
    assert [line.split(maxsplit=1) for line in listed] == [
        ["NAME", "GROUPS                                           SIGN-IN"],
        ["alice", "developer-platform-users                         password"],
        ["bob", "data-team@example.com, developer-platform-users  disabled"],
    ]
    run(user, data, "enable", "bob")
    subject = people(data).read().users["bob"].subject
    run(user, data, "remove", "bob")
    again = run(user, data, "add", "bob", "--group", USERS)
    assert isinstance(again.exception, PublicError)
    assert again.exception.code == "name-was-used"
    assert CODE.search(run(user, data, "add", "bob", "--group", USERS, "--restore").output)
    assert people(data).read().users["bob"].subject == subject
    reset = run(user, data, "reset-password", "alice")
    assert CODE.search(reset.output)
    assert recognise(people(data).read().users["alice"], PASSWORD, datetime.now(UTC)) is Match.NOTHING


def test_somebody_without_access_is_pointed_out(data: Path) -> None:
    """A misspelt group is noticed when it is given, not when the person cannot sign in."""
    result = run(user, data, "add", "alice", "--group", "developer-platform-user")
    assert "alice cannot come in: is not a member of developer-platform-users." in result.output


def test_first_administrator_until_there_is_one(tmp_path: Path) -> None:
    """A fresh code at every start, only the latest of which works, until an administrator has a password."""
    first, second = ensure_first_admin(tmp_path), ensure_first_admin(tmp_path)
    assert first
    assert second
    admin = people(tmp_path).read().users["admin"]
    now = datetime.now(UTC)
    assert (recognise(admin, first, now), recognise(admin, second, now)) == (Match.NOTHING, Match.CODE)
    people(tmp_path).change(lambda users: users.set_password("admin", "$argon2id$x"))
    before = people(tmp_path).path.read_bytes()
    assert ensure_first_admin(tmp_path) is None
    assert people(tmp_path).path.read_bytes() == before


def test_first_administrator_is_nobody_elses_account(tmp_path: Path) -> None:
    """An `admin` who is no administrator, or was disabled, is not made one behind anybody's back."""
    assert ensure_first_admin(tmp_path)
    people(tmp_path).change(lambda users: users.set_groups("admin", []).set_password("admin", "$argon2id$x"))
    assert ensure_first_admin(tmp_path) is None
    people(tmp_path).change(lambda users: users.remove("admin"))
    assert ensure_first_admin(tmp_path)
    people(tmp_path).change(lambda users: users.set_disabled("admin", True))
    assert ensure_first_admin(tmp_path) is None


def test_another_administrator_will_do(tmp_path: Path) -> None:
    """With a password and not disabled; then no `admin` is made."""
    from devplatform_hub.core.identity import parse_group

    people(tmp_path).change(
        lambda users: users.add("ada", "a" * 16, [parse_group(ADMINS)]).set_password("ada", "$argon2id$x")
    )
    assert ensure_first_admin(tmp_path) is None
    assert list(people(tmp_path).read().users) == ["ada"]
    people(tmp_path).change(lambda users: users.set_disabled("ada", True))
    assert ensure_first_admin(tmp_path)
