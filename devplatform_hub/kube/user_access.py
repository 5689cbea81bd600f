"""What a person may do with `kubectl` while a server of theirs runs, and who their server is: manifests and rules.

A person has one service account, and for each of their servers a Role and a RoleBinding. One Role for each server,
not one for all: two that start and stop at once then never write the same object, so the end of one cannot take
rights of the other away, and the Role belongs to its pod (`ownerReferences`), so that the cluster itself removes it
with the pod, even when the hub is dead. An account has no owner: the garbage collector could remove it between the
end of one server and the start of the next, and the API server makes no pod for an account that does not exist.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..core.names import label_value, session_names
from . import Json

RBAC = "rbac.authorization.k8s.io"
HUB_LABEL = "devplatform.io/hub"
"""Which hub made an object. Not `app.kubernetes.io/instance`: by that Argo CD takes objects for its own and prunes."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "devplatform-hub"}
USER, SERVER = "hub.jupyter.org/username", "hub.jupyter.org/servername"
"""Annotations, verbatim as KubeSpawner writes them on pods; labels of the same keys hold what fits into a label."""
GOOGLE_ACCOUNT = "iam.gke.io/gcp-service-account"

_EMAIL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._%+'-]{0,62}[A-Za-z0-9_'-])?@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")

Key = tuple[str, str]
"""A person and a server of theirs, "" for the default one; verbatim."""


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on resources of one API group."""

    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    group: str = ""

    def rule(self, names: Iterable[str] = ()) -> Json:
        """As a rule of a Role, for the objects of these names only where there are any."""
        found = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return found | ({"resourceNames": list(names)} if names else {})


# A WebSocket begins with GET, SPDY with POST; kubectl uses the one or the other, and both end in a shell.
_OPENED = ("get", "create")

POD_RIGHTS = (
    # A watch is granted where it names its pod, as that of `kubectl get pod NAME --watch` does.
    Right(("pods",), ("get", "watch")),
    Right(("pods/log",), ("get",)),
    Right(("pods/exec", "pods/portforward"), _OPENED),
)
"""What a person may do with a pod of their own; with no other, and nothing that changes or ends one."""

CLAIM_RIGHTS = (Right(("persistentvolumeclaims",), ("get",)),)
"""What a person may do with the claim of their home disk."""

ADMIN_RIGHTS = (
    Right(("pods",), ("get", "list", "watch", "delete")),
    Right(("pods/log",), ("get",)),
    Right(("pods/exec",), _OPENED),
    Right(("events",), ("get", "list", "watch")),
    Right(("events",), ("get", "list", "watch"), group="events.k8s.io"),
    Right(("persistentvolumeclaims",), ("get", "list")),
)
"""What the administrators' group may do in the namespace of the servers: look, read logs, open a shell, end a pod.

No secrets, no port-forward to people's servers, no change of anything, and no right to hand rights out.
"""
ADMIN_ROLE = "jupyter-admin"


@dataclass(frozen=True, slots=True)
class Session:
    """One server: `pod_uid` is "" while it has no pod yet, `claim_name` where it has no disk.

    `email` is who may use kubectl with it, as Google names them; "" for nobody. `google_account` is a Google service
    account that the pods act as; "" with Workload Identity Federation, which needs none.
    """

    user: str
    server: str
    pod_name: str
    pod_uid: str = ""
    claim_name: str = ""
    email: str = ""
    google_account: str = ""

    @property
    def key(self) -> Key:
        return self.user, self.server


@dataclass(frozen=True, slots=True)
class AccessObjects:
    """The objects of one session; no role and binding where nobody is to have rights, or there is no pod yet."""

    account: Json
    role: Json | None = None
    binding: Json | None = None

    @property
    def rights(self) -> tuple[Json, ...]:
        return tuple(found for found in (self.role, self.binding) if found)


def access_objects(session: Session, *, hub: str, namespace: str) -> AccessObjects:
    """The manifests for a session of the hub of this name."""
    account = account_object(session.user, hub=hub, namespace=namespace, google_account=session.google_account)
    subject = subject_of(session.email)
    if not subject or not session.pod_uid:
        return AccessObjects(account)
    metadata = _metadata(session_names(*session.key).role, namespace, hub, session.user, session.server)
    metadata["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": session.pod_name, "uid": session.pod_uid},
    ]
    rules = [right.rule([session.pod_name]) for right in POD_RIGHTS]
    if session.claim_name:
        rules += [right.rule([session.claim_name]) for right in CLAIM_RIGHTS]
    return AccessObjects(account, *_role_and_binding(metadata, rules, {"kind": "User", "name": subject}))


def account_object(user: str, *, hub: str, namespace: str, google_account: str = "") -> Json:
    """The service account of a person. No pod gets a token of it that would open the Kubernetes API."""
    metadata = _metadata(session_names(user, "").account, namespace, hub, user)
    if google_account:
        metadata["annotations"][GOOGLE_ACCOUNT] = google_account
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "automountServiceAccountToken": False,
    }


def admin_objects(group: str, *, namespace: str) -> tuple[Json, Json]:
    """The Role `jupyter-admin` and its binding to a group of administrators, `name@domain`; the chart makes them.

    | in the namespace of the servers          | administrators | a person, of their own server |
    |------------------------------------------|----------------|-------------------------------|
    | see pods                                 | all            | by its name                   |
    | read logs, open a shell                  | all            | yes                           |
    | forward a port                           | no             | yes                           |
    | end a pod                                | all            | no (they stop their server)   |
    | read events                              | all            | no (the page tells them)      |
    | see disks                                | all            | by its name                   |
    | secrets, config maps, changing, creating | no             | no                            |
    """
    if not subject_of(group):
        raise ValueError(f"{group!r} is not a group as name@domain")
    metadata = {"name": ADMIN_ROLE, "namespace": namespace}
    return _role_and_binding(metadata, [right.rule() for right in ADMIN_RIGHTS], {"kind": "Group", "name": group})


def subject_of(identity: str) -> str:
    """`identity` where it is an e-mail address, else "": nothing that means something else to Kubernetes is bound."""
    return identity if len(identity) <= 254 and _EMAIL.fullmatch(identity) else ""


def hub_labels(hub: str) -> dict[str, str]:
    """The label that tells one hub's objects from another's; pods are to have it too."""
    return {HUB_LABEL: label_value(hub)}


def object_labels(hub: str) -> dict[str, str]:
    """By these a hub finds what it made for people, and nothing else."""
    return {**MANAGED_BY, **hub_labels(hub)}


def key_of(found: Mapping[str, Any]) -> Key | None:
    """Whose an object or a pod is, by its annotations; None where it does not say."""
    annotations = found["metadata"].get("annotations") or {}
    user = annotations.get(USER)
    return None if user is None else (user, annotations.get(SERVER, ""))


def is_ours(found: Mapping[str, Any], key: Key, *, hub: str) -> bool:
    """Whether this hub made this object for this very person and server.

    Names alone do not tell: somebody may have made the object by hand, or crafted a name with another's hash.
    """
    labels = found["metadata"].get("labels") or {}
    return object_labels(hub).items() <= labels.items() and key_of(found) == key


def is_pod_of(pod: Mapping[str, Any], key: Key, *, hub: str) -> bool:
    """Whether a pod is this very server's. One that was made before hubs had labels counts by person and server."""
    labels = pod["metadata"].get("labels") or {}
    mine = hub_labels(hub)
    return key_of(pod) == key and labels.get(HUB_LABEL, mine[HUB_LABEL]) == mine[HUB_LABEL]


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> Json | None:
    """The JSON merge patch that turns an object into the wanted one, as of its `resourceVersion`; None where it is.

    What others add besides (a label of a scanner, a field of the API server) stays; rights and owners are ours alone.
    """
    there, meant = found["metadata"], wanted["metadata"]
    changes: Json = {}
    for name in ("labels", "annotations"):
        has = there.get(name) or {}
        missing: dict[str, str | None] = {k: v for k, v in meant[name].items() if has.get(k) != v}
        if name == "annotations" and GOOGLE_ACCOUNT in has and GOOGLE_ACCOUNT not in meant[name]:
            missing[GOOGLE_ACCOUNT] = None
        if missing:
            changes[name] = missing
    if [_plain_owner(o) for o in there.get("ownerReferences") or ()] != meant.get("ownerReferences", []):
        changes["ownerReferences"] = meant.get("ownerReferences", [])
    fields = {
        name: wanted[name]
        for name in ("rules", "subjects", "automountServiceAccountToken")
        if name in wanted and found.get(name) != wanted[name]
    }
    if not changes and not fields:
        return None
    return {"metadata": {**changes, "resourceVersion": there["resourceVersion"]}, **fields}


def must_be_made_anew(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """A binding cannot be turned to another role."""
    return bool(found.get("roleRef") != wanted.get("roleRef"))


def _plain_owner(owner: Mapping[str, Any]) -> Json:
    return {key: owner.get(key) for key in ("apiVersion", "kind", "name", "uid")}


def _metadata(name: str, namespace: str, hub: str, user: str, server: str | None = None) -> Json:
    labels, annotations = {**object_labels(hub), USER: label_value(user)}, {USER: user}
    if server is not None:
        labels[SERVER], annotations[SERVER] = label_value(server), server
    return {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}


def _role_and_binding(metadata: Json, rules: list[Json], subject: Json) -> tuple[Json, Json]:
    version, name = f"{RBAC}/v1", metadata["name"]
    return (
        {"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": version,
            "kind": "RoleBinding",
            "metadata": deepcopy(metadata),
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": RBAC, **subject}],
        },
    )
