"""What a page reads of a start on a cluster, and how long starts like it have waited until now."""

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from traitlets.config import LoggingConfigurable

from .core.diagnosis.waits import WaitTimes, as_state, record_state
from .core.safe_start import STARTING
from .core.session import SessionPlan
from .kube.starting import Story
from .kube.telling import tell

_STARTING, _WAITED = "devplatform_starting", "devplatform_waited"

# JupyterHub refuses a subclass of Spawner that cannot start servers; before one in the MRO, this one can.
_Base: Any = LoggingConfigurable


class ToldStartsMixin(_Base):
    """Mix this in before KubeSpawner. A start has a `_story` while `_is_starting`; both are the spawner's to set."""

    _wait_times: ClassVar[WaitTimes] = WaitTimes()
    _waited: dict[str, object] | None = None
    _plan_now: SessionPlan | None = None
    _story: Story | None = None
    _is_starting = False
    _is_safe: bool

    @property
    def _wait_key(self) -> str:
        place = self._story.placement if self._story else None
        return f"{self._plan_now.profile if self._plan_now else ''}/{place.name if place else ''}"

    def note_waits(self, story: Story) -> None:
        """Count what this start waited for, for those after it; also for those of the hub's next life."""
        self._waited = as_state(story.waited, self._wait_key)
        record_state(self._wait_times, self._waited)

    async def progress(self) -> AsyncIterator[dict[str, object]]:
        """What the page says that shows a start, as it changes; the hub stops reading when the start is over."""

        def story_now() -> Story | None:
            return self._story if self._is_starting else None

        if self._is_safe:
            yield {"progress": 0, "message": STARTING}
        async for event in tell(story_now, self._wait_times, self._wait_key):
            yield event

    def get_state(self) -> dict[str, Any]:
        """For the hub's database: whether a start is under way, too."""
        state: dict[str, Any] = super().get_state()
        if self._is_starting:
            state[_STARTING] = True
        if self._waited:
            state[_WAITED] = self._waited
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """After a restart of the hub."""
        super().load_state(state)
        self._is_starting = bool(state.get(_STARTING))
        self._waited = state.get(_WAITED)
        record_state(self._wait_times, self._waited)
