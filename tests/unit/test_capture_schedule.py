"""When a file is captured: debounce, two lanes, thinning, and nothing dropped."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devplatform_versions.capture.schedule import BULK_RATE, DELIBERATE_REST, RESERVE, Schedule
from devplatform_versions.capture.settings import Settings

DEFAULTS = Settings()
SETTINGS = Settings(quiet=0.3, suspicious_quiet=1.0, longest_wait=10.0, burst=3, refill=6.0)


def taken(schedule: Schedule, now: float, *, bulk: bool = False, limit: int = 100) -> list[str]:
    """What is due, as if it were captured at once."""
    paths = schedule.take(now, limit, bulk=bulk)
    for path in paths:
        schedule.done(path)
    return list(paths)


def test_a_save_is_due_when_the_file_rests() -> None:
    """Every change starts the wait anew; once due it is given out once."""
    schedule = Schedule(SETTINGS)
    for now in (0.0, 0.2, 0.4):
        schedule.touch("a", now)
    assert [taken(schedule, now) for now in (0.3, 0.5, 0.69, 0.71, 5.0)] == [[], [], [], ["a"], []]


def test_a_file_that_never_rests_is_due_at_last() -> None:
    """A log that is written all the time is captured after the longest wait."""
    schedule = Schedule(SETTINGS)
    found = []
    for tick in range(120):
        schedule.touch("a", tick / 10)
        found += [tick / 10] * len(taken(schedule, tick / 10))
    assert found == [10.0]


def test_a_path_is_not_given_out_twice_at_once() -> None:
    """A change during a capture waits for the capture's end."""
    schedule = Schedule(SETTINGS)
    schedule.touch("a", 0.0)
    assert list(schedule.take(1.0, 10, bulk=False)) == ["a"]
    schedule.touch("a", 1.1)
    assert list(schedule.take(2.0, 10, bulk=False)) == []
    schedule.done("a")
    assert list(schedule.take(2.5, 10, bulk=False)) == ["a"]


def test_a_file_that_went_empty_gets_a_little_longer_once() -> None:
    """Truncated and not yet written: looked at again after a second, or as soon as it was written and rests."""
    schedule = Schedule(SETTINGS)
    schedule.touch("a", 0.0)
    assert schedule.take(0.4, 10, bulk=False) == {"a": False}
    assert schedule.doubt("a", 0.4)
    schedule.done("a")
    assert schedule.take(1.3, 10, bulk=False) == {}
    assert schedule.take(1.5, 10, bulk=False) == {"a": True}
    assert schedule.doubt("a", 1.5)
    schedule.done("a")
    schedule.touch("a", 1.6)
    assert schedule.take(2.0, 10, bulk=False) == {"a": False}


def test_busy_files_are_thinned_and_the_last_state_is_kept() -> None:
    """Fifty saves in a minute: a burst at once, then one each refill; the last save is captured in the end."""
    schedule = Schedule(SETTINGS)
    captured = []
    for tick in range(800):
        now = tick / 10
        if tick % 12 == 0 and tick < 600:
            schedule.touch("a", now)
        for path in taken(schedule, now):
            schedule.count_version(path, now)
            captured.append(now)
    assert len(captured) in range(11, 15)
    assert captured[-1] >= 58.8
    assert len(schedule) == 0


def captured_saves(saves: list[float], settings: Settings = DEFAULTS) -> list[bool]:
    """Of each of these saves, in seconds, whether what it wrote was captured before the next one."""
    schedule = Schedule(settings)
    captured = [False] * len(saves)
    for number, (at, following) in enumerate(zip(saves, [*saves[1:], saves[-1] + 60], strict=True)):
        schedule.touch("a", at)
        step = at
        while (due := schedule.next_due(bulk=False)) is not None and (step := max(step, due)) < following:
            for path in taken(schedule, step):
                schedule.count_version(path, step)
                captured[number] = True
    return captured


@pytest.mark.parametrize(
    ("every", "count"),
    [
        pytest.param(0.5, 10, id="in anger: ten within five seconds"),
        pytest.param(2.1, 60, id="every two seconds, for two minutes"),
        pytest.param(3, 100, id="every three seconds, for five minutes"),
        pytest.param(6.1, 1000, id="every six seconds, all morning"),
        pytest.param(120, 300, id="JupyterLab's own, all day"),
    ],
)
def test_saves_of_a_person_are_all_captured(every: float, count: int) -> None:
    """Nobody saves by hand faster, or so long at that pace, than versions are kept."""
    assert all(captured_saves([number * every for number in range(count)]))


@pytest.mark.parametrize(
    ("every", "most"),
    [
        pytest.param(0.2, 70, id="a log"),
        pytest.param(1.0, 120, id="an editor that saves with every pause"),
        pytest.param(2.1, 180, id="a program that writes every two seconds"),
    ],
)
def test_saves_of_programs_are_thinned(every: float, most: int) -> None:
    """Ten minutes of a program: the burst, the reserve, then one each refill and each refill of the reserve."""
    captured = captured_saves([number * every for number in range(int(600 / every))])
    assert 50 <= sum(captured) <= most
    assert captured[-1]


@given(st.lists(st.sampled_from([0.05, 0.31, 1.0, 2.05, 5.0, 6.4, 30.0]), max_size=120))
@settings(max_examples=100, deadline=None)
def test_a_save_before_a_pause_is_captured(gaps: list[float]) -> None:
    """Whatever came before: after a pause of `refill`, and after a deliberate one while there is a reserve."""
    saves = list(itertools.accumulate(gaps, initial=0.0))
    captured = captured_saves(saves)
    deliberate = 0
    for gap, was_captured in zip([*gaps, 60], captured, strict=True):
        deliberate += gap > DELIBERATE_REST
        assert was_captured or gap < DEFAULTS.refill + DEFAULTS.quiet
        assert was_captured or gap < DELIBERATE_REST or deliberate > RESERVE
        assert was_captured or gap < DEFAULTS.quiet or sum(captured) >= DEFAULTS.burst


def test_a_reserve_that_comes_back_counts_at_once() -> None:
    """Nothing was left when the file changed; it changes again half a minute later, and rests."""
    schedule = Schedule(SETTINGS)
    for _ in range(SETTINGS.burst + RESERVE + 10):
        schedule.count_version("a", 0.0)
    schedule.touch("a", 29.0)
    schedule.touch("a", 30.5)
    assert taken(schedule, 30.4 + DELIBERATE_REST) == []
    assert taken(schedule, 30.6 + DELIBERATE_REST) == ["a"]


@pytest.mark.parametrize("pauses", range(55, 65))
def test_an_editors_saves_do_not_swallow_a_deliberate_one(pauses: int) -> None:
    """An editor saved with every pause until no token was left; somebody saves, and types for two seconds more."""
    saves = [number * 1.0 for number in range(pauses)]
    *_, deliberate, _ = captured_saves([*saves, saves[-1] + 0.6, saves[-1] + 2.7])
    assert deliberate


def test_a_burst_is_queued_whole_and_does_not_delay_a_person() -> None:
    """Thousands of files of a tool go to the other lane; a save elsewhere is due as always; nothing is dropped."""
    schedule = Schedule(SETTINGS)
    for number in range(5000):
        schedule.touch(f"data/{number % 50}/{number}", 0.0)
    schedule.touch("notebooks/a", 0.1)
    at_once = taken(schedule, 0.5, limit=1000)
    assert len(at_once) <= BULK_RATE + 1
    assert "notebooks/a" in at_once
    others = [taken(schedule, 1.0, bulk=True, limit=100) for _ in range(60)]
    assert len({path for batch in others for path in batch} | set(at_once)) == 5001
    assert max(map(len, others)) == 100


def test_at_the_end_nothing_waits() -> None:
    """Flush makes everything due: debounced, doubted, thinned and postponed."""
    schedule = Schedule(SETTINGS)
    schedule.touch("fresh", 0.0)
    schedule.postpone("failed", 0.0, 60.0)
    for _ in range(9):
        schedule.count_version("thinned", 0.0)
    schedule.touch("thinned", 0.0)
    schedule.doubt("empty", 0.0)
    schedule.flush(0.1)
    assert sorted(taken(schedule, 0.1)) == ["empty", "failed", "fresh", "thinned"]
    assert not schedule.doubt("empty", 0.1)


def test_a_claim_keeps_others_away() -> None:
    """While a restore is written, the path is not captured."""
    schedule = Schedule(SETTINGS)
    schedule.touch("a", 0.0)
    assert schedule.claim("a")
    assert not schedule.claim("a")
    assert taken(schedule, 1.0) == []
    schedule.done("a")
    assert taken(schedule, 2.0) == ["a"]
