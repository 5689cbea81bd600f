"""Making one pod and taking it away, so that there are never two of one name at work."""

import logging
import time
from typing import Any

from kubernetes_asyncio.client import ApiClient

from . import Json
from .requests import Requests
from .watching import PodWatch

_log = logging.getLogger("devplatform.start")
# Its way of turning client models into JSON needs no connection, and one for all is enough.
_SERIALIZER = ApiClient.__new__(ApiClient)


def plain(manifest: Any) -> Json:
    """A manifest of the client's model classes as JSON."""
    found: Json = _SERIALIZER.sanitize_for_serialization(manifest)
    return found


class PodApi:
    """The pod `name` in `namespace`. `within` seconds is the longest that one may take to go."""

    def __init__(self, core: Any, ask: Requests, pods: PodWatch, namespace: str, name: str, within: float) -> None:
        self._core = core
        self._ask = ask
        self._pods = pods
        self._namespace = namespace
        self._name = name
        self._within = within

    async def make(self, manifest: Json) -> Json:
        """The new pod as the API server has it. Raises `Refused` or `ApiUnavailable`."""
        what = f"making the pod {self._name}"
        while True:
            status, pod = await self._ask(
                self._core.create_namespaced_pod, self._namespace, manifest, what=what, accept=(409,)
            )
            if status != 409:
                return pod
            # One of before that still goes, or one whose making was not answered in time: never two.
            _log.info("There is a pod %s already; it is taken away first", self._name)
            await self.remove(grace=0)

    async def remove(self, *, grace: int) -> None:
        """Returns when it is gone. Raises `TimeoutError` where it stays."""
        what, deadline, key = f"taking away the pod {self._name}", time.monotonic() + self._within, self._key
        revision = self._pods.revision(key)
        status, _ = await self._ask(
            self._core.delete_namespaced_pod,
            self._name,
            self._namespace,
            what=what,
            accept=(404, 409),
            grace_period_seconds=grace,
        )
        while status != 404 and self._pods.get(key) is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: it is still there after {self._within} seconds")
            revision = await self._pods.change(key, revision, 5.0)

    @property
    def _key(self) -> str:
        return f"{self._namespace}/{self._name}"
