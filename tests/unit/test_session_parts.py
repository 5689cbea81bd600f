"""The parts of a server on one machine that need no server: limits, processes, folders, overlay, editors, activity."""

import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.profiles import Editor
from devplatform_hub.embedded import process_table
from devplatform_hub.embedded.activity import VSCodeWindows, is_use
from devplatform_hub.embedded.editors import missing_editors, prepare_vscode
from devplatform_hub.embedded.home import (
    Home,
    explain_home,
    make_safe_home,
    open_log,
    prepare_home,
    prepare_state,
    remove_safe_home,
)
from devplatform_hub.embedded.limits import Cgroup, Enforcement, Limits, choose_cores, choose_enforcement
from devplatform_hub.embedded.machine import count_gpus, detect_memory
from devplatform_hub.embedded.mounts import fuse_mounts_below
from devplatform_hub.embedded.overlay import overlay_folder, prepare_overlay, put
from devplatform_hub.embedded.process_table import Process, descendants, parse_stat
from devplatform_hub.embedded.supervisor import Helper

GIB = 2**30


def process(pid: int = 10, parent: int = 1, **fields: int) -> Process:
    values = {"group": pid, "session": pid, "terminal": 0, "foreground": -1, "started": 5} | fields
    return Process(pid, "S", parent, **values)


# Processes


def test_a_stat_line_is_read_whatever_the_name_of_the_process() -> None:
    """A process may call itself anything, `) R 1 1` included."""
    rest = " ".join(["S", "7", "8", "9", "34816", "11", *(["0"] * 13), "4242", "0"])
    assert parse_stat(f"12 (evil) R 1 1 (x) {rest}") == Process(12, "S", 7, 8, 9, 34816, 11, 4242)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"terminal": 0, "foreground": -1}, False, id="no terminal"),
        pytest.param({"terminal": 34816, "foreground": 10}, False, id="a shell that waits for input"),
        pytest.param({"terminal": 34816, "foreground": 77}, True, id="a shell with a job in front"),
        pytest.param({"terminal": 34816, "foreground": 77, "session": 3}, False, id="the job itself"),
    ],
)
def test_a_foreground_job_is_told_from_a_waiting_shell(fields: dict[str, int], expected: bool) -> None:
    """What the terminal's foreground group says about its shell."""
    assert process(**fields).has_foreground_job is expected


def test_descendants_are_the_whole_tree_without_its_root() -> None:
    """Children, grandchildren, and nobody else's."""
    everything = {p.pid: p for p in (process(1, 0), process(2, 1), process(3, 2), process(4, 3), process(9, 1))}
    assert {p.pid for p in descendants(2, everything)} == {3, 4}


def test_memory_of_a_process_is_what_it_uses() -> None:
    """A child that fills 50 MB is seen with at least that, by both ways of counting."""
    code = "block = bytearray(b'x' * (50 * 2**20)); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = process_table.find(child.pid)
        assert found is not None
        counted = [process_table.resident_memory([found]), process_table.proportional_memory([found])]
        child.communicate(b"\n")
    assert all(50 * 2**20 < count < 150 * 2**20 for count in counted), counted


def test_a_session_is_ended_by_its_mark_also_when_it_ignores_a_request() -> None:
    """What outlived its supervisor is found in the environment and killed; another session's processes go on."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={process_table.SESSION_VARIABLE: mark},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        for mark in ("of-this-test", "of-another")
    ]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        assert process_table.end_session("of-this-test", grace=0.2) == 1
        assert [children[0].wait(5), children[1].poll()] == [-9, None]
    finally:
        for child in children:
            child.kill()
            child.communicate()


def test_a_signal_never_hits_a_later_process_of_the_same_id() -> None:
    """A process id is used again; the time of its start is not."""
    with subprocess.Popen(["sleep", "30"]) as child:
        found = process_table.find(child.pid)
        assert found is not None
        earlier = Process(child.pid, "S", found.parent, found.group, found.session, 0, -1, found.started - 1)
        process_table.send([earlier], 9)
        time.sleep(0.1)
        assert child.poll() is None
        process_table.send([found], 9)
        assert child.wait(5) == -9


# Limits


@pytest.mark.parametrize(
    ("cpu", "offset", "expected"),
    [
        pytest.param(2, 0, {0, 1}, id="whole cores"),
        pytest.param(0.5, 0, {0}, id="half a core is rounded up"),
        pytest.param(1, 6, {4}, id="spread over the machine"),
        pytest.param(2, 3, {0, 5}, id="around the end"),
        pytest.param(16, 1, {0, 1, 4, 5}, id="more than there are"),
    ],
)
def test_cores_are_chosen_among_those_that_are_there(cpu: float, offset: int, expected: set[int]) -> None:
    """Affinity can only be set to cores that this process may use."""
    assert choose_cores(cpu, {0, 1, 4, 5}, offset) == expected


def make_cgroup(folder: Path, controllers: str = "cpu memory pids", enabled: str = "") -> Cgroup:
    """A folder with the files that the kernel would put there."""
    (folder / "cgroup.controllers").write_text(controllers)
    (folder / "cgroup.subtree_control").write_text(enabled)
    cgroup = Cgroup(folder / "server")
    cgroup.path.mkdir()
    for name in ("memory.max", "memory.swap.max", "cpu.max", "pids.max", "cgroup.procs", "cgroup.kill"):
        (cgroup.path / name).touch()
    return cgroup


def test_a_cgroup_gets_every_limit_of_the_profile(tmp_path: Path) -> None:
    """The files of cgroup v2 with the values that the kernel documents."""
    cgroup = make_cgroup(tmp_path, enabled="memory")
    cgroup.create(Limits(1.5, 8 * GIB))
    cgroup.enter(123)
    cgroup.kill()
    written = {path.name: path.read_text() for path in cgroup.path.iterdir()}
    assert written == {
        "memory.max": str(8 * GIB),
        "memory.swap.max": "0",
        "cpu.max": "150000 100000",
        "pids.max": "4096",
        "cgroup.procs": "123",
        "cgroup.kill": "1",
    }
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu +pids"


def test_a_cgroup_without_the_controllers_is_not_taken(tmp_path: Path) -> None:
    """A hierarchy that cannot limit memory is worse than rlimits, because it would look as if it did."""
    with pytest.raises(OSError, match="no memory controller"):
        make_cgroup(tmp_path, controllers="cpu pids").create(Limits(1, GIB))


def test_kills_by_the_kernel_are_counted(tmp_path: Path) -> None:
    """`memory.events` says how often a process was ended for want of memory."""
    cgroup = make_cgroup(tmp_path)
    assert cgroup.memory_kills() == 0
    (cgroup.path / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\n")
    assert cgroup.memory_kills() == 2


def test_enforcement_is_what_works_here_and_the_sentence_says_so(tmp_path: Path) -> None:
    """A writable folder that only looks like a cgroup does not pass: a process must be able to enter it."""
    make_cgroup(tmp_path)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"30 25 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    own = tmp_path / "own"
    own.write_text("0::/\n")
    assert choose_enforcement(mounts=mounts, own=own) == Enforcement(None)
    assert ("rlimits" in Enforcement(None).sentence, "cgroup v2" in Enforcement(tmp_path).sentence) == (True, True)


def test_the_enforcement_of_this_machine_is_found_by_trying() -> None:
    """Whatever it is, a probe leaves nothing behind."""
    found = choose_enforcement()
    if found.parent is not None:
        assert not list(found.parent.glob("devplatform-probe-*"))
    assert found.sentence


def test_a_helper_is_restarted_later_each_time_and_never_after_a_success() -> None:
    """One, two, four seconds and so on to a minute; a long good run makes it forget."""
    helper = Helper("x", ["x"])
    waits = []
    for _ in range(8):
        helper.started = 0
        helper.ended(1, now=1)
        waits.append(helper.wait)
    helper.ended(1, now=1000)
    assert ([*waits, helper.wait], helper.due) == ([2, 4, 8, 16, 32, 60, 60, 60, 1], 1001)
    helper.ended(0, now=1)
    assert helper.due is None


# Machine and editors


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        pytest.param("0::/a/b\n", {"a/memory.max": str(GIB), "a/b/memory.max": "max"}, GIB, id="v2, from above"),
        pytest.param("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": str(GIB)}, GIB, id="v1"),
        pytest.param("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": str(2**63 - 4096)}, None, id="v1, no limit"),
        pytest.param("0::/\n", {}, None, id="none"),
    ],
)
def test_memory_is_that_of_the_container_where_there_is_one(
    tmp_path: Path, own: str, files: dict[str, str], expected: int | None
) -> None:
    """A container's limit is all there is, whatever the machine has."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(own)
    found = detect_memory(tmp_path, tmp_path / "own")
    assert found == expected if expected else found > GIB // 2


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("echo 'GPU 0: NVIDIA L4 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA L4 (UUID: GPU-2)'", 2, id="two"),
        pytest.param("echo 'NVIDIA-SMI has failed'; exit 9", 0, id="a driver that does not answer"),
    ],
)
def test_gpus_are_those_that_the_driver_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, expected: int
) -> None:
    """`nvidia-smi -L`, one line each."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert count_gpus() == expected


def test_vscode_is_missing_with_the_command_that_installs_it(tmp_path: Path) -> None:
    """The path of code-server is known before it is built."""
    code_server = tmp_path / "code-server"
    before = missing_editors(str(code_server), sys.executable)
    code_server.touch()
    assert (list(before), "devplatform install vscode" in before[Editor.VSCODE]) == ([Editor.VSCODE], True)
    assert missing_editors(str(code_server), sys.executable) == {}
    assert list(missing_editors(str(code_server), "")) == [Editor.VSCODE]


def test_vscode_keeps_the_settings_of_its_person(tmp_path: Path) -> None:
    """Ours are put there once: no telemetry, no advertising, no AI chat; what a person changes stays."""
    home = Home(tmp_path, tmp_path / "workspace")
    environment = prepare_vscode(home, "/cache/it's/code-server", "/bin/node")
    settings = tmp_path / ".local/share/code-server/User/settings.json"
    ours = json.loads(settings.read_text())
    assert (ours["telemetry.telemetryLevel"], ours["chat.disableAIFeatures"]) == ("off", True)
    assert environment["JUPYTER_VSCODE_PROXY_USE_SOCKET"] == "1"
    settings.write_text("{}")
    prepare_vscode(home, "/cache/it's/code-server", "/bin/node")
    assert settings.read_text() == "{}"
    script = tmp_path / ".devplatform/bin/code-server"
    before = script.stat().st_mtime_ns
    prepare_vscode(home, "/cache/it's/code-server", "/bin/node")
    assert script.stat().st_mtime_ns == before, "what is there already needs no room on the disk"
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


@pytest.mark.parametrize("kind", ["link", "pipe", "other"])
def test_what_a_person_put_in_the_place_of_our_file_is_replaced(tmp_path: Path, kind: str) -> None:
    """It is neither followed nor waited for: the hub writes there itself."""
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    elsewhere.write_text("ours")
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"\xff")
    put(path, "ours", 0o700)
    assert (path.is_symlink(), path.read_text(), stat.S_IMODE(path.stat().st_mode)) == (False, "ours", 0o700)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["elsewhere", "file"]


# Folders


def test_homes_are_private_and_made_once(tmp_path: Path) -> None:
    """Modes are put right, content is kept."""
    home = prepare_home(tmp_path, "alice")
    (home.workspace / "file").write_text("kept")
    home.root.chmod(0o755)
    assert prepare_home(tmp_path, "alice") == home
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert (home.workspace / "file").read_text() == "kept"


def test_a_safe_start_has_a_temporary_home_and_the_usual_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Private, with Jupyter's settings for it, and gone with all that was put there; nothing else is removed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    home = prepare_home(tmp_path, "alice")
    safe = make_safe_home(home)
    assert (safe.workspace, safe.root.parent) == (home.workspace, tmp_path / "temporary")
    assert stat.S_IMODE(safe.root.stat().st_mode) == 0o700
    settings = json.loads((safe.root / ".safe-start" / "jupyter_server_config.json").read_text())
    assert settings["FileContentsManager"]["delete_to_trash"] is False
    for folder in ("", str(home.root), str(safe.root)):
        remove_safe_home(folder)
    assert (home.workspace.is_dir(), list((tmp_path / "temporary").iterdir())) == (True, [])


def test_a_safe_start_without_any_room_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary folder may be on the same disk."""

    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    home = prepare_home(tmp_path, "alice")
    monkeypatch.setattr(tempfile, "mkdtemp", full)
    with pytest.raises(PublicError) as caught:
        make_safe_home(home)
    assert (caught.value.code, caught.value.status) == ("machine-disk-full", 507)


def test_a_full_home_that_editors_are_put_into_is_said(tmp_path: Path) -> None:
    """With the way out; another fault is named as it is."""
    errors = [explain_home(OSError(number, os.strerror(number))) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO)]
    assert [(error.code, error.status) for error in errors] == [
        ("disk-full", 507),
        ("disk-full", 507),
        ("home-unusable", 503),
    ]
    assert errors[0].hint == "Start it again as a safe start, and delete what you no longer need."


@pytest.mark.parametrize("name", ["people", "people/alice", "people/alice/workspace"])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_a_link_or_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    """Following it would let its maker choose where the platform works."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data / name).parent.mkdir(parents=True)
    if kind == "file":
        (data / name).write_text("x")
    else:
        (data / name).symlink_to(elsewhere)
        if kind == "link":
            elsewhere.mkdir()
    with pytest.raises(PublicError) as caught:
        prepare_home(data, "alice")
    assert (caught.value.code, caught.value.status) == ("home-unsafe", 409)
    assert str(tmp_path) not in f"{caught.value.message} {caught.value.hint}"
    assert not elsewhere.exists() or list(elsewhere.iterdir()) == []


def test_a_log_is_private_bounded_and_no_link(tmp_path: Path) -> None:
    """Its output is the person's, so its length must have an end."""
    for size in (10, 6 * 2**20):
        descriptor = open_log(tmp_path, "alice")
        os.write(descriptor, b"x" * size)
        os.close(descriptor)
    os.close(open_log(tmp_path, "alice"))
    logs = tmp_path / "logs"
    assert {path.name: path.stat().st_size for path in logs.iterdir()} == {
        "server-alice.log": 0,
        "server-alice.log.1": 6 * 2**20 + 10,
    }
    (logs / "server-bob.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        open_log(tmp_path, "bob")


def test_the_state_of_a_server_starts_empty(tmp_path: Path) -> None:
    """How the last one ended is not taken for how this one did."""
    state = prepare_state(tmp_path, "alice")
    (state / "ended.json").write_text("{}")
    assert list(prepare_state(tmp_path, "alice").iterdir()) == []


def test_mounts_inside_a_workspace_are_found_with_blanks_in_their_names(tmp_path: Path) -> None:
    """Only FUSE, only inside, the deepest first."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 0:1 / /w/a\\040b/.versions ro - fuse.devplatform x rw\n"
        "2 0 0:2 / /w/a\\040b/.versions/deep ro - fuse x rw\n"
        "3 0 0:3 / /w/a\\040b-other/.versions ro - fuse x rw\n"
        "4 0 0:4 / /w/a\\040b/tmp rw - tmpfs x rw\n"
    )
    assert fuse_mounts_below(Path("/w/a b"), mounts=mounts) == [
        Path("/w/a b/.versions/deep"),
        Path("/w/a b/.versions"),
    ]


# Overlay


def test_the_overlay_sees_the_shared_environment_and_keeps_its_own(tmp_path: Path) -> None:
    """Its own packages come first; what is shared can be imported; pip would install into the overlay."""
    prepare_overlay(tmp_path)
    folder = overlay_folder(tmp_path)
    packages = next((folder / "lib").glob("python3.*/site-packages"))
    (packages / "tornado.py").write_text("mine = True\n")
    prepare_overlay(tmp_path)
    code = "import sys, sysconfig, tornado, traitlets; print(sys.prefix, sysconfig.get_path('purelib'), tornado.mine)"
    output = subprocess.run([folder / "bin/python", "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(folder), str(packages), "True"]


# Activity


HELLO = b'\x02{"type":"connectionType","commit":"abc","desiredConnectionType":2}'
MANAGEMENT = HELLO.replace(b"2}", b"1}")
ACTIVE, IDLE = (
    b"\x01" + bytes(12) + b"v\x18$onDidChangeWindowActive\x00\x00\x00\x07" + b for b in (b"[true]", b"[false]")
)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], None, id="no window"),
        pytest.param([MANAGEMENT], None, id="the connection that is always there"),
        pytest.param([HELLO], 100, id="a window that was just opened"),
        pytest.param([HELLO, b"\x09" + bytes(12), IDLE], 2, id="one whose person went away"),
        pytest.param([HELLO, IDLE, ACTIVE], 100, id="one whose person came back"),
        pytest.param([HELLO, IDLE + ACTIVE + IDLE], 1, id="several messages in a frame"),
        pytest.param([HELLO, None], 1, id="one that was closed"),
        pytest.param([HELLO, IDLE, None, HELLO], 1, id="one that reconnects by itself"),
        pytest.param([HELLO, None, HELLO], 100, id="one in use that reconnects"),
        pytest.param([IDLE.decode("latin-1")], None, id="text"),
    ],
)
def test_an_open_window_of_vscode_is_no_use(events: list[object], expected: int | None) -> None:
    """Each event at its own second; looked at in second 100."""
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    start = now[0]
    windows = VSCodeWindows(lambda: now[0])
    for event in events:
        if event is None:
            windows.closed("token")
        else:
            windows.note("token", event)
        now[0] += timedelta(seconds=1)
    now[0] = start + timedelta(seconds=100)
    assert windows.last() == (None if expected is None else start + timedelta(seconds=expected))


def test_windows_that_went_for_good_are_forgotten() -> None:
    """Anybody can open windows; memory is bounded."""
    windows = VSCodeWindows(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    for number in range(1000):
        windows.note(f"token-{number}", HELLO)
        windows.closed(f"token-{number}")
    assert len(windows._windows) <= 65


@pytest.mark.parametrize(
    ("method", "path", "fetch_mode", "expected"),
    [
        pytest.param("PUT", "/api/contents/a.ipynb", "cors", True, id="saving"),
        pytest.param("POST", "/api/terminals", "", True, id="a new terminal"),
        pytest.param("GET", "/lab/tree/a.ipynb", "navigate", True, id="opening JupyterLab"),
        pytest.param("GET", "/vscode/", "navigate", True, id="opening VS Code"),
        pytest.param("GET", "/lab/api/workspaces", "cors", False, id="JupyterLab's polling"),
        pytest.param("PUT", "/lab/api/workspaces/default", "cors", False, id="JupyterLab's saving of its layout"),
        pytest.param("GET", "/api/contents", "cors", False, id="the file browser's polling"),
        pytest.param("GET", "/api/kernels", "", False, id="a script's polling"),
        pytest.param("POST", "/git/status", "cors", False, id="the git extension's polling"),
    ],
)
def test_polling_is_no_use(method: str, path: str, fetch_mode: str, expected: bool) -> None:
    """A tab that nobody looks at polls for ever."""
    assert is_use(method, path, fetch_mode) is expected
