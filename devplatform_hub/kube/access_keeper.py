"""The rights of everybody whose server a hub runs, for as long as the hub runs: one sweep after another."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .requests import ApiUnavailable, Refused
from .session_access import Swept, UserAccess
from .user_access import Session
from .watching import PodWatch

_FIRST_AFTER = 30.0
_log = logging.getLogger("devplatform.access")

Active = Callable[[str, Mapping[str, Any]], Iterable[Session]]
"""Every server of a namespace that the hub runs or starts now, from the pods there by `namespace/name`."""


@dataclass(slots=True)
class AccessKeeper:
    """One for each hub. `interval` is seconds between two sweeps; what was once asked for is swept from then on."""

    interval: float
    active: Active
    _kept: dict[str, tuple[UserAccess, PodWatch]] = field(default_factory=dict)
    _task: "asyncio.Task[None] | None" = None

    def of(self, namespace: str, pods: PodWatch, make: Callable[[], UserAccess]) -> UserAccess:
        """The one `UserAccess` of a namespace, made when it is first asked for."""
        if namespace not in self._kept:
            self._kept[namespace] = make(), pods
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._sweep_on(), name="sweep rights")
        return self._kept[namespace][0]

    async def _sweep_on(self) -> None:
        # A hub that has just started has its servers to look after first: nobody waits for a sweep.
        await asyncio.sleep(min(_FIRST_AFTER, self.interval))
        while True:
            for namespace in list(self._kept):
                try:
                    await self._sweep(namespace)
                except (ApiUnavailable, Refused) as error:
                    _log.warning("The rights in %s are looked at again later: %s", namespace, error)
                except Exception:
                    # One object of a shape that nobody foresaw must not end the sweeps of everybody's rights for
                    # good: with its trace in the log this sweep ends, and the next begins after the interval.
                    _log.exception("The rights in %s could not be looked at", namespace)
            await asyncio.sleep(self.interval)

    async def _sweep(self, namespace: str) -> None:
        access, watch = self._kept[namespace]
        if watch.stale_seconds:  # what is known of pods is out of date: that ends nobody's rights
            return
        active = list(self.active(namespace, watch.pods))
        own = [pod for key, pod in watch.pods.items() if key.startswith(f"{namespace}/")]
        swept = await access.sweep(active, own)
        if swept != Swept():
            _log.info(
                "Rights in %s: %d left over removed, %d mended; %d pods of unknown servers, %d of them ended",
                namespace,
                *(len(found) for found in (swept.removed, swept.mended, swept.orphans, swept.ended)),
            )
