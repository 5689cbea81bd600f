"""From a plan to a pod: compared whole, as the real KubeSpawner renders it, without a cluster."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from kubespawner import KubeSpawner
from traitlets.config import Config

from devplatform_hub.core.cluster import (
    Bucket,
    ClusterSettings,
    FuseTuning,
    GpuDriver,
    GpuNode,
    GpuSharing,
    Mount,
    Placement,
    Storage,
    Toleration,
)
from devplatform_hub.core.profiles import Editor, Gpu
from devplatform_hub.core.session import SessionPlan
from devplatform_hub.kube.pod_api import plain
from devplatform_hub.kube.settings import DECIDED, READ, Configured, escaped, pod_environment, pod_settings
from tests.doubles.hub_person import belongs_to_alice, without_cluster

GIB = 2**30
PREFIX = "users/alice"
HOME_VOLUME = {"name": "devplatform-home", "persistentVolumeClaim": {"claimName": "claim-alice"}}
HOME_MOUNT = {"name": "devplatform-home", "mountPath": "/home/jovyan"}
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
SPOT_TOLERATION = {
    "key": "cloud.google.com/gke-spot",
    "operator": "Equal",
    "value": "true",
    "effect": "NoSchedule",
}
NEVER_SPOT = {"key": "cloud.google.com/gke-spot", "operator": "DoesNotExist"}


def plan(cluster: ClusterSettings = ClusterSettings(), gpu: Gpu | None = None) -> SessionPlan:  # noqa: B008 - frozen
    return SessionPlan(
        profile="p",
        display_name="P",
        editor=Editor.JUPYTERLAB,
        cpu=2,
        memory=8 * GIB,
        gpu=gpu,
        default_url="/lab",
        idle_timeout=None,
        max_age=None,
        environment={},
        options={},
        cluster=cluster,
    )


STANDARD = plan()
GPU = plan(
    ClusterSettings(
        image="registry.example.com/cuda:12",
        cpu_guarantee=1,
        memory_guarantee=4 * GIB,
        gpu_node=GpuNode("nvidia-l4", GpuDriver.LATEST, GpuSharing.TIME_SHARING, 4, "1g.5gb"),
        shared_memory=2 * GIB,
        node_selector={"team": "vision"},
        tolerations=(Toleration("team", "Equal", "vision", "NoExecute"), Toleration("dedicated")),
        queue="vision",
        storage=Storage(50 * GIB, "fast"),
    ),
    Gpu(2),
)
MPS = plan(ClusterSettings(gpu_node=GpuNode(sharing=GpuSharing.MPS), shared_memory=GIB), Gpu(1))
FUSE = plan(
    ClusterSettings(
        workspace_bucket="ws",
        buckets=(Bucket("data", "/mnt/{data}", "a {b}"), Bucket("out", "/mnt/out", read_only=False)),
        fuse=FuseTuning(0.25, 512 * 2**20, None, None, -1, 20 * GIB),
    )
)
MOUNTS = plan(
    ClusterSettings(
        mounts=(
            Mount("/mnt/{team}", claim="team", sub_path="a {b}", read_only=False),
            Mount("/opt/pip", config_map="pip"),
            Mount("/opt/keys", secret="keys"),
        )
    )
)
SPOT = plan(
    ClusterSettings(placements=(Placement("spot", spot=True, zone="europe-west4-a"), Placement("stays", spot=False)))
)
SAFE = replace(STANDARD, safe=True)
ALL = {"safe": SAFE, "standard": STANDARD, "gpu": GPU, "mps": MPS, "fuse": FUSE, "mounts": MOUNTS, "spot": SPOT}


def kubespawner(monkeypatch: pytest.MonkeyPatch, **configured: Any) -> KubeSpawner:
    """The real class, which asks no cluster for anything here."""
    without_cluster(monkeypatch)
    config = Config()
    config.KubeSpawner.storage_pvc_ensure = True
    config.KubeSpawner.image = "base:1"
    for name, value in configured.items():
        config.KubeSpawner[name] = value
    made = KubeSpawner(_mock=True, config=config)
    belongs_to_alice(made)
    made.pvc_name = "claim-alice"  # as for this person, not for the one of `_mock`
    return made


def apply(
    spawner: KubeSpawner, configured: Configured, wanted: SessionPlan, placement: Placement | None = None
) -> None:
    for name, value in pod_settings(wanted, configured, placement=placement, prefix=PREFIX).items():
        setattr(spawner, name, value)


async def rendered(spawner: KubeSpawner) -> dict[str, Any]:
    """The pod as it goes to the API server, without what is the same in every pod."""
    pod: dict[str, Any] = plain(await spawner.get_pod_manifest())
    container = pod["spec"]["containers"][0]
    for key in ("env", "ports", "name", "lifecycle"):
        container.pop(key)
    pod["spec"].pop("imagePullSecrets")
    same = ("hub.jupyter.org", "app", "component", "heritage")
    for part in ("labels", "annotations"):
        kept = {name: value for name, value in pod["metadata"][part].items() if not name.startswith(same)}
        pod["metadata"][part] = kept
    return {"metadata": {key: value for key, value in pod["metadata"].items() if key != "name"}, **pod["spec"]}


async def pod(
    monkeypatch: pytest.MonkeyPatch, wanted: SessionPlan, placement: Placement | None = None, **configured: Any
) -> dict[str, Any]:
    spawner = kubespawner(monkeypatch, **configured)
    apply(
        spawner,
        Configured({name: getattr(spawner, name, None) for name in READ} | {"home_path": ""}),
        wanted,
        placement,
    )
    return await rendered(spawner)


def expected(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A plain pod, and what is different in this one."""
    size = {"cpu": 2, "memory": 8 * GIB}
    plain = {
        "image": "base:1",
        "resources": {"limits": size, "requests": size},
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [HOME_MOUNT],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    return {
        "metadata": {"labels": {}, "annotations": {}},
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "containers": [plain | (container or {})],
        "volumes": [HOME_VOLUME],
    } | spec


async def test_a_standard_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it promises is guaranteed, the home disk is there, and nothing else."""
    assert await pod(monkeypatch, STANDARD) == expected()


async def test_a_safe_pod_keeps_what_is_its_own_in_a_temporary_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """As large as it may become, with Jupyter's settings beside it; the home is where it always is."""
    made = await pod(monkeypatch, SAFE)
    settings = json.loads(made["metadata"]["annotations"].pop("devplatform.io/safe-start"))
    assert settings["FileContentsManager"] == {"delete_to_trash": False, "always_delete_dir": True}
    shell = settings["ServerApp"]["terminado_settings"]["shell_command"][2]
    assert ("$DEVPLATFORM_SAFE_START" in shell, shell.endswith('exec "${SHELL:-/bin/sh}"')) == (True, True)
    source = {"apiVersion": "v1", "fieldPath": "metadata.annotations['devplatform.io/safe-start']"}
    item = {"path": "jupyter_server_config.json", "fieldRef": source}
    assert made == expected(
        {
            "workingDir": "/tmp/safe-start",
            "volumeMounts": [
                {"name": "devplatform-safe-start", "mountPath": "/tmp/safe-start"},
                {"name": "devplatform-safe-start-settings", "mountPath": "/tmp/safe-start-settings", "readOnly": True},
                HOME_MOUNT,
            ],
        },
        volumes=[
            {"name": "devplatform-safe-start", "emptyDir": {"sizeLimit": "1Gi"}},
            {
                "name": "devplatform-safe-start-settings",
                "downwardAPI": {"items": [item], "defaultMode": 0o444},
            },
            HOME_VOLUME,
        ],
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        pytest.param("", "/home/{{x}}", id="the folder that the image starts in"),
        pytest.param("~", "/home/{{x}}", id="the home"),
        pytest.param("~/files/{username}", "/home/{{x}}/files/{username}", id="below the home"),
        pytest.param("/data/{username}", "/data/{username}", id="another"),
    ],
)
def test_a_safe_start_shows_the_folder_of_every_start(given: str, shown: str) -> None:
    """Which must not follow the temporary HOME; what KubeSpawner expands it still expands."""
    configured = Configured({"home_path": "/home/{x}", "notebook_dir": given})
    got = [pod_settings(one, configured, placement=None, prefix=PREFIX)["notebook_dir"] for one in (STANDARD, SAFE)]
    assert got == [given, shown]


def test_a_safe_start_reads_nothing_of_the_home_whatever_the_profile_sets() -> None:
    """Its variables are above those of the profile, whose settings of Jupyter are read after ours."""
    given = {"HOME": "/home/jovyan", "IPYTHONDIR": "/srv/i", "JUPYTER_CONFIG_PATH": "/etc/j", "KEPT": "{a}"}
    wanted = replace(SAFE, environment=given)
    got = pod_environment(wanted, Configured())
    assert {name: got[name] for name in given} == {
        "HOME": "/tmp/safe-start",
        "IPYTHONDIR": "/tmp/safe-start/.ipython",
        "JUPYTER_CONFIG_PATH": "/tmp/safe-start-settings:/etc/j",
        "KEPT": "{a}",
    }
    assert [name for name, value in got.items() if "/home/jovyan" in value] == ["DEVPLATFORM_SAFE_START"]
    assert pod_environment(replace(wanted, safe=False), Configured()) == given


async def test_a_gpu_pod_with_every_knob(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits and requests, image, labels of the machine, taints, shared memory, queue."""
    assert await pod(monkeypatch, GPU) == expected(
        {
            "image": "registry.example.com/cuda:12",
            "resources": {
                "limits": {"cpu": 2, "memory": 8 * GIB, "nvidia.com/gpu": "2"},
                "requests": {"cpu": 1, "memory": 4 * GIB, "nvidia.com/gpu": "2"},
            },
            "volumeMounts": [{"name": "devplatform-shm", "mountPath": "/dev/shm"}, HOME_MOUNT],
        },
        metadata={"labels": {"kueue.x-k8s.io/queue-name": "vision"}, "annotations": {}},
        nodeSelector={
            "team": "vision",
            "cloud.google.com/gke-accelerator": "nvidia-l4",
            "cloud.google.com/gke-gpu-driver-version": "latest",
            "cloud.google.com/gke-gpu-sharing-strategy": "time-sharing",
            "cloud.google.com/gke-max-shared-clients-per-gpu": "4",
            "cloud.google.com/gke-gpu-partition-size": "1g.5gb",
        },
        tolerations=[
            GPU_TOLERATION,
            {"key": "cloud.google.com/gke-queued", "operator": "Exists", "effect": "NoSchedule"},
            {"key": "team", "operator": "Equal", "value": "vision", "effect": "NoExecute"},
            {"key": "dedicated", "operator": "Exists"},
        ],
        volumes=[{"name": "devplatform-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}}, HOME_VOLUME],
    )


async def test_servers_that_share_a_gpu_by_mps_reach_its_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the machine's IPC namespace, whose /dev/shm must not be hidden."""
    resources = {"cpu": 2, "memory": 8 * GIB, "nvidia.com/gpu": "1"}
    assert await pod(monkeypatch, MPS, extra_pod_config={"host_ipc": False}) == expected(
        {"resources": {"limits": resources, "requests": resources}},
        hostIPC=True,
        nodeSelector={"cloud.google.com/gke-gpu-sharing-strategy": "mps"},
        tolerations=[GPU_TOLERATION],
    )


async def test_a_spot_pod_and_the_one_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first may be taken away and knows how long it has; the second is never on such a machine."""
    first, second = SPOT.cluster.placements or ()
    assert await pod(monkeypatch, SPOT, first) == expected(
        nodeSelector={"cloud.google.com/gke-spot": "true", "topology.kubernetes.io/zone": "europe-west4-a"},
        tolerations=[SPOT_TOLERATION],
        terminationGracePeriodSeconds=15,
    )
    terms = [{"matchExpressions": [NEVER_SPOT]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    assert await pod(monkeypatch, SPOT, second) == expected(affinity={"nodeAffinity": required})


async def test_a_pod_with_what_is_in_its_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A claim can be written where the profile says so; config maps and secrets never, and braces stay braces."""
    names = [f"devplatform-mount-{number}" for number in range(3)]
    assert await pod(monkeypatch, MOUNTS) == expected(
        {
            "volumeMounts": [
                {"name": names[0], "mountPath": "/mnt/{team}", "subPath": "a {b}"},
                {"name": names[1], "mountPath": "/opt/pip", "readOnly": True},
                {"name": names[2], "mountPath": "/opt/keys", "readOnly": True},
                HOME_MOUNT,
            ]
        },
        volumes=[
            {"name": names[0], "persistentVolumeClaim": {"claimName": "team"}},
            {"name": names[1], "configMap": {"name": "pip", "defaultMode": 0o444}},
            {"name": names[2], "secret": {"secretName": "keys", "defaultMode": 0o444}},
            HOME_VOLUME,
        ],
    )


async def test_a_pod_with_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workspace is the person's prefix alone, shared folders cannot be written, and braces stay braces."""
    options = "implicit-dirs,uid=1000,gid=100,file-mode=644,dir-mode=755"
    cache = {"metadataCacheTTLSeconds": "-1", "fileCacheCapacity": "20480Mi"}

    def volume(name: str, bucket: str, only_dir: str = "", *, read_only: bool = False) -> dict[str, Any]:
        attributes = {"bucketName": bucket, "mountOptions": options + only_dir, **cache}
        csi = {"driver": "gcsfuse.csi.storage.gke.io", "readOnly": read_only, "volumeAttributes": attributes}
        return {"name": name, "csi": csi}

    assert await pod(monkeypatch, FUSE) == expected(
        {
            "volumeMounts": [
                {"name": "devplatform-workspace", "mountPath": HOME_MOUNT["mountPath"] + "/workspace"},
                {"name": "devplatform-bucket-0", "mountPath": "/mnt/{data}", "readOnly": True},
                {"name": "devplatform-bucket-1", "mountPath": "/mnt/out"},
                HOME_MOUNT,
            ]
        },
        metadata={
            "labels": {},
            "annotations": {
                "gke-gcsfuse/volumes": "true",
                "gke-gcsfuse/cpu-limit": "250m",
                "gke-gcsfuse/cpu-request": "250m",
                "gke-gcsfuse/memory-limit": "512Mi",
                "gke-gcsfuse/memory-request": "512Mi",
                "gke-gcsfuse/ephemeral-storage-limit": "25Gi",
                "gke-gcsfuse/ephemeral-storage-request": "25Gi",
            },
        },
        volumes=[
            volume("devplatform-workspace", "ws", ",only-dir=users/alice"),
            volume("devplatform-bucket-0", "data", ",only-dir=a {b}", read_only=True),
            volume("devplatform-bucket-1", "out"),
            HOME_VOLUME,
        ],
    )


@pytest.mark.parametrize(
    ("before", "after"), [pytest.param(a, b, id=f"{a} then {b}") for a, b in itertools.permutations(ALL, 2)]
)
async def test_nothing_stays_from_the_start_before(monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    """On one spawner object, whatever was started before: the pod is as on a fresh one."""
    used = kubespawner(monkeypatch, volumes={"own": {"name": "own", "emptyDir": {}}}, node_selector={"pool": "people"})
    configured = Configured({name: getattr(used, name, None) for name in READ})
    for name in (before, after):
        placements = ALL[name].cluster.placements
        apply(used, configured, ALL[name], placements[0] if placements else None)
        last = await rendered(used)
    placements = ALL[after].cluster.placements
    fresh = await pod(
        monkeypatch,
        ALL[after],
        placements[0] if placements else None,
        volumes={"own": {"name": "own", "emptyDir": {}}},
        node_selector={"pool": "people"},
    )
    assert last == fresh


@pytest.mark.parametrize("placement", [None, Placement("a", spot=True), Placement("b", spot=False, flex_start=True)])
@pytest.mark.parametrize("name", ALL)
def test_every_trait_has_a_value_at_every_start(name: str, placement: Placement | None) -> None:
    """Whatever the operator configured, which is left as it was."""
    given: dict[str, Any] = {
        trait: [] if trait in ("volumes", "volume_mounts", "tolerations") else {} for trait in READ
    }
    before = repr(given)
    assert set(pod_settings(ALL[name], Configured(given), placement=placement, prefix=PREFIX)) == set(DECIDED)
    assert repr(given) == before


@pytest.mark.parametrize("as_mapping", [pytest.param(False, id="lists"), pytest.param(True, id="mappings")])
def test_what_the_operator_configured_stays(as_mapping: bool) -> None:
    """KubeSpawner takes lists and mappings; ours come on top, under names of their own."""

    def shaped(*items: dict[str, Any]) -> Any:
        return {f"z{number}": item for number, item in enumerate(items)} if as_mapping else list(items)

    mount = {"name": "nfs", "mountPath": "/home/jovyan"}
    configured = Configured(
        {
            "volumes": shaped({"name": "nfs", "nfs": {"server": "s", "path": "/{username}"}}),
            "volume_mounts": shaped(mount),
            "tolerations": shaped({"key": "people", "operator": "Exists"}),
            "node_selector": {"pool": "people", "cloud.google.com/gke-accelerator": "nvidia-t4"},
            "extra_resource_limits": {"example.com/fuse": "1"},
            "extra_annotations": {"note": "{username}"},
            "extra_labels": {"team": "x"},
            "extra_pod_config": {"dnsPolicy": "None", "terminationGracePeriodSeconds": 5},
            "extra_container_config": {"termination_message_policy": "File", "stdin": True},
            "notebook_dir": "/data/{username}",
            "working_dir": "/data",
            "node_affinity_required": shaped({"matchExpressions": [{"key": "a", "operator": "Exists"}]}),
            "storage_extra_labels": {"kept": "yes"},
            "storage_capacity": "20Gi",
            "storage_class": "slow",
            "image": "base:1",
        }
    )
    got = pod_settings(
        plan(ClusterSettings(shared_memory=GIB), Gpu(1)),
        configured,
        placement=Placement("p", spot=False, accelerator="nvidia-l4"),
        prefix=PREFIX,
    )
    shm = {"name": "devplatform-shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    shm_mount = {"name": "devplatform-shm", "mountPath": "/dev/shm"}

    def added(name: str, key: str, *items: dict[str, Any]) -> Any:
        before = configured.traits[name]
        return {**before, key: items[0]} if as_mapping else [*before, *items]

    resources = {"nvidia.com/gpu": "1"}
    assert got == {
        "cpu_limit": 2,
        "cpu_guarantee": 2,
        "mem_limit": 8 * GIB,
        "mem_guarantee": 8 * GIB,
        "extra_resource_limits": {"example.com/fuse": "1", **resources},
        "extra_resource_guarantees": resources,
        "default_url": "/lab",
        "image": "base:1",
        "node_selector": {"pool": "people", "cloud.google.com/gke-accelerator": "nvidia-l4"},
        "tolerations": added("tolerations", "devplatform-gpu", GPU_TOLERATION),
        "node_affinity_required": shaped({"matchExpressions": [{"key": "a", "operator": "Exists"}, NEVER_SPOT]}),
        "volumes": added("volumes", "devplatform-shm", shm),
        "volume_mounts": added("volume_mounts", "devplatform-shm", shm_mount),
        "extra_annotations": {"note": "{username}"},
        "extra_labels": {"team": "x"},
        "extra_pod_config": {"dnsPolicy": "None", "terminationGracePeriodSeconds": 5, "restartPolicy": "Never"},
        "extra_container_config": {"termination_message_policy": "File", "stdin": True},
        "notebook_dir": "/data/{username}",
        "working_dir": "/data",
        "storage_capacity": "20Gi",
        "storage_class": "slow",
        "storage_extra_labels": {"kept": "yes", "devplatform.io/backup": "true", "devplatform.io/owner": "alice"},
    }


def test_never_on_spot_narrows_each_term_of_the_operators() -> None:
    """One term is enough for Kubernetes: a condition beside the others would be a way around them."""
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
        {"match_expressions": None},
    ]
    configured = Configured({"node_affinity_required": terms})
    got = pod_settings(STANDARD, configured, placement=Placement("p", spot=False), prefix=PREFIX)
    assert got["node_affinity_required"] == [
        {"matchFields": terms[0]["matchFields"], "matchExpressions": [NEVER_SPOT]},  # type: ignore[index]
        {"matchExpressions": [NEVER_SPOT]},
    ]


@pytest.mark.parametrize(
    ("placement", "selector", "tolerations"),
    [
        pytest.param(Placement("any"), {}, [SPOT_TOLERATION], id="either kind"),
        pytest.param(
            Placement("dws", flex_start=True, spot=False, node_selector={"a": "b"}),
            {"cloud.google.com/gke-flex-start": "true", "a": "b"},
            [SPOT_TOLERATION | {"key": "cloud.google.com/gke-flex-start"}],
            id="ordered by flex-start",
        ),
        pytest.param(
            Placement("l4", spot=True, accelerator="nvidia-l4"),
            {"cloud.google.com/gke-spot": "true"},
            [SPOT_TOLERATION],
            id="an accelerator means nothing without a GPU",
        ),
    ],
)
def test_places(placement: Placement, selector: dict[str, str], tolerations: list[dict[str, str]]) -> None:
    """Labels to look for and taints to stand on."""
    got = pod_settings(STANDARD, Configured(), placement=placement, prefix=PREFIX)
    assert (got["node_selector"], got["tolerations"]) == (selector, tolerations)


def test_a_guarantee_is_never_above_the_limit_of_a_smaller_choice() -> None:
    """Kubernetes would refuse the pod."""
    got = pod_settings(
        plan(ClusterSettings(cpu_guarantee=4, memory_guarantee=16 * GIB)), Configured(), placement=None, prefix=PREFIX
    )
    assert (got["cpu_guarantee"], got["mem_guarantee"]) == (2, 8 * GIB)


def test_an_operator_may_mount_homes_in_another_way() -> None:
    """Without claims of KubeSpawner there is no home volume of ours; another path and owner are respected."""
    bucket = ClusterSettings(workspace_bucket="ws")
    configured = Configured({"storage_pvc_ensure": False, "home_path": "/data/{x}/", "uid": 1, "gid": lambda _: 2})
    got = pod_settings(plan(bucket), configured, placement=None, prefix=PREFIX)
    assert got["volume_mounts"] == [{"name": "devplatform-workspace", "mountPath": "/data/{{x}}/workspace"}]
    assert "uid=1,gid=100," in got["volumes"][0]["csi"]["volumeAttributes"]["mountOptions"]


def test_braces_come_out_as_they_are() -> None:
    """At any depth; numbers and flags are left alone."""
    assert escaped({"{a}": ["{b}", {"c": "}{"}], "d": 1, "e": True}) == {
        "{a}": ["{{b}}", {"c": "}}{{"}],
        "d": 1,
        "e": True,
    }
