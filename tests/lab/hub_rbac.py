"""The rights of the hub's service account, in its own namespace: the least that it needs, and no cluster role.

Tests run the hub with these, never as cluster administrator. Nobody can hand out what they do not hold: the hub
gives people `pods/log` and `pods/exec` of their own pods, so it holds these too.
"""

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


def _rule(group: str, resources: list[str], verbs: list[str]) -> Json:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


_READ = ["get", "list", "watch"]
RULES: tuple[Json, ...] = (
    # Servers, and why they do not start.
    _rule("", ["pods"], [*_READ, "create", "delete", "patch"]),
    _rule("", ["events"], _READ),
    # Homes are made and grown, never deleted.
    _rule("", ["persistentvolumeclaims"], [*_READ, "create", "patch"]),
    # What a pod brings along: certificates with internal_ssl, and its service.
    _rule("", ["secrets", "services"], ["get", "create", "delete"]),
    # A person's own account, Role and RoleBinding; the sweep lists them by label.
    _rule("", ["serviceaccounts"], [*_READ, "create", "delete", "patch"]),
    _rule("rbac.authorization.k8s.io", ["roles", "rolebindings"], [*_READ, "create", "delete", "patch", "update"]),
    # Held to be handed out for a person's own pods.
    _rule("", ["pods/log"], ["get"]),
    _rule("", ["pods/exec", "pods/portforward"], ["get", "create"]),
)


def manifests(service_account: str, namespace: str, rules: Iterable[Json] = RULES) -> list[Json]:
    """The account, a Role with these rules, and the binding of both."""
    metadata = {"name": service_account, "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": service_account}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    ]
