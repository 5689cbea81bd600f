"""profiles.yaml: what it means, and of every mistake the line, what is wrong and what would be right."""

from importlib.resources import files

import pytest

from devplatform_hub.core.identity import GroupName
from devplatform_hub.core.limits import LimitRule
from devplatform_hub.core.profiles import Catalog, Choice, Editor, Gpu, Profile, ProfileOption
from devplatform_hub.core.profiles_yaml import ProfilesError, parse_profiles

GIB = 2**30
GOOD = "profiles:\n  - {name: a, cpu: 1, memory: 1G, default: true}\n"


def test_reads_the_profiles_that_come_with_the_platform() -> None:
    """Standard, high memory and GPU, with standard as the default."""
    text = (files("devplatform_hub") / "profiles.yaml").read_text("utf-8")
    found = [(p.slug, p.cpu, p.memory, p.gpu, p.default) for p in parse_profiles(text, "profiles.yaml").profiles]
    assert found == [
        ("standard", 2, 8 * GIB, None, True),
        ("highmem", 4, 16 * GIB, None, False),
        ("ml-gpu", 8, 32 * GIB, Gpu(1), False),
    ]


def test_reads_every_key() -> None:
    """Groups get their domain, times become seconds, an option keeps its choices in order."""
    text = """
profiles:
  - name: team
    display_name: Team
    description: For the team.
    default: true
    cpu: 500m
    memory: 1.5G
    gpu: {count: 2, resource: amd.com/gpu}
    editors: [vscode]
    allowed_groups: [Data-Team, other@example.com]
    idle_timeout: never
    max_age: 1d
    environment: {GREETING: "hello {name}"}
    options:
      - name: size
        display_name: Size
        choices:
          - {name: small, default: true}
          - {name: big, display_name: Big, cpu: 2, memory: 4G, allowed_groups: [big-team], environment: {SIZE: big}}
"""
    small = Choice("small", "small", default=True)
    big_group = frozenset({GroupName("big-team@corp.example")})
    big = Choice("big", "Big", allowed_groups=big_group, cpu=2, memory=4 * GIB, environment={"SIZE": "big"})
    assert parse_profiles(text, "p.yaml", group_domain="corp.example") == Catalog(
        (
            Profile(
                slug="team",
                display_name="Team",
                description="For the team.",
                cpu=0.5,
                memory=3 * GIB // 2,
                gpu=Gpu(2, "amd.com/gpu"),
                default=True,
                editors=(Editor.VSCODE,),
                options=(ProfileOption("size", "Size", (small, big)),),
                allowed_groups=frozenset({GroupName("data-team@corp.example"), GroupName("other@example.com")}),
                idle_timeout=None,
                max_age=86400,
                environment={"GREETING": "hello {name}"},
            ),
        )
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param("", ["1: the file is empty; start it with profiles:."], id="empty"),
        pytest.param("profiles: []", ["1: the list of profiles is empty; describe at least one profile."], id="none"),
        pytest.param(
            "profiles: {}", ["1: profiles is not a list; start each entry of profiles with a hyphen."], id="no list"
        ),
        pytest.param(
            GOOD.replace("cpu: 1", "cpus: 1"),
            ["2: a profile has no key 'cpus'; did you mean 'cpu'?", "2: profile 'a' has no cpu; add cpu: 2."],
            id="unknown key",
        ),
        pytest.param(
            GOOD.replace("1G", "8X"),
            ["2: memory: '8X' is not a size; write it such as 8G, 512M or a number of bytes."],
            id="wrong unit",
        ),
        pytest.param(
            GOOD + "  - {name: a, cpu: 1, memory: 1G}\n",
            ["3: a second profile is named 'a'; rename it: the profile in line 2 has that name."],
            id="duplicate name",
        ),
        pytest.param(
            GOOD.replace("true}", "true, default: true}"),
            ["2: 'default' stands twice; keep one of them; the other is in line 2."],
            id="duplicate key",
        ),
        pytest.param(
            GOOD.replace(", default: true", ""),
            ["1: no profile is the default; add default: true to exactly one profile."],
            id="no default",
        ),
        pytest.param(
            GOOD + "  - {name: b, cpu: 1, memory: 1G, default: true}\n",
            ["3: 'b' is a second default; keep default: true only on 'a'."],
            id="two defaults",
        ),
        pytest.param(
            GOOD.replace("true}", "true, editors: [vim]}"),
            ["2: 'vim' is not an editor; use jupyterlab or vscode."],
            id="unknown editor",
        ),
        pytest.param(
            GOOD.replace("true}", 'true, allowed_groups: ["a b"]}'),
            ["2: 'a b' is not a group; write it such as data-team or data-team@example.com."],
            id="bad group",
        ),
        pytest.param(
            GOOD.replace("true}", "true, options: [{name: image, choices: [{name: x}]}]}"),
            ["2: option 'image' needs one default choice; add default: true to exactly one choice."],
            id="option without a default",
        ),
        pytest.param(
            GOOD.replace("true}", "true, environment: {JUPYTERHUB_API_TOKEN: x}}"),
            [
                "2: 'JUPYTERHUB_API_TOKEN' belongs to the platform; "
                "choose a name that starts with neither JUPYTERHUB_ nor DEVPLATFORM_."
            ],
            id="a variable of the platform",
        ),
        pytest.param(
            "a: &x 1\nb: *x\n", ["2: aliases (*name) are not read; write the value out."], id="aliases, billion laughs"
        ),
        pytest.param(
            "profiles:\n  - name: [a\n",
            [
                "3: this is not YAML: expected ',' or ']', but got '<stream end>'; "
                "check indentation, colons and quotes.",
            ],
            id="broken YAML",
        ),
        pytest.param(
            "a\n\a",
            ["2: this is not YAML: special characters are not allowed; check indentation, colons and quotes."],
            id="a control character",
        ),
        pytest.param(
            "[" * 50_000, ["1: values are nested deeper than 20; write fewer brackets."], id="too deep to compose"
        ),
        pytest.param("#" * 300_000, ["1: the file is larger than 256 KB; describe fewer profiles."], id="too large"),
        pytest.param(
            "? [a]\n: b\n",
            [
                "1: the file has a key that is not text; the keys are: profiles, limits.",
                "1: there is no list of profiles; start the file with profiles:.",
            ],
            id="a list for a key",
        ),
        pytest.param(
            GOOD.replace("true}", "true, allowed_groups: []}"),
            ["2: allowed_groups is empty; leave it out to allow everybody, or name a group."],
            id="no groups: nobody or everybody?",
        ),
        pytest.param(
            GOOD.replace("true}", "true, editors: []}"),
            ["2: editors is empty; leave it out to offer all of them, or name one."],
            id="no editors",
        ),
        pytest.param(
            GOOD.replace("true}", "true, gpu: 1}"),
            ["2: gpu is not a mapping; write gpu: {count: 1}."],
            id="a number of GPUs alone",
        ),
        pytest.param(
            GOOD.replace("true}", "true, gpu: {count: ², resource: gpu}}"),
            [
                "2: count: '²' is not a number of GPUs; write a whole number from 1 to 99.",
                "2: 'gpu' is not a resource of Kubernetes; write it as vendor and name, such as nvidia.com/gpu.",
            ],
            id="a GPU that Kubernetes would refuse",
        ),
        pytest.param(
            GOOD.replace("true}", 'true, environment: {A: "1", A: "2", B: "x\\0y", "1C": d}}'),
            [
                "2: 'A' stands twice; keep one of them; the other is in line 2.",
                "2: 'B' is not text; put the value in quotes.",
                "2: '1C' is not the name of a variable; use letters, digits and underscores, such as OMP_NUM_THREADS.",
            ],
            id="variables",
        ),
        pytest.param(
            GOOD.replace("true}", "true, options: [{name: a--b, choices: [{name: x, default: true}]}]}"),
            ["2: 'a--b' is not a name; use up to 40 small letters, digits and single hyphens."],
            id="two hyphens, which part names in form fields",
        ),
    ],
)
def test_says_where_and_what_and_what_would_be_right(text: str, problems: list[str]) -> None:
    """Every problem of the file at once, in the order of its lines."""
    with pytest.raises(ProfilesError) as error:
        parse_profiles(text, "p.yaml")
    assert str(error.value).splitlines() == [f"p.yaml:{problem}" for problem in problems]


def test_reads_limits() -> None:
    """In the order of the file, with groups that get their domain; a limit may be nothing at all."""
    text = """
limits:
  - {servers: 2, cpu: 500m, memory: 1.5G, gpu: {count: 0}}
  - allowed_groups: [Data-Team, other@example.com]
    servers: 4
    gpu: {count: 2}
"""
    groups = frozenset({GroupName("data-team@corp.example"), GroupName("other@example.com")})
    assert parse_profiles(GOOD + text, "p.yaml", group_domain="corp.example").limits == (
        LimitRule(servers=2, cpu=0.5, memory=3 * GIB // 2, gpu=0),
        LimitRule(groups, servers=4, gpu=2),
    )
    assert parse_profiles(GOOD, "p.yaml").limits == ()


@pytest.mark.parametrize(
    ("limits", "problems"),
    [
        pytest.param(
            "limits: []",
            ["3: the list of limits is empty; leave limits out, or write one such as servers: 2."],
            id="[]",
        ),
        pytest.param("limits:", ["3: limits is not a list; start each entry of limits with a hyphen."], id="nothing"),
        pytest.param(
            "limits: {servers: 2}",
            ["3: limits is not a list; start each entry of limits with a hyphen."],
            id="not a list",
        ),
        pytest.param(
            "limits:\n  - 2", ["4: a limit is not a mapping; write keys such as allowed_groups:."], id="a number alone"
        ),
        pytest.param(
            "limits:\n  - {allowed_groups: [team]}",
            ["4: a limit limits nothing; add one of: servers, cpu, memory, gpu."],
            id="no quantity",
        ),
        pytest.param(
            "limits:\n  - {}", ["4: a limit limits nothing; add one of: servers, cpu, memory, gpu."], id="an empty rule"
        ),
        pytest.param(
            "limits:\n  - {servers: 2, server: 1}",
            ["4: a limit has no key 'server'; did you mean 'servers'?"],
            id="unknown key",
        ),
        pytest.param(
            "limits:\n  - {servers: 2, group: [a]}",
            ["4: a limit has no key 'group'; the keys are: allowed_groups, servers, cpu, memory, gpu."],
            id="another unknown key",
        ),
        pytest.param(
            "limits:\n  - {servers: 3, servers: 4}",
            ["4: 'servers' stands twice; keep one of them; the other is in line 4."],
            id="a key twice",
        ),
        pytest.param(
            "limits:\n  - servers: -1\n    cpu: -2\n    memory: -8G\n    gpu: {count: -1}",
            [
                "4: servers: '-1' is not a number of servers; write a whole number from 0 to 9999.",
                "5: cpu: '-2' is not an amount of CPU; write it such as 2, 0.5 or 500m.",
                "6: memory: '-8G' is not a size; write it such as 8G, 512M or a number of bytes.",
                "7: count: '-1' is not a number of GPUs; write a whole number from 0 to 9999.",
            ],
            id="negative",
        ),
        pytest.param(
            "limits:\n  - servers: 1.5\n    cpu: [2]\n    memory: 8 apples\n    gpu: 1",
            [
                "4: servers: '1.5' is not a number of servers; write a whole number from 0 to 9999.",
                "5: cpu is not text; write cpu: some words.",
                "6: memory: '8 apples' is not a size; write it such as 8G, 512M or a number of bytes.",
                "7: gpu is not a mapping; write gpu: {count: 1}.",
            ],
            id="wrong types and units",
        ),
        pytest.param(
            "limits:\n  - {gpu: {resource: amd.com/gpu}}",
            [
                "4: gpu of a limit, which counts every kind, has no key 'resource'; the keys are: count.",
                "4: gpu has no count; write gpu: {count: 1}.",
            ],
            id="one kind of GPU",
        ),
        pytest.param(
            "limits:\n  - {servers: 1, allowed_groups: []}\n  - {servers: 1, allowed_groups: [a b]}",
            [
                "4: allowed_groups is empty; leave it out to allow everybody, or name a group.",
                "5: 'a b' is not a group; write it such as data-team or data-team@example.com.",
            ],
            id="groups",
        ),
        pytest.param(
            "limits:\n  - {servers: 1, cpu: 8, allowed_groups: [team]}\n  - {servers: 3}\n  - {servers: 2, cpu: 9}",
            [
                "4: this limit of servers has no effect, as everybody has more by line 5;"
                " give everybody the least, and groups more.",
                "4: this limit of cpu has no effect, as everybody has more by line 6;"
                " give everybody the least, and groups more.",
                "6: this limit of servers has no effect, as everybody has more by line 5;"
                " give everybody the least, and groups more.",
            ],
            id="less than everybody has",
        ),
    ],
)
def test_says_what_is_wrong_with_a_limit(limits: str, problems: list[str]) -> None:
    """A limit that nobody reads would be one that nobody has."""
    with pytest.raises(ProfilesError) as error:
        parse_profiles(GOOD + limits, "p.yaml")
    assert str(error.value).splitlines() == [f"p.yaml:{problem}" for problem in problems]
