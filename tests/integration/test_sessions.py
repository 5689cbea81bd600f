"""People's servers on one machine, really started: what they get, what they may not have, and what is left of them."""

import base64
import hashlib
import json
import os
import signal
import stat
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from devplatform_hub.embedded import process_table
from devplatform_hub.embedded.mounts import fuse_mounts_below
from tests.integration import kernels
from tests.integration.real_hub import ADMIN_TOKEN, RealHub, running_hub

pytestmark = [pytest.mark.lab("proxy"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        hub.add_user("mallory")
        yield hub


@pytest.fixture
def alice(hub: RealHub) -> Iterator[str]:
    """Alice's token; her server has the small profile, and is stopped afterwards."""
    token = hub.start_server("alice", {"profile": "small"})
    yield token
    if hub.server("alice"):
        hub.stop_server("alice")


def family(hub: RealHub, user: str) -> list[process_table.Process]:
    supervisor = hub.server(user)["state"]["pid"]
    everything = process_table.table()
    return [everything[supervisor], *process_table.descendants(supervisor, everything)]


@pytest.mark.parametrize(
    ("user", "options", "status", "code"),
    [
        pytest.param("mallory", {}, 403, "access-refused", id="not a member"),
        pytest.param("alice", {"profile": "nope"}, 400, "profile-unknown", id="no such profile"),
        pytest.param("alice", {"profile": "closed"}, 403, "profile-unavailable", id="a profile of another group"),
        pytest.param("alice", {"profile": "ml-gpu"}, 403, "profile-unavailable", id="more than the machine has"),
        pytest.param("alice", {"editor": "emacs"}, 400, "editor-unavailable", id="no such editor"),
        pytest.param("alice", {"image": "mine"}, 400, "session-options-invalid", id="an option nobody offers"),
        pytest.param("alice", {"cmd": ["sh"]}, 400, "session-options-invalid", id="a command of one's own"),
        pytest.param("alice", {"profile": ["standard"]}, 400, "session-options-invalid", id="not text"),
    ],
)
def test_the_rest_api_refuses_what_the_form_would(
    hub: RealHub, user: str, options: dict[str, object], status: int, code: str
) -> None:
    """A refusal is a 4xx with a sentence and a code, and what was refused is not remembered."""
    answered, answer = hub.call("POST", f"/hub/api/users/{user}/server", options)
    assert (answered, answer["message"].endswith(f"[{code}]")) == (status, True), answer
    assert hub.server(user) == {}
    _, model = hub.call("GET", f"/hub/api/users/{user}?include_stopped_servers=1")
    assert all(server["user_options"] in ({}, None) for server in model["servers"].values())


def test_a_server_has_what_was_promised(hub: RealHub, alice: str) -> None:
    """The resolved choice, the profile and the start time are in the hub's model; the home is private."""
    model = hub.server("alice")
    assert model["user_options"] == {"profile": "small", "editor": "jupyterlab", "options": {}}
    assert (model["state"]["profile_name"], model["started"] is not None) == ("Small", True)
    home = hub.data / "people" / "alice"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "workspace")] == [0o700, 0o700]
    status, listing = hub.call("GET", "/user/alice/api/contents", token=alice)
    assert (status, listing["path"]) == (200, "")


def test_secrets_are_in_no_command_line_and_nothing_listens_outside_loopback(hub: RealHub, alice: str) -> None:
    """Any account of a machine reads command lines and connects to open ports."""
    kernels.start_kernel(hub, "alice", alice)
    processes = family(hub, "alice")
    environment = Path(f"/proc/{processes[0].pid}/environ").read_bytes()
    values = dict(pair.split(b"=", 1) for pair in environment.split(b"\0") if b"=" in pair)
    secrets = {values[b"JUPYTERHUB_API_TOKEN"], ADMIN_TOKEN.encode()}
    assert values[b"MLFLOW_TRACKING_TOKEN"] == values[b"JUPYTERHUB_API_TOKEN"]
    command_lines, addresses = [], set()
    for process in processes:
        try:
            line, listens_on = Path(f"/proc/{process.pid}/cmdline").read_bytes(), listening(process.pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile: the agent is restarted here, where no versions service answers
        command_lines.append(line)
        addresses |= listens_on
    assert len([line for line in command_lines if b"singleuser" in line or b"ipykernel" in line]) >= 2
    assert not any(secret in line for secret in secrets for line in command_lines)
    assert addresses <= {"0100007F"}


def test_code_runs_in_the_workspace_as_the_person(hub: RealHub, alice: str) -> None:
    """A kernel starts where the files are, with the identity and the tools of the platform preset."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    names = (
        "HOME",
        "USER",
        "JUPYTERHUB_USER",
        "MLFLOW_TRACKING_URI",
        "MLFLOW_EXPERIMENT_NAME",
        "DEVPLATFORM_WORKSPACE",
    )
    code = f"import os, json; print(json.dumps([os.getcwd(), *(os.environ[n] for n in {names!r})]))"
    home = hub.data / "people" / "alice"
    workspace = str(home / "workspace")
    assert json.loads(kernels.run(hub, "alice", alice, kernel, code)) == [
        *(workspace, str(home), "alice", "alice"),
        *(f"{hub.origin}/services/mlflow", "people/alice", workspace),
    ]


def test_the_profile_limits_one_process_and_the_cores_of_its_children(hub: RealHub, alice: str) -> None:
    """900 MB in a server of 500 MB is a MemoryError; a child of a kernel has one core."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    allocated = kernels.run(hub, "alice", alice, kernel, "block = bytearray(900 * 2**20); print('got it')")
    assert allocated.startswith("MemoryError")
    code = (
        "import subprocess, sys\n"
        "child = 'import os; print(len(os.sched_getaffinity(0)))'\n"
        "print(subprocess.check_output([sys.executable, '-c', child], text=True))"
    )
    assert kernels.run(hub, "alice", alice, kernel, code) == "1"


def test_a_server_that_uses_too_much_in_many_processes_ends_with_the_reason(hub: RealHub, alice: str) -> None:
    """Each process is below the limit, all together are not: the server ends, and its person can read why."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    code = (
        "import subprocess, sys\n"
        "child = 'import time; block = bytearray(150 * 2**20); time.sleep(600)'\n"
        "children = [subprocess.Popen([sys.executable, '-c', child]) for _ in range(5)]"
    )
    before = family(hub, "alice")
    kernels.run(hub, "alice", alice, kernel, code)
    hub.wait(lambda: not hub.server("alice"), 40, "the end of a server that uses too much")
    assert not any(process_table.is_same(process) for process in before)
    reason = "It ended because it used more memory than its 500 MB."
    assert reason in hub.log
    _, model = hub.call("GET", "/hub/api/users/alice?include_stopped_servers=1")
    assert model["servers"][""]["state"]["devplatform_ended"]["message"] == reason


def test_nothing_is_left_after_a_stop(hub: RealHub, alice: str) -> None:
    """Not a kernel, not a terminal's job, not a daemon in a session of its own with another environment."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    status, terminal = hub.call("POST", "/user/alice/api/terminals", {}, alice)
    assert status == 200, terminal
    code = (
        "import os, subprocess\n"
        "subprocess.Popen(['nohup', 'sleep', '1000'], start_new_session=True, stdout=subprocess.DEVNULL)\n"
        "subprocess.Popen(['sh', '-c', 'trap \"\" TERM INT HUP; (env -i sleep 1001 &) ; sleep 1002'], env={})\n"
        "import time; time.sleep(0.5)"
    )
    kernels.run(hub, "alice", alice, kernel, code)
    before = family(hub, "alice")
    lines = [Path(f"/proc/{process.pid}/cmdline").read_bytes() for process in before]
    assert {b"sleep\x001000\0", b"sleep\x001001\0", b"sleep\x001002\0"} <= set(lines)
    hub.stop_server("alice")
    assert [process for process in before if process_table.is_same(process)] == []
    assert fuse_mounts_below(hub.data / "people" / "alice" / "workspace") == []


def test_a_killed_supervisor_leaves_nothing(hub: RealHub, alice: str) -> None:
    """Its children are told by the kernel, and the hub ends what does not listen."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    code = "import subprocess; subprocess.Popen(['sh', '-c', 'trap \"\" TERM INT HUP; sleep 1003; sleep 1004'])"
    kernels.run(hub, "alice", alice, kernel, code)
    before = family(hub, "alice")
    os.kill(before[0].pid, signal.SIGKILL)
    hub.wait(lambda: not hub.server("alice"), 30, "the hub to notice")
    hub.wait(lambda: not any(process_table.is_same(process) for process in before), 10, "the end of all processes")
    assert "It was killed from outside." in hub.log


def test_a_server_goes_on_while_the_hub_restarts(hub: RealHub, alice: str) -> None:
    """A killed hub takes no work with it; the next one finds the server, and can stop it."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    kernels.run(hub, "alice", alice, kernel, "answer = 42")
    before = family(hub, "alice")
    hub.kill()
    hub.start()
    hub.wait(lambda: hub.server("alice").get("ready"), 30, "the server in the new hub")
    assert kernels.run(hub, "alice", alice, kernel, "print(answer)") == "42"
    hub.stop_server("alice")
    assert [process for process in before if process_table.is_same(process)] == []


def test_what_one_person_installs_is_theirs_alone(hub: RealHub, alice: str, tmp_path: Path) -> None:
    """pip in a kernel puts a package into the person's overlay: not into the shared environment, nor another's."""
    wheel = make_wheel(tmp_path)
    kernel = kernels.start_kernel(hub, "alice", alice)
    install = f"%pip install --quiet --no-index --disable-pip-version-check {wheel}"
    code = f"{install}\nimport mine_alone; print(mine_alone.__file__)"
    where = kernels.run(hub, "alice", alice, kernel, code).splitlines()[-1]
    assert where.startswith(str(hub.data / "people" / "alice" / ".devplatform"))
    assert kernels.run(hub, "alice", alice, kernel, "import jupyter_client; print('shared too')") == "shared too"
    bob = hub.start_server("bob", {"profile": "small"})
    try:
        kernel = kernels.start_kernel(hub, "bob", bob)
        assert kernels.run(hub, "bob", bob, kernel, "import mine_alone").startswith("ModuleNotFoundError")
    finally:
        hub.stop_server("bob")


@pytest.mark.parametrize("name", ["home", "workspace"])
def test_a_symbolic_link_instead_of_a_folder_is_refused(hub: RealHub, tmp_path: Path, name: str) -> None:
    """Nobody can have the platform work in a folder that lies elsewhere."""
    home = hub.data / "people" / "bob"
    moved = tmp_path / "moved"
    folder = home if name == "home" else home / "workspace"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.exists():
        folder.rename(moved)
    folder.symlink_to(tmp_path)
    try:
        status, answer = hub.call("POST", "/hub/api/users/bob/server", {})
        assert (status, answer["message"].endswith("[home-unsafe]")) == (409, True), answer
    finally:
        folder.unlink()
        if moved.exists():
            moved.rename(folder)
    assert list(tmp_path.iterdir()) == []


def test_starting_takes_hardly_longer_than_the_server_itself(hub: RealHub) -> None:
    """Supervisor, folders, limits and helpers are not waited for: a generous bound that a regression would break."""
    started = time.monotonic()
    hub.start_server("alice", {})
    assert time.monotonic() - started < 30
    hub.stop_server("alice")


def listening(pid: int) -> set[str]:
    """Addresses, as in /proc/net/tcp, on which this process listens."""
    inodes = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        try:
            inodes.add(os.readlink(entry.path))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1].rpartition(":")[0])
    return found


def make_wheel(folder: Path) -> Path:
    """A package of one module, which no registry has."""
    info = "mine_alone-1.0.dist-info"
    content = {
        "mine_alone.py": "ANSWER = 42\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: mine-alone\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / "mine_alone-1.0-py3-none-any.whl"
    record = [f"{info}/RECORD,,"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(text)}")
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "\n".join(record) + "\n")
    return path
