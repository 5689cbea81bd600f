"""The double judged by gcsfuse: what writing, renaming and deleting through a real mount leaves in the bucket."""

import errno
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.doubles.gcs import GcsFault
from tests.lab.gcsfuse import mounted

from .gcs_kit import BUCKET, Gcs

pytestmark = pytest.mark.lab("fuse", "gcsfuse")
Mount = Callable[..., Path]
Seen = list[tuple[str, bytes, bool]]


@pytest.fixture
def mount(gcs: Gcs, tmp_path: Path) -> Iterator[Mount]:
    """Mounts the bucket, as often as asked; all of them are gone when the test is over."""
    with ExitStack() as stack:

        def make(name: str = "m", *options: str) -> Path:
            return stack.enter_context(mounted(gcs.server.url, BUCKET, tmp_path, *options, name=name))

        yield make


def seen(gcs: Gcs, prefix: str = "") -> Seen:
    """Name, content and whether it is live, of every generation."""
    return [(name, one.content(), one.deleted is None) for name, one in gcs.held.all() if name.startswith(prefix)]


def shell(folder: Path, script: str) -> str:
    """What bash prints; it has to succeed."""
    done = subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _python(folder: Path) -> None:
    for text in ("one", "two"):
        (folder / "f").write_text(text)


def _synced(folder: Path) -> None:
    with (folder / "f").open("w") as file:
        for _ in range(5):
            file.write("x")
            file.flush()
            os.fsync(file.fileno())


def _appended(folder: Path) -> None:
    for mode in "wa":
        with (folder / "f").open(mode) as file:
            file.write("x")


def _atomic(folder: Path) -> None:
    for text in ("one", "two", "three"):
        (folder / ".~f").write_text(text)
        (folder / ".~f").replace(folder / "f")


# An empty generation comes first where a shell opens the file: bash duplicates the descriptor, and gcsfuse saves at its
# first close. A moved name's last version becomes noncurrent under the old name.
WAYS: list[tuple[str, str | Callable[[Path], None], Seen]] = [
    ("a shell", "echo x > f", [("f", b"", False), ("f", b"x\n", True)]),
    (
        "a shell, twice",
        "echo x > f; echo y > f",
        [("f", b"", False), ("f", b"x\n", False), ("f", b"", False), ("f", b"y\n", True)],
    ),
    ("Python, twice", _python, [("f", b"one", False), ("f", b"two", True)]),
    ("many syncs", _synced, [("f", b"xxxxx", True)]),
    (
        "an atomic save",
        _atomic,
        [(".~f", t, False) for t in (b"one", b"two", b"three")]
        + [("f", b"one", False), ("f", b"two", False), ("f", b"three", True)],
    ),
    ("a move", "cp ../x f; mv f g", [("f", b"x", False), ("g", b"x", True)]),
    ("a removal", "cp ../x f; rm f", [("f", b"x", False)]),
    ("appending", _appended, [("f", b"x", False), ("f", b"xx", True)]),
    ("a copy over it", "cp ../x f; cp ../x f", [("f", b"x", False), ("f", b"x", True)]),
    ("a folder", "mkdir d; cp ../x d/f", [("d/", b"", True), ("d/f", b"x", True)]),
    (
        "a folder's move",
        "mkdir d; cp ../x d/f; mv d e",
        [("d/", b"", False), ("d/f", b"x", False), ("e/", b"", True), ("e/f", b"x", True)],
    ),
]


@pytest.mark.parametrize(("way", "left"), [row[1:] for row in WAYS], ids=[row[0] for row in WAYS])
def test_generations_of_a_way_of_writing(
    gcs: Gcs, mount: Mount, tmp_path: Path, way: str | Callable[[Path], None], left: Seen
) -> None:
    """What each leaves behind."""
    (tmp_path / "x").write_text("x")
    folder = mount()
    if isinstance(way, str):
        shell(folder, way)
    else:
        way(folder)
    assert seen(gcs) == left


def _sqlite(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "f.db")) as database:
        database.execute("create table t (a)")
        for number in range(4):
            with database:
                database.execute("insert into t values (?)", (number,))
    with closing(sqlite3.connect(folder / "f.db")) as database:
        assert database.execute("select count(*) from t").fetchone() == (4,)


def _git(folder: Path) -> None:
    me = "-c user.name=a -c user.email=a@example.com"
    shell(folder, f"git init -q r; cd r; cp ../../x f; git add f; git {me} commit -qm one; git fsck --strict")


# Programs that write much more than a person saves; whoever shows versions has to leave this out.
NOISE: list[tuple[str, Callable[[Path], None], int, int]] = [("sqlite", _sqlite, 12, 30), ("git", _git, 40, 90)]


@pytest.mark.parametrize(("way", "least", "most"), [row[1:] for row in NOISE], ids=[row[0] for row in NOISE])
def test_programs_that_work_but_are_loud(
    gcs: Gcs, mount: Mount, tmp_path: Path, way: Callable[[Path], None], least: int, most: int
) -> None:
    """Locks, journals, renames: they find their files as they left them, and leave dozens of generations."""
    (tmp_path / "x").write_text("x")
    way(mount())
    made = seen(gcs)
    assert least <= len(made) <= most
    assert [name for name, _, live in made if live and name.endswith(("-journal", ".lock"))] == []


def test_times_are_metadata(gcs: Gcs, mount: Mount) -> None:
    """touch makes no generation: the time is in the metadata, whose generation rises."""
    folder = mount()
    (folder / "f").write_text("x")
    os.utime(folder / "f", (1_700_000_000, 1_700_000_000))
    [one] = gcs.held.versions["f"]
    assert (one.metageneration, one.details["metadata"]["gcsfuse_mtime"][:10]) == (2, "2023-11-14")
    assert (folder / "f").stat().st_mtime == 1_700_000_000


def test_large_files_and_odd_names(gcs: Gcs, mount: Mount) -> None:
    """Chunks of a resumable upload, ranges of a download, and names as people give them."""
    folder = mount()
    body = bytes(range(256)) * 80_000
    for name in ("ü 💾 #1?%.bin", "a+b&c=d"):
        (folder / name).write_bytes(body)
        assert (folder / name).read_bytes() == body
        with (folder / name).open("rb") as file:
            file.seek(10_000_001)
            assert file.read(5) == body[10_000_001:10_000_006]
    assert sorted(os.listdir(folder)) == ["a+b&c=d", "ü 💾 #1?%.bin"]


def test_a_folder_of_one_person(gcs: Gcs, mount: Mount) -> None:
    """Mounted with --only-dir, nothing outside of it is ever asked for; folders need no marker."""
    gcs.save("users/alice/deep/f", "hers")
    gcs.save("users/bob/f", "his")
    folder = mount("m", "--only-dir=users/alice")
    gcs.server.log.calls.clear()
    assert (folder / "deep" / "f").read_text() == "hers"
    shell(folder, "echo x > g; mkdir d; mv g d/; ls -R; rm -r d deep")
    assert gcs.server.log.outside(BUCKET, "users/alice/") == []
    assert [name for name, _, live in seen(gcs) if live] == ["users/bob/f"]


def test_two_mounts_of_one_bucket(gcs: Gcs, mount: Mount) -> None:
    """What one writes the other sees; of two that have the file open, the second to save is told ESTALE."""
    one, two = (mount(name, "--metadata-cache-ttl-secs=0") for name in ("one", "two"))
    (one / "f").write_text("from one")
    assert (two / "f").read_text() == "from one"
    first, second = (os.open(folder / "f", os.O_RDWR) for folder in (one, two))
    os.write(first, b"FROM ONE")
    os.write(second, b"FROM TWO")
    os.close(first)
    with pytest.raises(OSError, match=os.strerror(errno.ESTALE)):
        os.close(second)
    assert seen(gcs) == [("f", b"from one", False), ("f", b"FROM ONE", True)]


def test_a_restore_shows_in_the_mount(gcs: Gcs, mount: Mount) -> None:
    """At once without a metadata cache; what a person has open there is not lost."""
    folder = mount("m", "--metadata-cache-ttl-secs=0")
    (folder / "f").write_text("old")
    (folder / "f").write_text("new")
    made = [one.number for one in gcs.held.versions["f"]]
    with (folder / "f").open() as reader:
        source = gcs.bucket.blob("f")
        gcs.bucket.copy_blob(source, gcs.bucket, "f", source_generation=made[0], if_generation_match=made[1])
        assert (folder / "f").read_text() == "old"
        assert reader.read() == "new"


def test_the_metadata_cache_hides_a_restore(gcs: Gcs, mount: Mount) -> None:
    """With a cache the mount shows it when an entry is too old."""
    folder = mount("m", "--metadata-cache-ttl-secs=2")
    (folder / "f").write_text("old")
    assert (folder / "f").stat().st_size == 3
    gcs.save("f", "restored")
    assert (folder / "f").stat().st_size == 3
    began = time.monotonic()
    while (folder / "f").stat().st_size == 3 and time.monotonic() - began < 10:
        time.sleep(0.05)
    assert (folder / "f").read_text() == "restored"


def test_a_busy_moment_is_not_seen(gcs: Gcs, mount: Mount) -> None:
    """gcsfuse tries again after 503 and resets, and makes one generation."""
    folder = mount()
    gcs.server.faults[:] = [
        GcsFault(status=503, method="storage.objects.insert", times=1),
        GcsFault(reset=True, method="storage.objects.get", times=1),
    ]
    (folder / "f").write_text("x")
    assert seen(gcs) == [("f", b"x", True)]
