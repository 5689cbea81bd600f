"""Faults of KubeSpawner 7.1.0's reflectors: each shown with the real class, beside what our watches do instead.

Where the first half of a test fails, KubeSpawner has mended the fault, and the test can go.
"""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kubespawner import KubeSpawner
from kubespawner.reflector import ResourceReflector

from devplatform_hub.kube.event_index import EventIndex
from devplatform_hub.kube.watching import PodWatch
from tests.unit.test_event_index import ALICE, NOW, event


class Api:
    """An API server that nobody reaches; `asked` counts who tried."""

    api_client = SimpleNamespace(configuration=SimpleNamespace(host="https://cluster.test"))
    asked = 0

    async def list_namespaced_pod(self, **_: Any) -> Any:
        self.asked += 1
        raise ConnectionRefusedError("nobody there")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    api = Api()
    monkeypatch.setattr("kubespawner.reflector.shared_client", lambda *a, **k: api)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda *a, **k: api)
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda *a, **k: None)
    return api


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Pauses take no time; the sum of those that were asked for."""
    real, asked = asyncio.sleep, [0.0]

    async def sleep(seconds: float, *_: Any) -> None:
        asked[0] += seconds
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return lambda: asked[0]


def test_a_repeated_event_is_lost(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stock takes the last uid for a mark of what is old, and a repeat of that event is old too: here it is news."""
    spawner = KubeSpawner(_mock=True, namespace="hub")
    spawner.pod_name, spawner._last_event = ALICE[2], "backoff"
    repeated = [event("scheduled", 10, ago=9), event("backoff", 12, count=2)]
    monkeypatch.setattr(KubeSpawner, "reflectors", {("events", "hub"): SimpleNamespace(events=repeated)})
    assert spawner.events == []

    index = EventIndex()
    for one in (event("scheduled", 10, ago=9), event("backoff", 11)):
        index.take(one, NOW)
    assert index.take(event("backoff", 12, count=2), NOW) == ALICE
    assert [(e["metadata"]["uid"], e["count"]) for e in index.of(ALICE, None, NOW)][-1] == ("backoff", 2)


async def test_a_reflector_gives_up_and_ends_the_hub(api: Api, no_pauses: Callable[[], float]) -> None:
    """Stock stops after half a minute of refused connections, and calls what ends the hub. Ours tries for ever."""
    ended = []
    stock = ResourceReflector(kind="pods", namespace="hub", on_failure=lambda: ended.append("hub"))
    await stock._watch_and_update()
    assert (ended, no_pauses() < 60) == (["hub"], True)

    ours, before = PodWatch(namespace="hub", on_failure=lambda: ended.append("ours")), no_pauses()
    starting = asyncio.create_task(ours.start())
    while no_pauses() - before < 24 * 3600:
        await asyncio.sleep(0)
    assert (ended, starting.done(), ours.trouble) == (["hub"], False, "nobody there")
    assert api.asked > 8000
    await ours.stop()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_an_api_server_that_is_away_at_start_is_an_error_for_every_poll(
    api: Api, no_pauses: Callable[[], float]
) -> None:
    """Stock's poll raises, which JupyterHub takes for a server that is gone, and does so for ever. Ours waits."""
    stock = ResourceReflector(kind="pods", namespace="hub")
    with pytest.raises(ConnectionRefusedError):
        await stock.start()
    with pytest.raises(ConnectionRefusedError):
        await stock.first_load_future

    ours = PodWatch(namespace="hub")
    starting = asyncio.create_task(ours.start())
    await asyncio.sleep(0)
    assert not starting.done()
    await ours.stop()
    await asyncio.gather(starting, return_exceptions=True)


async def test_one_impatient_caller_ends_the_wait_of_all(api: Api) -> None:
    """JupyterHub polls with a time limit at its start. Stock's one future is then cancelled for everybody."""
    stock = ResourceReflector(kind="pods", namespace="hub")
    ours = PodWatch(namespace="hub")
    for reflector, everybody_is_cancelled in ((stock, True), (ours, False)):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reflector.first_load_future, 0.01)
        assert reflector.first_load_future.cancelled() is everybody_is_cancelled
    ours._loaded.set_result(None)
    await ours.first_load_future
