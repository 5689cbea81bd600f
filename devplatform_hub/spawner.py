"""Servers as pods: KubeSpawner with the platform's profiles, plan, watches and reasons. Hooks, no decisions."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from jupyterhub.utils import exponential_backoff, maybe_future
from kubespawner import KubeSpawner
from kubespawner.objects import make_owner_reference
from traitlets import Float, Unicode, default

from .answering import answers
from .core.cluster import HOME, Placement
from .core.diagnosis.ending import diagnose_end, has_ended
from .core.diagnosis.model import Ending
from .core.errors import PublicError
from .core.names import user_prefix
from .core.profiles import Capabilities
from .core.session import SessionPlan
from .kube import Json
from .kube.clients import api_client
from .kube.home_disk import ensure_home
from .kube.pod_api import PodApi, plain
from .kube.requests import ApiUnavailable, Refused, Requests
from .kube.settings import READ, Configured, pod_environment, pod_settings
from .kube.starting import Pods, Sight, StartFailed, Story, finding_of, follow_pod, public_of, start_pod
from .kube.watched import WatchedPodsMixin
from .server_state import ServerStateMixin
from .session_rights import SessionRightsMixin
from .spawning import ProfileSpawnerMixin, as_refusal
from .told_starts import ToldStartsMixin

_HUB_WAITS_LONGER = 60.0


class DevPlatformSpawner(
    ProfileSpawnerMixin, SessionRightsMixin, ToldStartsMixin, WatchedPodsMixin, ServerStateMixin, KubeSpawner
):
    """Starts a pod for what a person chose from `profiles.yaml`; KubeSpawner's own `profile_list` is not used."""

    home_path = Unicode(HOME, help="Where the home disk is mounted.").tag(config=True)
    lost_after = Float(
        60.0, help="Seconds after which a pod that should be gone counts as ended: its machine does not answer."
    ).tag(config=True)

    queue_timeout = Float(
        86_400.0, help="Seconds that a server may wait in a queue of the cluster. `start_timeout` does not count them."
    ).tag(config=True)

    _placed: tuple[SessionPlan, Placement | None] | None = None
    _is_stopping = False
    _made_nothing = False
    _pvc_exists: bool
    start_timeout: int
    pod_id: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._configured = Configured({name: getattr(self, name) for name in READ})
        self._patience = float(self.start_timeout)
        self._ask = Requests(timeout=self.k8s_api_request_timeout, patience=self.k8s_api_request_retry_timeout)

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

    # Starting

    async def load_user_options(self) -> None:
        """What is chosen becomes what the pod gets, at the first place of its plan."""
        plan = self._plan_anew()
        self._place(plan, next(iter(plan.cluster.placements or ()), None))

    def _plan_anew(self) -> SessionPlan:
        self._plan_now = None  # a refused start has none
        self._plan_now = self.plan_start()
        return self._plan_now

    def _place(self, plan: SessionPlan, placement: Placement | None) -> None:
        if self._placed is not None and self._placed[0] is plan and self._placed[1] is placement:
            return
        self._placed = plan, placement
        prefix = user_prefix(self.user.name)
        for name, value in pod_settings(plan, self._configured, placement=placement, prefix=prefix).items():
            setattr(self, name, value)

    def start(self) -> "asyncio.Future[str]":
        """The address of the server. Every refusal is the hub's own, whoever asked and how.

        What another hub needs to go on with this start is stored before anything is made: the hub commits it
        at once, so that one which is killed now finds its pod again.
        """
        self._made_nothing = self._took_nothing = True
        plan = self._plan_anew()
        queued = self.queue_timeout if plan.cluster.queue else self._patience
        # The hub's own limit comes after ours: it does not know what a start waits for, nor that queues take long.
        self.start_timeout = int(self._patience + queued + _HUB_WAITS_LONGER)
        self._story = Story(plan.cluster.placements or (None,), self._patience, queued)
        self._place(plan, self._story.placement)
        self._is_starting, self._is_stopping, self._ended = True, False, None
        self.orm_spawner.state = self.get_state()
        future: asyncio.Future[str] = super().start()
        return future

    async def _start(self) -> str:
        plan, story = self._plan_now, self._story
        if plan is None or story is None:
            raise RuntimeError("start() makes the plan of a start")
        try:
            pod = await self._make(plan, story)
        except (StartFailed, Refused, ApiUnavailable, PublicError) as error:
            finding = finding_of(error)
            self.log.warning("%s does not start: %s (%s) %s", self._log_name, finding.message, finding.code, error)
            self.report("server.start", "failed", finding.code)
            self._is_starting = False
            self._ended = Ending(finding.code, f"It did not start. {finding.message}", finding.hint)
            raise as_refusal(public_of(error)) from error
        self._is_starting = False
        self.note_waits(story)
        self.report("server.start", "allowed", plan.why, profile=plan.profile)
        return str(self._get_pod_url(pod))

    async def _make(self, plan: SessionPlan, story: Story) -> Json:
        begun = datetime.now(UTC)
        await self.watch_soon()
        if self.enable_user_namespaces:
            await self._ensure_namespace()
        wanted = (plan.cluster.storage.size if plan.cluster.storage else None) or 0
        if self.storage_pvc_ensure and (wanted or not self._pvc_exists):
            claim, classes = plain(self.get_pvc_manifest()), api_client("StorageV1Api")
            note = await ensure_home(self.api, classes, self._ask, self.namespace, claim, wanted)
            self._pvc_exists = True
            if note:
                self.log.info("%s: %s", self._log_name, note)
        await self.take_account()
        pod = await start_pod(story, self._pods(plan), self._sight(begun))
        self.pod_id = pod["metadata"]["uid"]
        return pod

    def _pods(self, plan: SessionPlan) -> Pods:
        async def create(placement: Placement | None) -> Json:
            self._place(plan, placement)
            made = await self.get_pod_manifest()
            if self.modify_pod_hook:
                made = await maybe_future(self.modify_pod_hook(self, made))
            self._made_nothing = False
            return await self._pod_api.make(self.as_own(plain(made)))

        async def remove() -> None:
            await self._pod_api.remove(grace=0)

        return Pods(create, remove, self._pod_made, self._left_to_hub())

    def _left_to_hub(self) -> Callable[[Json], Awaitable[bool]]:
        """Whether the hub can be left to wait for the server in a pod: it answers, or has had the hub's own time."""
        up_since: dict[str, float] = {}

        async def may_be_left(pod: Json) -> bool:
            now, url = time.monotonic(), str(self._get_pod_url(pod))
            if now - up_since.setdefault(pod["metadata"]["uid"], now) > self.http_timeout:
                return True
            return not url.startswith("http:") or await answers(f"{url}{self.server.base_url}api")

        return may_be_left

    def _sight(self, begun: datetime | None = None) -> Sight:
        # A disk outlives pods: what was said of it counts for a start, since that began, and for nothing else.
        claims = (self.pvc_name,) if begun and self._pvc_exists else ()
        return Sight(self.pod_reflector, self.event_reflector, self.namespace, claims, begun)

    @property
    def _pod_api(self) -> PodApi:
        where = self.namespace, self.pod_name
        return PodApi(self.api, self._ask, self.pod_reflector, *where, within=self._patience, is_own=self.is_own)

    async def _pod_made(self, pod: Json) -> None:
        """What belongs to a pod and can be made only now, because it goes with it."""
        if self.internal_ssl or self.services_enabled:
            owner = make_owner_reference(self.pod_name, pod["metadata"]["uid"])
            if self.internal_ssl:
                await self._anew("secret", self.get_secret_manifest(owner))
            await self._anew("service", self.get_service_manifest(owner, self._get_pod_port(pod)))
        await self.grant_rights(pod)
        if self.after_pod_created_hook:
            await maybe_future(self.after_pod_created_hook(self, pod))

    async def _anew(self, kind: str, manifest: Any) -> None:
        gone = partial(self._ensure_not_exists, kind, manifest.metadata.name)
        await exponential_backoff(gone, f"{kind}/{manifest.metadata.name} does not go", timeout=self.start_timeout)
        await self._make_create_resource_request(kind, manifest)

    # Watching and stopping

    @property
    def _pod(self) -> Json | None:
        """This server's pod as last seen."""
        pod: Json | None = self.pod_reflector.get(f"{self.namespace}/{self.pod_name}")
        return pod if pod is not None and self.is_own(pod) else None

    async def poll(self) -> int | None:
        """None while it runs or starts, else an exit status; why it ended is kept for the person and the audit."""
        if self._made_nothing and not self._is_starting:
            return 0  # a start that ended before there was a pod: nothing to look for, nor to wait for the cluster
        await self.watch()
        if self._is_starting and not self._start_pending:
            await self._go_on()
        pod = self._pod
        if pod is None and self.pod_reflector.stale_seconds > 0:
            return None  # nothing is known while the API server is away: nobody loses a server by that
        if pod is not None and not has_ended(pod, datetime.now(UTC), self.lost_after):
            status: int | None = await super().poll()  # also when it has another address now
            return status
        ended = self._note_end(pod)
        if pod is not None and self.delete_stopped_pods:
            await self._pod_api.remove(grace=0)
        return ended.exit_code

    def _note_end(self, pod: Json | None) -> Ending:
        """Why it ended; kept for the person and the audit unless it was asked to, or that is known already."""
        uid = pod["metadata"]["uid"] if pod else self.pod_id
        ended = diagnose_end(pod, self._sight().said(self.pod_name, uid))
        if self._ended is None and not self._is_stopping:
            self._ended = ended
            self.log.warning("%s ended: %s (%s)", self._log_name, ended.message, ended.code)
            self.report("server.end", "allowed", ended.code)
        return ended

    async def _go_on(self) -> None:
        """Wait for a pod whose start another hub began, and which is killed before it came to an end."""
        pod = self._pod
        if pod is not None:
            story = self._story = Story((None,), self._patience, self.queue_timeout)
            begun = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            uid = pod["metadata"]["uid"]
            followed = await follow_pod(story, self._sight(begun), self.pod_name, uid, self._left_to_hub())
            if isinstance(followed, dict):
                await self.grant_rights(pod)
            else:
                self.log.warning("%s did not come up: %s (%s)", self._log_name, followed.message, followed.code)
        self._is_starting = False

    async def stop(self, now: bool = False) -> None:
        """Take the pod away, and wait until it is gone."""
        self._is_stopping = True  # its end is no news to anybody
        await self.watch()
        try:
            await self._pod_api.remove(grace=0 if now else self.delete_grace_period)
        except (Refused, ApiUnavailable) as error:  # a sweep finds it when the cluster answers again
            self.log.warning("The pod of %s stays for now: %s", self._log_name, error)
            raise as_refusal(public_of(error)) from error
        self._is_starting = False

    # What the hub remembers

    def get_env(self) -> dict[str, Any]:
        """As KubeSpawner's, with the plan's variables as they are written: no `{...}` in them is expanded."""
        environment: dict[str, Any] = super().get_env()
        return {**environment, **(pod_environment(self._plan_now, self._configured) if self._plan_now else {})}
