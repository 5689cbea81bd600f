"""The supervisor with real processes: order of the end, helpers that die, memory, and who outlives whom."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devplatform_hub.embedded import process_table

_PROGRAM = """
import sys
from pathlib import Path
from devplatform_hub.embedded.limits import Limits
from devplatform_hub.embedded.supervisor import Helper, Settings, Supervisor
folder = Path({folder!r})
limits = Limits(1, {memory}) if {memory} else None
python = [sys.executable, "-c"]
helpers = [Helper("The helper", [*python, {helper!r}])] if {helper!r} else []
settings = Settings(folder / "state", folder / "home" / "workspace", limits)
def prepare():
    {prepare}
sys.exit(Supervisor(settings, [*python, {server!r}], helpers, prepare).run())
"""
_NOTE = "import os, signal, sys, time\ndef note(t):\n    open({file!r}, 'a').write(t + '\\n')\n"
_UNTIL_ASKED = "signal.signal(15, lambda *_: (note('{name} asked'), sys.exit(0)))\nnote('{name} up')\ntime.sleep(60)\n"


class Session:
    """One supervisor with its folder; what its processes noted is in the file `notes`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("state", "home/workspace"):
            (folder / part).mkdir(parents=True)
        self.supervisors: list[subprocess.Popen[bytes]] = []
        self.note = _NOTE.format(file=str(folder / "notes"))

    def start(self, server: str, helper: str = "", memory: int = 0, prepare: str = "pass") -> "subprocess.Popen[bytes]":
        server, helper = (self.note + textwrap.dedent(code) if code else "" for code in (server, helper))
        program = _PROGRAM.format(folder=str(self.folder), server=server, helper=helper, memory=memory, prepare=prepare)
        with (self.folder / "log").open("ab") as log:  # as the hub gives it, with what was said before in it
            log.write(b"OSError: [Errno 28] No space left on device\n")
            log.flush()
            self.supervisor = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, stderr=log)
        self.supervisors.append(self.supervisor)
        return self.supervisor

    @property
    def notes(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def ended(self) -> dict[str, object]:
        content: dict[str, object] = json.loads((self.folder / "state" / "ended.json").read_text())
        return content

    def family(self) -> list[process_table.Process]:
        return process_table.descendants(self.supervisor.pid, process_table.table())


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session(tmp_path)
    yield session
    for supervisor in session.supervisors:  # what a test that failed left behind
        if supervisor.poll() is None:
            os.killpg(supervisor.pid, signal.SIGKILL)
            supervisor.wait(10)


def wait(condition: Callable[[], object], within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_the_capture_agent_is_asked_last(session: Session) -> None:
    """What the server writes while it ends is there for the last capture."""
    server = _UNTIL_ASKED.format(name="server").replace(
        "sys.exit(0)", "time.sleep(0.3), note('server saved'), sys.exit(0)"
    )
    supervisor = session.start(server, _UNTIL_ASKED.format(name="helper"))
    wait(lambda: {"server up", "helper up"} <= set(session.notes))
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(10) == 0
    assert session.notes[2:] == ["server asked", "server saved", "helper asked"]
    assert session.ended == {"code": 0, "reason": ""}


def test_a_helper_that_dies_is_started_again(session: Session) -> None:
    """The capture agent may be killed; versions go on."""
    supervisor = session.start(_UNTIL_ASKED.format(name="server"), "note(f'helper {os.getpid()}')\ntime.sleep(60)")

    def helpers() -> list[int]:
        return [int(note.split()[1]) for note in session.notes if note.startswith("helper")]

    wait(lambda: len(helpers()) == 1 and "server up" in session.notes)
    os.kill(helpers()[0], signal.SIGKILL)
    wait(lambda: len(helpers()) == 2)
    supervisor.terminate()
    assert supervisor.wait(10) == 0


@pytest.mark.parametrize(
    ("server", "code", "reason"),
    [
        pytest.param("sys.exit(3)", 3, "Its server program ended with status 3.", id="a failure"),
        pytest.param("os.kill(os.getpid(), 9)", 137, "Its server program was ended by SIGKILL.", id="a kill"),
        pytest.param("sys.exit(0)", 0, "It was shut down from inside.", id="the person's own shutdown"),
        pytest.param(
            "raise OSError(28, 'No space left on device')", 28, "It ended because its home disk is full.", id="no room"
        ),
        pytest.param(
            "sys.stderr.write('No space left on device' + 5000 * '.'); sys.exit(1)",
            1,
            "Its server program ended with status 1.",
            id="no room, long before",
        ),
    ],
)
def test_a_server_that_ends_by_itself_leaves_the_reason(session: Session, server: str, code: int, reason: str) -> None:
    """In words, for the log and the person's next visit."""
    assert session.start(server).wait(10) == code
    assert session.ended == {"code": code, "reason": reason}


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        pytest.param("28, 'No space left'", 28, "It ended because its home disk is full.", id="full"),
        pytest.param("122, 'Quota'", 28, "It ended because its home disk is full.", id="over its quota"),
        pytest.param("30, 'Read-only'", 1, "Its home could not be prepared: Read-only.", id="something else"),
    ],
)
def test_a_home_that_cannot_be_prepared_is_the_reason(session: Session, error: str, code: int, reason: str) -> None:
    """The server, which is starting already, is ended in order."""
    supervisor = session.start(_UNTIL_ASKED.format(name="server"), prepare=f"raise OSError({error})")
    assert supervisor.wait(10) == code
    assert session.ended == {"code": code, "reason": reason}
    assert session.family() == []


def test_too_much_memory_ends_the_whole_family(session: Session) -> None:
    """Three children of 60 MB in a server of 150 MB."""
    server = """
        import subprocess
        child = "block = bytearray(b'x' * (60 * 2**20)); import time; time.sleep(60)"
        for _ in range(3):
            subprocess.Popen([sys.executable, "-c", child])
        time.sleep(60)
    """
    supervisor = session.start(server, memory=150 * 2**20)
    wait(lambda: len(session.family()) >= 4)
    family = session.family()
    assert supervisor.wait(15) == 137
    assert session.ended == {"code": 137, "reason": "It ended because it used more memory than its 150 MB."}
    assert not any(process_table.is_same(process) for process in family)


def test_a_stubborn_server_ends_at_the_second_request(session: Session) -> None:
    """The hub asks again when it will not wait any longer."""
    supervisor = session.start("signal.signal(15, signal.SIG_IGN)\nnote('up')\ntime.sleep(60)")
    wait(lambda: session.notes)
    started = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    time.sleep(0.3)
    supervisor.terminate()
    supervisor.wait(10)
    assert time.monotonic() - started < 4


def test_children_learn_of_the_death_of_a_killed_supervisor(session: Session) -> None:
    """Nothing serves on without the one who would end it."""
    supervisor = session.start(_UNTIL_ASKED.format(name="server"), _UNTIL_ASKED.format(name="helper"))
    wait(lambda: {"server up", "helper up"} <= set(session.notes))
    family = session.family()
    supervisor.kill()
    supervisor.wait(5)
    wait(lambda: not any(process_table.is_same(process) for process in family))
    assert {"server asked", "helper asked"} <= set(session.notes)


def test_the_workspace_has_one_set_of_helpers(tmp_path: Path) -> None:
    """A second server of the same person leaves the workspace's helpers to the first, and takes over after it."""
    first, second = Session(tmp_path / "first"), Session(tmp_path / "second")
    (second.folder / "home" / "workspace").rmdir()
    (second.folder / "home").rmdir()
    (second.folder / "home").symlink_to(first.folder / "home")
    helper = _UNTIL_ASKED.format(name="helper")
    first.start(_UNTIL_ASKED.format(name="server"), helper)
    wait(lambda: "helper up" in first.notes)
    second.start(_UNTIL_ASKED.format(name="server"), helper)
    wait(lambda: second.notes)
    time.sleep(1.5)
    assert "helper up" not in second.notes
    first.supervisor.terminate()
    wait(lambda: "helper up" in second.notes)
    second.supervisor.terminate()
    assert [first.supervisor.wait(10), second.supervisor.wait(10)] == [0, 0]
