"""The capture agent on real files, against the real service: what people and their tools do, and what goes wrong."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from jupyter_server.services.contents.largefilemanager import LargeFileManager

from devplatform_versions.client import VersionsClient
from devplatform_versions.model import Origin
from tests.integration.capture_lab import Lab, capture_lab, eventually

Save = Callable[[Path, str], None]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for tests that only save files of their own."""
    with capture_lab(tmp_path_factory.mktemp("capture")) as lab:
        yield lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab of the test's own."""
    with capture_lab(tmp_path / "lab") as lab:
        yield lab


def _save_by_vim(path: Path, text: str) -> None:
    # backupcopy=no: probe whether the folder can be written, move the old file away, write, remove the backup
    probe = path.with_name("4913")
    probe.touch()
    probe.unlink()
    backup = path.with_name(path.name + "~")
    if path.exists():
        path.rename(backup)
    path.write_text(text)
    backup.unlink(missing_ok=True)


def _save_by_truncating(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.flush()
        _pause(0.45)
        file.write(text)


def _save_by_moving_away(path: Path, text: str) -> None:
    if path.exists():
        path.rename(path.with_suffix(".bak~"))
    _pause(0.45)
    path.write_text(text)
    path.with_suffix(".bak~").unlink(missing_ok=True)


def _save_by_jupyter(path: Path, text: str) -> None:
    manager = LargeFileManager(root_dir=str(path.parent))
    manager.save({"type": "file", "format": "text", "content": text}, path.name)


def _save_by_sed(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text("nothing yet\n")
    subprocess.run(["sed", "-i", f"1c{text}", str(path)], check=True)


def _save_in_pieces(path: Path, text: str) -> None:
    with path.open("w") as file:
        for character in text:
            file.write(character)
            file.flush()
            _pause(0.05)


def _save_by_shell(path: Path, text: str) -> None:
    subprocess.run(["bash", "-c", 'printf %s "$1" > "$2"', "-", text, str(path)], check=True)


def _save_by_replacing(path: Path, text: str) -> None:
    other = path.with_name(f".{path.name}.new")
    other.write_text(text)
    other.replace(path)


def _pause(seconds: float) -> None:
    subprocess.run(["sleep", str(seconds)], check=True)


SAVES: dict[str, Save] = {
    "jupyter": _save_by_jupyter,
    "vim": _save_by_vim,
    "truncate-then-write": _save_by_truncating,
    "move-away-then-write": _save_by_moving_away,
    "sed": _save_by_sed,
    "pieces": _save_in_pieces,
    "shell": _save_by_shell,
    "replace": _save_by_replacing,
}


@pytest.mark.parametrize("way", SAVES)
async def test_one_save_is_one_version(shared: Lab, way: str) -> None:
    """However a program saves, each save is one version with the whole content, and temporary files are none."""
    await shared.watching()
    folder = shared.workspace / way
    folder.mkdir()
    path = folder / "work.txt"
    for text in ("first", "second", "third"):
        await asyncio.to_thread(SAVES[way], path, text)
        await shared.settled(10)
        await asyncio.sleep(0.8)
    contents = [None if content is None else content.strip() for content in await shared.contents(f"{way}/work.txt")]
    assert contents == [b"first", b"second", b"third"]
    async with VersionsClient(shared.endpoint) as client:
        assert [entry.name for entry in await client.folder(way, deleted=True)] == ["work.txt"]


async def test_a_notebook_saved_by_jupyter_has_versions_and_its_checkpoint_none(shared: Lab) -> None:
    """The contents manager that JupyterLab uses writes atomically and keeps a checkpoint: one version a save."""
    await shared.watching()
    manager = LargeFileManager(root_dir=str(shared.workspace))
    for number in range(3):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"x = {number}", id="one")])
        manager.save({"type": "notebook", "content": notebook}, "analysis.ipynb")
        await shared.settled_but(".ipynb_checkpoints")
    assert [f"x = {n}".encode() in (c or b"") for n, c in enumerate(await shared.contents("analysis.ipynb"))] == [
        True
    ] * 3


async def test_a_save_is_seen_within_two_seconds(shared: Lab) -> None:
    """From the close of the file to the version in the API."""
    await shared.watching()
    for number in range(5):
        (shared.workspace / "quick.txt").write_text(f"state {number}")

        async def seen(expected: int = number + 1) -> bool:
            return len(await shared.contents("quick.txt")) == expected

        assert await eventually(seen, timeout=10) < 2


async def test_trees_are_captured_whole(lab: Lab) -> None:
    """Copied, moved, unpacked, checked out and removed trees: what is live is what is there, every time."""
    await lab.watching()
    tree = lab.folder / "tree"
    for number in range(300):
        path = tree / f"{number % 7}" / f"{number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content {number}")
    run = lab.in_workspace
    run("cp", "-r", str(tree), "copied")
    await lab.settled()
    run("mv", "copied", "moved")
    await lab.settled()
    run("mkdir", "copied")
    run("cp", "-r", "moved/0", "copied/again")
    await lab.settled()
    run("bash", "-c", "git init -q -b main repo && cd repo && git config user.email a@b && git config user.name a")
    for branch, count in (("main", 20), ("other", 40)):
        run("git", "-C", "repo", "checkout", "-q", "-B", branch)
        for number in range(count):
            path = lab.workspace / "repo" / f"d{number % 5}" / f"{number}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{branch} {number}")
        run("git", "-C", "repo", "add", "-A")
        run("git", "-C", "repo", "commit", "-qm", branch)
    await lab.settled()
    run("git", "-C", "repo", "checkout", "-q", "main")
    await lab.settled()
    run("rm", "-rf", "moved")
    await lab.settled()
    assert (await lab.contents("moved/0/0/0.txt"))[-1] is None
    assert not [path for path in await lab.live() if "/.git/" in path or path.startswith("moved")]


async def test_a_folder_that_went_as_a_whole_is_seen_soon(lab: Lab) -> None:
    """Its files are looked at twice before they count as gone; the second look does not wait for other work."""
    folder = lab.workspace / "folder"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"{number}")
    await lab.watching()
    await lab.settled()
    folder.rename(lab.folder / "elsewhere")
    await lab.settled(timeout=8)
    assert [await lab.contents(f"folder/{number}.txt") for number in range(3)] == [
        [b"0", None],
        [b"1", None],
        [b"2", None],
    ]


async def test_nothing_is_lost_or_doubled_by_kill_9(lab: Lab) -> None:
    """The agent is killed again and again while files change: every last state is live, no state is there twice."""
    dice = random.Random(3)
    names = [f"f{number}.txt" for number in range(12)]
    for round_number in range(8):
        for step in range(12):
            path = lab.workspace / f"d{dice.randrange(3)}" / dice.choice(names)
            path.parent.mkdir(exist_ok=True)
            if dice.random() < 0.2:
                path.unlink(missing_ok=True)
            else:
                path.write_text(f"{round_number} {step} {dice.random()}")
            await asyncio.sleep(dice.random() * 0.15)
        await asyncio.sleep(dice.random() * 0.8)
        lab.stop_agent(signal.SIGKILL)
        if dice.random() < 0.5:
            (lab.workspace / "d0" / dice.choice(names)).unlink(missing_ok=True)
        lab.start_agent()
    await lab.watching()
    await lab.settled()
    for path in sorted(lab.files()):
        contents = await lab.contents(path)
        assert all(before != after for before, after in pairwise(contents)), path


async def test_what_happened_while_away_is_caught_up(lab: Lab) -> None:
    """Changed, new, deleted and restored files, and a folder that was moved, while no agent ran."""
    await lab.watching()
    for name in ("changed", "deleted", "restored", "same", "d/one", "d/two"):
        (lab.workspace / name).parent.mkdir(exist_ok=True)
        (lab.workspace / name).write_text("old")
    await lab.settled()
    (lab.workspace / "restored").write_text("new")
    await lab.settled()
    lab.stop_agent(signal.SIGKILL)
    (lab.workspace / "changed").write_text("new")
    (lab.workspace / "deleted").unlink()
    (lab.workspace / "fresh").write_text("new")
    (lab.workspace / "d").rename(lab.workspace / "e")
    async with VersionsClient(lab.endpoint) as client:
        await client.restore("restored", (await client.versions("restored"))[-1].generation)
    lab.start_agent()
    await lab.watching()
    await lab.settled()
    assert {name: await lab.contents(name) for name in ("changed", "deleted", "fresh", "same", "d/one", "e/one")} == {
        "changed": [b"old", b"new"],
        "deleted": [b"old", None],
        "fresh": [b"new"],
        "same": [b"old"],
        "d/one": [b"old", None],
        "e/one": [b"old"],
    }
    assert (lab.workspace / "restored").read_text() == "old"
    assert await lab.contents("restored") == [b"old", b"new", b"old"]


async def test_the_state_can_be_lost(lab: Lab) -> None:
    """With a damaged or missing database nothing is doubled, and what is missing in the workspace is left alone."""
    await lab.watching()
    for name in ("a", "b"):
        (lab.workspace / name).write_text(name)
    await lab.settled()
    for damage in (lambda path: path.write_bytes(b"no database" * 1000), lambda path: path.unlink()):
        lab.stop_agent(signal.SIGKILL)
        for leftover in (lab.workspace / ".devplatform").glob("capture.db-*"):
            leftover.unlink()
        damage(lab.workspace / ".devplatform" / "capture.db")
        (lab.workspace / "b").unlink(missing_ok=True)
        lab.start_agent()
        await lab.watching()
        await asyncio.sleep(1.5)
        assert (await lab.contents("a"), await lab.contents("b")) == ([b"a"], [b"b"])
    (lab.workspace / "a").write_text("changed")
    await eventually(lambda: _has(lab, "a", [b"a", b"changed"]))


async def test_a_restore_is_written_and_not_echoed(lab: Lab) -> None:
    """The file gets the old bytes, keeps its mode, has a new time, and no version but the restore is made."""
    await lab.watching()
    path = lab.workspace / "run.sh"
    path.write_text("old")
    path.chmod(0o750)
    await lab.settled()
    path.write_text("new")
    await lab.settled()
    before = path.stat().st_mtime_ns
    await lab.restore("run.sh", 0)
    await eventually(lambda: path.read_text() == "old")
    await asyncio.sleep(1.5)
    assert (path.stat().st_mode & 0o777, path.stat().st_mtime_ns > before) == (0o750, True)
    assert [version.origin for version in await lab.history("run.sh")] == [
        Origin.RESTORE,
        Origin.CAPTURE,
        Origin.CAPTURE,
    ]
    assert sorted(os.listdir(lab.workspace)) == [".devplatform", "run.sh"]


async def test_a_deleted_file_and_a_folder_come_back(lab: Lab) -> None:
    """A restored folder gets its files back, and what was not there then is removed."""
    await lab.watching()
    for name in ("one", "deep/two"):
        (lab.workspace / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (lab.workspace / "d" / name).write_text("then")
    await lab.settled()
    async with VersionsClient(lab.endpoint) as client:
        newest = max([version.created async for version in client.snapshot("")])
        lab.in_workspace("rm", "-r", "d/deep")
        (lab.workspace / "d" / "one").write_text("now")
        (lab.workspace / "d" / "later").write_text("now")
        await lab.settled()
        await client.restore_folder("d", newest, dry_run=False)
    expected = {"one": "then", "deep/two": "then"}

    def back() -> bool:
        found = [path for path in (lab.workspace / "d").rglob("*") if path.is_file()]
        return {str(path.relative_to(lab.workspace / "d")): path.read_text() for path in found} == expected

    await eventually(back, timeout=10)
    await lab.settled()
    assert await lab.contents("d/later") == [b"now", None]


async def test_changes_that_a_restore_would_replace_are_captured_first(lab: Lab) -> None:
    """Saved before the restore but not captured yet: it becomes a version, then the file is what was asked back."""
    await lab.watching()
    path = lab.workspace / "a.txt"
    path.write_text("old")
    await lab.settled()
    path.write_text("new")
    await lab.settled()
    lab.stop_agent(signal.SIGKILL)
    path.write_text("not captured yet")
    await asyncio.sleep(0.1)
    await lab.restore("a.txt", 0)
    lab.start_agent()
    await eventually(lambda: path.read_text() == "old", timeout=10)
    await lab.settled()
    assert await lab.contents("a.txt") == [b"old", b"new", b"old", b"not captured yet", b"old"]


async def test_a_save_after_a_restore_stays(lab: Lab) -> None:
    """The file was saved again after it was restored, while no agent ran: that save is on top, nothing is replaced."""
    await lab.watching()
    path = lab.workspace / "a.txt"
    path.write_text("old")
    await lab.settled()
    path.write_text("new")
    await lab.settled()
    lab.stop_agent(signal.SIGKILL)
    await lab.restore("a.txt", 0)
    await asyncio.sleep(0.1)
    path.write_text("newest")
    lab.start_agent()
    await lab.watching()
    await lab.settled()
    assert path.read_text() == "newest"
    assert await lab.contents("a.txt") == [b"old", b"new", b"old", b"newest"]


async def test_no_link_leads_out_of_the_workspace(lab: Lab) -> None:
    """Neither captures nor restores follow a link, be it the file, its folder, or a folder that became one."""
    outside = lab.folder / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    await lab.watching()
    (lab.workspace / "link.txt").symlink_to(outside / "secret.txt")
    (lab.workspace / "link").symlink_to(outside)
    (lab.workspace / "d").mkdir()
    (lab.workspace / "d" / "secret.txt").write_text("mine")
    (lab.workspace / "ok.txt").write_text("mine")
    await eventually(lambda: _has(lab, "d/secret.txt", [b"mine"]))
    await eventually(lambda: _has(lab, "ok.txt", [b"mine"]))
    lab.in_workspace("rm", "-r", "d")
    (lab.workspace / "d").symlink_to(outside)
    lab.in_workspace("rm", "ok.txt")
    (lab.workspace / "ok.txt").symlink_to(outside / "secret.txt")
    await eventually(lambda: _has(lab, "d/secret.txt", [b"mine", None]))
    await eventually(lambda: _has(lab, "ok.txt", [b"mine", None]))
    await lab.restore("d/secret.txt", 0)
    await lab.restore("ok.txt", 0)
    await eventually(lambda: lab.status["refused_count"] >= 2, timeout=10)
    assert sorted(lab.status["refused"]) == ["d/secret.txt", "ok.txt"]
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret.txt": "secret"}
    assert set(await lab.live()) == {"d/secret.txt", "ok.txt"}
    assert os.readlink(lab.workspace / "ok.txt") == str(outside / "secret.txt")


async def test_what_cannot_be_captured_is_refused_once_and_listed(tmp_path: Path) -> None:
    """Names that cannot be kept, pipes and large files; the rest of their folder is captured all the same."""
    with capture_lab(tmp_path / "lab", DEVPLATFORM_CAPTURE_MAX_FILE_BYTES="1000") as lab:
        await lab.watching()
        folder = os.fsencode(lab.workspace / "odd")
        os.mkdir(folder)
        good = ["<b>&amp;.txt", "n" * 255, "späte Übung 🎉.md", "-rf", "a'b\"c\\d", "\x1b[31mred", "tab\there"]
        for name in good:
            (lab.workspace / "odd" / name).write_text(name)
        for name in (b"not \xff\xfe utf8.txt", b"two\nlines"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(b"x")
        os.mkfifo(lab.workspace / "odd" / "pipe")
        (lab.workspace / "odd" / "large").write_bytes(b"x" * 1001)
        await eventually(lambda: _live(lab, {f"odd/{name}" for name in good}), timeout=10)
        await eventually(lambda: lab.status["refused_count"] == 3, timeout=10)
        assert sorted(lab.status["refused"]) == ["odd/large", "odd/not \\udcff\\udcfe utf8.txt", "odd/two\\nlines"]
        # A folder with a name that is not UTF-8 cannot be watched, and is looked at instead.
        (lab.workspace / "odd" / "later.txt").write_text("later")
        await eventually(lambda: _has(lab, "odd/later.txt", [b"later"]))
        (lab.workspace / "odd" / "large").write_bytes(b"x" * 999)
        await eventually(lambda: _has(lab, "odd/large", [b"x" * 999]))
        await eventually(lambda: lab.status["refused_count"] == 2, timeout=10)
        assert lab.log.count("Not captured: odd/two") == 1


async def test_the_ignore_file_takes_effect(lab: Lab) -> None:
    """Rules added while the agent runs hold from then on; rules taken away let their files in."""
    await lab.watching()
    (lab.workspace / ".devplatformignore").write_text("*.csv\ndata/\n!__pycache__/\n")
    await lab.settled()
    (lab.workspace / "data" / "deep").mkdir(parents=True)
    for name in ("a.csv", "data/deep/b.txt", "c.txt"):
        (lab.workspace / name).write_text(name)
    (lab.workspace / "__pycache__").mkdir()
    (lab.workspace / "__pycache__" / "d.txt").write_text("asked for")
    await eventually(lambda: _live(lab, {".devplatformignore", "c.txt", "__pycache__/d.txt"}), timeout=10)
    (lab.workspace / ".devplatformignore").write_text("*.csv\n")
    await eventually(lambda: _has(lab, "data/deep/b.txt", [b"data/deep/b.txt"]), timeout=15)
    assert "a.csv" not in await lab.live()


async def test_a_busy_file_is_thinned_and_its_last_state_kept(tmp_path: Path) -> None:
    """Saved again and again: a few versions, the last of them the last state."""
    bounds = {"DEVPLATFORM_CAPTURE_BURST": "3", "DEVPLATFORM_CAPTURE_REFILL": "3"}
    with capture_lab(tmp_path / "lab", **bounds) as lab:
        await lab.watching()
        for number in range(20):
            (lab.workspace / "log.txt").write_text(f"state {number}")
            await asyncio.sleep(0.5)
        await lab.settled()
        contents = await lab.contents("log.txt")
        assert contents[-1] == b"state 19"
        assert 3 <= len(contents) <= 10


async def test_an_outage_only_delays(lab: Lab) -> None:
    """The service is killed: saves wait, the status says so, and everything is captured when it is back."""
    await lab.watching()
    (lab.workspace / "a.txt").write_text("before")
    await lab.settled()
    lab.stop_service(signal.SIGKILL)
    (lab.workspace / "a.txt").write_text("during")
    for number in range(250):
        (lab.workspace / f"{number}.txt").write_text(f"{number}")
    await eventually(lambda: lab.status["state"] == "waiting" and lab.status["queue"] >= 1, timeout=10)
    assert lab.status["last_error"]["code"] == "service-unavailable"
    lab.start_service()
    await lab.settled(60)
    assert await lab.contents("a.txt") == [b"before", b"during"]


async def test_a_refused_token_is_said(tmp_path: Path) -> None:
    """A token that the service does not accept is one log line and a state, not a storm of requests."""
    with capture_lab(tmp_path / "lab", JUPYTERHUB_API_TOKEN="somebody-elses") as lab:
        await eventually(lambda: (lab.workspace / ".devplatform" / "capture-status.json").exists(), timeout=10)
        await eventually(lambda: lab.status["state"] == "refused", timeout=10)
        assert lab.status["last_error"]["code"] == "sign-in-needed"
        assert "somebody-elses" not in lab.log


async def test_the_last_save_before_the_end_is_captured(lab: Lab) -> None:
    """SIGTERM right after a save: it is a version all the same, and the end comes soon."""
    await lab.watching()
    (lab.workspace / "a.txt").write_text("first")
    await lab.settled()
    (lab.workspace / "a.txt").write_text("last")
    (lab.workspace / "new").mkdir()
    (lab.workspace / "new" / "b.txt").write_text("last")
    assert lab.stop_agent(signal.SIGTERM) == 0
    assert await lab.contents("a.txt") == [b"first", b"last"]
    assert await lab.contents("new/b.txt") == [b"last"]
    assert lab.status["state"] == "stopped"


async def test_the_end_does_not_wait_for_a_service_that_is_away(lab: Lab) -> None:
    """SIGTERM while the service is down ends within the bound; the next session captures what is left."""
    await lab.watching()
    lab.stop_service(signal.SIGKILL)
    (lab.workspace / "a.txt").write_text("last")
    await asyncio.sleep(1)
    assert lab.stop_agent(signal.SIGTERM) == 0
    lab.start_service()
    lab.start_agent()
    await lab.settled()


async def test_only_one_agent_captures_a_workspace(lab: Lab) -> None:
    """A second session on the same workspace waits, and takes over when the first is killed."""
    await lab.watching()
    first = lab.start_agent_beside()
    await eventually(lambda: "waiting until it ends" in lab.log, timeout=10)
    (lab.workspace / "a.txt").write_text("once")
    await lab.settled()
    first.kill()
    first.wait()
    await lab.watching()
    (lab.workspace / "a.txt").write_text("twice")
    await eventually(lambda: _has(lab, "a.txt", [b"once", b"twice"]), timeout=10)


async def test_the_state_folder_may_not_be_a_link(tmp_path: Path) -> None:
    """A link in place of `.devplatform` would make the agent write outside: it refuses to start, with a reason."""
    with capture_lab(tmp_path / "lab", agent=False) as lab:
        (lab.folder / "outside").mkdir()
        (lab.workspace / ".devplatform").symlink_to(lab.folder / "outside")
        lab.start_agent()
        await eventually(lambda: "state-folder-invalid" in lab.log, timeout=10)
        assert list((lab.folder / "outside").iterdir()) == []


async def test_large_files_and_many_versions_stay_small_in_memory(lab: Lab) -> None:
    """A 64 MB file is streamed, not held."""
    await lab.watching()
    (lab.workspace / "large.bin").write_bytes(os.urandom(2**20) * 64)
    shutil.copy(lab.workspace / "large.bin", lab.workspace / "copy.bin")
    await lab.settled(30)
    assert lab.agent_memory() < 80 * 2**20


async def _has(lab: Lab, path: str, contents: list[bytes | None]) -> bool:
    return await lab.contents(path) == contents


async def _live(lab: Lab, paths: set[str]) -> bool:
    return set(await lab.live()) == paths
