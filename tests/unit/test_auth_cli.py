"""`devplatform explain` and `devplatform check auth`, as somebody types them, where no server is asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from jupyterhub.crypto import CryptKeeper

from devplatform_hub.core.errors import PublicError
from devplatform_hub.embedded.auth_cli import check, explain
from devplatform_hub.embedded.users_cli import user

USERS, ADMINS = "developer-platform-users", "developer-platform-admins"
OIDC = """
c.JupyterHub.authenticator_class = "devplatform-oidc"
c.OidcAuthenticator.issuer = "https://id.example.com"
c.OidcAuthenticator.client_id = "devplatform"
c.OidcAuthenticator.client_secret = "a-secret"
c.OidcAuthenticator.group_domain = "example.com"
c.OidcAuthenticator.group_roles = {"data-leads": ["lead"]}
c.JupyterHub.load_roles = [{"name": "lead", "scopes": ["list:users"]}]
c.CryptKeeper.keys = ["00" * 32]
c.JupyterHub.spawner_class = "devplatform"
print("a line of the configuration")
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def one_key() -> Iterator[None]:
    yield
    CryptKeeper.clear_instance()


def run(command: click.Command, data: Path, *arguments: str) -> Result:
    first, rest = (arguments[:1], arguments[1:]) if isinstance(command, click.Group) else ((), arguments)
    return CliRunner().invoke(command, [*first, "--data", str(data), *rest])


def add(data: Path, name: str, *groups: str) -> None:
    run(user, data, "add", name, *(part for group in groups for part in ("--group", group)))


@pytest.mark.parametrize(
    ("groups", "disabled", "expected", "status"),
    [
        pytest.param(
            [USERS],
            False,
            ["alice: may come in", f"  because alice is a member of {USERS}", f"  groups   {USERS}"],
            0,
            id="user",
        ),
        pytest.param(
            [ADMINS],
            False,
            ["alice: administrator", f"  because alice is a member of {ADMINS}, who administer the platform"],
            0,
            id="administrator",
        ),
        pytest.param([], False, ["alice: kept out", f"  because alice is not a member of {USERS}"], 3, id="no group"),
        pytest.param(
            [USERS],
            True,
            ["alice: kept out", "  because alice is disabled", f"  because alice is a member of {USERS}"],
            3,
            id="disabled",
        ),
    ],
)
def test_explain_says_why(data: Path, groups: list[str], disabled: bool, expected: list[str], status: int) -> None:
    """The decision and every reason for it; the status is for scripts."""
    add(data, "alice", *groups)
    if disabled:
        run(user, data, "disable", "alice")
    result = run(explain, data, "ALICE")
    assert (result.output.splitlines()[: len(expected)], result.exit_code) == (expected, status)


def test_explain_names_the_profiles(data: Path) -> None:
    """What is limited to groups says to which; somebody who is kept out has no profiles at all."""
    add(data, "alice", USERS)
    add(data, "ada", ADMINS)
    add(data, "bob")
    small = "- {name: small, default: true, cpu: 1, memory: 1G}\n"
    secret = "- {name: secret, cpu: 1, memory: 1G, allowed_groups: [gpu-users]}\n"
    (data / "profiles.yaml").write_text("profiles:\n" + small + secret)
    listed = {
        name: [line.strip() for line in run(explain, data, name).output.splitlines() if "profile " in line]
        for name in ("alice", "ada", "bob")
    }
    assert listed == {
        "alice": ["profile  small: yes", "profile  secret: no, only for members of gpu-users"],
        "ada": ["profile  small: yes", "profile  secret: yes"],
        "bob": [],
    }


def test_explain_for_a_script(data: Path) -> None:
    """The same as JSON, whole group names included."""
    add(data, "alice", USERS, "data-team")
    result = run(explain, data, "alice", "--json")
    told = json.loads(result.output)
    assert told.pop("subject").startswith("local:")
    assert told == {
        "name": "alice",
        "allowed": True,
        "admin": False,
        "why": [f"is a member of {USERS}"],
        "missing": None,
        "groups": ["data-team@local", f"{USERS}@local"],
        "roles": {"jupyter-user": [f"{USERS}@local"]},
        "profiles": {"standard": True, "highmem": True, "ml-gpu": True},
        "limits": [],
    }


def test_explain_tells_limits(data: Path) -> None:
    """For the groups of this person, with the group that gives them."""
    add(data, "alice", USERS, "data-team")
    (data / "profiles.yaml").write_text(
        "profiles:\n- {name: small, default: true, cpu: 1, memory: 1G}\n"
        "limits:\n- {servers: 2}\n- {servers: 5, allowed_groups: [data-team]}\n"
    )
    told = [line for line in run(explain, data, "alice").output.splitlines() if "limit " in line]
    assert told == ["  limit    At most 5 servers at once: the limit for members of data-team."]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param(["a b"], "username-invalid", "user name", id="no name"),
        pytest.param(["alice"], "users-none", "nobody in", id="nobody yet"),
        pytest.param(["alice", "--set", "nonsense"], "setting-invalid", "CLASS.TRAIT=VALUE", id="no setting"),
        pytest.param(
            ["alice", "--set", "LocalAuthenticator.allow_all=true"], "settings-refused", "allow_all", id="everybody"
        ),
        pytest.param(
            ["alice", "--set", "LocalAuthenticator.users_grup=x"], "settings-refused", "users_group", id="misspelt"
        ),
        pytest.param(
            ["alice", "--set", "JupyterHub.authenticator_class=dummy"], "sign-in-foreign", "Dummy", id="another sign-in"
        ),
    ],
)
def test_what_cannot_be_asked(data: Path, arguments: list[str], code: str, words: str) -> None:
    """A sentence, what to do, and a stable code; status 1 by the command's own handling."""
    if code == "username-invalid":
        add(data, "bob")
    result = run(explain, data, *arguments)
    assert isinstance(result.exception, PublicError)
    assert (result.exception.code, words in f"{result.exception.message} {result.exception.hint}") == (code, True)


def test_a_hub_is_asked_by_its_configuration(tmp_path: Path) -> None:
    """Groups that somebody might have, and the roles they bring; what the file prints is not in the answer."""
    config = tmp_path / "jupyterhub_config.py"
    config.write_text(OIDC)
    groups = ["--group", USERS, "--group", "Data-Leads@example.com"]
    result = CliRunner().invoke(explain, ["alice@example.com", "-f", str(config), *groups])
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "alice@example.com: may come in",
        f"  because alice@example.com is a member of {USERS}@example.com",
        f"  groups   data-leads@example.com, {USERS}@example.com",
        f"  role     jupyter-user, as a member of {USERS}@example.com",
        "  role     lead, as a member of data-leads@example.com",
        "  profile  standard: yes",
        "  profile  highmem: yes",
        "  profile  ml-gpu: yes",
    ]
    without = CliRunner().invoke(explain, ["alice@example.com", "-f", str(config)])
    assert isinstance(without.exception, PublicError)
    assert without.exception.code == "directory-not-searchable"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("c.JupyterHub.nonsense(", "SyntaxError", id="no Python"),
        pytest.param("import no_such_module", "no_such_module", id="a package that is missing"),
        pytest.param("raise SystemExit('the hub does not start: file, line')", "file, line", id="a refusal of its own"),
    ],
)
def test_a_configuration_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    """A configuration is a program, and ends as those do."""
    config = tmp_path / "jupyterhub_config.py"
    config.write_text(text)
    result = CliRunner().invoke(explain, ["alice", "-f", str(config)])
    assert isinstance(result.exception, PublicError)
    assert (result.exception.code, words in result.exception.message) == ("config-broken", True)


@pytest.mark.parametrize(
    ("settings", "lines", "status"),
    [
        pytest.param({}, ["ok       settings", "ok       reading users.yaml"], 0, id="works"),
        pytest.param(
            {"LocalAuthenticator.manage_groups": False},
            ["missing  settings", "         needs a setting that works"],
            3,
            id="a setting that is refused",
        ),
    ],
)
def test_check_auth_on_one_machine(data: Path, settings: dict[str, Any], lines: list[str], status: int) -> None:
    """Settings, the file, and whether anybody is there; nobody in a group is a note."""
    add(data, "alice", USERS)
    given = [part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")]
    result = run(check, data, "auth", *given)
    told = [line.replace(f"{data}/", "") for line in result.output.splitlines()]
    assert (told[: len(lines)], result.exit_code) == (lines, status)


def test_check_auth_without_a_file_of_users(data: Path) -> None:
    """What is missing and what to do, for a script too."""
    result = run(check, data, "auth", "--json")
    assert result.exit_code == 3
    assert json.loads(result.output)[1:] == [
        {
            "step": f"reading {data / 'users.yaml'}",
            "works": False,
            "needed": True,
            "missing": "a file that can be read",
            "remedy": f"{data / 'users.yaml'}: No such file or directory.",
        }
    ]
