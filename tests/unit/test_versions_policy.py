"""How long versions are kept: the policy as tables, and 400 days of saving played through it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devplatform_versions.lifecycle import bucket_lifecycle
from devplatform_versions.model import Version
from devplatform_versions.noise import is_noise
from devplatform_versions.policy import Kept, Retention, expired, kept_until, storage_class

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def version(
    generation: int, *, noncurrent_days: float | None = None, age_days: float = 0, tombstone: bool = False
) -> Version:
    """A version that became noncurrent so many days before NOW (None: live)."""
    since = None if noncurrent_days is None else NOW - noncurrent_days * DAY
    created = (since or NOW) - age_days * DAY
    size, digest = (0, "") if tombstone else (5, "ab" * 32)
    return Version("f", generation, size, digest, created, "alice", noncurrent_since=since, tombstone=tombstone)


def line(*noncurrent_days: float, live: bool = True) -> list[Version]:
    """Versions of one file, newest first, the live one before them."""
    versions = [version(1000)] if live else [version(1000, tombstone=True)]
    return versions + [version(999 - n, noncurrent_days=days) for n, days in enumerate(noncurrent_days)]


@pytest.mark.parametrize(
    ("versions", "gone"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([version(1, age_days=5000)], [], id="a live version, however old"),
        pytest.param(line(*[0.0] * 300), [], id="300 saves of today: no cap within 30 days"),
        pytest.param(line(*[29.999] * 15), [], id="a minute before 30 days"),
        pytest.param(line(*[30.0] * 15), [990, 989, 988, 987, 986, 985], id="30 days: ten in all, the live one too"),
        pytest.param(line(*[30.0] * 9), [], id="nine old ones and the live one"),
        pytest.param(line(*[31.0] * 12, live=False), [989, 988], id="deleted: ten old ones"),
        pytest.param(line(1, 2, 365.9), [], id="the last hour of 365 days"),
        pytest.param(line(1, 2, 366), [997], id="more than 365 days"),
        pytest.param([version(2), version(1, noncurrent_days=1, age_days=4000)], [], id="never counted from its age"),
        pytest.param(line(366, 366, live=False), [1000, 999, 998], id="a deletion ends with what it ended"),
        pytest.param(line(1, live=False), [], id="a deletion stays while there is something to bring back"),
        pytest.param([version(5, tombstone=True)], [5], id="a deletion of nothing"),
        pytest.param(
            [version(3), version(2, tombstone=True), version(1, noncurrent_days=10)],
            [],
            id="deleted and made again: the deletion explains the gap",
        ),
        pytest.param(
            [version(3), version(2, tombstone=True), version(1, noncurrent_days=400)],
            [2, 1],
            id="deleted and made again, long ago",
        ),
        pytest.param(
            [version(n, noncurrent_days=-1) if n < 20 else version(n) for n in range(21)],
            [],
            id="a clock that went back",
        ),
    ],
)
def test_lets_go_by_days_noncurrent_and_newer_versions(versions: list[Version], gone: list[int]) -> None:
    """What goes is said by days since noncurrent and by how many are newer, in any order of the input."""
    assert expired(versions, NOW) == frozenset(gone)
    assert expired(list(reversed(versions)), NOW) == frozenset(gone)


@pytest.mark.parametrize(
    ("days", "name"),
    [
        (None, "STANDARD"),
        (0, "STANDARD"),
        (30.99, "STANDARD"),
        (31, "NEARLINE"),
        (90.99, "NEARLINE"),
        (91, "COLDLINE"),
        (365, "COLDLINE"),
    ],
)
def test_storage_class_by_days_noncurrent(days: float | None, name: str) -> None:
    """Standard to day 30, Nearline to day 90, Coldline after that."""
    assert storage_class(version(1, noncurrent_days=days, age_days=999), NOW) == name


def replay(saves: Iterable[float], look: Iterable[float]) -> dict[float, int]:
    """How many versions are kept on each day of `look`, when a file is saved on the days of `saves`."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    kept: list[Version] = []
    counts: dict[float, int] = {}
    events = sorted([(day, "save") for day in saves] + [(float(day), "look") for day in look])
    for number, (day, kind) in enumerate(events):
        now = start + day * DAY
        if kind == "save":
            if kept:
                kept[-1] = replace(kept[-1], noncurrent_since=now)
            kept.append(Version("f", number + 1, 1, "ab" * 32, now, "alice"))
        gone = expired(kept, now)
        kept = [v for v in kept if v.generation not in gone]
        if kind == "look":
            counts[day] = len(kept)
    return counts


def test_400_days_of_a_file_that_is_saved_daily() -> None:
    """Saved daily for 60 days: 31 versions while it is saved, ten when it rests, one in the end."""
    counts = replay([float(day) for day in range(60)], [59.5, 89.5, 100, 300, 399])
    assert counts == {59.5: 31, 89.5: 10, 100: 10, 300: 10, 399: 10}
    assert replay([float(day) for day in range(60)], [425.5]) == {425.5: 1}


def test_400_days_of_a_file_that_is_saved_fifty_times_a_day() -> None:
    """Saved 250 times in five days and once more: all are there for 30 days, then ten."""
    saves = [day + n / 50 for day in range(5) for n in range(50)] + [5.0]
    assert replay(saves, [5.1, 29.9, 36, 300, 399]) == {5.1: 251, 29.9: 251, 36: 10, 300: 10, 399: 1}


def test_400_days_of_a_file_that_is_overwritten_after_200() -> None:
    """An old version counts from the day it was overwritten: Standard 30 days, Nearline to 90, Coldline to 365."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    old = Version("f", 1, 1, "ab" * 32, start, "alice", noncurrent_since=start + 200 * DAY)
    live = Version("f", 2, 1, "cd" * 32, start + 200 * DAY, "alice")
    classes = {
        day: None if 1 in expired([live, old], start + day * DAY) else storage_class(old, start + day * DAY)
        for day in (200, 230, 231, 290, 291, 399, 565, 566)
    }
    assert classes == {
        200: "STANDARD",
        230: "STANDARD",
        231: "NEARLINE",
        290: "NEARLINE",
        291: "COLDLINE",
        399: "COLDLINE",
        565: "COLDLINE",
        566: None,
    }


@pytest.mark.parametrize(
    ("path", "size", "lived", "noise"),
    [
        pytest.param("report.ipynb", 900, None, False, id="a notebook"),
        pytest.param("empty.txt", 0, None, False, id="an empty file that is live"),
        pytest.param("empty.txt", 0, 1.9, True, id="the empty moment before the content"),
        pytest.param("empty.txt", 0, 2.0, False, id="empty for two seconds"),
        pytest.param("f.txt", 3, 0.1, False, id="replaced at once, but not empty"),
        pytest.param("empty.txt", 0, -5.0, False, id="a clock that went back"),
        pytest.param("a/.~report.ipynb", 9, None, True, id="jupyter's copy while it saves"),
        pytest.param("a/.~lock.report.odt#", 80, None, True, id="an office lock"),
        pytest.param(".git/index", 80, None, True, id="git"),
        pytest.param("sub/.git/objects/ab/cd", 80, None, True, id="git further down"),
        pytest.param(".ipynb_checkpoints/a.ipynb", 80, None, True, id="checkpoints"),
        pytest.param(".gitignore", 80, None, False, id="a file of git's users"),
        pytest.param("git/x", 80, None, False, id="a folder named git"),
        pytest.param("data.db-journal", 80, None, True, id="a database journal"),
        pytest.param(".main.py.swp", 4096, None, True, id="vim's swap file"),
        pytest.param("main.py~", 80, None, True, id="an editor's copy"),
        pytest.param("daemon.lock", 6, None, True, id="a lock marker"),
        pytest.param("uv.lock", 90_000, None, False, id="locked dependencies"),
    ],
)
def test_noise_is_what_programs_leave_while_they_save(path: str, size: int, lived: float | None, noise: bool) -> None:
    """A browser hides the noise of saving, and nothing that a person made."""
    until = None if lived is None else NOW + timedelta(seconds=lived)
    assert is_noise(Version(path, 1, size, "ab" * 32, NOW, "alice", noncurrent_since=until)) is noise


@pytest.mark.parametrize(
    ("kept", "newer", "until"),
    [
        pytest.param(version(1), 0, None, id="live"),
        pytest.param(version(1, tombstone=True), 0, None, id="a deletion"),
        pytest.param(version(1, noncurrent_days=0), 1, Kept(NOW + 30 * DAY, NOW + 366 * DAY), id="few are newer"),
        pytest.param(version(1, noncurrent_days=0), 10, Kept(NOW + 30 * DAY, NOW + 30 * DAY), id="ten are newer"),
        pytest.param(version(1, noncurrent_days=40), 9, Kept(NOW - 10 * DAY, NOW + 326 * DAY), id="the tenth in all"),
    ],
)
def test_until_when_a_version_is_kept(kept: Version, newer: int, until: Kept | None) -> None:
    """What a page says agrees with what is let go: a moment before it is there, from then on it is not."""
    assert kept_until(kept, newer) == until
    if until:
        above = [version(100 + number) for number in range(newer)]
        instant = timedelta(microseconds=1)
        assert expired([*above, kept], until.at_most - instant) == frozenset()
        assert expired([*above, kept], until.at_most) == {kept.generation}
        crowd = [version(200 + number) for number in range(50)]
        assert kept.generation not in expired([*crowd, kept], until.surely - instant)


def test_the_policy_as_rules_of_a_bucket() -> None:
    """Nothing is said of live files, nothing by age; other numbers make other rules."""
    rules = bucket_lifecycle()["rule"]
    assert [(rule["action"], rule["condition"]) for rule in rules[:4]] == [
        (
            {"type": "SetStorageClass", "storageClass": "NEARLINE"},
            {"isLive": False, "daysSinceNoncurrentTime": 31, "matchesStorageClass": ["STANDARD"]},
        ),
        (
            {"type": "SetStorageClass", "storageClass": "COLDLINE"},
            {"isLive": False, "daysSinceNoncurrentTime": 91, "matchesStorageClass": ["STANDARD", "NEARLINE"]},
        ),
        ({"type": "Delete"}, {"isLive": False, "numNewerVersions": 10, "daysSinceNoncurrentTime": 30}),
        ({"type": "Delete"}, {"isLive": False, "daysSinceNoncurrentTime": 366}),
    ]
    assert {rule["action"]["type"] for rule in rules if "isLive" not in rule["condition"]} == {
        "AbortIncompleteMultipartUpload"
    }
    other = bucket_lifecycle(Retention(kept_always_days=7, kept_versions=3, kept_at_most_days=20))["rule"]
    assert [rule["condition"] for rule in other if rule["action"]["type"] == "Delete"] == [
        {"isLive": False, "numNewerVersions": 3, "daysSinceNoncurrentTime": 7},
        {"isLive": False, "daysSinceNoncurrentTime": 21},
    ]
