"""Servers as pods: KubeSpawner with the platform's profiles, form and plan. Hooks only, no decisions."""

from typing import Any

from kubespawner import KubeSpawner
from traitlets import Unicode, default

from .core.cluster import HOME
from .core.names import slug
from .core.profiles import Capabilities
from .core.session import SessionPlan
from .kube.settings import READ, Configured, pod_settings
from .spawning import ProfileSpawnerMixin


class DevPlatformSpawner(ProfileSpawnerMixin, KubeSpawner):
    """Starts a pod for what a person chose from `profiles.yaml`; KubeSpawner's own `profile_list` is not used."""

    home_path = Unicode(HOME, help="Where the home disk is mounted.").tag(config=True)

    _plan_now: SessionPlan | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._configured = Configured({name: getattr(self, name) for name in READ})

    @default("delete_pvc")
    def _keep_the_home(self) -> bool:
        return False  # people's files are deleted by people

    @default("storage_pvc_ensure")
    def _home_by_default(self) -> bool:
        return True

    @default("pvc_name_template")
    def _one_home_for_all_servers(self) -> str:
        return "claim-{username}"

    def capabilities(self) -> Capabilities:
        """A cluster that grows knows no limit beforehand."""
        return Capabilities(is_cluster=True)

    async def load_user_options(self) -> None:
        """KubeSpawner asks for this first thing in every start: what is chosen becomes what the pod gets."""
        self._plan_now = None  # a refused start has none
        plan = self._plan_now = self.plan_start()
        placement = next(iter(plan.cluster.placements or ()), None)
        prefix = f"users/{slug(self.user.name)}"
        for name, value in pod_settings(plan, self._configured, placement=placement, prefix=prefix).items():
            setattr(self, name, value)

    def get_env(self) -> dict[str, Any]:
        """As KubeSpawner's, with the profile's variables as they are written: no `{...}` in them is expanded."""
        environment: dict[str, Any] = super().get_env()
        return {**environment, **(self._plan_now.environment if self._plan_now else {})}
