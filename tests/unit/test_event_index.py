"""Events by their object: order, counts in place, uids, and bounds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from devplatform_hub.kube.event_index import EventIndex, Key

NOW = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC).timestamp()
ALICE: Key = ("hub", "Pod", "jupyter-alice")


def event(
    uid: str, version: int, *, ago: float = 0, about: Key = ALICE, about_uid: str = "p1", **more: Any
) -> dict[str, Any]:
    """An event as the kubelet writes it, with what the API server adds."""
    time = datetime.fromtimestamp(NOW - ago, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    namespace, kind, name = about
    return {
        "metadata": {
            "name": f"{name}.{uid}",
            "namespace": namespace,
            "uid": uid,
            "resourceVersion": str(version),
            "creationTimestamp": time,
            "managedFields": [{"manager": "kubelet"}],
        },
        "involvedObject": {"kind": kind, "namespace": namespace, "name": name, "uid": about_uid},
        "type": "Normal",
        "reason": "Pulling",
        "message": f"message of {uid}",
        "count": 1,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "eventTime": None,
        "source": {"component": "kubelet", "host": "node-1"},
        "reportingComponent": "kubelet",
    } | more


def uids(index: EventIndex, key: Key = ALICE, uid: str | None = None, now: float = NOW) -> list[str]:
    return [found["metadata"]["uid"] for found in index.of(key, uid, now)]


def nobody(_: Key) -> bool:
    return False


def test_an_event_keeps_its_form() -> None:
    """What is read of an event is where the API has it; what nobody reads is left out."""
    index = EventIndex()
    given = event("e1", 7)
    given["involvedObject"]["fieldPath"] = "spec.containers{notebook}"
    assert index.take(given, NOW) == ALICE
    del given["metadata"]["managedFields"]
    assert index.of(ALICE, "p1", NOW) == [given]


def test_events_of_the_newer_api_have_times_and_counts_too() -> None:
    """The scheduler's events have no lastTimestamp and no count: a reader need not know that."""
    index = EventIndex()
    series = {"count": 5, "lastObservedTime": "2026-05-01T11:59:58.000001Z"}
    first = "2026-05-01T11:59:50.000001Z"
    more = {"count": None, "firstTimestamp": None, "lastTimestamp": None, "eventTime": first, "series": series}
    index.take(event("e1", 7, **more), NOW)
    (found,) = index.of(ALICE, None, NOW)
    assert (found["firstTimestamp"], found["lastTimestamp"], found["count"]) == (first, series["lastObservedTime"], 5)


def test_an_event_that_is_counted_up_is_news() -> None:
    """KubeSpawner takes the uid for a mark and loses repeats; here the repeat comes last, with its count."""
    index = EventIndex()
    for one in (event("pull", 10), event("backoff", 11), event("pull", 12, count=2)):
        assert index.take(one, NOW) == ALICE
    assert [(e["metadata"]["uid"], e["count"]) for e in index.of(ALICE, None, NOW)] == [("backoff", 1), ("pull", 2)]
    assert len(index) == 2


@pytest.mark.parametrize("version", [pytest.param(10, id="the same again"), pytest.param(9, id="an older one")])
def test_what_is_known_is_no_news(version: int) -> None:
    """A list after a break brings everything again, and wakes nobody for it."""
    index = EventIndex()
    index.take(event("pull", 10, count=3), NOW)
    assert index.take(event("pull", version), NOW) is None
    assert index.of(ALICE, None, NOW)[0]["count"] == 3


def test_events_are_in_the_order_in_which_they_were_recorded() -> None:
    """Times are whole seconds for some and microseconds for others; versions put them in order."""
    index = EventIndex()
    for uid, version, ago in (("late", 102, 2), ("early", 99, 0), ("middle", 100, 1)):
        index.take(event(uid, version, ago=ago), NOW)
    assert uids(index) == ["early", "middle", "late"]


def test_events_of_a_pod_before_with_the_same_name_are_not_shown() -> None:
    """Each pod has its own uid; without one, the pod that appeared last counts, even when the old one speaks last."""
    index = EventIndex()
    index.take(event("killing", 10, about_uid="p1"), NOW)
    index.take(event("scheduled", 11, about_uid="p2"), NOW)
    index.take(event("killing", 12, about_uid="p1", count=2), NOW)
    assert (uids(index, uid="p1"), uids(index, uid="p2"), uids(index)) == (["killing"], ["scheduled"], ["scheduled"])
    assert uids(index, uid="p3") == []


def test_other_objects_are_apart() -> None:
    """The same name in another namespace or of another kind is another object, and other kinds are not kept."""
    index = EventIndex()
    claim: Key = ("hub", "PersistentVolumeClaim", "jupyter-alice")
    other: Key = ("other", "Pod", "jupyter-alice")
    for number, key in enumerate((ALICE, claim, other)):
        index.take(event(f"e{number}", number, about=key), NOW)
    assert index.take(event("e9", 9, about=("hub", "ReplicaSet", "jupyter-alice")), NOW) is None
    assert [uids(index, key) for key in (ALICE, claim, other)] == [["e0"], ["e1"], ["e2"]]
    assert len(index) == 3


def test_removed_events_are_gone() -> None:
    """What the API server deletes is not kept, and an object without events is not either."""
    index = EventIndex()
    index.take(event("e1", 1), NOW)
    index.remove(event("e1", 2))
    index.remove(event("never", 2))
    assert (uids(index), len(index), list(index.all())) == ([], 0, [])


def test_old_events_are_not_taken() -> None:
    """A list has the events of an hour; only the last minutes concern a start."""
    index = EventIndex(keep=60)
    assert index.take(event("old", 1, ago=61), NOW) is None
    assert index.take(event("young", 2, ago=59), NOW) == ALICE
    assert len(index) == 1


def test_events_that_nobody_asks_for_are_forgotten() -> None:
    """Those of pods that somebody follows stay, however old they are."""
    index = EventIndex(keep=60)
    bob, carol = ("hub", "Pod", "jupyter-bob"), ("hub", "Pod", "jupyter-carol")
    for key in (ALICE, bob, carol):
        index.take(event(f"of {key[2]}", 1, about=key), NOW)
    uids(index, bob, now=NOW + 30)
    assert set(index.forget(NOW + 61, lambda key: key == carol)) == {ALICE}
    assert (len(index), uids(index, ALICE), uids(index, bob), uids(index, carol)) == (
        2,
        [],
        ["of jupyter-bob"],
        ["of jupyter-carol"],
    )


def test_memory_is_bounded_whatever_comes() -> None:
    """Of one object the newest stay; of all objects those that were last asked for or heard of."""
    index = EventIndex(most=1000, most_of_one=10)
    for number in range(30):
        index.take(event(f"e{number:02}", number), NOW)
    assert uids(index) == [f"e{number:02}" for number in range(20, 30)]
    for number in range(2000):
        index.take(event(f"f{number}", number, ago=500 - number / 4, about=("hub", "Pod", f"p{number}")), NOW)
    uids(index)
    gone = index.forget(NOW, lambda key: key == ("hub", "Pod", "p3"))
    assert (len(index), len(gone), len(uids(index))) == (900, 2010 - 900, 10)
    assert uids(index, ("hub", "Pod", "p3")) == ["f3"]
    assert uids(index, ("hub", "Pod", "p1999")) == ["f1999"]
    assert uids(index, ("hub", "Pod", "p0")) == []


def test_a_long_message_is_cut() -> None:
    """An admission webhook may say as much as it likes."""
    index = EventIndex()
    index.take(event("e1", 1, message="x" * 100_000), NOW)
    assert len(index.of(ALICE, None, NOW)[0]["message"]) == 2000
