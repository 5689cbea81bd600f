"""The JSON API's methods of buckets and of what hangs on them: policies, folders, notifications."""

from typing import Any

from . import bucket_config, iam
from .bucket import Bucket
from .calls import Answer, Call, Route, json_answer
from .clock import written
from .desk import Desk
from .errors import ApiError, conflict, invalid, not_found, not_modified, unmet
from .preconditions import of_query
from .resources import bucket_resource


def create(desk: Desk, call: Call) -> Answer:
    """buckets.insert."""
    given = call.json()
    desk.allow(call, "storage.buckets.create", None)
    if not call.query.get("project"):
        raise invalid("Required parameter: project", "project")
    now = desk.store.clock.now()
    config = bucket_config.created(given, now)
    if given["name"] in desk.store.buckets:
        raise conflict("Your previous request to create the named bucket succeeded and you already own it.")
    bucket = desk.store.buckets[given["name"]] = Bucket(given["name"], now, config)
    return json_answer(bucket_resource(bucket, call.base), call.mask)


def get(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.get."""
    bucket = _bucket(desk, call, name, "storage.buckets.get")
    return json_answer(bucket_resource(bucket, call.base), call.mask)


def list_all(desk: Desk, call: Call) -> Answer:
    """buckets.list, in one page."""
    desk.allow(call, "storage.buckets.list", None)
    prefix = call.query.get("prefix", "")
    found = [bucket for name, bucket in sorted(desk.store.buckets.items()) if name.startswith(prefix)]
    items = [bucket_resource(bucket, call.base) for bucket in found]
    return json_answer({"kind": "storage#buckets", "items": items}, call.mask)


def patch(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.patch: null takes a setting away."""
    bucket = _bucket(desk, call, name, "storage.buckets.update")
    return _set(desk, call, bucket, bucket_config.changed(bucket.config, call.json(), desk.store.clock.now()))


def update(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.update: the settings that are not named go."""
    bucket = _bucket(desk, call, name, "storage.buckets.update")
    return _set(desk, call, bucket, bucket_config.replaced(bucket.config, call.json(), desk.store.clock.now()))


def delete(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.delete: only what holds nothing, noncurrent versions included."""
    bucket = _bucket(desk, call, name, "storage.buckets.delete")
    if bucket.names:
        raise conflict("The bucket you tried to delete is not empty.", "BucketNotEmpty")
    del desk.store.buckets[name]
    return Answer(204)


def layout(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.getStorageLayout."""
    bucket = _bucket(desk, call, name, "storage.objects.list")
    answer = {
        "kind": "storage#storageLayout",
        "bucket": name,
        "location": bucket.config["location"],
        "locationType": bucket.config["locationType"],
        "hierarchicalNamespace": {"enabled": bucket.hierarchical},
    }
    return json_answer(answer, call.mask)


def get_policy(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.getIamPolicy."""
    bucket = _bucket(desk, call, name, "storage.buckets.getIamPolicy")
    return json_answer(_policy(bucket), call.mask)


def set_policy(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.setIamPolicy, with the etag as a precondition where one is given."""
    bucket = _bucket(desk, call, name, "storage.buckets.setIamPolicy")
    given = call.json()
    if given.get("etag", _policy(bucket)["etag"]) != _policy(bucket)["etag"]:
        raise conflict("The policy was changed meanwhile.")
    bindings = [iam.check_binding(binding) for binding in given.get("bindings") or []]
    if any("condition" in binding for binding in bindings) and given.get("version") != 3:
        raise invalid("Conditions need a policy of version 3.", "version")
    prevented = bucket.config["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    public = {"allUsers", "allAuthenticatedUsers"}
    if prevented and any(public & set(binding["members"]) for binding in bindings):
        raise ApiError(
            412, "conditionNotMet", "One or more users named in the policy do not belong: public access is prevented."
        )
    revision = int(bucket.policy.get("revision", 0)) + 1
    bucket.policy = {"version": given.get("version", 1), "bindings": bindings, "revision": revision}
    return json_answer(_policy(bucket), call.mask)


def test_permissions(desk: Desk, call: Call, name: str) -> Answer:
    """buckets.testIamPermissions."""
    bucket = desk.store.bucket(name)
    held = iam.permitted(desk.iam, call.member, bucket, call.repeated.get("permissions", []))
    answer: dict[str, Any] = {"kind": "storage#testIamPermissionsResponse"}
    return json_answer(answer | ({"permissions": held} if held else {}), call.mask)


def add_notification(desk: Desk, call: Call, name: str) -> Answer:
    """notifications.insert; nothing is ever delivered."""
    bucket = _bucket(desk, call, name, "storage.buckets.update")
    key = str(len(bucket.notifications) + 1)
    made = {"kind": "storage#notification", "id": key, "etag": key, **call.json()}
    bucket.notifications[key] = made | {"selfLink": f"{call.base}/storage/v1/b/{name}/notificationConfigs/{key}"}
    return json_answer(bucket.notifications[key], call.mask)


def list_notifications(desk: Desk, call: Call, name: str) -> Answer:
    """notifications.list."""
    bucket = _bucket(desk, call, name, "storage.buckets.get")
    answer: dict[str, Any] = {"kind": "storage#notifications"}
    if bucket.notifications:
        answer["items"] = list(bucket.notifications.values())
    return json_answer(answer, call.mask)


def get_notification(desk: Desk, call: Call, name: str, key: str) -> Answer:
    """notifications.get."""
    bucket = _bucket(desk, call, name, "storage.buckets.get")
    if key not in bucket.notifications:
        raise not_found()
    return json_answer(bucket.notifications[key], call.mask)


def delete_notification(desk: Desk, call: Call, name: str, key: str) -> Answer:
    """notifications.delete."""
    bucket = _bucket(desk, call, name, "storage.buckets.update")
    if bucket.notifications.pop(key, None) is None:
        raise not_found()
    return Answer(204)


def add_folder(desk: Desk, call: Call, name: str) -> Answer:
    """folders.insert and managedFolders.insert."""
    bucket = _bucket(desk, call, name, "storage.buckets.update")
    folders, kind = _folders(bucket, call)
    folder = str(call.json().get("name", "")).rstrip("/") + "/"
    if folder == "/":
        raise invalid("Invalid folder name.", "name")
    if folder in folders:
        raise conflict("The folder you tried to create already exists.")
    now = written(desk.store.clock.now())
    made = {"kind": kind, "id": f"{name}/{folder}", "name": folder, "bucket": name, "metageneration": "1"}
    folders[folder] = made | {"createTime": now, "updateTime": now}
    return json_answer(folders[folder], call.mask)


def list_folders(desk: Desk, call: Call, name: str) -> Answer:
    """folders.list and managedFolders.list, in one page."""
    folders, kind = _folders(_bucket(desk, call, name, "storage.objects.list"), call)
    prefix = call.query.get("prefix", "")
    items = [folder for path, folder in sorted(folders.items()) if path.startswith(prefix)]
    return json_answer({"kind": f"{kind}s"} | ({"items": items} if items else {}), call.mask)


def get_folder(desk: Desk, call: Call, name: str, path: str) -> Answer:
    """folders.get and managedFolders.get."""
    folders, _ = _folders(_bucket(desk, call, name, "storage.objects.list"), call)
    if path not in folders:
        raise not_found("The folder you tried to get does not exist.")
    return json_answer(folders[path], call.mask)


def delete_folder(desk: Desk, call: Call, name: str, path: str) -> Answer:
    """folders.delete and managedFolders.delete."""
    folders, _ = _folders(_bucket(desk, call, name, "storage.buckets.update"), call)
    if folders.pop(path, None) is None:
        raise not_found("The folder you tried to delete does not exist.")
    return Answer(204)


def _bucket(desk: Desk, call: Call, name: str, permission: str) -> Bucket:
    """The bucket, when the caller may and its preconditions hold."""
    bucket = desk.store.bucket(name)
    desk.allow(call, permission, bucket)
    must = of_query(call.query)
    if must.metageneration not in (None, bucket.metageneration):
        raise unmet("ifMetagenerationMatch")
    if must.not_metageneration == bucket.metageneration:
        raise not_modified("ifMetagenerationNotMatch")
    return bucket


def _set(desk: Desk, call: Call, bucket: Bucket, config: dict[str, Any]) -> Answer:
    bucket.config = config
    bucket.metageneration += 1
    bucket.updated = desk.store.clock.now()
    return json_answer(bucket_resource(bucket, call.base), call.mask)


def _policy(bucket: Bucket) -> dict[str, Any]:
    policy = {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket.name}"}
    etag = f"CA{bucket.policy.get('revision', 0)}="
    return policy | {
        "version": bucket.policy.get("version", 1),
        "etag": etag,
        "bindings": bucket.policy.get("bindings", []),
    }


def _folders(bucket: Bucket, call: Call) -> tuple[dict[str, dict[str, Any]], str]:
    if call.api[2] == "managedFolders":
        return bucket.managed_folders, "storage#managedFolder"
    if not bucket.hierarchical:
        raise invalid("The bucket does not support hierarchical namespace.")
    return bucket.folders, "storage#folder"


def _routes() -> list[Route]:
    routes = [
        Route("POST", "b", "storage.buckets.insert", "A", create),
        Route("GET", "b", "storage.buckets.list", "A", list_all),
        Route("GET", "b/{}", "storage.buckets.get", "B", get),
        Route("PATCH", "b/{}", "storage.buckets.patch", "A", patch),
        Route("PUT", "b/{}", "storage.buckets.update", "A", update),
        Route("DELETE", "b/{}", "storage.buckets.delete", "free", delete),
        Route("GET", "b/{}/storageLayout", "storage.buckets.getStorageLayout", "B", layout),
        Route("GET", "b/{}/iam", "storage.buckets.getIamPolicy", "B", get_policy),
        Route("PUT", "b/{}/iam", "storage.buckets.setIamPolicy", "A", set_policy),
        Route("GET", "b/{}/iam/testPermissions", "storage.buckets.testIamPermissions", "B", test_permissions),
        Route("POST", "b/{}/notificationConfigs", "storage.notifications.insert", "A", add_notification),
        Route("GET", "b/{}/notificationConfigs", "storage.notifications.list", "B", list_notifications),
        Route("GET", "b/{}/notificationConfigs/{}", "storage.notifications.get", "B", get_notification),
        Route("DELETE", "b/{}/notificationConfigs/{}", "storage.notifications.delete", "A", delete_notification),
    ]
    for kind in ("folders", "managedFolders"):
        routes += [
            Route("POST", f"b/{{}}/{kind}", f"storage.{kind}.insert", "A", add_folder),
            Route("GET", f"b/{{}}/{kind}", f"storage.{kind}.list", "A", list_folders),
            Route("GET", f"b/{{}}/{kind}/{{}}", f"storage.{kind}.get", "B", get_folder),
            Route("DELETE", f"b/{{}}/{kind}/{{}}", f"storage.{kind}.delete", "free", delete_folder),
        ]
    return routes


ROUTES = _routes()
