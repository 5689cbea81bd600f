"""`devplatform explain` and `check auth` as a process of their own, against a directory and an identity provider."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.group_directories import Google, google
from tests.doubles.api_server import Fault
from tests.doubles.google_server import ADMIN, SERVICE_ACCOUNT
from tests.lab.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcProvider, installed, oidc_provider

USERS, ADMINS = "developer-platform-users@example.com", "developer-platform-admins@example.com"


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Google]:
    async with google(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    if installed() is None:
        pytest.skip("oidc-provider is not installed: make lab-tools")
    with oidc_provider(tmp_path_factory.mktemp("provider"), "http://127.0.0.1:8000") as running:
        yield running


def config(folder: Path, authenticator: str, **sections: Mapping[str, Any]) -> Path:
    """A `jupyterhub_config.py` with these traits."""
    lines = [f"c.JupyterHub.authenticator_class = {authenticator!r}", 'c.CryptKeeper.keys = ["00" * 32]']
    lines += [f"c.{name}.{trait} = {value!r}" for name, traits in sections.items() for trait, value in traits.items()]
    file = folder / "jupyterhub_config.py"
    file.write_text("\n".join(lines))
    return file


def config_of(source: Google, folder: Path) -> Path:
    url = source.server.url
    roots = dict.fromkeys(("admin_api_root", "cloud_identity_root", "token_root", "iam_credentials_root"), url)
    return config(
        folder,
        "devplatform-google",
        GoogleAuthenticator={"client_id": "c", "client_secret": "s", "hosted_domain": ["example.com"]},
        GoogleGroupDirectory={"service_account": SERVICE_ACCOUNT, "admin_subject": ADMIN, "patience": 2, **roots},
    )


def config_at(provider: OidcProvider, folder: Path, **traits: Any) -> Path:
    given = {
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "group_domain": "example.com",
        "scope": ["openid", "email", "profile", "groups", "offline_access"],
    }
    return config(folder, "devplatform-oidc", OidcAuthenticator=given | traits)


async def devplatform(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devplatform_hub.embedded.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ.copy(),
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def test_explain_asks_google(source: Google, tmp_path: Path) -> None:
    """A person who is not here and never was: their groups, nested ones too, their subject, and what follows."""
    alice = source.person(1, "alice")
    source.put(alice, "data-team")
    source.nest("data-team", "developer-platform-users")
    status, output, errors = await devplatform("explain", "Alice@Example.com", "-f", str(config_of(source, tmp_path)))
    assert (status, output.splitlines()) == (
        0,
        [
            "alice@example.com: may come in",
            f"  because alice@example.com is a member of {USERS}",
            f"  groups   data-team@example.com, {USERS}",
            f"  subject  google:{alice.subject}",
            f"  role     jupyter-user, as a member of {USERS}",
        ],
    ), errors
    assert "Unclosed" not in errors


@pytest.mark.parametrize(
    ("who", "change", "status", "words"),
    [
        pytest.param("bob@example.com", lambda source: None, 3, "is unknown to the directory", id="unknown"),
        pytest.param(
            "alice@example.com", lambda source: source.nest("a", "b"), 3, f"not a member of {USERS}", id="group"
        ),
        pytest.param(
            "alice@example.com",
            lambda source: setattr(source.server.accounts["1001"], "suspended", True),
            3,
            "is suspended or archived at Google",
            id="suspended",
        ),
        pytest.param(
            "alice@example.com",
            lambda source: setattr(source.server.accounts["1001"], "email", "alice@partner.com"),
            3,
            "is unknown to the directory",
            id="address of the past",
        ),
        pytest.param(
            "alice@example.com",
            lambda source: source.server.faults.append(Fault(503, "")),
            4,
            "no complete answer",
            id="outage",
        ),
        pytest.param(
            "alice@example.com",
            lambda source: setattr(source.server, "may_sign", False),
            4,
            "iam.serviceAccounts.signJwt is missing",
            id="permission",
        ),
    ],
)
async def test_explain_tells_no_from_no_answer(
    source: Google, tmp_path: Path, who: str, change: Any, status: int, words: str
) -> None:
    """Status 3 is a refusal, 4 is an outage; neither is a traceback."""
    source.put(source.person(1, "alice"), "data-team")
    change(source)
    ended, output, errors = await devplatform("explain", who, "-f", str(config_of(source, tmp_path)))
    assert (ended, words in output + errors, "Traceback" in errors) == (status, True, False), output + errors


async def test_an_account_of_another_organisation_would_be_refused(source: Google, tmp_path: Path) -> None:
    """It is in the directory and in the group; a sign-in would read why it is not let in."""
    source.server.put("7", "eve@partner.com", [USERS])
    status, output, errors = await devplatform("explain", "eve@partner.com", "-f", str(config_of(source, tmp_path)))
    assert (status, "would read: Your account does not belong to example.com." in output) == (3, True), errors


async def test_check_auth_names_the_group_that_is_not_there(source: Google, tmp_path: Path) -> None:
    """Google's keys cannot be had here; what is checked of the directory is."""
    source.put(source.person(1, "alice"), "developer-platform-users")
    file = config_of(source, tmp_path)
    file.write_text(file.read_text() + "\nc.GoogleAuthenticator.issuer = 'http://127.0.0.1:9'")
    status, output, errors = await devplatform("check", "auth", "--json", "-f", str(file))
    found = {entry["step"]: entry for entry in json.loads(output)}
    assert status == 3, errors
    assert {step: entry["works"] for step, entry in found.items()} == {
        "settings": True,
        "the provider http://127.0.0.1:9": False,
        "reading accounts": True,
        "reading groups": True,
        f"the group {ADMINS}": False,
        f"the group {USERS}": True,
        "searching transitive groups": True,
    }
    assert found[f"the group {ADMINS}"]["missing"] == "this group"


@pytest.mark.parametrize(
    ("traits", "lines", "status"),
    [
        pytest.param({}, ["ok       the client and its secret"], 0, id="right"),
        pytest.param({"client_secret": "wrong"}, ["missing  the client and its secret"], 3, id="secret"),
        pytest.param({"client_id": "other"}, ["missing  the client and its secret"], 3, id="client"),
        pytest.param(
            {"scope": ["openid", "email", "nonsense"]},
            ["note     scopes", "         needs the scope nonsense", "ok       the client and its secret"],
            0,
            id="scope",
        ),
    ],
)
async def test_check_auth_asks_the_provider(
    provider: OidcProvider, tmp_path: Path, traits: dict[str, Any], lines: list[str], status: int
) -> None:
    """Its metadata, its keys, and whether it knows the client; no secret is ever printed."""
    file = config_at(provider, tmp_path, **traits)
    ended, output, errors = await devplatform("check", "auth", "-f", str(file))
    told = output.splitlines()
    assert told[:2] == ["ok       settings", f"ok       the provider {provider.issuer}"], errors
    assert ([line for line in lines if line not in told], ended) == ([], status), output + errors
    assert not {CLIENT_SECRET, "wrong"} & set((output + errors).split())


async def test_check_auth_at_a_wrong_issuer(provider: OidcProvider, tmp_path: Path) -> None:
    """Nothing further is tried there."""
    file = config_at(provider, tmp_path, issuer=f"{provider.issuer}/nowhere")
    status, output, errors = await devplatform("check", "auth", "-f", str(file))
    assert (status, output.splitlines()[1:3]) == (
        3,
        [f"missing  the provider {provider.issuer}/nowhere", "         needs metadata that can be used"],
    ), errors
    assert "the client and its secret" not in output
