"""Who may do what: bindings of roles to members, with conditions, as bucket policies have them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from . import conditions
from .bucket import Bucket
from .errors import ApiError, forbidden, invalid

_READ = {"storage.objects.get", "storage.objects.list"}
_USE = _READ | {f"storage.objects.{verb}" for verb in ("create", "delete", "update", "restore", "move")}
_BUCKET = {f"storage.buckets.{verb}" for verb in ("get", "getIamPolicy", "setIamPolicy", "update", "create", "delete")}
ROLES: dict[str, set[str]] = {
    "roles/storage.objectViewer": _READ,
    "roles/storage.objectCreator": {"storage.objects.create"},
    "roles/storage.objectUser": _USE,
    "roles/storage.objectAdmin": _USE | {"storage.objects.setIamPolicy", "storage.objects.getIamPolicy"},
    "roles/storage.legacyBucketReader": {"storage.buckets.get", "storage.objects.list"},
    "roles/storage.admin": _USE | _BUCKET | {"storage.buckets.list"},
    "roles/iam.serviceAccountTokenCreator": {"iam.serviceAccounts.signBlob"},
}
LIST_PREFIX = "storage.googleapis.com/objectListPrefix"


@dataclass
class Iam:
    """`enforced` is off until a test turns it on: then what no binding allows is refused.

    `bindings` are the project's: {"role", "members", "condition"?}. Buckets have their own in their policies.
    """

    enforced: bool = False
    bindings: list[dict[str, Any]] = field(default_factory=list)

    def bind(self, member: str, role: str, condition: str = "") -> None:
        """Give a member a role in the project; `condition` is an expression."""
        binding: dict[str, Any] = {"role": role, "members": [member]}
        if condition:
            binding["condition"] = {"title": "condition", "expression": condition}
        self.bindings.append(check_binding(binding))

    def allows(
        self,
        member: str | None,
        permission: str,
        bucket: Bucket | None = None,
        name: str | None = None,
        listed: str | None = None,
    ) -> bool:
        """Whether this member (None: nobody signed in) may; `listed` is the prefix of a listing."""
        if not self.enforced:
            return True
        bindings = [*self.bindings, *(bucket.policy.get("bindings", []) if bucket else [])]
        place = f"projects/_/buckets/{bucket.name}" if bucket else ""
        values = {
            "resource.name": place if name is None else f"{place}/objects/{name}",
            "resource.type": f"storage.googleapis.com/{'Bucket' if name is None else 'Object'}",
            "resource.service": "storage.googleapis.com",
        }
        if listed is not None:
            values[LIST_PREFIX] = listed
        return any(_grants(binding, member, permission, values) for binding in bindings)


def _grants(binding: dict[str, Any], member: str | None, permission: str, values: dict[str, str]) -> bool:
    if permission not in ROLES.get(binding["role"], ()):
        return False
    members = binding["members"]
    if "allUsers" not in members and (member is None or not {member, "allAuthenticatedUsers"} & set(members)):
        return False
    expression = binding.get("condition", {}).get("expression")
    return expression is None or conditions.holds(expression, values)


def check_binding(binding: dict[str, Any]) -> dict[str, Any]:
    """Raises ApiError (400) for a role or a condition that there is not."""
    if binding.get("role") not in ROLES and not str(binding.get("role")).startswith("roles/storage.legacy"):
        raise invalid(f"Role {binding.get('role')} is not supported for this resource.", "role")
    if binding.get("condition"):
        conditions.parsed(str(binding["condition"].get("expression", "")))
    return {"members": [], **binding}


def denied(member: str | None, permission: str, what: str) -> ApiError:
    """401 for nobody, 403 for somebody."""
    if member is None:
        return ApiError(401, "required", f"Anonymous caller does not have {permission} access to {what}.")
    short = member.partition(":")[2]
    return forbidden(
        f"{short} does not have {permission} access to the Google Cloud Storage {what}. Permission '{permission}'"
        " denied on resource (or it may not exist)."
    )


def permitted(iam: Iam, member: str | None, bucket: Bucket, asked: Iterable[str]) -> list[str]:
    """For testIamPermissions: those of the asked that the member has on the bucket."""
    return [permission for permission in asked if iam.allows(member, permission, bucket)]
