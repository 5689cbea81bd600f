"""Reading and writing inside the workspace only, and never a mix of two states."""

import os
from pathlib import Path

import pytest

from devplatform_versions.capture import workspace as module
from devplatform_versions.capture.ignore import IgnoreRules
from devplatform_versions.capture.state_folder import state_folder
from devplatform_versions.capture.walk import File, Folder, Refused, walk
from devplatform_versions.capture.workspace import NotRegular, Stamp, Unsteady, Workspace

LARGE = 3 * 2**20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty workspace beside a folder that is none of its business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "workspace").mkdir()
    return tmp_path / "workspace"


def test_a_file_that_changes_while_it_is_read_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second half is replaced after the first half was read: the hash is of one state, never of a mix."""
    path = root / "a"
    path.write_bytes(b"1" * LARGE)
    real, calls = os.read, []

    def read(descriptor: int, size: int) -> bytes:
        chunk = real(descriptor, size)
        calls.append(len(chunk))
        if len(calls) == 1:
            with path.open("r+b") as file:
                file.write(b"2" * LARGE)
        return chunk

    monkeypatch.setattr(module.os, "read", read)
    reading = Workspace(root).read("a")
    monkeypatch.undo()
    assert reading is not None
    fresh = Workspace(root).read("a")
    assert fresh is not None
    assert reading.sha256 == fresh.sha256


def test_a_file_that_never_rests_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries it is left for later."""
    path = root / "a"
    path.write_bytes(b"1" * LARGE)
    real = os.read

    def read(descriptor: int, size: int) -> bytes:
        with path.open("ab") as file:
            file.write(b"x")
        return real(descriptor, size)

    monkeypatch.setattr(module.os, "read", read)
    with pytest.raises(Unsteady):
        Workspace(root).read("a")


@pytest.mark.parametrize("when", ["before", "during"])
def test_what_changed_since_it_was_hashed_is_not_sent_whole(root: Path, when: str) -> None:
    """The last bytes stay back until all are known to be those that were announced."""
    path = root / "a"
    path.write_bytes(b"1" * LARGE)
    workspace = Workspace(root)
    reading = workspace.read("a")
    assert reading is not None
    sent = 0
    if when == "before":
        path.write_bytes(b"2" * LARGE)

    def send() -> None:
        nonlocal sent
        for chunk in workspace.chunks("a", reading):
            sent += len(chunk)
            with path.open("r+b") as file:
                file.seek(LARGE - 1)
                file.write(b"2")

    with pytest.raises(Unsteady):
        send()
    assert sent < LARGE


def test_links_and_devices_are_never_opened(root: Path) -> None:
    """A link to a file, a file behind a linked folder, a pipe: refused, and the pipe does not block."""
    (root / "link").symlink_to(root.parent / "outside" / "secret")
    (root / "folder").symlink_to(root.parent / "outside")
    os.mkfifo(root / "pipe")
    workspace = Workspace(root)
    for path in ("link", "folder/secret", "pipe"):
        with pytest.raises(NotRegular):
            workspace.read(path)


def test_nothing_is_written_outside(root: Path) -> None:
    """Neither through a linked folder nor over a link, and no temporary file is left."""
    (root / "folder").symlink_to(root.parent / "outside")
    (root / "link").symlink_to(root.parent / "outside" / "secret")
    workspace = Workspace(root)
    with pytest.raises(NotRegular):
        workspace.begin_write("folder/secret")
    replacement = workspace.begin_write("link")
    with pytest.raises(NotRegular):
        replacement.commit(None)
    replacement.abort()
    with pytest.raises(NotRegular):
        workspace.remove("folder/secret", None)
    assert (root.parent / "outside" / "secret").read_text() == "secret"
    assert sorted(os.listdir(root)) == ["folder", "link"]


def test_a_replacement_keeps_the_mode_and_refuses_a_changed_file(root: Path) -> None:
    """The file that is replaced must be the one that was looked at; then it is replaced in one step."""
    path = root / "d" / "a"
    path.parent.mkdir()
    path.write_text("old")
    path.chmod(0o751)
    workspace = Workspace(root)
    seen = workspace.look("d/a")
    assert seen is not None
    for saved_meanwhile in (True, False):
        replacement = workspace.begin_write("d/a")
        replacement.write(b"restored")
        if saved_meanwhile:
            path.write_text("saved meanwhile")
            assert replacement.commit(Stamp.of(seen)) is None
            seen = workspace.look("d/a")
            assert seen is not None
        else:
            assert replacement.commit(Stamp.of(seen)) == Stamp.of(path.stat())
        replacement.abort()
    assert (path.read_text(), path.stat().st_mode & 0o777, os.listdir(root / "d")) == ("restored", 0o751, ["a"])


def test_removing_takes_empty_folders_along(root: Path) -> None:
    """Only the very file that was expected goes; a folder with something else stays."""
    for name in ("a/b/c", "a/d"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    workspace = Workspace(root)
    assert not workspace.remove("a/b/c", Stamp(1, 0, 0, 0))
    assert workspace.remove("a/b/c", Stamp.of((root / "a/b/c").stat()))
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["a", "a/d"]


def test_a_walk_finds_files_and_says_what_it_refuses(root: Path) -> None:
    """Ignored folders, virtual environments, links and pipes are left out; bad names are refused, printable."""
    for name in ("ok.txt", "d/ok.txt", "node_modules/x", "env/pyvenv.cfg", "env/x", "two\nlines", "odd/\udcff"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (root / "link").symlink_to(root.parent / "outside")
    os.mkfifo(root / "pipe")
    found = list(walk(Workspace(root), IgnoreRules()))
    assert sorted(item.path for item in found if isinstance(item, File)) == ["d/ok.txt", "ok.txt"]
    assert {item.path: item.undecodable for item in found if isinstance(item, Folder)} == {
        "": False,
        "d": False,
        "odd": True,
    }
    assert sorted(item.path for item in found if isinstance(item, Refused)) == ["odd/\\udcff", "two\\nlines"]


def test_the_agents_state_is_in_the_workspace_unless_it_must_not_be(tmp_path: Path) -> None:
    """A safe start names another folder."""
    assert state_folder(tmp_path, {}) == tmp_path / ".devplatform"
    assert state_folder(tmp_path, {"DEVPLATFORM_STATE": "/tmp/x"}) == Path("/tmp/x")
