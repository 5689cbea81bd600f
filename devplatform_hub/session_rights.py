"""What every pod of a person runs as, and what its person may do with it by `kubectl`: given and taken with the server.

Hooks only: which rights, and to whom, is decided in `kube.user_access`.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from jupyterhub import orm
from jupyterhub.utils import maybe_future
from traitlets import Float, Unicode
from traitlets.config import LoggingConfigurable

from .kube import Json
from .kube.access_keeper import AccessKeeper
from .kube.clients import api_client
from .kube.requests import Requests
from .kube.session_access import UserAccess
from .kube.user_access import Key, Session, hub_labels, is_pod_of, subject_of

_KEEPER = "devplatform_access"

# JupyterHub refuses a subclass of Spawner that cannot start servers; before one in the MRO, this one can.
_Base: Any = LoggingConfigurable


class SessionRightsMixin(_Base):
    """Mix this in before a KubeSpawner. With `service_account` configured there are no accounts and no rights.

    The start calls `take_account` before the pod is made and `grant_rights` when it is there; the end of every
    server, however it came about, takes both away.
    """

    hub_name = Unicode(
        "jupyterhub",
        help="Tells this hub's pods, accounts and rights from another's in the same namespace. Change it only while "
        "no servers run.",
    ).tag(config=True)
    kubectl_domain = Unicode(
        help="""The domain that makes people's names at the hub the e-mail addresses by which the cluster knows them.

        Only where every name at the hub is the first part of that very person's address: whoever has the address
        may look at the pod and open a shell in it. Empty: only people whose name is an address get rights.
        """,
    ).tag(config=True)
    google_account = Unicode(
        help="""A Google service account for people's pods to act as, through Workload Identity.

        Empty: pods have no rights in Google Cloud but those that are bound to their Kubernetes account.
        """,
    ).tag(config=True)
    sweep_interval = Float(
        600.0, help="Seconds after which it is looked for rights and pods that were left behind, and missing ones."
    ).tag(config=True)
    orphan_grace = Float(
        600.0, help="For how many seconds a pod of this hub may run whose server the hub does not know; then it ends."
    ).tag(config=True)

    _ask: Requests
    _took_nothing = False
    """Whether the start ended before anything was asked for here: then there is nothing to take away either."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_own_account = not self.service_account

    @property
    def server_key(self) -> Key:
        return self.user.name, self.name

    def is_own(self, pod: Mapping[str, Any]) -> bool:
        """Whether this pod is this very server's: names have hashes, and another's may have the same."""
        return is_pod_of(pod, self.server_key, hub=self.hub_name)

    def as_own(self, pod: Json) -> Json:
        """The manifest of a pod, marked as this hub's."""
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **hub_labels(self.hub_name)}
        return pod

    async def take_account(self) -> None:
        """Let the pod run as its person. Raises `NotOurs`, `Refused` or `ApiUnavailable`: then there must be no pod."""
        if access := self._access():
            self._took_nothing = False
            name = await access.session_starting(*self.server_key, google_account=self.google_account)
            self.service_account = name

    async def grant_rights(self, pod: Json) -> None:
        """Give the person the rights to this pod. Their server is of use without, so nothing is raised."""
        if access := self._access():
            claim = self.pvc_name if self._pvc_exists else ""
            names = self.pod_name, pod["metadata"]["uid"], claim, self._email(self.user.name)
            session = Session(*self.server_key, *names, self.google_account)
            granted = await access.session_started(session)
            if session.email:
                self.report("rights.grant", "allowed" if granted else "failed", session.email)

    async def watch(self) -> None:
        """As the spawner's, and from then on the rights in this server's namespace are looked after."""
        await super().watch()
        self._access()

    async def run_post_stop_hook(self) -> Any:
        """JupyterHub calls this at the end of every server, also of one that never came up."""
        if (access := self._access()) and not self._took_nothing:
            await access.session_ended(*self.server_key)
        return await maybe_future(super().run_post_stop_hook())

    def _email(self, user: str) -> str:
        return subject_of(user) or (subject_of(f"{user}@{self.kubectl_domain}") if self.kubectl_domain else "")

    def _access(self) -> UserAccess | None:
        if not self._has_own_account or self.pod_reflector is None:
            return None
        keeper = self.user.settings.get(_KEEPER)
        if keeper is None:
            keeper = AccessKeeper(self.sweep_interval, partial(_active, self))
            self.user.settings[_KEEPER] = keeper
        return keeper.of(self.namespace, self.pod_reflector, self._make_access)

    def _make_access(self) -> UserAccess:
        rbac = api_client("RbacAuthorizationV1Api")
        options = {"namespace": self.namespace, "hub": self.hub_name, "orphan_grace": self.orphan_grace}
        return UserAccess(self.api, rbac, self._ask, **options)


def _active(asker: SessionRightsMixin, namespace: str, pods: Mapping[str, Any]) -> Iterable[Session]:
    """From the hub's database, which knows every server also while a hub that was just started looks at them."""
    users = asker.user.settings["users"]
    rows = (
        asker.user.db.query(orm.User.id, orm.User.name, orm.Spawner.name, orm.Spawner.state)
        .join(orm.Spawner, orm.Spawner.user_id == orm.User.id)
        .filter(orm.Spawner.server_id.isnot(None))
    )
    for user_id, user, server, stored in rows:
        known = dict.get(users, user_id)  # its own `get` would load whoever is not in memory
        spawner = known.spawners.get(server) if known else None
        # What a start has made since it began is not in the database before it ends.
        state = spawner.get_state() if isinstance(spawner, SessionRightsMixin) else stored or {}
        if state.get("namespace") != namespace:
            continue
        pod_name = str(state.get("pod_name", ""))
        pod = pods.get(f"{namespace}/{pod_name}")
        uid = pod["metadata"]["uid"] if pod and is_pod_of(pod, (user, server), hub=asker.hub_name) else ""
        claim, email = str(state.get("pvc_name", "")), asker._email(user)
        yield Session(user, server, pod_name, uid, claim, email, asker.google_account)
