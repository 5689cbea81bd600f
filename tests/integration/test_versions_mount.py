"""`.versions/` in a workspace: the real FUSE mount, and the copies where FUSE cannot be used."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from devplatform_versions.mount.mountpoint import is_mounted, unmount_stale
from tests.integration.capture_lab import Lab, capture_lab, eventually


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab whose workspace is never left mounted."""
    with capture_lab(tmp_path / "a lab") as lab:
        try:
            yield lab
        finally:
            unmount_stale(lab.workspace / ".versions")


@contextmanager
def mounted(lab: Lab, way: str = "fuse") -> Iterator["subprocess.Popen[bytes]"]:
    """The process that shows `.versions`."""
    with (lab.folder / "mount.log").open("ab") as log:
        environment = lab.environment | {"DEVPLATFORM_VERSIONS_VIEW": way}
        process = subprocess.Popen([sys.executable, "-m", "devplatform_versions.mount"], env=environment, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


async def shown(lab: Lab) -> None:
    """Wait until the mount is there."""
    await eventually(lambda: is_mounted(lab.workspace / ".versions"), timeout=20)


def in_workspace(mount: "subprocess.Popen[bytes]", lab: Lab, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell command in the workspace."""
    assert mount.poll() is None
    return subprocess.run(
        ["bash", "-c", command], cwd=lab.workspace, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.lab("fuse")
async def test_old_versions_are_files(lab: Lab) -> None:
    """Names say when; folders are those of the workspace; deleted files are there; `cp` brings one back."""
    await lab.watching()
    large = os.urandom(2**20) * 5
    (lab.workspace / "deep" / "er").mkdir(parents=True)
    (lab.workspace / "deep" / "er" / "large.bin").write_bytes(large)
    (lab.workspace / "<b>&.txt").write_text("odd name")
    for text in ("first", "second"):
        (lab.workspace / "report.ipynb").write_text(text)
        await lab.settled()
    (lab.workspace / "gone.txt").write_text("gone")
    await lab.settled()
    (lab.workspace / "gone.txt").unlink()
    await lab.settled()
    stamps = {
        v.path: v.created.strftime("%Y-%m-%d_%H-%M-%S")
        for p in ("gone.txt", "report.ipynb", "<b>&.txt")
        for v in await lab.history(p)  # newest first: the oldest stays
        if not v.tombstone
    }
    with mounted(lab) as process:
        await shown(lab)

        def look() -> tuple[list[str], bytes, str, str]:
            root = lab.workspace / ".versions"
            (big,) = (root / "deep" / "er").iterdir()
            name = f"report_{stamps['report.ipynb']}.ipynb"
            command = f"cp .versions/{name} copied.ipynb; cat copied.ipynb .versions/gone*; ls .versions/none"
            copied = in_workspace(process, lab, command)
            return sorted(os.listdir(root)), big.read_bytes(), copied.stdout, copied.stderr

        names, content, copied, complaint = await asyncio.to_thread(look)
        assert content == large
        assert copied == "firstgone"
        assert "No such file" in complaint
        assert {"deep", f"gone_{stamps['gone.txt']}.txt", f"<b>&_{stamps['<b>&.txt']}.txt"} < set(names)
        assert len([name for name in names if name.startswith("report_")]) == 2
        # A new version shows up without mounting again.
        (lab.workspace / "report.ipynb").write_text("third")
        await eventually(lambda: len(list((lab.workspace / ".versions").glob("report_*"))) == 3, timeout=15)
        assert psutil.Process(process.pid).memory_info().rss < 120 * 2**20
    assert (process.returncode, is_mounted(lab.workspace / ".versions")) == (0, False)
    assert not [path for path in await lab.live() if path.startswith(".versions")]


@pytest.mark.lab("fuse")
@pytest.mark.parametrize(
    "command",
    ["echo x > .versions/new", "rm .versions/a_*", "echo x >> .versions/a_*", "mkdir .versions/d", "mv .versions/a_* x",
     "chmod 777 .versions/a_*", "ln -s /etc .versions/link", "truncate -s 0 .versions/a_*"],
)  # fmt: skip
async def test_it_is_read_only(mounted_shared: tuple[Lab, "subprocess.Popen[bytes]"], command: str) -> None:
    """Every way to write is refused as a read-only file system is."""
    lab, process = mounted_shared
    answer = await asyncio.to_thread(in_workspace, process, lab, command)
    assert (answer.returncode != 0, "Read-only file system" in answer.stderr) == (True, True)


@pytest.fixture(scope="module")
def mounted_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, "subprocess.Popen[bytes]"]]:
    """One mount with one version of `a`, for tests that only look."""
    with capture_lab(tmp_path_factory.mktemp("mount")) as lab:
        (lab.workspace / "a").write_text("content")
        asyncio.run(_settle(lab))
        with mounted(lab) as process:
            asyncio.run(shown(lab))
            yield lab, process
        unmount_stale(lab.workspace / ".versions")


async def _settle(lab: Lab) -> None:
    await lab.watching()
    await lab.settled()


@pytest.mark.lab("fuse")
async def test_what_a_killed_process_left_is_recovered(lab: Lab) -> None:
    """After kill -9 the mount is dead for everybody; the next start takes it away and shows versions again."""
    await lab.watching()
    (lab.workspace / "a.txt").write_text("x")
    await lab.settled()
    with mounted(lab) as process:
        await shown(lab)
        process.kill()
        process.wait()
        with pytest.raises(OSError, match="not connected"):
            await asyncio.to_thread(os.listdir, lab.workspace / ".versions")
        with mounted(lab):
            await eventually(lambda: _names(lab) != [], timeout=20)


@pytest.mark.lab("fuse")
async def test_a_hanging_service_is_an_error_and_no_freeze(lab: Lab) -> None:
    """The service stops answering: listing what was never listed fails within seconds, and recovers."""
    await lab.watching()
    (lab.workspace / "d").mkdir()
    (lab.workspace / "d" / "a.txt").write_text("x")
    await lab.settled()
    with mounted(lab) as process:
        await shown(lab)
        lab.signal_service(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            answer = await asyncio.to_thread(in_workspace, process, lab, "ls .versions/d")
            took = time.monotonic() - begun
        finally:
            lab.signal_service(signal.SIGCONT)
        assert ("Input/output error" in answer.stderr, took < 25) == (True, True)
        await eventually(lambda: len(list((lab.workspace / ".versions" / "d").glob("a_*"))) == 1, timeout=20)


@pytest.mark.lab("fuse")
async def test_a_watcher_of_the_workspace_does_not_walk_the_mount(lab: Lab) -> None:
    """The agent starts while `.versions` is mounted and the service hangs: it is not held up by the mount."""
    await lab.watching()
    with mounted(lab):
        await shown(lab)
        lab.stop_agent(signal.SIGKILL)
        lab.start_agent()
        (lab.workspace / "a.txt").write_text("x")
        await lab.watching()
        await lab.settled()
        assert lab.status["refused"] == {}


async def test_files_of_the_person_are_left_alone(lab: Lab) -> None:
    """A `.versions` with files that the platform did not put there, or a link, is not touched; the log says why."""
    await lab.watching()
    outside = lab.folder / "outside"
    outside.mkdir()
    (lab.workspace / ".versions").mkdir()
    (lab.workspace / ".versions" / "mine.txt").write_text("mine")
    for _ in range(2):
        with mounted(lab, "auto") as process:
            await eventually(lambda process=process: process.poll() is not None, timeout=20)  # type: ignore[misc]
        assert process.returncode == 1
        if not (lab.workspace / ".versions").is_symlink():
            assert (lab.workspace / ".versions" / "mine.txt").read_text() == "mine"
            (lab.workspace / ".versions" / "mine.txt").unlink()
            (lab.workspace / ".versions").rmdir()
            (lab.workspace / ".versions").symlink_to(outside)
    assert (lab.folder / "mount.log").read_text().count("versions-folder-taken") == 2
    assert list(outside.iterdir()) == []


async def test_copies_where_fuse_cannot_be_used(lab: Lab) -> None:
    """Copies with the same names, read-only, following saves, with a README that says what this is; never captured."""
    await lab.watching()
    (lab.workspace / "d").mkdir()
    for text in ("first", "second"):
        (lab.workspace / "d" / "a.txt").write_text(text)
        await lab.settled()
    folder = lab.workspace / ".versions"
    with mounted(lab, "copies"):
        await eventually(lambda: _contents(folder / "d") == ["first", "second"], timeout=20)
        (lab.workspace / "d" / "a.txt").write_text("third")
        await eventually(lambda: _contents(folder / "d") == ["first", "second", "third"], timeout=20)
        assert {path.stat().st_mode & 0o777 for path in (folder / "d").iterdir()} == {0o444}
        readme = (folder / "README.txt").read_text()
        assert "at most 5 versions of each of the 200 files" in readme
        assert "devplatform versions log FILE" in readme
        assert not is_mounted(folder)
    live = await lab.live()
    assert [path for path in live if path.startswith(".versions")] == []
    # The next session starts from an empty folder.
    with mounted(lab, "copies"):
        await eventually(lambda: _contents(folder / "d") == ["first", "second", "third"], timeout=20)


def _contents(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.read_text() for path in folder.iterdir() if not path.name.startswith(".~"))


def _names(lab: Lab) -> list[str]:
    try:
        return os.listdir(lab.workspace / ".versions")
    except OSError:
        return []
