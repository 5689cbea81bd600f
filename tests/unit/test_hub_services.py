"""The hub's configuration as data: services in both forms, least-privilege roles, and one machine on loopback."""

import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from traitlets.config import Config

import devplatform_hub
from devplatform_hub.config import Machine, setup, setup_machine
from devplatform_hub.core.group_roles import CUSTOM_SCOPES, PLATFORM_ROLES
from devplatform_hub.hub_services import CULLER, MLFLOW, SERVICES, VERSIONS, external, managed, roles, server_scopes
from devplatform_hub.stop_notes import log_and_note


def machine(tmp_path: Path, **changes: Any) -> Machine:
    values: dict[str, Any] = {
        "data": str(tmp_path),
        "port": 8000,
        "hub_port": 20001,
        "proxy_api_port": 20002,
        "service_ports": {"versions": 20003, "mlflow": 20004},
        "python": "/python",
        "session_python": "/session/python",
        "mlflow_python": "/mlflow/python",
        "proxy_command": ("/node", "/proxy"),
        "mark": str(tmp_path / "run" / "machine.json"),
    }
    return Machine(**values | changes)


def test_roles_give_each_service_the_least_and_people_the_services() -> None:
    """Nothing here may write users, read tokens or administer; a service without need has no role at all."""
    assert roles(SERVICES) == [
        {
            "name": "user",
            "description": "What every signed-in person may do: their own servers, and the platform's services",
            "scopes": ["self", "access:services!service=versions", "access:services!service=mlflow"],
        },
        {
            "name": "service-culler",
            "scopes": ["list:users", "read:servers", "delete:servers"],
            "services": ["culler"],
        },
    ]


def test_a_servers_token_reports_activity_and_uses_the_services() -> None:
    """It cannot start servers or make tokens: what runs in a notebook is not its owner."""
    assert server_scopes([VERSIONS, MLFLOW, CULLER]) == [
        "users:activity!user",
        "access:servers!server",
        "access:services!service=versions",
        "access:services!service=mlflow",
    ]


def test_a_managed_service_is_a_command_of_the_hub() -> None:
    """The hub starts it on loopback and makes its token."""
    assert managed(VERSIONS, python="/python", port=20003, arguments=["--a=b"], environment={"X": "1"}) == {
        "name": "versions",
        "command": ["/python", "-m", "devplatform_versions", "--a=b"],
        "environment": {"X": "1"},
        "url": "http://127.0.0.1:20003",
        "oauth_no_confirm": True,
        "display": True,
        "oauth_client_allowed_scopes": ["custom:devplatform:versions:visit"],
    }


def test_a_service_without_pages_has_no_address() -> None:
    """Nothing routes to the culler."""
    entry = managed(CULLER, python="/python", port=0, environment={})
    assert entry == {"name": "culler", "command": ["/python", "-m", "devplatform_culler"], "environment": {}}


def test_an_external_service_is_an_address_and_a_token() -> None:
    """The other form of the same description."""
    assert external(MLFLOW, url="http://mlflow:8080", token="from-a-secret", redirect_uri="https://hub/x") == {
        "name": "mlflow",
        "api_token": "from-a-secret",
        "url": "http://mlflow:8080",
        "oauth_no_confirm": True,
        "display": True,
        "oauth_redirect_uri": "https://hub/x",
    }


def test_setup_keeps_the_hubs_strict_framing_and_counts_no_proxy_traffic() -> None:
    """Naming a Content-Security-Policy would replace the hub's own, which forbids frames."""
    c = Config()
    setup(c)
    assert "Content-Security-Policy" not in c.JupyterHub.tornado_settings["headers"]
    assert c.JupyterHub.last_activity_interval > 10**8


def test_setup_alone_names_no_service_that_is_not_there() -> None:
    """A role for one would end the hub; and servers are the platform's pods."""
    c = Config()
    devplatform_hub.setup(c)
    assert c.JupyterHub.load_roles == roles([])
    assert c.Spawner.server_token_scopes == ["users:activity!user", "access:servers!server"]
    assert c.JupyterHub.spawner_class == "devplatform_hub.spawner.DevPlatformSpawner"


def test_setup_defines_the_scopes_that_roles_of_the_platform_have() -> None:
    """Besides an operator's own; a role with one that the hub does not know would end it."""
    c = Config()
    c.JupyterHub.custom_scopes = {"custom:theirs": {"description": "Theirs."}}
    devplatform_hub.setup(c)
    assert c.JupyterHub.custom_scopes == {"custom:theirs": {"description": "Theirs."}, **CUSTOM_SCOPES}
    named = {scope for role in PLATFORM_ROLES for scope in role["scopes"] if scope.startswith("custom:")}
    asked = {scope for service in SERVICES for scope in service.visitor_scopes}
    assert named == asked == set(CUSTOM_SCOPES)


def test_setup_adds_to_what_an_operator_configured() -> None:
    """As in a chart's hook that runs last: nothing of theirs is lost, and a second call changes nothing."""
    c = Config()
    c.JupyterHub.services = [{"name": "mlflow", "url": "http://mlflow:80"}, {"name": "theirs"}]
    c.JupyterHub.load_roles = [{"name": "theirs", "services": ["theirs"], "scopes": ["list:users"]}]
    c.JupyterHub.template_paths.append("/theirs")
    c.JupyterHub.tornado_settings.update({"slow_spawn_timeout": 0, "headers": {"X-Theirs": "1"}})
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.JupyterHub.allow_named_servers = False
    devplatform_hub.setup(c)
    devplatform_hub.setup(c)
    assert c.JupyterHub.load_roles == [
        {"name": "theirs", "services": ["theirs"], "scopes": ["list:users"]},
        *roles([MLFLOW]),
    ]
    assert c.JupyterHub.template_paths == ["/theirs", str(Path(devplatform_hub.__file__).parent / "hub_templates")]
    assert c.JupyterHub.tornado_settings == {
        "log_function": log_and_note,
        "slow_spawn_timeout": 0,
        "headers": {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "strict-origin-when-cross-origin",
            "X-Theirs": "1",
        },
    }
    assert c.JupyterHub.spawner_class == "devplatform_hub.spawner.DevPlatformSpawner"
    assert c.JupyterHub.allow_named_servers is False


@pytest.mark.parametrize(
    ("version", "expected"), [pytest.param((5, 5, 0), 0, id="5"), pytest.param((6, 1, 1), None, id="6")]
)
def test_people_who_are_refused_do_not_end_the_hub(
    version: tuple[int, int, int], expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JupyterHub 5 counts every refusal as a failure and ends after some, whatever the chart around it says."""
    monkeypatch.setattr("jupyterhub.version_info", version)
    c = Config()
    devplatform_hub.setup(c)
    assert c.Spawner.get("consecutive_failure_limit") == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(
            b"profiles:\n  - {name: standard, default: true, cpu: 2, memory: 8 apples}\n",
            ":2: memory: '8 apples' is not a size; write it such as 8G, 512M or a number of bytes.",
            id="a mistake",
        ),
        pytest.param(b"profiles: \xff", ": byte 10 is not UTF-8 text; save it as UTF-8.", id="no text"),
        pytest.param(
            None,
            ": No such file or directory; put it there, or leave profiles_file empty for the platform's own.",
            id="no file",
        ),
    ],
)
@pytest.mark.parametrize("section", ["DevPlatformSpawner", "Theirs"])
def test_profiles_that_cannot_be_used_end_the_hub(
    section: str, content: bytes | None, says: str, tmp_path: Path
) -> None:
    """Before anything is started, whatever the operator's own class is called; a good file is no news."""
    file = tmp_path / "profiles.yaml"
    c = Config()
    c.JupyterHub.spawner_class = "their.module.Theirs" if section == "Theirs" else section
    c[section].profiles_file = str(file)
    file.write_text("profiles:\n  - {name: standard, default: true, cpu: 2, memory: 8G}\n")
    devplatform_hub.setup(c)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        devplatform_hub.setup(c)
    assert ended.value.code == f"The hub does not start, as its profiles cannot be used:\n{file}{says}"


def test_who_reads_of_a_machine_waits_for_no_hub() -> None:
    """`devplatform` does at every call; JupyterHub and its handlers take half a second to import."""
    code = "import sys, devplatform_hub.config; print('jupyterhub' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_one_machine_is_on_loopback_alone(tmp_path: Path) -> None:
    """Every address in the configuration, wherever it is."""
    c = Config()
    setup_machine(c, machine(tmp_path))
    hosts = {urlsplit(text).hostname for text in _texts(c) if text.startswith("http")}
    assert hosts == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"CullerApp": {"interval": 0.5}}, "--CullerApp.interval=0.5", id="of the culler"),
        pytest.param(
            {"MlflowProxyApp": {"readable_by": "owner"}}, "--MlflowProxyApp.readable_by=owner", id="of MLflow"
        ),
        pytest.param(
            {"LocalVersionStore": {"root": "/elsewhere"}}, "--LocalVersionStore.root=/elsewhere", id="ours last"
        ),
    ],
)
def test_settings_reach_the_service_that_reads_them(
    tmp_path: Path, settings: dict[str, dict[str, Any]], expected: str
) -> None:
    """`--set` on the command line is an argument of that service's process, once, and of no other."""
    c = Config()
    setup_machine(c, machine(tmp_path, settings=settings))
    name = expected.partition("=")[0]
    given = [a for service in c.JupyterHub.services for a in service["command"] if a.partition("=")[0] == name]
    assert given == [expected]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def test_every_service_writes_and_rotates_the_same_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the hub that starts them was told; without that they are told nothing."""
    monkeypatch.delenv("DEVPLATFORM_AUDIT_KEPT", raising=False)
    monkeypatch.setenv("DEVPLATFORM_AUDIT_BYTES", "1000")
    monkeypatch.setenv("DEVPLATFORM_AUDIT_FILE", "/elsewhere")
    c = Config()
    setup_machine(c, machine(tmp_path))
    told = [{name: value for name, value in s["environment"].items() if "AUDIT" in name} for s in c.JupyterHub.services]
    file = str(tmp_path / "logs" / "audit.jsonl")
    assert told == [{"DEVPLATFORM_AUDIT_FILE": file, "DEVPLATFORM_AUDIT_BYTES": "1000"}] * 3
