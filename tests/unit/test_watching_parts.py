"""The parts of the watches that need no API server: waiters, what the log says of an outage, what is kept of a pod."""

import asyncio
import time

import pytest

from devplatform_hub.kube.outage import Outage
from devplatform_hub.kube.revisions import Revisions
from devplatform_hub.kube.slim_pod import slim_pod


async def test_a_waiter_is_woken_by_its_own_keys_alone() -> None:
    """A change of another key wakes nobody; any of several keys does."""
    revisions: Revisions[str] = Revisions()
    waiting = asyncio.create_task(revisions.change(("a", "b"), 0, 5))
    await asyncio.sleep(0)
    revisions.changed("c")
    await asyncio.sleep(0.01)
    assert not waiting.done()
    revisions.changed("b")
    assert await waiting == revisions.of("b") == revisions.of("a", "b") == 2
    assert not revisions.is_awaited("a")
    assert not revisions.is_awaited("b")


async def test_a_change_that_was_missed_is_not_waited_for() -> None:
    """Whoever looks, and waits afterwards, loses no change in between."""
    revisions: Revisions[str] = Revisions()
    before = revisions.of("a")
    revisions.changed("a")
    begun = time.monotonic()
    assert await revisions.change(("a",), before, 5) == 1
    assert time.monotonic() - begun < 1


async def test_waiting_ends_with_its_time_and_leaves_nothing_behind() -> None:
    """At the end of the time the revision is the old one; a cancelled waiter is forgotten too."""
    revisions: Revisions[str] = Revisions()
    assert await revisions.change(("a",), 0, 0.01) == 0
    waiting = asyncio.create_task(revisions.change(("a",), 0, 5))
    await asyncio.sleep(0)
    assert revisions.is_awaited("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not revisions.is_awaited("a")


def test_what_is_forgotten_was_never_seen() -> None:
    """The number is gone; a later one is none that was there before."""
    revisions: Revisions[str] = Revisions()
    revisions.changed("a")
    revisions.forget("a")
    assert revisions.of("a") == 0
    revisions.changed("a")
    assert revisions.of("a") == 2


def test_an_outage_is_told_once_and_its_end_once() -> None:
    """However many tries it takes; a mere hiccup is not told at all."""
    outage = Outage("pods", lost_at=0.0)
    assert outage.failed("refused", 0.0) == (
        "Waiting to watch pods: refused. Nothing is started until that is possible."
    )
    assert [outage.failed("refused", t) for t in (1.0, 2.0, 30.0)] == [None] * 3
    assert outage.stale_seconds(31.0) == 31.0
    assert outage.stands(32.0) == "The watch of pods stands after 32 seconds and 4 tries."
    outage.settled()
    assert outage.stale_seconds(40.0) == 0.0
    assert (outage.failed("reset", 50.0), outage.stale_seconds(50.5), outage.stands(50.5)) == (None, 0.5, None)
    outage.settled()
    lines = [outage.failed("500", t) for t in (60.0, 61.0, 62.0)]
    assert lines == [None, "The watch of pods is interrupted: 500. Servers run on; their state is as last seen.", None]
    assert outage.stands(120.0) == "The watch of pods stands after 1 minute and 3 tries."


def test_a_long_outage_is_told_again_with_its_cause_of_then() -> None:
    """First nothing listens, then the rights are missing: whoever looks an hour later must find the second."""
    outage = Outage("pods", lost_at=0.0)
    outage.failed("refused", 0.0)
    assert outage.failed("403", 599.0) is None
    assert outage.failed("403", 600.0) == (
        "Waiting for 10 minutes now to watch pods: 403. Nothing is started until that is possible."
    )


@pytest.mark.parametrize(
    ("failures", "asked", "shortest", "longest"),
    [
        pytest.param(1, 0.0, 0.0, 0.2, id="the first comes at once"),
        pytest.param(2, 0.0, 0.4, 0.8, id="the second waits"),
        pytest.param(4, 0.0, 1.6, 3.2, id="each next longer"),
        pytest.param(10_000, 0.0, 5.0, 10.0, id="and never longer than this"),
        pytest.param(1, 3.0, 3.0, 3.75, id="what the server asks for"),
        pytest.param(1, 1e9, 60.0, 75.0, id="but not for ever"),
    ],
)
def test_pauses_grow_and_are_not_in_step(failures: int, asked: float, shortest: float, longest: float) -> None:
    """The bounds of the pause before the next try."""
    outage = Outage("pods", lost_at=0.0, failures=failures)
    assert outage.pause(asked, 0.0) == pytest.approx(shortest)
    assert outage.pause(asked, 0.999999) == pytest.approx(longest, rel=1e-4)


def test_a_kept_pod_has_no_secret_and_no_ballast() -> None:
    """The server's API token is in `env` of its container, and the watch has no use for it."""
    container = {
        "name": "notebook",
        "image": "registry.test/lab:1",
        "ports": [{"name": "notebook-port", "containerPort": 8888}],
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
        "env": [{"name": "JUPYTERHUB_API_TOKEN", "value": "secret"}],
        "volumeMounts": [{"name": "home", "mountPath": "/home/jovyan"}],
        "args": ["--token=secret"],
    }
    last = "kubectl.kubernetes.io/last-applied-configuration"
    pod = {
        "metadata": {
            "name": "p",
            "namespace": "n",
            "uid": "u",
            "managedFields": [{"manager": "x"}],
            "annotations": {last: '{"env": "secret"}', "hub.jupyter.org/username": "alice"},
        },
        "spec": {"containers": [container], "initContainers": [container], "volumes": [{"name": "home"}]},
        "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False"}]},
    }
    kept = {k: container[k] for k in ("name", "image", "ports", "resources")}
    assert slim_pod(pod) == {
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "annotations": {"hub.jupyter.org/username": "alice"}},
        "spec": {"containers": [kept], "initContainers": [kept], "volumes": [{"name": "home"}]},
        "status": pod["status"],
    }
    assert pod["metadata"]["managedFields"], "the pod that was given stays as it was"
