"""What operators read of the platform in the hub's own metrics."""

from types import SimpleNamespace

import pytest
from kubespawner import KubeSpawner
from prometheus_client import REGISTRY

from devplatform_hub import server_metrics
from devplatform_hub.kube import watch_metrics

STALE, STARTS, SECONDS = (
    f"devplatform_{name}" for name in ("kube_watch_stale_seconds", "server_starts_total", "server_start_seconds_count")
)


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("outcome", "why", "code", "profiles"),
    [
        pytest.param("allowed", "standard", "", 1, id="a start"),
        pytest.param("refused", "profile-unknown", "profile-unknown", 0, id="a refusal"),
        pytest.param("failed", "image-not-found", "image-not-found", 0, id="a failure"),
        pytest.param("failed", "Cannot open /home/alice", "other", 0, id="a text that is no code"),
        pytest.param("failed", "x" * 99, "other", 0, id="a code that is too long"),
    ],
)
def test_a_start_is_counted_once(outcome: str, why: str, code: str, profiles: int) -> None:
    """By its outcome and a stable code; how long it took only where it went well."""
    before = value(STARTS, outcome=outcome, code=code), value(SECONDS, profile="standard")
    server_metrics.started(outcome, why, 2.0)
    after = value(STARTS, outcome=outcome, code=code), value(SECONDS, profile="standard")
    assert (after[0] - before[0], after[1] - before[1]) == (1, profiles)


def test_outcomes_are_there_before_the_first_start() -> None:
    """Else the first failure would be no increase, and no alert."""
    for outcome in ("allowed", "refused", "failed"):
        assert REGISTRY.get_sample_value(STARTS, {"outcome": outcome, "code": ""}) is not None


@pytest.mark.parametrize(
    ("watches", "expected"),
    [
        pytest.param({}, (0, 0), id="nothing watched yet"),
        pytest.param({("pods", "a"): 0.0, ("events", "a"): 0.0}, (0, 0), id="all stand"),
        pytest.param({("pods", "a"): 3.0, ("pods", "b"): 9.0, ("events", None): 4.0}, (9, 4), id="the longest counts"),
        pytest.param({("pods", "events"): 3.0}, (3, 0), id="a namespace that is called as a kind"),
    ],
)
def test_the_watch_that_is_out_of_reach_for_longest_counts(
    watches: dict[tuple[str, str | None], float], expected: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By kind, over all namespaces."""
    found = {key: SimpleNamespace(stale_seconds=seconds) for key, seconds in watches.items()}
    monkeypatch.setattr(KubeSpawner, "reflectors", found)
    assert (value(STALE, kind="pods"), value(STALE, kind="events")) == expected
    assert watch_metrics.stale_seconds("pods") == expected[0]
