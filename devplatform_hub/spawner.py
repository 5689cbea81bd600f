"""Servers as pods: KubeSpawner with the platform's profiles, form and plan. Hooks only, no decisions."""

from typing import Any

from kubespawner import KubeSpawner

from .core.session import SessionPlan
from .kube.settings import ConfiguredResources, pod_settings
from .spawning import ProfileSpawnerMixin


class DevPlatformSpawner(ProfileSpawnerMixin, KubeSpawner):
    """Starts a pod for what a person chose from `profiles.yaml`; KubeSpawner's own `profile_list` is not used."""

    _plan_now: SessionPlan | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._configured = ConfiguredResources(dict(self.extra_resource_limits), dict(self.extra_resource_guarantees))

    async def load_user_options(self) -> None:
        """KubeSpawner asks for this first thing in every start: what is chosen becomes what the pod gets."""
        self._plan_now = None  # a refused start has none
        self._plan_now = self.plan_start()
        for name, value in pod_settings(self._plan_now, self._configured).items():
            setattr(self, name, value)

    def get_env(self) -> dict[str, Any]:
        """As KubeSpawner's, with the profile's variables as they are written: no `{...}` in them is expanded."""
        environment: dict[str, Any] = super().get_env()
        return {**environment, **(self._plan_now.environment if self._plan_now else {})}
