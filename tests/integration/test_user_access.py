"""People's rights at a real API server, given by a hub that has no more than its own: what they are, and how long.

Every change of the hub's goes through the account of tests/lab/hub_rbac.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import CoreV1Api, RbacAuthorizationV1Api
from kubernetes_asyncio.config import new_client_from_config

from devplatform_hub.core.names import label_value, session_names
from devplatform_hub.kube.requests import Requests
from devplatform_hub.kube.session_access import UserAccess
from devplatform_hub.kube.user_access import Session, access_objects, admin_objects, hub_labels
from devplatform_hub.kube.user_access_api import NotOurs
from tests.lab.cluster import Cluster
from tests.lab.faults import Faults

pytestmark = pytest.mark.lab("cluster")

Json = dict[str, Any]
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces"
ALICE, BOB, ADMINS = "alice@example.com", "bob@example.com", "devplatform-admins@example.com"
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}


class Lab:
    """A hub's part in access, without the hub: its pods are made by the test."""

    def __init__(self, cluster: Cluster, namespace: str, access: UserAccess, hub: str) -> None:
        self.cluster, self.namespace, self.access, self.hub = cluster, namespace, access, hub

    async def start(self, user: str, server: str = "", email: str | None = None, *, wait: bool = False) -> Session:
        """As the spawner does it: an account, a pod that runs as it, then rights to that pod."""
        account = await self.access.session_starting(user, server)
        pod = await asyncio.to_thread(self.make_pod, user, server, account)
        names = session_names(user, server)
        mail = user if email is None else email
        session = Session(user, server, names.pod, pod["metadata"]["uid"], names.claim, mail)
        await self.access.session_started(session)
        if wait:
            where = self.namespace
            await asyncio.to_thread(
                self.cluster.wait_for,
                lambda: self.cluster.pod(names.pod, where)["status"]["phase"] == "Running",
                30,
                names.pod,
            )
        return session

    async def end(self, session: Session) -> None:
        await asyncio.to_thread(self.end_pod, session.pod_name)
        await self.access.session_ended(*session.key)

    def make_pod(self, user: str, server: str, account: str) -> Json:
        labels = {"hub.jupyter.org/username": label_value(user), "component": "singleuser-server"}
        metadata = {
            "name": session_names(user, server).pod,
            "labels": {**labels, **hub_labels(self.hub)},
            "annotations": {"hub.jupyter.org/username": user, "hub.jupyter.org/servername": server},
        }
        spec = {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "notebook", "image": "registry.test/notebook:1"}],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        return self.cluster.api("POST", f"/api/v1/namespaces/{self.namespace}/pods", body)

    def end_pod(self, name: str) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}"
        self.cluster.api("DELETE", f"{path}?gracePeriodSeconds=0", expect=[404])
        self.cluster.wait_for(lambda: not self.cluster.pod(name, self.namespace), 20, f"the end of {name}")

    def pods(self) -> list[Json]:
        return self.cluster.items(f"/api/v1/namespaces/{self.namespace}/pods")

    def object(self, kind: str, name: str) -> Json:
        """The object, {} where there is none."""
        found = self.cluster.api("GET", f"{self._path(kind)}/{name}", expect=[404])
        return {} if found["kind"] == "Status" else found

    def names(self, kind: str) -> list[str]:
        made_by_kubernetes = {"default", "hub"}
        names = {item["metadata"]["name"] for item in self.cluster.items(self._path(kind))}
        return sorted(names - made_by_kubernetes)

    def change(self, kind: str, name: str, patch: Json) -> None:
        self.cluster.api("PATCH", f"{self._path(kind)}/{name}", patch)

    def all(self) -> dict[str, list[str]]:
        return {kind: self.names(kind) for kind in ("serviceaccounts", "roles", "rolebindings")}

    def _path(self, kind: str) -> str:
        root = "/api/v1/namespaces" if kind == "serviceaccounts" else RBAC
        return f"{root}/{self.namespace}/{kind}"


@asynccontextmanager
async def laboratory(
    cluster: Cluster, namespace: str, *, hub: str = "west", config: Path | None = None, grace: float = 600
) -> AsyncIterator[Lab]:
    """A hub process that has just started and remembers nothing."""
    config = config or cluster.kubeconfig_for("hub", namespace)
    async with await new_client_from_config(str(config)) as client:
        ask = Requests(timeout=5, patience=10)
        apis = CoreV1Api(client), RbacAuthorizationV1Api(client)
        access = UserAccess(*apis, ask, namespace=namespace, hub=hub, orphan_grace=grace)
        yield Lab(cluster, namespace, access, hub)


# Who may do what

OWN, SECOND, OTHERS = (session_names(*key).pod for key in ((ALICE, ""), (ALICE, "gpu"), (BOB, "")))
DISK, OTHERS_DISK = session_names(ALICE, "").claim, session_names(BOB, "").claim


@pytest.fixture(scope="module")
def people(cluster: Cluster) -> Iterator[str]:
    """A namespace in which alice has two servers and bob has one, with the administrators' role."""
    name = cluster.namespace("user-access")

    async def start() -> None:
        async with laboratory(cluster, name) as lab:
            for user, server in ((ALICE, ""), (ALICE, "gpu"), (BOB, "")):
                await lab.start(user, server, wait=True)

    cluster.apply(*admin_objects(ADMINS, namespace=name))
    asyncio.run(start())
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize(
    ("question", "alice", "administrator"),
    [
        pytest.param(f"get pods/{OWN}", "yes", "yes", id="own pod"),
        pytest.param(f"watch pods/{OWN}", "yes", "yes", id="watch own pod"),
        pytest.param(f"get pods/{OWN} --subresource=log", "yes", "yes", id="own logs"),
        pytest.param(f"create pods/{OWN} --subresource=exec", "yes", "yes", id="shell in own pod"),
        pytest.param(f"get pods/{OWN} --subresource=exec", "yes", "yes", id="shell by websocket"),
        pytest.param(f"create pods/{OWN} --subresource=portforward", "yes", "no", id="own port"),
        pytest.param(f"get pods/{SECOND} --subresource=log", "yes", "yes", id="logs of the second server"),
        pytest.param(f"get pvc/{DISK}", "yes", "yes", id="own disk"),
        pytest.param(f"delete pods/{OWN}", "no", "yes", id="end own pod"),
        pytest.param(f"patch pods/{OWN}", "no", "no", id="change own pod"),
        pytest.param(f"create pods/{OWN} --subresource=attach", "no", "no", id="attach"),
        pytest.param(f"update pods/{OWN} --subresource=ephemeralcontainers", "no", "no", id="debug container"),
        pytest.param(f"create pods/{OWN} --subresource=eviction", "no", "no", id="evict"),
        pytest.param(f"delete pvc/{DISK}", "no", "no", id="delete own disk"),
        pytest.param(f"patch pvc/{DISK}", "no", "no", id="change own disk"),
        pytest.param(f"get pods/{OTHERS}", "no", "yes", id="another's pod"),
        pytest.param(f"get pods/{OTHERS} --subresource=log", "no", "yes", id="another's logs"),
        pytest.param(f"create pods/{OTHERS} --subresource=exec", "no", "yes", id="shell in another's"),
        pytest.param(f"get pods/{OTHERS} --subresource=exec", "no", "yes", id="another's by websocket"),
        pytest.param(f"create pods/{OTHERS} --subresource=portforward", "no", "no", id="another's port"),
        pytest.param(f"delete pods/{OTHERS}", "no", "yes", id="end another's pod"),
        pytest.param(f"get pvc/{OTHERS_DISK}", "no", "yes", id="another's disk"),
        pytest.param("list pods", "no", "yes", id="list pods"),
        pytest.param("watch pods", "no", "yes", id="watch pods"),
        pytest.param("get pods --subresource=log", "no", "yes", id="all logs"),
        pytest.param("create pods", "no", "no", id="create pods"),
        pytest.param("deletecollection pods", "no", "no", id="delete all pods"),
        pytest.param("list pvc", "no", "yes", id="list disks"),
        pytest.param("list events", "no", "yes", id="events"),
        pytest.param("list events.events.k8s.io", "no", "yes", id="events of the new API"),
        pytest.param("get secrets", "no", "no", id="secrets"),
        pytest.param("list secrets", "no", "no", id="list secrets"),
        pytest.param("get configmaps", "no", "no", id="config maps"),
        pytest.param("create serviceaccounts --subresource=token", "no", "no", id="tokens"),
        pytest.param("impersonate serviceaccounts", "no", "no", id="impersonate"),
        pytest.param("create roles", "no", "no", id="create roles"),
        pytest.param("patch roles", "no", "no", id="change roles"),
        pytest.param("create rolebindings", "no", "no", id="bind"),
        pytest.param("escalate roles", "no", "no", id="escalate"),
        pytest.param("list nodes", "no", "no", id="nodes"),
        pytest.param("list pods --namespace=kube-system", "no", "no", id="another namespace"),
    ],
)
def test_who_may_do_what(cluster: Cluster, people: str, question: str, alice: str, administrator: str) -> None:
    """`kubectl auth can-i`, for a person and for an administrator who has no server."""
    answers = []
    for who in ([f"--as={ALICE}"], ["--as=root@example.com", f"--as-group={ADMINS}"]):
        told = cluster.kubectl("auth", "can-i", f"--namespace={people}", *question.split(), *who, check=False)
        answers.append(told.split()[-1])
    assert answers == [alice, administrator]


@pytest.mark.parametrize(
    "who",
    [
        pytest.param(["--as=eve@example.com"], id="somebody else"),
        pytest.param(["--as=Alice@example.com"], id="another spelling"),
        pytest.param(["--as=alice"], id="without domain"),
        pytest.param(["--as=alice@example.com.evil.test"], id="longer"),
        pytest.param(["--as=root@example.com", "--as-group=devplatform-admins"], id="the group of no domain"),
        pytest.param([f"--as=system:serviceaccount:user-access:{session_names(ALICE, '').account}"], id="the pod"),
    ],
)
def test_nobody_else_has_alices_rights(cluster: Cluster, people: str, who: list[str]) -> None:
    """Nor has her pod: the service account opens nothing."""
    asked = ("auth", "can-i", f"--namespace={people}", "get", f"pods/{OWN}", *who)
    assert cluster.kubectl(*asked, check=False).split()[-1] == "no"


def test_kubectl_does_it(cluster: Cluster, people: str) -> None:
    """Really asked, with a certificate of alice: her pod and its watch answer, logs and a shell pass the authorizer.

    A simulated machine has no kubelet; that connection is refused after the right was granted.
    """
    config = cluster.client_config(ALICE)

    def kubectl(*args: str) -> str:
        return cluster.kubectl(f"--namespace={people}", *args, kubeconfig=config, check=False)

    assert kubectl("get", "pod", OWN, "-o", "name") == f"pod/{OWN}\n"
    assert f"{SECOND} " in kubectl("get", "pod", SECOND, "--watch", "--no-headers", "--request-timeout=1s")
    assert "Forbidden" not in kubectl("get", "pod", SECOND, "--watch-only", "--request-timeout=1s")
    refused = "Error from server (Forbidden)"
    for args in (["logs", OWN], ["exec", OWN, "--", "id"]):
        told = kubectl(*args)
        assert "Forbidden" not in told, told
        assert "connection refused" in told, told
    for args in (
        ["get", "pod", OTHERS],
        ["get", "pods"],
        ["logs", OTHERS],
        ["exec", OTHERS, "--", "id"],
        ["port-forward", OTHERS, "8888"],
        ["delete", "pod", OWN],
        ["get", "secrets"],
    ):
        told = kubectl(*args)
        assert refused in told, f"{args}: {told}"


# For how long


async def test_rights_come_and_go_with_the_session(cluster: Cluster, namespace: str) -> None:
    """With the last server of a person everything of theirs is gone."""
    async with laboratory(cluster, namespace) as lab:
        await lab.access.sweep([], [])
        one, two = await lab.start("alice", "", ALICE), await lab.start("alice", "gpu", ALICE)
        assert lab.all() == {
            "serviceaccounts": ["person-alice"],
            "roles": ["person-alice", "person-alice--gpu"],
            "rolebindings": ["person-alice", "person-alice--gpu"],
        }
        await lab.end(one)
        assert lab.names("roles") == ["person-alice--gpu"]
        assert lab.names("serviceaccounts") == ["person-alice"]
        await lab.end(two)
        assert lab.all() == {"serviceaccounts": [], "roles": [], "rolebindings": []}


async def test_nobody_without_an_address_is_given_rights(cluster: Cluster, namespace: str) -> None:
    """An account for the pod, and no more."""
    async with laboratory(cluster, namespace) as lab:
        await lab.start("alice", "", "")
        assert lab.all() == {"serviceaccounts": ["person-alice"], "roles": [], "rolebindings": []}


async def test_servers_that_start_and_end_at_once_leave_each_other_alone(cluster: Cluster, namespace: str) -> None:
    """One server of alice runs through while others come and go beside it, in every order."""
    async with laboratory(cluster, namespace) as lab:
        await lab.access.sweep([], [])
        stays = await lab.start("alice", "stays", ALICE)
        before = [
            lab.object(kind, f"person-alice{end}") for kind, end in (("roles", "--stays"), ("serviceaccounts", ""))
        ]

        async def come_and_go(server: str) -> None:
            for _ in range(3):
                await lab.end(await lab.start("alice", server, ALICE))

        async def come_and_go_alone() -> None:
            for _ in range(4):
                await asyncio.gather(
                    *(lab.end(session) for session in [await lab.start("bob", server, BOB) for server in ("a", "b")])
                )

        await asyncio.gather(*(come_and_go(server) for server in "abc"), come_and_go_alone())
        after = [
            lab.object(kind, f"person-alice{end}") for kind, end in (("roles", "--stays"), ("serviceaccounts", ""))
        ]
        assert after == before
        assert lab.all() == {
            "serviceaccounts": ["person-alice"],
            "roles": ["person-alice--stays"],
            "rolebindings": ["person-alice--stays"],
        }
        await lab.end(stays)
        assert lab.names("serviceaccounts") == []


async def test_a_start_that_overtakes_the_end_before_it(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """The account that the end takes away is there when the pod is made: the API server would refuse it else."""
    with Faults(cluster.api_url, cluster.ca) as faults:
        config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), tmp_path)
        async with laboratory(cluster, namespace, config=config) as lab:
            await lab.access.sweep([], [])
            first = await lab.start("alice", "a", ALICE)
            faults.delay(0.5, method="DELETE", path="/serviceaccounts")
            end = asyncio.create_task(lab.end(first))
            while not faults.seen(method="DELETE", path="/serviceaccounts"):
                await asyncio.sleep(0.02)
            await asyncio.gather(lab.start("alice", "b", ALICE), end)
            assert lab.names("serviceaccounts") == ["person-alice"]
            assert lab.names("roles") == ["person-alice--b"]


async def test_the_cluster_takes_rights_away_when_the_hub_is_dead(cluster: Cluster, namespace: str) -> None:
    """The Role and its binding belong to the pod; the account waits for a sweep."""
    async with laboratory(cluster, namespace) as lab:
        session = await lab.start("alice", "", ALICE)
    lab.end_pod(session.pod_name)
    cluster.wait_for(lambda: not lab.names("roles") and not lab.names("rolebindings"), 30, "the garbage collector")
    assert lab.names("serviceaccounts") == ["person-alice"]


# After a crash


async def test_a_sweep_after_a_crash_removes_what_is_left_and_nothing_else(cluster: Cluster, namespace: str) -> None:
    """What hands and other hubs made stays, also under the names of ours; what a live server lacks is made."""
    async with laboratory(cluster, namespace, hub="east") as other:
        await other.start("carol", "", "carol@example.com")
    async with laboratory(cluster, namespace) as lab:
        runs = await lab.start("alice", "", ALICE)
        lacks = await lab.start("alice", "lacks", ALICE)
        await lab.access.session_starting("bob", "")
        # Rights of a pod that is no more, which the garbage collector does not see: their owner was taken off.
        gone = Session("dave", "", "jupyter-dave", "no-such-pod", "claim-dave", "dave@example.com")
        made = access_objects(gone, hub="west", namespace=namespace)
        for item in (made.account, *made.rights):
            item["metadata"].pop("ownerReferences", None)
            cluster.apply(item)
    for kind in ("roles", "rolebindings"):
        cluster.kubectl("delete", kind, "person-alice--lacks", f"--namespace={namespace}")
    by_hand = {"name": "person-eve", "namespace": namespace, "labels": {"devplatform.io/hub": "west"}}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": by_hand},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": by_hand, "rules": [SECRETS]},
    )
    assert "person-bob" in lab.names("serviceaccounts")
    async with laboratory(cluster, namespace) as lab:
        swept = await lab.access.sweep([runs, lacks], lab.pods())
        assert lab.all() == {
            "serviceaccounts": ["person-alice", "person-carol", "person-eve"],
            "roles": ["person-alice", "person-alice--lacks", "person-carol", "person-eve"],
            "rolebindings": ["person-alice", "person-alice--lacks", "person-carol"],
        }
        assert sorted((leftover.kind, leftover.name) for leftover in swept.removed) == [
            ("Role", "person-dave"),
            ("RoleBinding", "person-dave"),
            ("ServiceAccount", "person-bob"),
            ("ServiceAccount", "person-dave"),
        ]
        assert swept.mended == (lacks.key,)
        again = await lab.access.sweep([runs, lacks], lab.pods())
        assert (again.removed, again.mended, again.orphans, again.ended) == ((), (), (), ())


async def test_a_start_during_a_sweep_keeps_its_account(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """The sweep has decided to remove what is left of zoe's last session, and she starts the next before it does."""
    others = [f"adam{number}" for number in range(8)]
    async with laboratory(cluster, namespace) as before:
        for user in (*others, "zoe"):
            await before.access.session_starting(user, "")
    with Faults(cluster.api_url, cluster.ca) as faults:
        config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), tmp_path)
        async with laboratory(cluster, namespace, config=config) as lab:
            faults.delay(1, method="DELETE", path="/serviceaccounts/person-adam")
            sweep = asyncio.create_task(lab.access.sweep([], []))
            while not faults.seen(method="DELETE"):
                await asyncio.sleep(0.02)
            await lab.start("zoe", "", "zoe@example.com")
            assert not sweep.done()
            swept = await sweep
            assert sorted(leftover.key[0] for leftover in swept.removed) == others
            assert lab.names("serviceaccounts") == ["person-zoe"]


async def test_a_hub_that_does_not_know_its_servers_yet_takes_no_account_away(cluster: Cluster, namespace: str) -> None:
    """After a restart one server ends before the hub has told of the others."""
    async with laboratory(cluster, namespace) as lab:
        one, two = await lab.start("alice", "", ALICE), await lab.start("alice", "gpu", ALICE)
    async with laboratory(cluster, namespace) as lab:
        await lab.end(one)
        assert lab.all() == {
            "serviceaccounts": ["person-alice"],
            "roles": ["person-alice--gpu"],
            "rolebindings": ["person-alice--gpu"],
        }
        await lab.access.sweep([two], lab.pods())
        await lab.end(two)
        assert lab.all() == {"serviceaccounts": [], "roles": [], "rolebindings": []}


async def test_pods_that_nobody_knows_are_told_of_and_end_after_a_while(cluster: Cluster, namespace: str) -> None:
    """Not those of another hub, and not at the first sight of a hub that has just started."""
    async with laboratory(cluster, namespace, hub="east") as other:
        carol = await other.start("carol")
    async with laboratory(cluster, namespace, grace=1) as lab:
        alice = await lab.start("alice", "", ALICE)
        await lab.start("bob")
    async with laboratory(cluster, namespace, grace=1) as lab:
        await asyncio.sleep(1.1)
        first = await lab.access.sweep([alice], lab.pods())
        assert [(orphan.name, orphan.key) for orphan in first.orphans] == [("jupyter-bob", ("bob", ""))]
        assert first.ended == ()
        assert lab.names("serviceaccounts") == ["person-alice", "person-bob", "person-carol"]
        await asyncio.sleep(1.1)
        second = await lab.access.sweep([alice], lab.pods())
        assert [orphan.name for orphan in second.ended] == ["jupyter-bob"]
        cluster.wait_for(lambda: not cluster.pod("jupyter-bob", namespace), 20, "the end of the orphan")
        assert [pod["metadata"]["name"] for pod in lab.pods()] == [alice.pod_name, carol.pod_name]
        await lab.access.sweep([alice], lab.pods())
        assert lab.names("serviceaccounts") == ["person-alice", "person-carol"]


# Whoever meddles


async def test_what_was_tampered_with_is_right_at_the_next_start(cluster: Cluster, namespace: str) -> None:
    """Rights that were added, a person that was added, another role, and another Google account."""
    async with laboratory(cluster, namespace) as lab:
        first = await lab.start("alice", "", ALICE)
        lab.change("roles", "person-alice", {"rules": [SECRETS], "metadata": {"ownerReferences": None}})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "jupyter-admin"}
        binding = lab.object("rolebindings", "person-alice")
        eve = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve@example.com"}
        cluster.kubectl("delete", "rolebinding", "person-alice", f"--namespace={namespace}")
        metadata = {k: binding["metadata"][k] for k in ("name", "namespace", "labels", "annotations")}
        cluster.apply({**binding, "metadata": metadata, "roleRef": role, "subjects": [*binding["subjects"], eve]})
        stolen = {"iam.gke.io/gcp-service-account": "owner@project.iam.gserviceaccount.com"}
        lab.change("serviceaccounts", "person-alice", {"metadata": {"annotations": stolen}})
        lab.end_pod(first.pod_name)
    async with laboratory(cluster, namespace) as lab:
        second = await lab.start("alice", "", ALICE)
        meant = access_objects(second, hub="west", namespace=namespace)
        for kind, wanted in zip(
            ("serviceaccounts", "roles", "rolebindings"), (meant.account, *meant.rights), strict=True
        ):
            there = lab.object(kind, "person-alice")
            kept = {name: there["metadata"][name] for name in wanted["metadata"]}
            assert {**there, "metadata": kept} == wanted


async def test_a_sweep_puts_right_what_was_tampered_with(cluster: Cluster, namespace: str) -> None:
    """Also while the server runs."""
    async with laboratory(cluster, namespace) as lab:
        session = await lab.start("alice", "", ALICE)
        before = lab.object("roles", "person-alice")["rules"]
        lab.change("roles", "person-alice", {"rules": [SECRETS]})
        swept = await lab.access.sweep([session], lab.pods())
        assert swept.mended == (session.key,)
        assert lab.object("roles", "person-alice")["rules"] == before


async def test_somebody_elses_account_is_never_a_persons(cluster: Cluster, namespace: str) -> None:
    """A start would run as it: it is refused, and the object stays as it was."""
    metadata = {"name": "person-alice", "namespace": namespace, "labels": {"app": "billing"}}
    cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    async with laboratory(cluster, namespace) as lab:
        before = lab.object("serviceaccounts", "person-alice")
        with pytest.raises(NotOurs, match="person-alice exists already") as raised:
            await lab.access.session_starting("alice", "")
        assert raised.value.code == "access-name-taken"
        await lab.access.session_ended("alice", "")
        assert lab.object("serviceaccounts", "person-alice") == before


async def test_an_object_that_took_the_place_of_ours_stays(cluster: Cluster, namespace: str) -> None:
    """What is removed is what was made, by its uid, and not whatever has its name by then."""
    async with laboratory(cluster, namespace) as lab:
        session = await lab.start("alice", "", ALICE)
        cluster.kubectl("delete", "role", "person-alice", f"--namespace={namespace}")
        metadata = {"name": "person-alice", "namespace": namespace}
        by_hand = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata}
        cluster.apply({**by_hand, "rules": [SECRETS]})
        await lab.access.session_ended(*session.key)
        assert lab.all() == {"serviceaccounts": ["person-alice"], "roles": ["person-alice"], "rolebindings": []}


async def test_a_crafted_server_name_opens_nobodys_server(
    cluster: Cluster, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Two people's servers with one name of 32 bits of hash: the second gets no rights, the first keeps theirs."""
    victim = ("christopher.anderson1@example.com", "quarterly-report-7266")
    mallory = ("christopher.anderson2@example.com", "quarterly-report-8160")
    async with laboratory(cluster, namespace) as lab:
        session = await lab.start(*victim)
        names = session_names(*mallory)
        assert names.pod == session.pod_name
        await lab.access.session_starting(*mallory)
        with caplog.at_level(logging.WARNING, "devplatform.access"):
            crafted = Session(*mallory, names.pod, session.pod_uid, names.claim, mallory[0])
            assert not await lab.access.session_started(crafted)
        assert "exists already and is not this server's" in caplog.text
        await lab.access.session_ended(*mallory)
        (subject,) = lab.object("rolebindings", names.role)["subjects"]
        assert subject["name"] == victim[0]


# The hub's own rights, and an API server in trouble


def test_the_hub_can_hand_out_no_more_than_it_holds(cluster: Cluster, namespace: str) -> None:
    """RBAC's own guard: nobody makes a role, or binds one, with rights that they do not have."""
    config = cluster.kubeconfig_for("hub", namespace)
    strong = {"name": "strong", "namespace": namespace}
    rbac = "rbac.authorization.k8s.io/v1"
    cluster.apply({"apiVersion": rbac, "kind": "Role", "metadata": strong, "rules": [SECRETS]})

    def hub(*args: str) -> str:
        return cluster.kubectl(f"--namespace={namespace}", *args, kubeconfig=config, check=False)

    for args in (
        ["create", "role", "more", "--verb=list", "--resource=secrets"],
        ["create", "role", "more", "--verb=*", "--resource=*"],
        ["create", "role", "more", "--verb=create", "--resource=pods/attach"],
        ["create", "role", "more", "--verb=delete", "--resource=persistentvolumeclaims"],
        ["create", "role", "more", "--verb=create", "--resource=serviceaccounts/token"],
        ["create", "role", "more", "--verb=escalate,bind", "--resource=roles.rbac.authorization.k8s.io"],
        ["create", "rolebinding", "more", "--role=strong", f"--user={ALICE}"],
        ["create", "rolebinding", "more", "--clusterrole=cluster-admin", f"--user={ALICE}"],
        ["create", "rolebinding", "more", "--clusterrole=view", f"--user={ALICE}"],
    ):
        told = hub(*args)
        assert "Forbidden" in told or "forbidden" in told, f"{args}: {told}"
        assert "more" not in cluster.kubectl("get", "roles,rolebindings", f"--namespace={namespace}", "-o", "name")
    assert "forbidden" in hub(
        "patch", "role", "strong", "--type=json", '-p=[{"op":"add","path":"/rules/0/verbs/0","value":"*"}]'
    )
    assert "created" in hub("create", "role", "less", "--verb=get", "--resource=pods/log")


async def test_a_busy_api_server_is_asked_again(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """429 with the wait it asks for, 503, and an answer that never comes: the rights are there in the end."""
    with Faults(cluster.api_url, cluster.ca) as faults:
        config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), tmp_path)
        async with laboratory(cluster, namespace, config=config) as lab:
            faults.answer(429, method="POST", path="/serviceaccounts", headers={"Retry-After": "1"})
            faults.answer(503, times=2, method="POST", path="/roles")
            faults.answer(500, method="POST", path="/rolebindings")
            begun = asyncio.get_running_loop().time()
            session = await lab.start("alice", "", ALICE)
            assert asyncio.get_running_loop().time() - begun >= 1
            assert lab.all() == {
                "serviceaccounts": ["person-alice"],
                "roles": ["person-alice"],
                "rolebindings": ["person-alice"],
            }
            faults.answer(503, method="DELETE", path="/roles")
            await lab.access.session_ended(*session.key)
            assert lab.names("roles") == []


async def test_rights_that_could_not_be_given_come_with_the_next_sweep(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """A server is of use without kubectl: its start goes on, and nothing is forgotten."""
    with Faults(cluster.api_url, cluster.ca) as faults:
        config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), tmp_path)
        async with laboratory(cluster, namespace, config=config) as lab:
            faults.answer(403, method="POST", path="/rolebindings", message="quota")
            session = await lab.start("alice", "", ALICE)
            assert lab.names("rolebindings") == []
            swept = await lab.access.sweep([session], lab.pods())
            assert swept.mended == (session.key,)
            assert lab.names("rolebindings") == ["person-alice"]


async def test_what_is_known_to_be_there_is_not_asked_for(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Of a second server: two requests to start, two to end, and none for the account."""
    with Faults(cluster.api_url, cluster.ca) as faults:
        config = faults.kubeconfig(cluster.kubeconfig_for("hub", namespace), tmp_path)
        async with laboratory(cluster, namespace, config=config) as lab:
            await lab.access.sweep([], [])
            await lab.start("alice", "", ALICE)
            before = len(faults.seen())
            await lab.end(await lab.start("alice", "gpu", ALICE))
            asked = [(request.method, request.path.rsplit("/", 2)[-2:]) for request in faults.seen()[before:]]
            assert asked[:2] == [("POST", [namespace, "roles"]), ("POST", [namespace, "rolebindings"])]
            assert sorted(asked[2:]) == [
                ("DELETE", ["rolebindings", "person-alice--gpu"]),
                ("DELETE", ["roles", "person-alice--gpu"]),
            ]
