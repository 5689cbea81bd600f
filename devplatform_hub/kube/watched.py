"""KubeSpawner's place for its reflectors, with the platform's watches in it."""

import asyncio
from typing import Any

from traitlets import Float
from traitlets.config import LoggingConfigurable

from . import watch_metrics as watch_metrics  # registers them
from .clients import go_direct
from .requests import ApiSilent, ApiUnavailable
from .watching import EventWatch, PodWatch

# JupyterHub refuses a subclass of Spawner that cannot start servers; before one in the MRO, this one can.
_Base: Any = LoggingConfigurable


class WatchedPodsMixin(_Base):
    """Mix this in before KubeSpawner: one watch of pods and one of events for a namespace, or for all of them."""

    watch_patience = Float(
        10.0, help="Seconds that a start waits for an API server that does not answer before it says so."
    ).tag(config=True)

    async def watch(self) -> None:
        """Returns once everything was seen once, however long that takes; at once where it was."""
        go_direct(self.api)
        await self._start_watching_pods()
        if self.events_enabled:
            await self._start_watching_events()

    async def watch_soon(self) -> None:
        """As `watch`. Raises `ApiUnavailable` where nothing is known of the cluster in `watch_patience` seconds."""
        try:
            await asyncio.wait_for(self.watch(), self.watch_patience)
        except TimeoutError:
            watches = (self.pod_reflector, self.event_reflector)
            reasons = [watch.trouble for watch in watches if watch is not None and watch.trouble]
            # A watch that was answered says so with a status.
            given_up = ApiUnavailable if any(reason[:3].isdecimal() for reason in reasons) else ApiSilent
            raise given_up(f"watching {self.namespace}: {'; '.join(reasons) or 'no answer'}") from None

    async def _start_watching_pods(self, replace: bool = False) -> Any:
        labels = {"component": self.component_label}
        return await self._start_reflector(
            "pods", PodWatch, replace=replace, labels=labels, omit_namespace=self.enable_user_namespaces
        )

    async def _start_watching_events(self, replace: bool = False) -> Any:
        return await self._start_reflector(
            "events", EventWatch, replace=replace, omit_namespace=self.enable_user_namespaces
        )
