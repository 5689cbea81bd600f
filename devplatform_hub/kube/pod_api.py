"""Making one pod and taking it away, so that there are never two of one name at work, and nobody else's is touched."""

import logging
import time
from collections.abc import Callable
from typing import Any

from kubernetes_asyncio.client import ApiClient

from . import Json
from .requests import Requests
from .user_access_api import NotOurs
from .watching import PodWatch

_log = logging.getLogger("devplatform.start")
_LOOK_AGAIN = 0.5
# Its way of turning client models into JSON needs no connection, and one for all is enough.
_SERIALIZER = ApiClient.__new__(ApiClient)


def plain(manifest: Any) -> Json:
    """A manifest of the client's model classes as JSON."""
    found: Json = _SERIALIZER.sanitize_for_serialization(manifest)
    return found


class PodApi:
    """The pod `name` in `namespace`. `within` seconds is the longest that one may take to go.

    `is_own` says whether a pod of that name is this server's: a name has a hash that another's server may share.
    """

    def __init__(
        self,
        core: Any,
        ask: Requests,
        pods: PodWatch,
        namespace: str,
        name: str,
        *,
        within: float,
        is_own: Callable[[Json], bool],
    ) -> None:
        self._core = core
        self._ask = ask
        self._pods = pods
        self._namespace = namespace
        self._name = name
        self._within = within
        self._is_own = is_own

    async def make(self, manifest: Json) -> Json:
        """The new pod as the API server has it. Raises `NotOurs`, `Refused` or `ApiUnavailable`."""
        what = f"making the pod {self._name}"
        while True:
            status, pod = await self._ask(
                self._core.create_namespaced_pod, self._namespace, manifest, what=what, accept=(409,)
            )
            if status != 409:
                return pod
            there = await self._read()
            if there is None:
                continue
            if not self._is_own(there):
                raise NotOurs("pod", self._name)
            # One of before that still goes, or one whose making was not answered in time: never two.
            _log.info("There is a pod %s already; it is taken away first", self._name)
            await self._end(there, grace=0)

    async def remove(self, *, grace: int) -> None:
        """Returns when it is gone, at once where it is another's. Raises `TimeoutError` where it stays."""
        pod = self._pods.get(self._key) or await self._read()
        if pod is None:
            return
        if self._is_own(pod):
            await self._end(pod, grace=grace)
        else:
            _log.warning("The pod %s is not of this server; it stays", self._key)

    async def _end(self, pod: Json, *, grace: int) -> None:
        """Take away this very pod, and return when it is gone."""
        what, deadline, uid = f"taking away the pod {self._name}", time.monotonic() + self._within, _uid(pod)
        revision, is_seen = self._pods.revision(self._key), _uid(self._pods.get(self._key)) == uid
        options = {"gracePeriodSeconds": grace, "preconditions": {"uid": uid}}
        status, _ = await self._ask(
            self._core.delete_namespaced_pod, self._name, self._namespace, what=what, accept=(404, 409), body=options
        )
        if status in (404, 409):  # gone, or made anew by somebody else
            return
        # A pod that the watch has not seen yet is asked for: its absence there would say nothing.
        while _uid(self._pods.get(self._key) if is_seen else await self._read()) == uid:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: it is still there after {self._within} seconds")
            revision = await self._pods.change(self._key, revision, 5.0 if is_seen else _LOOK_AGAIN)

    async def _read(self) -> Json | None:
        what = f"reading the pod {self._name}"
        read = self._core.read_namespaced_pod
        status, pod = await self._ask(read, self._name, self._namespace, what=what, accept=(404,))
        return None if status == 404 else pod

    @property
    def _key(self) -> str:
        return f"{self._namespace}/{self._name}"


def _uid(pod: Json | None) -> str:
    return str(pod["metadata"]["uid"]) if pod else ""
