"""What a person's servers hold together, and that a start beside them stays within the person's limits.

Hooks only: which limits somebody has is decided in `core.limits`, what a refusal says in `core.limit_refusal`.
"""

from typing import Any

from traitlets.config import LoggingConfigurable

from .core.limit_refusal import refusal
from .core.limited_offers import use_of
from .core.limits import PersonLimits, Use
from .core.session import SessionPlan

_HOLDS = "devplatform_holds"

# JupyterHub refuses a subclass of Spawner that cannot start servers; before one in the MRO, this one can.
_Base: Any = LoggingConfigurable


class LimitedStartsMixin(_Base):
    """Mix this in before a spawner. Whoever plans a start calls `keep_within` and, when it is to go ahead, `hold`.

    Both happen without an `await` in between, in the hub's only thread: so of two starts at once the second one
    sees the first. A server holds what it was planned with until the hub has forgotten it (`clear_state`).
    """

    _holds: Use | None = None

    def keep_within(self, plan: SessionPlan, limits: PersonLimits) -> None:
        """Raise `PublicError` (`limit-reached`) where the person's other servers leave no room for this one."""
        if not limits.limits:
            return
        others = [use for use in self.held() if use.server != self.name]
        if refused := refusal(limits, others, use_of(plan, self.name)):
            raise refused

    def hold(self, plan: SessionPlan) -> None:
        """From now on this server counts."""
        self._holds = use_of(plan, self.name)

    def held(self) -> list[Use]:
        """What this person's servers hold that start, run or stop.

        A hub that was just started has not looked at all of them: of those its database knows what they were planned
        with.
        """
        found = []
        for name, row in self.user.orm_spawners.items():
            spawner = self.user.spawners.get(name)  # asking by [] would make one
            if isinstance(spawner, LimitedStartsMixin):
                use = spawner.use_now()
            else:
                use = None if row.server_id is None else _stored(name, row.state)
            if use:
                found.append(use)
        return found

    def use_now(self) -> Use | None:
        """What this server holds; None when it is not there, or not planned yet: then its own start looks at others."""
        if self._holds is None:
            return Use(self.name, "") if self.ready else None
        if not self.active:
            return None
        return Use.from_state(self.name, self._holds.as_state(), stopping=self.pending == "stop")

    # JupyterHub's hooks

    def get_state(self) -> dict[str, Any]:
        """As every spawner; and what it holds."""
        state: dict[str, Any] = super().get_state()
        return state | ({_HOLDS: self._holds.as_state()} if self._holds else {})

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self._holds = _stored(self.name, state) if _HOLDS in state else None

    def clear_state(self) -> None:
        super().clear_state()
        self._holds = None


def _stored(server: str, state: Any) -> Use:
    holds = state.get(_HOLDS) if isinstance(state, dict) else None
    return Use.from_state(server, holds if isinstance(holds, dict) else {})
