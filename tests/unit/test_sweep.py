"""What a sweep removes, mends and leaves alone, decided from lists."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from devplatform_hub.core.names import session_names
from devplatform_hub.kube.sweep import Leftover, Orphan, orphans, overdue, plan_sweep
from devplatform_hub.kube.user_access import Session, access_objects

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def session(user: str = "alice", server: str = "", **changes: str) -> Session:
    fields = {"pod_name": session_names(user, server).pod, "pod_uid": f"pod-{user}-{server}", "claim_name": "c"}
    return Session(user, server, **{**fields, "email": f"{user}@example.com", **changes})


def found(session: Session, *, hub: str = "west") -> list[Json]:
    """The objects of a session as the API server lists them."""
    made = access_objects(session, hub=hub, namespace="servers")
    listed = []
    for item in copy.deepcopy([made.account, *made.rights]):
        item["metadata"] |= {"uid": f"{item['kind']} {item['metadata']['name']}", "resourceVersion": "1"}
        listed.append(item)
    return listed


def pod(user: str = "alice", server: str = "", *, uid: str = "", hub: str = "west", made: str = "11:00:00") -> Json:
    return {
        "metadata": {
            "name": session_names(user, server).pod,
            "uid": uid or f"pod-{user}-{server}",
            "labels": {"devplatform.io/hub": hub, "component": "singleuser-server"},
            "annotations": {"hub.jupyter.org/username": user, "hub.jupyter.org/servername": server},
            "creationTimestamp": f"2026-11-24T{made}Z",
        }
    }


def left(kind: str, user: str = "alice", server: str = "") -> Leftover:
    names = session_names(user, server)
    name = names.account if kind == "ServiceAccount" else names.role
    return Leftover(kind, name, f"{kind} {name}", (user, server))


def changed(items: list[Json], kind: str, change: Mapping[str, Any]) -> list[Json]:
    """The list with fields of the one object of this kind changed."""
    for item in items:
        if item["kind"] == kind:
            for name, value in change.items():
                place = item["metadata"] if name in item["metadata"] else item
                place[name] = value
    return items


def without(items: list[Json], kind: str) -> list[Json]:
    return [item for item in items if item["kind"] != kind]


RIGHTS = (left("Role"), left("RoleBinding"))
ALL = (left("ServiceAccount"), *RIGHTS)


@pytest.mark.parametrize(
    ("listed", "known", "pods", "remove", "mend"),
    [
        pytest.param([], [], [], (), (), id="nothing"),
        pytest.param(found(session()), [session()], [pod()], (), (), id="a server that runs"),
        pytest.param(found(session()), [session()], [], (), (), id="one whose pod the watch does not show yet"),
        pytest.param(found(session()), [], [], ALL, (), id="a session that is no more"),
        pytest.param(found(session()), [], [pod()], (), (), id="unknown, but its pod is there"),
        pytest.param(found(session()), [], [pod(uid="new")], RIGHTS, (), id="unknown, of a pod of before"),
        pytest.param(found(session()), [], [pod(hub="east")], ALL, (), id="another hub's pod of that name"),
        pytest.param(
            found(session()) + found(session(server="gpu"))[1:],
            [session(server="gpu")],
            [pod(server="gpu")],
            RIGHTS,
            (),
            id="one of two servers is no more: the account stays",
        ),
        pytest.param(found(session()), [session(pod_uid="")], [], (), (), id="a start under way keeps all"),
        pytest.param([], [session(pod_uid="")], [], (), ("",), id="a start whose account is missing"),
        pytest.param(found(session()), [session(email="")], [pod()], RIGHTS, (), id="an address that is no more"),
        pytest.param([], [session()], [pod()], (), ("",), id="rights that are missing"),
        pytest.param(without(found(session()), "Role"), [session()], [pod()], (), ("",), id="a Role that is missing"),
        pytest.param(
            without(found(session()), "RoleBinding"), [session()], [pod()], (), ("",), id="a binding that is missing"
        ),
        pytest.param(
            changed(found(session()), "Role", {"rules": [{"resources": ["secrets"]}]}),
            [session()],
            [pod()],
            (),
            ("",),
            id="rights that were added",
        ),
        pytest.param(
            changed(found(session()), "RoleBinding", {"roleRef": {"name": "jupyter-admin"}}),
            [session()],
            [pod()],
            (),
            ("",),
            id="a binding to another role",
        ),
        pytest.param(found(session(pod_uid="old")), [session()], [pod()], (), ("",), id="rights of the pod of before"),
        pytest.param(
            changed(found(session()), "Role", {"name": "person-alice-before"}),
            [session()],
            [pod()],
            (Leftover("Role", "person-alice-before", "Role person-alice", ("alice", "")),),
            ("",),
            id="a name of before",
        ),
        pytest.param(found(session(), hub="east"), [], [], (), (), id="another hub's"),
        pytest.param(
            changed(found(session())[:2], "Role", {"annotations": {}})[1:], [], [], (), (), id="one that names nobody"
        ),
        pytest.param(
            changed(found(session())[:2], "Role", {"labels": {"devplatform.io/hub": "west"}})[1:],
            [],
            [],
            (),
            (),
            id="one that is not managed",
        ),
    ],
)
def test_plan(
    listed: list[Json], known: list[Session], pods: list[Json], remove: tuple[Leftover, ...], mend: tuple[str, ...]
) -> None:
    """The whole decision: objects to remove, and the servers of alice to mend."""
    plan = plan_sweep(listed, {one.key: one for one in known}, pods, hub="west", namespace="servers")
    assert (plan.remove, tuple(one.server for one in plan.mend)) == (remove, mend)


def test_a_case_of_a_name_is_another_person() -> None:
    """The account of `Alice` does not stay because `alice` works."""
    listed = found(session("alice")) + found(session("Alice", email=""))
    plan = plan_sweep(listed, {("alice", ""): session()}, [], hub="west", namespace="servers")
    assert [(leftover.kind, leftover.key[0]) for leftover in plan.remove] == [("ServiceAccount", "Alice")]
    assert plan.mend == ()


def test_thousands_are_decided_in_time() -> None:
    """The plan looks at each object once: 3,000 objects of 1,000 people."""
    known = [session(f"user{number}") for number in range(1000)]
    listed = [item for one in known for item in found(one)]
    plan = plan_sweep(listed, {one.key: one for one in known}, [], hub="west", namespace="servers")
    assert (plan.remove, plan.mend) == ((), ())


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        pytest.param([pod()], (), id="a known server"),
        pytest.param([pod("bob")], (Orphan("jupyter-bob", "pod-bob-", ("bob", ""), 3600.0),), id="an unknown one"),
        pytest.param([pod("bob", hub="east")], (), id="another hub's"),
        pytest.param([{"metadata": {**pod("bob")["metadata"], "labels": None}}], (), id="without labels"),
        pytest.param([{"metadata": {**pod("bob")["metadata"], "annotations": {}}}], (), id="that names nobody"),
        pytest.param([{"metadata": {**pod("bob")["metadata"], "deletionTimestamp": "t"}}], (), id="that goes already"),
    ],
)
def test_orphans(pods: list[Json], expected: tuple[Orphan, ...]) -> None:
    """Pods of this hub whose server it does not know."""
    assert orphans(pods, {("alice", ""): session()}, hub="west", now=NOW) == expected


@pytest.mark.parametrize(
    ("age", "seen_since", "ends"),
    [
        pytest.param(3600, {"u": 0.0}, True, id="old, and long seen"),
        pytest.param(3600, {"u": 500.0}, False, id="old, and seen a moment ago"),
        pytest.param(3600, {}, False, id="old, and never seen: the hub has just started"),
        pytest.param(30, {"u": 0.0}, False, id="young"),
    ],
)
def test_overdue(age: float, seen_since: dict[str, float], ends: bool) -> None:
    """Nobody's work is ended by a hub that does not know its servers yet."""
    orphan = Orphan("jupyter-bob", "u", ("bob", ""), age)
    assert overdue([orphan], seen_since, 700.0, 600.0) == ((orphan,) if ends else ())
