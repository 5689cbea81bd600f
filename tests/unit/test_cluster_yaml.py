"""The cluster part of profiles.yaml: what it means, and of every mistake the line and what would be right."""

import re
from importlib.resources import files
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core import cluster_yaml
from devplatform_hub.core.access import AccessRules, decide_access
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
from devplatform_hub.core.identity import parse_group
from devplatform_hub.core.profiles import Capabilities, Catalog, Profile, offer
from devplatform_hub.core.profiles_yaml import ProfilesError, parse_profiles
from devplatform_hub.core.session import SessionRequest, plan_session
from devplatform_hub.kube.settings import Configured, pod_settings

GIB = 2**30
HEAD = """profiles:
  - name: a
    default: true
    cpu: 2
    memory: 8G
"""
GPU = HEAD + "    gpu: {count: 1}\n"
HOME = "/home/jovyan"
EVERY_KEY = """    cluster:
      image: registry.example.com:5000/team/notebook:1.2@sha256:HEX
      cpu_guarantee: 500m
      memory_guarantee: 4G
      gpu_node: {accelerator: nvidia-l4, driver: latest, sharing: mps, clients_per_gpu: 4, partition: 1g.5gb}
      node_selector: {pool: people, example.com/empty: ""}
      tolerations: [{key: a/b, operator: Equal, value: c, effect: NoExecute}, {key: d}]
      placements:
        - {name: spot, spot: true, accelerator: nvidia-t4, zone: europe-west4-a, node_selector: {x: "1"}}
        - {name: stays, spot: false, flex_start: true}
      queue: team.research
      storage: {size: 50G, class: standard-rwo}
      workspace_bucket: ws-1
      buckets: [{bucket: a.b-c_d, path: /mnt/data, only_dir: x/y z, read_only: false}, {bucket: abc, path: /mnt/ro}]
      mounts: [{claim: c-1, path: /mnt/c, sub_path: a/b, read_only: false}, {config_map: m, path: /mnt/m}]
      fuse: {cpu: 0.25, memory: 512M, implicit_dirs: false, metadata_cache: 10m, file_cache: 9G, ephemeral_storage: 30G}
""".replace("HEX", "0" * 64)


def settings(text: str) -> ClusterSettings:
    return parse_profiles(text, "p.yaml").profiles[0].cluster


def test_reads_every_key() -> None:
    """Sizes become bytes, times seconds, lists tuples."""
    assert settings(GPU + EVERY_KEY) == ClusterSettings(
        image=f"registry.example.com:5000/team/notebook:1.2@sha256:{'0' * 64}",
        cpu_guarantee=0.5,
        memory_guarantee=4 * GIB,
        gpu_node=GpuNode("nvidia-l4", GpuDriver.LATEST, GpuSharing.MPS, 4, "1g.5gb"),
        node_selector={"pool": "people", "example.com/empty": ""},
        tolerations=(Toleration("a/b", "Equal", "c", "NoExecute"), Toleration("d")),
        placements=(
            Placement("spot", spot=True, accelerator="nvidia-t4", zone="europe-west4-a", node_selector={"x": "1"}),
            Placement("stays", spot=False, flex_start=True),
        ),
        queue="team.research",
        storage=Storage(50 * GIB, "standard-rwo"),
        workspace_bucket="ws-1",
        buckets=(Bucket("a.b-c_d", "/mnt/data", "x/y z", read_only=False), Bucket("abc", "/mnt/ro")),
        mounts=(Mount("/mnt/c", claim="c-1", sub_path="a/b", read_only=False), Mount("/mnt/m", config_map="m")),
        fuse=FuseTuning(0.25, 512 * 2**20, 30 * GIB, False, 600, 9 * GIB),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", ClusterSettings(), id="no cluster part"),
        pytest.param("    cluster: {}\n", ClusterSettings(), id="an empty one"),
        pytest.param(
            "    cluster: {placements: [], buckets: [], tolerations: [], node_selector: {}}\n",
            ClusterSettings(placements=(), buckets=(), tolerations=(), node_selector={}),
            id="empty lists, which take away what lies beneath",
        ),
        pytest.param(
            "    cluster: {fuse: {metadata_cache: never}}\n",
            ClusterSettings(fuse=FuseTuning(metadata_cache_seconds=-1)),
            id="a cache for ever",
        ),
        pytest.param(
            "    cluster: {shared_memory: 8G}\n", ClusterSettings(shared_memory=8 * GIB), id="all of the memory"
        ),
    ],
)
def test_reads_what_is_there(text: str, expected: ClusterSettings) -> None:
    """What is not said stays None, so that whatever lies beneath decides."""
    assert settings(HEAD + text) == expected


def test_a_choice_lies_over_its_profile() -> None:
    """Its own limits and GPU count for what it asks of the cluster."""
    text = HEAD + (
        "    options:\n"
        "      - name: o\n"
        "        choices:\n"
        "          - {name: x, default: true, cpu: 4, gpu: {count: 1}, cluster: {cpu_guarantee: 3, gpu_node: {}}}\n"
        "          - {name: y, cpu: 1, cluster: {cpu_guarantee: 2}}\n"
    )
    with pytest.raises(ProfilesError) as error:
        parse_profiles(text, "p.yaml")
    assert str(error.value) == (
        "p.yaml:10: cpu_guarantee: 2 CPU is above the limit of 1 CPU; guarantee at most what the limit allows."
    )
    choices = (
        parse_profiles(text.replace("cpu_guarantee: 2}", "cpu_guarantee: 1}"), "p.yaml").profiles[0].options[0].choices
    )
    assert choices[0].cluster == ClusterSettings(cpu_guarantee=3, gpu_node=GpuNode())


def path_problem(path: str) -> str:
    return f"path: {path!r} is not an absolute path; write it without '..', such as /mnt/data."


def hides(path: str, folder: str) -> str:
    return f"path: {path!r} would hide {folder} of the system; use a folder such as /mnt/data."


LABEL_KEY = "is not a label's key; write it such as team or example.com/team."
LABEL_VALUE = "is not a label's value; use up to 63 letters, digits, dots and hyphens."
IMAGE = "is not an image; write it such as registry.example.com/team/notebook:1.2."
BUCKET = "is not a bucket; use its name without gs://, 3 to 63 small letters, digits and hyphens."
FOLDER = "is not a folder in a bucket; write it such as data/2026, without commas."
DATA = "bucket: abc, path: /mnt/data"

MISTAKES = [
    ("not a mapping", "cluster: 1", ["cluster is not a mapping; write keys such as image:."]),
    ("unknown key", "cluster: {imag: x}", ["cluster has no key 'imag'; did you mean 'image'?"]),
    ("image: capital letters", "cluster: {image: Team/Note Book}", [f"image: 'Team/Note Book' {IMAGE}"]),
    ("image: an option", "cluster: {image: -x}", [f"image: '-x' {IMAGE}"]),
    ("image: a short digest", 'cluster: {image: "a@sha256:00"}', [f"image: 'a@sha256:00' {IMAGE}"]),
    ("image: what splits messages", 'cluster: {image: "a; b"}', [f"image: 'a; b' {IMAGE}"]),
    ("image: endless", f"cluster: {{image: {'a-' * 400}}}", [f"image: '{('a-' * 400)[:60]}...' {IMAGE}"]),
    (
        "guarantees above the limits",
        "cluster: {cpu_guarantee: 4, memory_guarantee: 9G, shared_memory: 10G}",
        [
            "cpu_guarantee: 4 CPU is above the limit of 2 CPU; guarantee at most what the limit allows.",
            "memory_guarantee: 9 GB is above the limit of 8 GB; give at most what the memory limit allows.",
            "shared_memory: 10 GB is above the limit of 8 GB; give at most what the memory limit allows.",
        ],
    ),
    (
        "GPU settings without a GPU",
        "cluster: {gpu_node: {sharing: mps}, placements: [{name: a, accelerator: x}]}",
        [
            "gpu_node is set, but there is no GPU; add gpu: {count: 1}.",
            "a placement names an accelerator, but there is no GPU; add gpu: {count: 1}.",
        ],
    ),
    (
        "unknown driver and sharing",
        "gpu: {count: 1}, cluster: {gpu_node: {driver: newest, sharing: half}}",
        [
            "driver: 'newest' is not one; use default or latest or disabled.",
            "sharing: 'half' is not one; use time-sharing or mps.",
        ],
    ),
    (
        "a partition and a number that there are not",
        "gpu: {count: 1}, cluster: {gpu_node: {sharing: mps, clients_per_gpu: 49, partition: 8g.5gb}}",
        [
            "clients_per_gpu: '49' servers cannot share a GPU; write a whole number from 2 to 48.",
            "partition: '8g.5gb' is not a partition of a GPU; write it such as 1g.5gb or 3g.20gb.",
        ],
    ),
    (
        "sharers without sharing",
        "gpu: {count: 1}, cluster: {gpu_node: {clients_per_gpu: 2}}",
        ["clients_per_gpu is set, but no sharing is; add sharing: time-sharing or mps."],
    ),
    (
        "shared memory under mps",
        "gpu: {count: 1}, cluster: {shared_memory: 1G, gpu_node: {sharing: mps}}",
        ["shared_memory is set, but servers that share a GPU by mps have the machine's; leave it out."],
    ),
    (
        "labels",
        "cluster: {node_selector: {-a: x, a/b/c: x, UP.example/x: x, ok: a b, 'y': [1], z: 1, z: 2}}",
        [
            f"node_selector: '-a' {LABEL_KEY}",
            f"node_selector: 'a/b/c' {LABEL_KEY}",
            f"node_selector: 'UP.example/x' {LABEL_KEY}",
            f"node_selector: 'a b' {LABEL_VALUE}",
            f"node_selector: '\\x00' {LABEL_VALUE}",
            "'z' stands twice; keep one of them; the other is in line 2.",
        ],
    ),
    ("no labels", "cluster: {node_selector: [a]}", ["node_selector is not a mapping; write label: value, one a line."]),
    (
        "tolerations",
        "cluster: {tolerations: [{}, {key: a b, value: x}, {key: a, operator: In, effect: Never}]}",
        [
            "a toleration has no key; add key: with the key of the taint.",
            "a value is given, but the operator is Exists; add operator: Equal.",
            f"key: 'a b' {LABEL_KEY}",
            "operator: 'In' is not one; use Exists or Equal.",
            "effect: 'Never' is not one; use NoSchedule or PreferNoSchedule or NoExecute.",
        ],
    ),
    (
        "no list of tolerations",
        "cluster: {tolerations: {key: a}}",
        ["tolerations is not a list; start each entry of tolerations with a hyphen."],
    ),
    (
        "placements",
        "cluster: {placements: [{}, {name: a}, {name: a, spot: 1}, {name: b, spot: true, flex_start: true}]}",
        [
            "a placement has no name; add name: such as spot.",
            "spot is neither true nor false; write spot: true.",
            "flex_start and spot are two kinds of machine; keep one of them.",
            "a second placement is named 'a'; rename it: the placement in line 2 has that name.",
        ],
    ),
    (
        "places",
        "cluster: {placements: [{name: a, zone: '', node_selector: {a: '*'}}]}",
        [
            "zone: '' is not a label's value; name one, or leave the key out.",
            f"node_selector: '*' {LABEL_VALUE}",
        ],
    ),
    (
        "queue",
        "cluster: {queue: Research}",
        ["queue: 'Research' is not a queue; use up to 63 small letters, digits and hyphens."],
    ),
    (
        "storage",
        "cluster: {storage: {size: 10, class: a_b, sizes: 1}}",
        [
            "storage has no key 'sizes'; did you mean 'size'?",
            "size: '10' is too small for a disk; write it such as 10G.",
            "class: 'a_b' is not a name in Kubernetes; use small letters, digits, dots and hyphens.",
        ],
    ),
    *[
        (f"bucket {name}", f"cluster: {{workspace_bucket: '{name}'}}", [f"workspace_bucket: {name!r} {BUCKET}"])
        for name in ("_", "ab", "gs://abc", "Abc", "a,b", "goog-x", "my-google", "10.0.0.1", "-abc", "a..b")
    ],
    (
        "a bucket needs two keys",
        "cluster: {buckets: [{}]}",
        [
            "a bucket has no bucket; add bucket: such as team-data.",
            "a bucket has no path; add path: such as /mnt/data.",
        ],
    ),
    *[
        (f"path {path}", f"cluster: {{buckets: [{{bucket: abc, path: {path}}}]}}", [problem])
        for path, problem in [
            ("data", path_problem("data")),
            ("/", path_problem("/")),
            ("/mnt/", path_problem("/mnt/")),
            ("/mnt/../etc", path_problem("/mnt/../etc")),
            ("/mnt//x", path_problem("/mnt//x")),
            ("/etc/x", hides("/etc/x", "/etc")),
            ("/proc", hides("/proc", "/proc")),
            ("/sys/fs", hides("/sys/fs", "/sys")),
            ("/dev/shm", hides("/dev/shm", "/dev")),
            ("/var", hides("/var", "/var/run")),
            ("/mnt/a:b", "path: '/mnt/a:b' holds a character that a mount cannot have; write it such as /mnt/data."),
            (HOME, f"path: '{HOME}' would hide the home folder; use one inside or outside it, such as /mnt/data."),
            ("/home", "path: '/home' would hide the home folder; use one inside or outside it, such as /mnt/data."),
        ]
    ],
    *[
        (
            f"prefix {prefix}",
            f"cluster: {{buckets: [{{{DATA}, only_dir: '{prefix}'}}]}}",
            [f"only_dir: {prefix!r} {FOLDER}"],
        )
        for prefix in ("a,allow_other", "a:b", "/a", "a/../b", "a/", 'a"b')
    ],
    (
        "paths twice and in one another",
        f"cluster: {{buckets: [{{{DATA}}}, {{{DATA}}}, {{bucket: abc, path: /mnt/data/in}}]}}",
        [
            "a second bucket is at '/mnt/data'; choose another; line 2 has it.",
            "'/mnt/data/in' and '/mnt/data' lie in one another; put them side by side.",
        ],
    ),
    (
        "a mount of nothing",
        "cluster: {mounts: [{}, {path: /mnt/data}]}",
        [
            "a mount has no path; add path: such as /mnt/data.",
            "a mount does not say of what; add one of claim, config_map, secret.",
            "a mount does not say of what; add one of claim, config_map, secret.",
        ],
    ),
    (
        "a mount of two things",
        "cluster: {mounts: [{path: /mnt/data, claim: a, secret: b}]}",
        ["a mount is of claim and secret; make it a mount each."],
    ),
    (
        "a secret to write to",
        "cluster: {mounts: [{path: /mnt/data, secret: b, read_only: false}]}",
        ["a secret cannot be written to; leave read_only out."],
    ),
    (
        "a mount that leaves what is mounted",
        "cluster: {mounts: [{path: /etc, claim: A_b, sub_path: ../x, size: 1}]}",
        [
            "a mount has no key 'size'; the keys are: path, claim, config_map, secret, sub_path, read_only.",
            hides("/etc", "/etc"),
            "claim: 'A_b' is not a name in Kubernetes; use small letters, digits, dots and hyphens.",
            "sub_path: '../x' is not a path inside it; write it without '..', such as data/2026.",
        ],
    ),
    (
        "a mount at a bucket's path",
        f"cluster: {{buckets: [{{{DATA}}}], mounts: [{{path: /mnt/data, claim: a}}, {{path: /mnt, claim: b}}]}}",
        [
            "a second mount is at '/mnt/data'; choose another; line 2 has it.",
            "'/mnt' and '/mnt/data' lie in one another; put them side by side.",
        ],
    ),
    *[
        (
            f"everybody's workspaces by {prefix!r}",
            f"cluster: {{workspace_bucket: abc, buckets: [{{{DATA}, only_dir: {prefix}}}]}}",
            ["'abc' holds the workspaces of everybody; name another folder of it with only_dir:, not users."],
        )
        for prefix in ("users", "users/bob")
    ],
    (
        "a cache larger than its disk",
        "cluster: {fuse: {ephemeral_storage: 1G, file_cache: 2G}}",
        ["file_cache: 2 GB is above the 1 GB of disk; raise ephemeral_storage, which the cache lies in."],
    ),
    (
        "fuse",
        "cluster: {fuse: {cpu: x, memory: x, implicit_dirs: x, metadata_cache: x}}",
        [
            "cpu: 'x' is not an amount of CPU; write it such as 2, 0.5 or 500m.",
            "memory: 'x' is not a size; write it such as 8G, 512M or a number of bytes.",
            "implicit_dirs is neither true nor false; write implicit_dirs: true.",
            "metadata_cache: 'x' is not a duration; write it such as 45m, 2h, 1d or a number of seconds.",
        ],
    ),
]


@pytest.mark.parametrize(("text", "problems"), [pytest.param(text, lines, id=name) for name, text, lines in MISTAKES])
def test_says_where_and_what_and_what_would_be_right(text: str, problems: list[str]) -> None:
    """Every problem at once, and nothing that Kubernetes, the registry or gcsfuse would refuse gets through."""
    with pytest.raises(ProfilesError) as error:
        parse_profiles(f"profiles:\n  - {{name: a, default: true, cpu: 2, memory: 8G, {text}}}\n", "p.yaml")
    assert str(error.value).splitlines() == [f"p.yaml:2: {problem}" for problem in problems]


def test_a_mistake_has_the_line_of_its_key() -> None:
    """Not that of the profile around it."""
    with pytest.raises(ProfilesError) as error:
        parse_profiles(GPU + EVERY_KEY.replace("path: /mnt/ro", "path: /dev").replace("500m", "3"), "p.yaml")
    assert [line.split(": ", 1)[0] for line in str(error.value).splitlines()] == ["p.yaml:9", "p.yaml:20"]


@pytest.mark.parametrize(
    "image", ["notebook", "team/notebook:latest", "localhost:5000/a/b", "gcr.io/a.b/c__d--e:V_1.0"]
)
def test_images_that_runtimes_take(image: str) -> None:
    """With and without a registry, a port and a tag."""
    assert settings(HEAD + f"    cluster: {{image: '{image}'}}\n").image == image


def test_the_example_shows_every_key_there_is() -> None:
    """It is read without a problem, and no key is missing from it."""
    text = (files("devplatform_hub") / "profiles.example.yaml").read_text("utf-8")
    parse_profiles(text, "profiles.example.yaml", group_domain="example.com")
    shown = set(re.findall(r"\b([a-z_]+):", text))
    known = {key for name, keys in vars(cluster_yaml).items() if re.fullmatch("_[A-Z_]*KEYS", name) for key in keys}
    assert known - shown == set()
    assert len(known) > 30


def test_the_profiles_that_come_with_the_platform_ask_little_of_a_cluster() -> None:
    """Any cluster with a GPU node will do."""
    text = (files("devplatform_hub") / "profiles.yaml").read_text("utf-8")
    found = {profile.slug: profile.cluster for profile in parse_profiles(text, "profiles.yaml").profiles}
    nothing = ClusterSettings()
    assert found == {"standard": nothing, "highmem": nothing, "ml-gpu": ClusterSettings(shared_memory=8 * GIB)}


WORDS = st.one_of(
    st.sampled_from(
        ["", "a", "abc", "1", "8G", "true", "never", "x,y", "x:y", "{a}", "/mnt/a", "/mnt/{b}", "/etc", "users"]
    ),
    st.text(max_size=12),
    st.booleans(),
    st.integers(-1, 2**40),
    st.none(),
)
KEYS = st.sampled_from(
    sorted({key for name, keys in vars(cluster_yaml).items() if re.fullmatch("_[A-Z_]*KEYS", name) for key in keys})
)
VALUES = st.recursive(WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
# Mostly right, so that it gets through, with text in it that means something to KubeSpawner or gcsfuse.
TEXT = st.text("ab/.,:={}' -", min_size=1, max_size=8)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "image": st.sampled_from(["a/b:1", "a b"]),
        "node_selector": st.dictionaries(st.sampled_from(["a", "b/c"]), st.sampled_from(["", "x", "{x}"]), max_size=2),
        "buckets": st.lists(
            st.fixed_dictionaries(
                {"bucket": st.sampled_from(["abc", "x-y"]), "path": TEXT.map(lambda text: f"/mnt/{text}")},
                optional={"only_dir": TEXT, "read_only": st.booleans()},
            ),
            max_size=2,
        ),
        "mounts": st.lists(
            st.fixed_dictionaries(
                {"path": TEXT.map(lambda text: f"/srv/{text}")},
                optional={"claim": st.sampled_from(["abc", "{x}"]), "secret": st.just("s"), "sub_path": TEXT},
            ),
            max_size=2,
        ),
        "workspace_bucket": st.just("ws-1"),
        "placements": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["a", "b", "c"])},
                optional={"zone": st.just("z"), "spot": st.booleans(), "flex_start": st.booleans()},
            ),
            max_size=2,
        ),
        "shared_memory": st.sampled_from(["1", "8G"]),
        "gpu_node": st.fixed_dictionaries({}, optional={"sharing": st.sampled_from(["mps", "time-sharing"])}),
        "fuse": st.fixed_dictionaries({}, optional={"file_cache": st.just("1G"), "metadata_cache": st.just("never")}),
    },
)


def read(cluster: dict[str, Any]) -> Profile | None:
    entry = {"name": "a", "default": True, "cpu": 1, "memory": "8G", "gpu": {"count": 1}, "cluster": cluster}
    try:
        return parse_profiles(yaml.safe_dump({"profiles": [entry]}), "p.yaml").profiles[0]
    except ProfilesError:
        return None


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_anything_is_read_or_refused_in_words(cluster: dict[str, Any]) -> None:
    """No shape of the file makes the hub fail."""
    read(cluster)


@given(LIKELY)
def test_whatever_is_read_without_a_problem_makes_pods(cluster: dict[str, Any]) -> None:
    """Every mistake is said when the file is read, none when a person starts a server; and no option is smuggled in."""
    profile = read(cluster)
    if profile is None:
        return
    group: Any = parse_group("users")
    access = decide_access([group], AccessRules(group, parse_group("admins")))
    plan = plan_session(SessionRequest(), Catalog((profile,)), access, Capabilities(is_cluster=True))
    for placement in (None, *(plan.cluster.placements or ())):
        settings = pod_settings(plan, Configured(), placement=placement, prefix="users/alice")
        for volume in settings["volumes"]:
            options = volume.get("csi", {}).get("volumeAttributes", {}).get("mountOptions", "").split(",")
            assert {option.partition("=")[0] for option in options} <= {
                "", "implicit-dirs", "uid", "gid", "file-mode", "dir-mode", "only-dir"
            }  # fmt: skip


PLACES = (
    Placement("a", spot=True, accelerator="nvidia-l4", zone="europe-west4-a"),
    Placement("b", spot=False),
    Placement("c", flex_start=True),
    Placement("d"),
)


@pytest.mark.parametrize(
    ("cluster", "notes"),
    [
        pytest.param(ClusterSettings(), (), id="nothing"),
        pytest.param(
            ClusterSettings(placements=PLACES),
            (
                "Tries a machine that may be taken away (cheaper) with nvidia-l4 in europe-west4-a first, "
                "then a machine that stays, then a machine that is ordered when there is one, then any machine",
            ),
            id="an order of places",
        ),
        pytest.param(
            ClusterSettings(placements=PLACES[:1], queue="q", storage=Storage(50 * GIB)),
            (
                "Has a home disk of at least 50 GB",
                "May wait in a queue until it is its turn",
                "Runs on a machine that may be taken away (cheaper) with nvidia-l4 in europe-west4-a",
            ),
            id="one place, a queue, a disk",
        ),
        pytest.param(
            ClusterSettings(buckets=(Bucket("abc", "/mnt/a"), Bucket("abc", "/mnt/b", read_only=False))),
            ("Shows the shared folder /mnt/a to read only", "Shows the shared folder /mnt/b"),
            id="shared folders",
        ),
        pytest.param(
            ClusterSettings(mounts=(Mount("/mnt/a", claim="a"), Mount("/opt/b", secret="b"))),
            ("Shows the shared folder /mnt/a to read only",),
            id="a shared disk; settings and secrets are nothing to choose by",
        ),
    ],
)
def test_a_person_is_told_what_a_cluster_does(cluster: ClusterSettings, notes: tuple[str, ...]) -> None:
    """On a cluster, in words; on one machine, which does nothing of it, not at all."""
    group: Any = parse_group("users")
    access = decide_access([group], AccessRules(group, parse_group("admins")))
    profile = Profile("a", "A", "", 1, GIB, cluster=cluster)
    assert offer(profile, access, Capabilities(is_cluster=True)).notes == notes
    assert offer(profile, access, Capabilities()).notes == ()
