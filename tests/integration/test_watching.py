"""The watches against a real API server: that is restarted, forgets, refuses, is slow, and cuts what flows."""

import asyncio
import json
import logging
import secrets
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio import config as kubernetes_config

from devplatform_hub.kube.long_watch import LongWatch
from devplatform_hub.kube.watching import EventWatch, PodWatch
from tests.lab import hub_rbac
from tests.lab.cluster import Cluster
from tests.lab.faults import Faults

pytestmark = pytest.mark.lab("cluster")
LABELS = {"component": "singleuser-server"}
Json = dict[str, Any]


@pytest.fixture
def faults(cluster: Cluster) -> Iterator[Faults]:
    with Faults(cluster.api_url, cluster.ca) as faults:
        yield faults


class Watches:
    """Makes watches of one namespace through one kubeconfig, and ends them."""

    def __init__(self, config: Path, namespace: str) -> None:
        self.config, self.namespace, self.made = config, namespace, list[LongWatch]()

    async def make(self, kind: type[LongWatch], *, start: bool = True, **traits: Any) -> Any:
        await kubernetes_config.load_kube_config(config_file=str(self.config))
        labels = LABELS if kind is PodWatch else {}
        log = logging.getLogger("watching")
        watch = kind(namespace=self.namespace, labels=labels, log=log, **traits)
        self.made.append(watch)
        if start:
            await asyncio.wait_for(watch.start(), 20)
            await eventually(lambda: watch.stale_seconds == 0)
        return watch

    async def end(self) -> None:
        """Stop them, and close their connections: a hub has one client for its whole life, a test its own."""
        for watch in self.made:
            await watch.stop()
        for client in {id(watch.api.api_client): watch.api.api_client for watch in self.made}.values():
            await client.close()


@pytest.fixture
async def watches(cluster: Cluster, namespace: str, faults: Faults, tmp_path: Path) -> AsyncIterator[Watches]:
    """With the hub's own rights, through `faults`."""
    config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), tmp_path)
    made = Watches(config, namespace)
    yield made
    await made.end()


async def eventually(condition: Callable[[], object], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within} s"
        await asyncio.sleep(0.02)


def make_pod(cluster: Cluster, namespace: str, name: str, **labels: str) -> Json:
    """A pod that nobody schedules: it changes when the test says so."""
    return cluster.api(
        "POST",
        f"/api/v1/namespaces/{namespace}/pods",
        {
            "metadata": {"name": name, "labels": LABELS | labels},
            "spec": {
                "schedulerName": "nobody",
                "containers": [
                    {"name": "notebook", "image": "registry.test/lab:1", "env": [{"name": "TOKEN", "value": "x"}]}
                ],
            },
        },
    )


def label(cluster: Cluster, namespace: str, name: str, value: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/{name}"
    cluster.api("PATCH", path, {"metadata": {"labels": {"seen": value}}})


def delete_pod(cluster: Cluster, namespace: str, name: str) -> None:
    cluster.api("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", {"gracePeriodSeconds": 0})


def make_event(cluster: Cluster, about: Json, reason: str, kind: str = "Pod") -> Json:
    """An event as a kubelet writes it."""
    namespace, name = about["metadata"]["namespace"], about["metadata"]["name"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {
        "metadata": {"name": f"{name}.{secrets.token_hex(8)}"},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name, "uid": about["metadata"]["uid"]},
        "type": "Normal",
        "reason": reason,
        "message": f"{reason} of {name}",
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": "kubelet"},
    }
    return cluster.api("POST", f"/api/v1/namespaces/{namespace}/events", body)


def count_up(cluster: Cluster, event: Json, count: int) -> None:
    path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events/{event['metadata']['name']}"
    cluster.api("PATCH", path, {"count": count})


def reasons(events: list[Json]) -> list[tuple[str, int]]:
    return [(event["reason"], event["count"]) for event in events]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "watching" and record.levelno > 20]


# What a start sees


async def test_a_pod_is_seen_from_its_first_to_its_last_moment(
    cluster: Cluster, namespace: str, watches: Watches
) -> None:
    """Made, changed, gone: each wakes who waits for this pod, and nobody else."""
    watch: PodWatch = await watches.make(PodWatch)
    key, other = f"{namespace}/one", f"{namespace}/two"
    assert (watch.get(key), watch.revision(key)) == (None, 0)
    elsewhere = asyncio.create_task(watch.change(other, 0, 30))
    seen = [0]
    steps = (
        lambda: make_pod(cluster, namespace, "one"),
        lambda: label(cluster, namespace, "one", "yes"),
        lambda: delete_pod(cluster, namespace, "one"),
    )
    for step in steps:
        waiting = asyncio.create_task(watch.change(key, seen[-1], 10))
        await asyncio.to_thread(step)
        seen.append(await waiting)
        if len(seen) == 3:
            pod = watch.get(key)
            assert pod is not None
            assert pod["metadata"]["labels"]["seen"] == "yes"
            assert watch.pods[key] is pod
            assert "env" not in pod["spec"]["containers"][0]
    await eventually(lambda: watch.get(key) is None)
    assert sorted(set(seen)) == seen
    assert not elsewhere.done()
    elsewhere.cancel()


async def test_other_pods_of_the_namespace_are_not_watched(cluster: Cluster, namespace: str, watches: Watches) -> None:
    """Only what has the component's label: what else people run there is not the hub's."""
    make_pod(cluster, namespace, "other", component="something-else")
    make_pod(cluster, namespace, "ours")
    watch: PodWatch = await watches.make(PodWatch)
    assert set(watch.pods) == {f"{namespace}/ours"}


async def test_events_are_those_of_this_pod_and_its_disk(cluster: Cluster, namespace: str, watches: Watches) -> None:
    """With their new count when they are counted up, without those of a pod before, and with the claim's if asked."""
    watch: EventWatch = await watches.make(EventWatch)
    before, other = make_pod(cluster, namespace, "one"), make_pod(cluster, namespace, "two")
    make_event(cluster, before, "Killing")
    delete_pod(cluster, namespace, "one")
    pod = make_pod(cluster, namespace, "one")
    uid = pod["metadata"]["uid"]
    pulling = make_event(cluster, pod, "Pulling")
    make_event(cluster, other, "Pulled")
    make_event(cluster, pod, "BackOff")
    claim = {"metadata": {"namespace": namespace, "name": "claim-one", "uid": "c"}}
    make_event(cluster, claim, "ProvisioningFailed", kind="PersistentVolumeClaim")
    await eventually(lambda: watch.of_pod(namespace, "one", uid, claims=["claim-one"])[2:])
    since = watch.revision(namespace, "one")
    waiting = asyncio.create_task(watch.change(namespace, "one", since, 10))
    await asyncio.to_thread(count_up, cluster, pulling, 2)
    assert await waiting == watch.revision(namespace, "one") != since
    assert reasons(watch.of_pod(namespace, "one", uid)) == [("BackOff", 1), ("Pulling", 2)]
    assert reasons(watch.of_pod(namespace, "one")) == [("BackOff", 1), ("Pulling", 2)]
    assert reasons(watch.of_pod(namespace, "one", before["metadata"]["uid"])) == [("Killing", 1)]
    with_disk = watch.of_pod(namespace, "one", uid, claims=["claim-one"])
    assert reasons(with_disk) == [("BackOff", 1), ("ProvisioningFailed", 1), ("Pulling", 2)]
    future = datetime.fromtimestamp(time.time() + 60, UTC)
    assert len(watch.of_pod(namespace, "one", uid, claims=["claim-one"], claims_since=future)) == 2
    since = watch.revision(namespace, "one", claims=["claim-one"])
    waiting = asyncio.create_task(watch.change(namespace, "one", since, 10, claims=["claim-one"]))
    await asyncio.to_thread(make_event, cluster, claim, "ProvisioningFailed", "PersistentVolumeClaim")
    assert await waiting > since


async def test_events_of_the_real_scheduler_are_read(cluster: Cluster, namespace: str, watches: Watches) -> None:
    """They come in the newer API's form: they have a time and a count here like all others."""
    watch: EventWatch = await watches.make(EventWatch)
    body = {
        "metadata": {"name": "huge", "labels": LABELS},
        "spec": {
            "containers": [{"name": "notebook", "image": "i", "resources": {"requests": {"memory": "9Ti"}}}],
        },
    }
    pod = cluster.api("POST", f"/api/v1/namespaces/{namespace}/pods", body)
    await eventually(lambda: watch.of_pod(namespace, "huge"))
    (event,) = watch.of_pod(namespace, "huge", pod["metadata"]["uid"])
    assert (event["reason"], event["type"], event["reportingComponent"]) == (
        "FailedScheduling",
        "Warning",
        "default-scheduler",
    )
    assert abs(datetime.fromisoformat(event["lastTimestamp"]).timestamp() - time.time()) < 30
    assert event["count"] >= 1


async def test_lists_come_in_pages(cluster: Cluster, namespace: str, watches: Watches, faults: Faults) -> None:
    """However many there are, no answer holds more than a page, and what follows is one stream with bookmarks."""
    for number in range(5):
        make_pod(cluster, namespace, f"pod-{number}")
    watch: PodWatch = await watches.make(PodWatch, page_size=2)
    assert len(watch.pods) == 5
    lists = faults.seen(path="/pods", watch=False)
    assert [(seen.query["limit"], "continue" in seen.query) for seen in lists] == [
        ("2", False),
        ("2", True),
        ("2", True),
    ]
    (stream,) = faults.seen(path="/pods", watch=True)
    assert stream.query["allowWatchBookmarks"].lower() == "true"
    assert int(stream.query["timeoutSeconds"]) >= 1800


# What goes wrong


async def test_a_broken_stream_is_taken_up_where_it_broke(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is listed anew and nothing is missed; one break is no news."""
    make_pod(cluster, namespace, "one")
    watch: PodWatch = await watches.make(PodWatch)
    key = f"{namespace}/one"
    for number in range(3):
        await asyncio.sleep(1.1)  # a stream that holds for a second has settled
        since = watch.revision(key)
        assert faults.cut(path="/pods") == 1
        label(cluster, namespace, "one", str(number))
        await watch.change(key, since, 10)
        assert watch.pods[key]["metadata"]["labels"]["seen"] == str(number)
    assert len(faults.seen(path="/pods", watch=False)) == 1
    assert len(faults.seen(path="/pods", watch=True)) == 4
    assert warnings(caplog) == []


async def test_a_stream_that_ends_in_its_time_is_taken_up(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults
) -> None:
    """The API server ends each watch after `timeout_seconds`: nothing is listed anew then."""
    watch: PodWatch = await watches.make(PodWatch, timeout_seconds=2)
    await eventually(lambda: len(faults.seen(path="/pods", watch=True)) >= 3)
    make_pod(cluster, namespace, "one")
    await eventually(lambda: watch.get(f"{namespace}/one"))
    assert len(faults.seen(path="/pods", watch=False)) == 1


async def test_a_stream_that_fell_silent_is_made_anew(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    """Where bookmarks should come and nothing does, somebody in between has lost the connection without a word."""
    watch: PodWatch = await watches.make(PodWatch, idle_seconds=1)
    await eventually(lambda: len(faults.seen(path="/pods", watch=True)) >= 3)
    make_pod(cluster, namespace, "one")
    await eventually(lambda: watch.get(f"{namespace}/one"))
    assert len(faults.seen(path="/pods", watch=False)) == 1
    assert warnings(caplog) == []


async def test_what_the_api_server_forgot_is_listed_anew(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    """410 in the stream: one list, and what went meanwhile has gone for whoever waits for it."""
    make_pod(cluster, namespace, "one")
    make_pod(cluster, namespace, "two")
    watch: PodWatch = await watches.make(PodWatch)
    key = f"{namespace}/one"
    revisions = {name: watch.revision(f"{namespace}/{name}") for name in ("one", "two")}
    waiting = asyncio.create_task(watch.change(key, revisions["one"], 20))
    faults.answer(410, path="/pods", watch=True)
    await asyncio.to_thread(setattr, faults, "away", True)
    delete_pod(cluster, namespace, "one")
    await asyncio.to_thread(setattr, faults, "away", False)
    assert await waiting != revisions["one"]
    assert (watch.get(key), watch.revision(f"{namespace}/two")) == (None, revisions["two"])
    assert len(faults.seen(path="/pods", watch=False)) == 2
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_server_that_forgets_again_and_again_is_not_pressed(watches: Watches, faults: Faults) -> None:
    """Every list is followed by a 410: the lists become fewer, they do not become a flood."""
    faults.answer(410, path="/pods", watch=True, times=1000)
    watch: PodWatch = await watches.make(PodWatch, start=False)
    await watch.start()
    await asyncio.sleep(3)
    assert 2 <= len(faults.seen(path="/pods", watch=False)) <= 6
    assert "Expired" in watch.trouble
    faults.clear()
    await eventually(lambda: watch.stale_seconds == 0 and not watch.trouble)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_busy_server_is_given_the_time_that_it_asks_for(
    cluster: Cluster,
    namespace: str,
    watches: Watches,
    faults: Faults,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    """Retry-After is kept, the log says it once, nothing is listed anew, and pods stay known."""
    make_pod(cluster, namespace, "one")
    watch: PodWatch = await watches.make(PodWatch)
    await asyncio.sleep(1.1)
    faults.answer(status, path="/pods", watch=True, times=3, headers={"Retry-After": "1"}, message="busy now")
    begun = time.monotonic()
    faults.cut(path="/pods")
    await eventually(lambda: watch.stale_seconds > 0.5)
    assert watch.get(f"{namespace}/one") is not None
    assert "busy now" in watch.trouble
    await eventually(lambda: watch.stale_seconds == 0)
    assert time.monotonic() - begun >= 3
    assert len(faults.seen(path="/pods", watch=False)) == 1
    assert len(warnings(caplog)) == 1
    assert f"{status} : busy now" in warnings(caplog)[0]
    assert [record for record in caplog.records if record.exc_info] == []


async def test_a_slow_server_is_waited_for(cluster: Cluster, namespace: str, watches: Watches, faults: Faults) -> None:
    """Half a second for every request: everything is there, later."""
    faults.delay(0.5, path="/pods")
    make_pod(cluster, namespace, "one")
    watch: PodWatch = await watches.make(PodWatch)
    make_pod(cluster, namespace, "two")
    await eventually(lambda: set(watch.pods) == {f"{namespace}/one", f"{namespace}/two"})


async def test_a_list_that_breaks_in_the_middle_begins_again(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults
) -> None:
    """The second page is refused as expired: the list begins anew, and is whole."""
    for number in range(3):
        make_pod(cluster, namespace, f"pod-{number}")
    faults.delay(0.3, path="/pods")
    watch: PodWatch = await watches.make(PodWatch, start=False, page_size=2)
    starting = asyncio.create_task(watch.start())
    await eventually(lambda: faults.seen(path="/pods"))
    await asyncio.sleep(0.1)
    faults.answer(410, path="/pods", watch=False)  # the first is on its way already
    await starting
    assert len(watch.pods) == 3


async def test_a_hub_that_starts_before_the_api_server_waits_and_says_so(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    """No error for whoever asks; one who gives up ends it for nobody else; one line of log, with what and where."""
    make_pod(cluster, namespace, "one")
    caplog.set_level(logging.INFO, "watching")
    await asyncio.to_thread(setattr, faults, "away", True)
    watch: PodWatch = await watches.make(PodWatch, start=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.start(), 1)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch.first_load_future, 0.5)
    assert watch.stale_seconds > 1
    assert "Cannot connect" in watch.trouble
    await asyncio.to_thread(setattr, faults, "away", False)
    await asyncio.wait_for(watch.first_load_future, 20)
    assert watch.get(f"{namespace}/one") is not None
    await eventually(lambda: watch.stale_seconds == 0)
    (line,) = warnings(caplog)
    assert line.startswith(f"Waiting to watch pods in namespace {namespace} at {faults.url}: Cannot connect to host")
    assert caplog.records[-1].getMessage().startswith("The watch of pods in namespace")
    assert [record for record in caplog.records if record.exc_info] == []


async def test_missing_rights_are_named_and_waited_for(
    cluster: Cluster, namespace: str, faults: Faults, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A chart whose Role came late: the log says what is missing, and the watch goes on when it is there."""
    config = faults.kubeconfig(cluster.kubeconfig_for("late", namespace, rules=[]), tmp_path)
    watches = Watches(config, namespace)
    watch: EventWatch = await watches.make(EventWatch, start=False)
    starting = asyncio.create_task(watch.start())
    await eventually(lambda: watch.trouble)
    assert "403 Forbidden" in watch.trouble
    assert 'cannot list resource "events"' in warnings(caplog)[0]
    assert not starting.done()
    cluster.apply(*hub_rbac.manifests("late", namespace))
    await asyncio.wait_for(starting, 30)
    await watch.stop()


async def test_a_hub_without_rights_in_between_keeps_what_it_knows(
    cluster: Cluster, namespace: str, watches: Watches, faults: Faults
) -> None:
    """The events watch is refused and the pods watch goes on: they fail each for itself."""
    pods: PodWatch = await watches.make(PodWatch)
    events: EventWatch = await watches.make(EventWatch)
    faults.answer(403, path="/events", times=2)
    faults.cut(path="/events")
    await eventually(lambda: events.trouble)
    assert (pods.trouble, pods.stale_seconds) == ("", 0)
    await eventually(lambda: not events.trouble)


async def test_an_object_of_an_unknown_shape_does_not_end_the_watch(
    cluster: Cluster, namespace: str, watches: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is logged with its trace, and the watch begins anew: a hub without eyes starts nobody."""

    class Faulty(PodWatch):
        faults = 2

        def _take(self, change: str, found: Json) -> None:
            if found["metadata"]["name"] == "odd" and self.faults:
                self.faults -= 1
                raise KeyError("status")
            super()._take(change, found)

    watch: PodWatch = await watches.make(Faulty)
    make_pod(cluster, namespace, "odd")
    make_pod(cluster, namespace, "even")
    await eventually(lambda: len(watch.pods) == 2)
    assert len([record for record in caplog.records if record.exc_info]) == 2


async def test_a_watch_ends_when_it_is_told_to(namespace: str, watches: Watches) -> None:
    """It is not started twice, and stopped before it knew anything it frees whoever waits."""
    watch: PodWatch = await watches.make(PodWatch)
    with pytest.raises(RuntimeError, match="Already watching pods in namespace"):
        await watch.start()
    await watch.stop()
    await watch.stop()
    assert watch.watch_task is None


# What happens to the real thing


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One whose API server may be taken away."""
    with Cluster(tmp_path_factory.mktemp("own"), disks=False) as cluster:
        yield cluster


@pytest.fixture
async def own_watches(own_cluster: Cluster) -> AsyncIterator[Watches]:
    namespace = own_cluster.namespace(f"hub-{secrets.token_hex(4)}")
    made = Watches(own_cluster.kubeconfig_for("hub", namespace), namespace)
    yield made
    await made.end()


async def test_a_restart_of_the_api_server_loses_nothing(
    own_cluster: Cluster, own_watches: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed and started again: pods stay known while it is away, and what happened then is seen afterwards."""
    caplog.set_level(logging.INFO, "watching")
    namespace = own_watches.namespace
    gone, kept = (make_pod(own_cluster, namespace, name) for name in ("gone", "kept"))
    watch: PodWatch = await own_watches.make(PodWatch)
    events: EventWatch = await own_watches.make(EventWatch)
    await asyncio.to_thread(own_cluster.stop_api_server, kill=True)
    await eventually(lambda: watch.stale_seconds > 2 and events.stale_seconds > 2)
    assert set(watch.pods) == {f"{namespace}/gone", f"{namespace}/kept"}
    revision = watch.revision(f"{namespace}/gone")
    waiting = asyncio.create_task(watch.change(f"{namespace}/gone", revision, 60))
    own_cluster.start_api_server()  # not in a thread that ends: the process would end with it
    await asyncio.to_thread(delete_pod, own_cluster, namespace, gone["metadata"]["name"])
    await asyncio.to_thread(make_event, own_cluster, kept, "Pulling")
    assert await waiting != revision
    await eventually(lambda: set(watch.pods) == {f"{namespace}/kept"}, 30)
    await eventually(lambda: events.of_pod(namespace, "kept"), 30)
    await eventually(lambda: watch.stale_seconds == events.stale_seconds == 0)
    told = [record for record in caplog.records if record.name == "watching"]
    for kind in ("pods", "events"):
        about = [record.getMessage() for record in told if f"watch of {kind}" in record.getMessage()]
        assert [line.split(" in namespace")[0] for line in about] == [f"The watch of {kind}"] * 2, about
        assert ["is interrupted" in about[0], "stands after" in about[1]] == [True, True]
    assert [record for record in told if record.exc_info] == []


async def test_history_that_etcd_has_compacted_is_listed_anew(
    own_cluster: Cluster, own_watches: Watches, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real 410: the hub was cut off for longer than the API server remembers."""
    caplog.set_level(logging.INFO, "watching")
    namespace = own_watches.namespace
    with Faults(own_cluster.api_url, own_cluster.ca) as faults:
        own_watches.config = faults.kubeconfig(own_watches.config, tmp_path)
        pod = make_pod(own_cluster, namespace, "one")
        watch: EventWatch = await own_watches.make(EventWatch)
        make_event(own_cluster, pod, "Pulling")
        await eventually(lambda: watch.of_pod(namespace, "one"))
        await asyncio.to_thread(setattr, faults, "away", True)
        for _ in range(3):
            last = make_event(own_cluster, pod, "BackOff")
        compact(own_cluster, last["metadata"]["resourceVersion"])
        await asyncio.to_thread(setattr, faults, "away", False)
        await eventually(lambda: len(watch.of_pod(namespace, "one")) == 4)
        assert len(faults.seen(path="/events", watch=False)) == 2
        await watch.stop()
    anew = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Listing events")]
    assert len(anew) == 1
    assert "410 Expired: The resourceVersion for the provided watch is too old" in anew[0] or "compacted" in anew[0]


def compact(cluster: Cluster, version: str) -> None:
    """Let etcd forget everything before this version, as the API server does every five minutes."""
    (client,) = (part for part in cluster.processes["etcd"].command if part.startswith("--listen-client-urls="))
    body = json.dumps({"revision": version, "physical": True}).encode()
    request = urllib.request.Request(f"{client.partition('=')[2]}/v3/kv/compaction", body)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        assert answer.status == 200
