"""What a person's Role says, when an object is this hub's, and how one that was changed is put right."""

import copy
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devplatform_hub.kube.user_access import (
    AccessObjects,
    Session,
    access_objects,
    admin_objects,
    difference,
    is_ours,
    must_be_made_anew,
    subject_of,
)

Json = dict[str, Any]

ALICE = Session(
    user="alice@example.com",
    server="gpu",
    pod_name="jupyter-alice-example-com---ff8d9819--gpu",
    pod_uid="11111111",
    claim_name="claim-alice-example-com---ff8d9819",
    email="alice@example.com",
)


def objects(session: Session = ALICE, hub: str = "west") -> AccessObjects:
    return access_objects(session, hub=hub, namespace="servers")


def stored(found: Json | None) -> Json:
    """As the API server gives it back."""
    assert found is not None
    there = copy.deepcopy(found)
    there["metadata"] |= {"resourceVersion": "42", "uid": "22222222", "creationTimestamp": "2026-11-24T00:00:00Z"}
    return there


def test_the_objects_of_a_session() -> None:
    """An account that opens nothing, and a Role for exactly one pod and one claim, which goes with the pod."""
    labels = {
        "app.kubernetes.io/managed-by": "devplatform-hub",
        "devplatform.io/hub": "west",
        "hub.jupyter.org/username": "alice-example-com---ff8d9819",
    }
    both = {
        "name": "person-alice-example-com---ff8d9819--gpu",
        "namespace": "servers",
        "labels": {**labels, "hub.jupyter.org/servername": "gpu"},
        "annotations": {"hub.jupyter.org/username": "alice@example.com", "hub.jupyter.org/servername": "gpu"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": ALICE.pod_name, "uid": "11111111"}],
    }
    pod, claim = [ALICE.pod_name], [ALICE.claim_name]
    assert objects() == AccessObjects(
        account={
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": "person-alice-example-com---ff8d9819",
                "namespace": "servers",
                "labels": labels,
                "annotations": {"hub.jupyter.org/username": "alice@example.com"},
            },
            "automountServiceAccountToken": False,
        },
        role={
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": both,
            "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"], "resourceNames": pod},
                {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"], "resourceNames": pod},
                {
                    "apiGroups": [""],
                    "resources": ["pods/exec", "pods/portforward"],
                    "verbs": ["get", "create"],
                    "resourceNames": pod,
                },
                {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get"], "resourceNames": claim},
            ],
        },
        binding={
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": both,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "person-alice-example-com---ff8d9819--gpu",
            },
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice@example.com"}],
        },
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"email": ""}, id="no address"),
        pytest.param({"email": "alice"}, id="a name"),
        pytest.param({"email": "system:masters"}, id="a group of Kubernetes"),
        pytest.param({"pod_uid": ""}, id="no pod yet"),
    ],
)
def test_nobody_has_rights_without_address_and_pod(changes: dict[str, str]) -> None:
    """The account is there all the same."""
    session = Session(**{**{name: getattr(ALICE, name) for name in Session.__slots__}, **changes})
    assert objects(session) == AccessObjects(objects().account)


def test_every_rule_names_its_objects() -> None:
    """A rule with an empty `resourceNames` would be one for all objects: without a disk there is none for disks."""
    role = objects(Session("bob", "", "jupyter-bob", "1", "", "bob@example.com")).role
    assert role is not None
    assert [rule["resourceNames"] for rule in role["rules"]] == [["jupyter-bob"]] * 3
    assert "persistentvolumeclaims" not in str(role)


def test_a_google_account_only_where_there_is_one() -> None:
    """Workload Identity Federation for GKE needs no annotation."""
    account = objects(Session("bob", "", "jupyter-bob", google_account="nb@p.iam.gserviceaccount.com")).account
    assert account["metadata"]["annotations"] == {
        "hub.jupyter.org/username": "bob",
        "iam.gke.io/gcp-service-account": "nb@p.iam.gserviceaccount.com",
    }


@pytest.mark.parametrize(
    ("identity", "is_subject"),
    [
        ("alice@example.com", True),
        ("Alice.B+c_d%e'f-g@mail.example.co", True),
        ("nb@project.iam.gserviceaccount.com", True),
        ("a@b.co", True),
        ("", False),
        ("alice", False),
        ("*", False),
        ("*@example.com", False),
        ("@example.com", False),
        ("alice@", False),
        ("alice@example", False),
        ("alice@localhost", False),
        ("alice@example.com\n", False),
        (" alice@example.com", False),
        ("alice@@example.com", False),
        ("alice@bob@example.com", False),
        ("system:masters", False),
        ("system:serviceaccount:servers:hub", False),
        ("system:admin@example.com", False),
        ("oidc:alice@example.com", False),
        ("alice@ex\u00e4mple.com", False),
        ("al\u0131ce@example.com", False),
        ("a" * 65 + "@example.com", False),
        ("a@" + "b." * 200 + "com", False),
    ],
)
def test_subjects(identity: str, is_subject: bool) -> None:
    """Only what is an e-mail address and nothing else is ever bound."""
    assert subject_of(identity) == (identity if is_subject else "")


@given(st.text(max_size=60))
@example("system:masters")
@example("system:node:a@b.co")
def test_no_identity_of_kubernetes_itself_is_a_subject(identity: str) -> None:
    """Those all have a colon, and groups of everybody begin with it."""
    assert not subject_of(f"system:{identity}")


@pytest.mark.parametrize(
    ("changes", "key", "ours"),
    [
        pytest.param({}, ALICE.key, True, id="ours"),
        pytest.param({"labels": {"devplatform.io/hub": "east"}}, ALICE.key, False, id="another hub's"),
        pytest.param({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, ALICE.key, False, id="made by a chart"),
        pytest.param({}, ("alice@example.com", ""), False, id="of another server"),
        pytest.param({}, ("Alice@example.com", "gpu"), False, id="of somebody else"),
        pytest.param({"annotations": {"hub.jupyter.org/username": "bob"}}, ALICE.key, False, id="says somebody else"),
    ],
)
def test_whose_an_object_is(changes: dict[str, dict[str, str]], key: tuple[str, str], ours: bool) -> None:
    """This hub's, this person's and this server's, by labels and verbatim names."""
    there = stored(objects().role)
    for field, values in changes.items():
        there["metadata"][field] |= values
    assert is_ours(there, key, hub="west") is ours


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_an_object_without_marks_is_nobodys(field: str) -> None:
    """One made by hand is left alone."""
    there = stored(objects().role)
    del there["metadata"][field]
    assert not is_ours(there, ALICE.key, hub="west")


def test_a_crafted_name_finds_no_rights_of_somebody_else() -> None:
    """Two people whose servers get one name (test_names_kubernetes): the second's are refused, not added."""
    one = Session("christopher.anderson1@example.com", "quarterly-report-7266", "p", "1", "", "c1@example.com")
    two = Session("christopher.anderson2@example.com", "quarterly-report-8160", "p", "2", "", "c2@example.com")
    first, second = objects(one).role, objects(two).role
    assert first is not None
    assert second is not None
    assert first["metadata"]["name"] == second["metadata"]["name"]
    assert is_ours(stored(first), one.key, hub="west")
    assert not is_ours(stored(first), two.key, hub="west")


def test_what_is_right_is_left_alone() -> None:
    """Also with what others added: a label, an annotation, the API server's own fields."""
    for wanted in (objects().account, *objects().rights):
        there = stored(wanted)
        there["metadata"]["labels"]["scanned"] = "yes"
        there["metadata"]["annotations"]["note"] = "hello"
        there["metadata"]["managedFields"] = [{}]
        assert difference(there, wanted) is None
        assert not must_be_made_anew(there, wanted)


SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


def test_rights_that_were_added_are_taken_away() -> None:
    """The whole list is put, as of the version that was read."""
    wanted = objects().role
    assert wanted is not None
    there = stored(wanted)
    there["rules"].append(SECRETS)
    assert difference(there, wanted) == {"metadata": {"resourceVersion": "42"}, "rules": wanted["rules"]}


def test_people_that_were_added_are_taken_away() -> None:
    """A binding is for one person."""
    wanted = objects().binding
    assert wanted is not None
    there = stored(wanted)
    there["subjects"].append({"kind": "Group", "name": "everybody", "apiGroup": "rbac.authorization.k8s.io"})
    assert difference(there, wanted) == {"metadata": {"resourceVersion": "42"}, "subjects": wanted["subjects"]}


def test_a_role_of_the_last_pod_goes_on_with_the_next() -> None:
    """The owner is the pod that is there now, and none besides."""
    wanted = objects().role
    assert wanted is not None
    there = stored(wanted)
    there["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": ALICE.pod_name, "uid": "0", "blockOwnerDeletion": True},
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "anchor", "uid": "9"},
    ]
    assert difference(there, wanted) == {
        "metadata": {"resourceVersion": "42", "ownerReferences": wanted["metadata"]["ownerReferences"]}
    }


def test_an_account_cannot_be_made_somebody_elses() -> None:
    """A Google account that was written on it, and a token that it would bring along, go."""
    wanted = objects().account
    there = stored(wanted)
    there["metadata"]["annotations"]["iam.gke.io/gcp-service-account"] = "owner@project.iam.gserviceaccount.com"
    there["automountServiceAccountToken"] = True
    assert difference(there, wanted) == {
        "metadata": {"resourceVersion": "42", "annotations": {"iam.gke.io/gcp-service-account": None}},
        "automountServiceAccountToken": False,
    }


def test_a_binding_to_another_role_is_made_anew() -> None:
    """Kubernetes does not let it be changed."""
    wanted = objects().binding
    assert wanted is not None
    there = stored(wanted)
    there["roleRef"]["name"] = "jupyter-admin"
    assert must_be_made_anew(there, wanted)


def test_the_administrators_role() -> None:
    """What it promises and no more: no verb that makes or changes an object, and no secret."""
    role, binding = admin_objects("admins@example.com", namespace="servers")
    both = ["get", "list", "watch"]
    assert role == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "jupyter-admin", "namespace": "servers"},
        "rules": [
            {"apiGroups": [""], "resources": ["pods"], "verbs": [*both, "delete"]},
            {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]},
            {"apiGroups": [""], "resources": ["events"], "verbs": both},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": both},
            {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["get", "list"]},
        ],
    }
    assert binding == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "jupyter-admin", "namespace": "servers"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "jupyter-admin"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "admins@example.com"}],
    }


@pytest.mark.parametrize("group", ["", "admins", "system:authenticated", "system:masters", "*"])
def test_no_group_of_kubernetes_itself_administers(group: str) -> None:
    """A setting that was forgotten or mistyped binds nobody."""
    with pytest.raises(ValueError, match="is not a group"):
        admin_objects(group, namespace="servers")
