"""The names in `.versions/`: readable, unique, stable, and always names that a file system takes."""

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_versions.model import Version
from devplatform_versions.naming import generation_of, split_name, version_names

AT = datetime(2024, 3, 15, 14, 30, 0, tzinfo=UTC)


def version(path: str, generation: int = 1, *, after: float = 0.0, tombstone: bool = False) -> Version:
    return Version(path, generation, 0, "", AT + timedelta(seconds=after), "alice", tombstone=tombstone)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("report.ipynb", "report_2024-03-15_14-30-00.ipynb"),
        ("deep/down/report.ipynb", "report_2024-03-15_14-30-00.ipynb"),
        ("myfile", "myfile_2024-03-15_14-30-00"),
        ("Makefile", "Makefile_2024-03-15_14-30-00"),
        (".bashrc", ".bashrc_2024-03-15_14-30-00"),
        (".config.yaml", ".config_2024-03-15_14-30-00.yaml"),
        ("a.tar.gz", "a_2024-03-15_14-30-00.tar.gz"),
        ("a.b.c.csv", "a.b.c_2024-03-15_14-30-00.csv"),
        ("v1.2 final", "v1.2 final_2024-03-15_14-30-00"),
        ("ends.with.dot.", "ends.with.dot._2024-03-15_14-30-00"),
        ("...", "..._2024-03-15_14-30-00"),
        ("..txt", "..txt_2024-03-15_14-30-00"),
        ("données.été", "données.été_2024-03-15_14-30-00"),
        ("<b>.html", "<b>_2024-03-15_14-30-00.html"),
        ("x." + "e" * 17, "x." + "e" * 17 + "_2024-03-15_14-30-00"),
    ],
)
def test_the_time_stands_before_the_extension(path: str, name: str) -> None:
    """An editor still knows the kind of file; a name without an extension gets the time at its end."""
    assert version_names([version(path)]) == {1: name}
    stem, extension = split_name(path.rpartition("/")[2])
    assert stem + extension == path.rpartition("/")[2]


def test_a_clash_within_a_second_is_numbered_by_generation() -> None:
    """The first keeps the plain name, and a newer version never renames an older one."""
    versions = [version("a.txt", 10 + n, after=n * 0.4) for n in range(4)]
    names = version_names(reversed(versions))
    assert names == {
        10: "a_2024-03-15_14-30-00.txt",
        11: "a_2024-03-15_14-30-00-2.txt",
        12: "a_2024-03-15_14-30-00-3.txt",
        13: "a_2024-03-15_14-30-01.txt",
    }
    assert version_names(versions[:2]) == {10: names[10], 11: names[11]}


def test_times_are_utc() -> None:
    """A time of another zone gives the same name."""
    elsewhere = Version("a", 1, 0, "", AT.astimezone(timezone(timedelta(hours=5, minutes=45))), "alice")
    assert version_names([elsewhere]) == {1: "a_2024-03-15_14-30-00"}


def test_a_deletion_has_no_name() -> None:
    """A tombstone is no file, and takes no number from one."""
    versions = [version("a", 1, tombstone=True), version("a", 2)]
    assert version_names(versions) == {2: "a_2024-03-15_14-30-00"}


@pytest.mark.parametrize("stem", ["n" * 251, "\u00e9" * 125 + "x", "\U0001f600" * 62 + "abc", "e\u0301" * 83 + "ab"])
def test_a_long_name_is_cut_and_stays_unique(stem: str) -> None:
    """At most 255 bytes, still UTF-8, and two files whose names differ only at the end differ here too."""
    files = [stem + ".txt", stem[:-1] + "y.txt"]
    assert all(len(file.encode()) <= 255 for file in files)
    names = version_names(version(file, n) for n, file in enumerate(files))
    for name in names.values():
        assert len(name.encode()) <= 255
        assert name.endswith("_2024-03-15_14-30-00.txt")
    assert len(set(names.values())) == 2


_NAMES = st.one_of(
    st.text(alphabet="a_-.2024:15", min_size=1, max_size=12),
    st.text(alphabet=string.printable.replace("/", "").replace("\n", "").replace("\r", ""), min_size=1, max_size=40),
    st.text(min_size=1, max_size=60).filter(lambda s: "/" not in s and "\0" not in s and len(s.encode()) <= 255),
    st.sampled_from(["a_2024-03-15_14-30-00", "a_2024-03-15_14-30-00.txt", "a", "a.txt", "a_2024-03-15_14-30-00-2"]),
)


@given(st.lists(st.tuples(_NAMES, st.integers(0, 3)), max_size=12))
def test_names_in_a_folder_are_unique_and_lead_back(saved: list[tuple[str, int]]) -> None:
    """Whatever the files of a folder are called, every version has its own name, which leads back to it."""
    try:
        versions = [version(f"d/{name}", n + 1, after=s) for n, (name, s) in enumerate(saved) if name.encode()]
    except UnicodeEncodeError:
        return
    names = version_names(versions)
    assert len(set(names.values())) == len(names) == len(versions)
    for generation, name in names.items():
        assert len(name.encode()) <= 255
        assert "/" not in name
        assert generation_of(versions, name) == generation
    assert generation_of(versions, "no such name") is None
