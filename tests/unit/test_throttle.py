"""Waits between guesses, and the memory they take."""

from devplatform_hub.authenticators.throttle import Throttle


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_waits_grow_to_a_minute_and_are_forgotten() -> None:
    """Five free tries, then 2, 4, 8 ... 60 seconds; a quarter of an hour later all is forgotten."""
    time = Time()
    throttle = Throttle(5, time)
    waits = []
    for _ in range(12):
        waits.append(throttle.wait("alice"))
        throttle.failed("alice")
    assert waits == [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]
    time.now += 59.5
    assert throttle.wait("alice") == 1
    time.now += 1
    assert throttle.wait("alice") == 0
    time.now += 15 * 60
    throttle.failed("alice")
    assert throttle.wait("alice") == 0


def test_success_and_other_keys() -> None:
    """A success wipes the slate; one person's guesses do not slow down another."""
    throttle = Throttle(1, Time())
    throttle.failed("alice")
    assert (throttle.wait("alice"), throttle.wait("bob")) == (2, 0)
    throttle.succeeded("alice")
    assert throttle.wait("alice") == 0


def test_memory_is_bounded() -> None:
    """However many names are tried, only the latest are remembered."""
    throttle = Throttle(1, Time(), capacity=100)
    for number in range(10_000):
        throttle.failed(f"name-{number}")
    assert len(throttle) == 100
    assert throttle.wait("name-9999") == 2
