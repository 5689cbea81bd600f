"""Making, mending and removing the objects of `user_access` at the API server, and nobody else's."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from ..core.errors import PublicError
from . import Json
from .requests import ApiUnavailable, Requests
from .user_access import Key, difference, is_ours, must_be_made_anew, object_labels

_log = logging.getLogger("devplatform.access")
_PAGE = 500
_TRIES = 5
_METHODS = {"ServiceAccount": "service_account", "Role": "role", "RoleBinding": "role_binding"}


class NotOurs(PublicError):
    """There is an object of this name that this hub did not make for this person and server."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            f"The {kind} {name} exists already and is not this server's.",
            code="access-name-taken",
            hint="Try another name for your server, or ask your administrators to look at that object.",
            status=409,
        )


class AccessApi:
    """Service accounts, Roles and RoleBindings of the hub `hub` in one namespace.

    `core` and `rbac` are `CoreV1Api` and `RbacAuthorizationV1Api`. Every method raises `Refused` or `ApiUnavailable`.
    """

    def __init__(self, core: Any, rbac: Any, ask: Requests, *, namespace: str, hub: str) -> None:
        self._core, self._rbac, self._ask = core, rbac, ask
        self._namespace, self._hub = namespace, hub

    async def ensure(self, wanted: Json, key: Key) -> str:
        """Make the object, or bring the one that is there to this state; its uid. Raises `NotOurs`."""
        kind, name = wanted["kind"], wanted["metadata"]["name"]
        for _ in range(_TRIES):
            status, made = await self._call("create", kind, name, wanted, accept=(409,))
            if status < 400:
                return str(made["metadata"]["uid"])
            there = await self._read(kind, name)
            if there is None:
                continue
            if not is_ours(there, key, hub=self._hub):
                raise NotOurs(kind, name)
            uid = str(there["metadata"]["uid"])
            if must_be_made_anew(there, wanted):
                await self._delete(kind, name, uid)
                continue
            if not (patch := difference(there, wanted)):
                return uid
            _log.info("Putting the %s %s right", kind, name)
            if await self._patch(kind, name, patch):
                return uid
        raise ApiUnavailable(f"making the {kind} {name}: it changes all the time")

    async def remove(self, kind: str, name: str, key: Key, *, uid: str = "") -> bool:
        """Take the object away if it is this server's; whether it was there. `uid` saves a look where it is known."""
        if not uid:
            there = await self._read(kind, name)
            if there is None:
                return False
            if not is_ours(there, key, hub=self._hub):
                _log.warning("The %s %s is not of this hub and server; it stays", kind, name)
                return False
            uid = str(there["metadata"]["uid"])
        return await self._delete(kind, name, uid)

    async def remove_pod(self, name: str, uid: str) -> bool:
        """Take this very pod away, with the time to end that it asks for."""
        status, _ = await self._ask(
            self._core.delete_namespaced_pod,
            name,
            self._namespace,
            what=f"taking away the pod {name}",
            accept=(404, 409),
            body=_only(uid),
        )
        return status < 400

    async def all(self) -> AsyncIterator[Json]:
        """Every object of this hub, each with its `kind`."""
        selector = ",".join(f"{key}={value}" for key, value in object_labels(self._hub).items())
        for kind in _METHODS:
            options: Json = {"label_selector": selector, "limit": _PAGE}
            while True:
                status, page = await self._call("list", kind, "", accept=(410,), **options)
                if status == 410:  # the list changed under a slow reader; the next sweep sees the rest
                    _log.info("The list of %ss expired", kind)
                    break
                for found in page["items"]:
                    yield {**found, "kind": kind}
                options["_continue"] = page["metadata"].get("continue")
                if not options["_continue"]:
                    break

    async def _read(self, kind: str, name: str) -> Json | None:
        status, there = await self._call("read", kind, name, accept=(404,))
        return None if status == 404 else there

    async def _patch(self, kind: str, name: str, patch: Json) -> bool:
        content = "application/merge-patch+json"
        status, _ = await self._call("patch", kind, name, patch, accept=(404, 409), _content_type=content)
        return status < 400

    async def _delete(self, kind: str, name: str, uid: str) -> bool:
        status, _ = await self._call("delete", kind, name, accept=(404, 409), body=_only(uid))
        return status < 400

    async def _call(self, verb: str, kind: str, name: str, *args: Any, **options: Any) -> tuple[int, Json]:
        api = self._core if kind == "ServiceAccount" else self._rbac
        method: Callable[..., Awaitable[Any]] = getattr(api, f"{verb}_namespaced_{_METHODS[kind]}")
        where = (self._namespace,) if verb in ("create", "list") else (name, self._namespace)
        return await self._ask(method, *where, *args, what=f"{verb} {kind} {name}".strip(), **options)


def _only(uid: str) -> Json:
    """Options of a deletion that spare an object which was made anew meanwhile."""
    return {"preconditions": {"uid": uid}}
