"""Faults of KubeSpawner 7.1.0 that profiles run into: each shown with the real class, beside what ours does instead.

Where the first half of a test fails, KubeSpawner has mended the fault, and the test can go.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from kubespawner import KubeSpawner
from tornado import web
from traitlets.config import Config

from devplatform_hub.spawner import DevPlatformSpawner
from tests.doubles.hub_person import belongs_to_alice, without_cluster

HOSTILE = "<script>alert(1)</script>"
PROFILES = f"""profiles:
  - name: standard
    display_name: "{HOSTILE}"
    description: "{HOSTILE}"
    default: true
    cpu: 1
    memory: 1G
    options:
      - name: image
        display_name: Image
        choices: [{{name: small, default: true}}, {{name: big}}]
  - {{name: gpu, cpu: 8, memory: 32G, gpu: {{count: 1}}, cluster: {{shared_memory: 1G, gpu_node: {{driver: latest}}}}}}
"""
PEOPLE = {"key": "people", "operator": "Exists"}
SMALL = {"choices": {"small": {"display_name": "Small", "default": True}}}


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    without_cluster(monkeypatch)


def stock(*profiles: dict[str, Any], **traits: Any) -> KubeSpawner:
    config = Config()
    config.KubeSpawner.profile_list = list(profiles)
    for name, value in traits.items():
        config.KubeSpawner[name] = value
    made = KubeSpawner(_mock=True, config=config)
    belongs_to_alice(made)
    return made


@pytest.fixture
def ours(tmp_path: Path) -> DevPlatformSpawner:
    (tmp_path / "profiles.yaml").write_text(PROFILES)
    config = Config()
    config.DevPlatformSpawner.profiles_file = str(tmp_path / "profiles.yaml")
    config.KubeSpawner.tolerations = [PEOPLE]
    made = DevPlatformSpawner(_mock=True, config=config)
    belongs_to_alice(made)
    return made


async def start(spawner: KubeSpawner, options: dict[str, Any]) -> Any:
    """The pod that a start with these options makes."""
    spawner.user_options = options
    await spawner.load_user_options()
    return await spawner.get_pod_manifest()


async def refusal(spawner: DevPlatformSpawner, options: dict[str, Any]) -> tuple[int, str, str]:
    with pytest.raises(web.HTTPError) as error:
        await start(spawner, options)
    shown: Any = error.value
    return shown.status_code, shown.reason, shown.jupyterhub_message


async def test_a_saved_choice_that_is_gone(ours: DevPlatformSpawner) -> None:
    """Stock shows a form with nothing selected; ours selects the default and says what is gone."""
    theirs = stock({"display_name": "Standard", "slug": "standard"})
    theirs.user_options = {"profile": "gone"}
    html = theirs._render_options_form(theirs.profile_list)
    assert 'const userOptions = {"profile": "gone"}' in html
    assert not any("checked" in field for field in re.findall(r"<input[^>]*>", html))

    ours.orm_spawner.user_options = {"profile": "gone"}
    html = await ours.get_options_form()
    assert 'id="dp.standard" value="standard"\n               checked' in html
    assert "Your last profile, gone, is not available any more." in html


async def test_a_choice_that_does_not_exist(ours: DevPlatformSpawner) -> None:
    """Stock fails as if the hub were broken; ours says the option's name and what may be chosen."""
    theirs = stock({"display_name": "S", "slug": "s", "profile_options": {"image": SMALL}})
    with pytest.raises(KeyError):
        await start(theirs, {"profile": "s", "image": "huge"})

    assert await refusal(ours, {"profile": "standard", "options": {"image": "huge"}}) == (
        400,
        "choice-unavailable",
        "'huge' cannot be chosen for Image: it does not exist. Choose one of: small, big. [choice-unavailable]",
    )


async def test_an_image_of_ones_own(ours: DevPlatformSpawner) -> None:
    """Stock's pattern is open at its end; ours takes no image that is not in the file, under whatever key."""
    unlisted = {
        "enabled": True,
        "validation_regex": "registry.example.com/good",
        "kubespawner_override": {"image": "{value}"},
    }
    theirs = stock({"display_name": "S", "slug": "s", "profile_options": {"image": {"unlisted_choice": unlisted}}})
    evil = "registry.example.com/goodEVIL/miner:1"
    pod = await start(theirs, {"profile": "s", "image--unlisted-choice": evil})
    assert pod.spec.containers[0].image == evil

    for options, code in [
        ({"profile": "standard", "image--unlisted-choice": evil}, "session-options-invalid"),
        ({"profile": "standard", "image": evil}, "session-options-invalid"),
        ({"profile": "standard", "options": {"image--unlisted-choice": evil}}, "option-unknown"),
        ({"profile": "standard", "profile-option-standard--image": evil}, "choice-unavailable"),
        ({"profile": "standard", "profile-option-standard--image--unlisted-choice": evil}, "option-unknown"),
    ]:
        assert (await refusal(ours, options))[:2] == (400, code)


async def test_no_profile_at_all(ours: DevPlatformSpawner) -> None:
    """Stock starts a server with the bare settings where no profile is named; ours starts nothing."""
    theirs = stock()
    theirs.profile_list = lambda _spawner: []  # as a function that shows each person the profiles of their groups
    assert (await start(theirs, {})).spec.containers[0].resources.limits == {}
    with pytest.raises(ValueError, match="No such profile"):  # which the hub shows as a fault of its own
        await start(theirs, {"profile": "gpu"})

    Path(ours.profiles_file).write_text(
        "profiles: [{name: a, default: true, cpu: 1, memory: 1G, allowed_groups: [others]}]"
    )
    assert (await refusal(ours, {}))[:2] == (403, "no-profile-available")
    assert (await refusal(ours, {"profile": "a"}))[:2] == (403, "profile-unavailable")
    Path(ours.profiles_file).write_text("profiles: []")
    assert (await refusal(ours, {}))[:2] == (503, "profiles-broken")


async def test_a_gpu_of_the_start_before(ours: DevPlatformSpawner) -> None:
    """Stock's settings stay on the object that failed to start; ours are set anew at every start."""
    gpu = {"extra_resource_limits": {"nvidia.com/gpu": "1"}, "node_selector": {"gpu": "yes"}}
    theirs = stock(
        {"display_name": "GPU", "slug": "gpu", "kubespawner_override": gpu},
        {"display_name": "Plain", "slug": "plain", "kubespawner_override": {}},
    )
    await start(theirs, {"profile": "gpu"})  # and then it failed
    pod = await start(theirs, {"profile": "plain"})
    assert pod.spec.containers[0].resources.limits == {"nvidia.com/gpu": "1"}
    assert pod.spec.node_selector == {"gpu": "yes"}

    fresh = (await start(ours, {"profile": "standard"})).to_dict()
    first = await start(ours, {"profile": "gpu"})
    assert first.spec.containers[0].resources.limits["nvidia.com/gpu"] == "1"
    assert (await start(ours, {"profile": "standard"})).to_dict() == fresh


async def test_tolerations_of_the_operator(ours: DevPlatformSpawner) -> None:
    """A profile's list replaces the operator's in stock, and its pods fit nowhere; in ours it is added."""
    override = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    theirs = stock({"display_name": "G", "slug": "g", "kubespawner_override": override}, tolerations=[PEOPLE])
    assert [t.key for t in (await start(theirs, {"profile": "g"})).spec.tolerations] == ["nvidia.com/gpu"]

    pod = await start(ours, {"profile": "gpu"})
    assert [toleration.key for toleration in pod.spec.tolerations] == ["people", "nvidia.com/gpu"]


async def test_text_that_is_markup(ours: DevPlatformSpawner) -> None:
    """The hub prints the form as it is: stock's carries a script through, ours shows its letters."""
    theirs = stock({"display_name": HOSTILE, "slug": "s"})
    assert HOSTILE in theirs._render_options_form(theirs.profile_list)

    ours.orm_spawner.user_options = {"profile": HOSTILE}
    html = await ours.get_options_form()
    assert HOSTILE not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 3
