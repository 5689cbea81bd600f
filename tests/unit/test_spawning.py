"""What both spawners share, and pods of the same plan: without a hub, without a cluster."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jupyterhub
import pytest
from tornado import web
from traitlets.config import Config

from devplatform_hub.core.errors import PublicError
from devplatform_hub.kube.watching import EventWatch
from devplatform_hub.spawner import DevPlatformSpawner
from devplatform_hub.spawning import as_refusal
from tests.doubles.hub_person import Group, Person, Row, belongs_to_alice, without_cluster
from tests.unit.test_event_index import NOW, event

GIB = 2**30
PROFILES = """profiles:
  - {name: standard, default: true, cpu: 2, memory: 8G, environment: {SHAPE: '{"a": 1}'}}
  - {name: gpu, cpu: 8, memory: 32G, gpu: {count: 1}, environment: {CUDA: "1"}}
  - {name: team, cpu: 1, memory: 1G, allowed_groups: [team]}
  - name: cheap
    cpu: 1
    memory: 1G
    cluster: {placements: [{name: spot, spot: true}, {name: stays, spot: false}]}
"""


@pytest.fixture
def spawner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DevPlatformSpawner:
    """A spawner of a person who may use the platform."""
    without_cluster(monkeypatch)
    (tmp_path / "profiles.yaml").write_text(PROFILES)
    config = Config()
    config.DevPlatformSpawner.profiles_file = str(tmp_path / "profiles.yaml")
    config.KubeSpawner.extra_resource_limits = {"example.com/fuse": "1"}
    made = DevPlatformSpawner(_mock=True, config=config)
    belongs_to_alice(made)
    return made


async def pod(spawner: DevPlatformSpawner, options: dict[str, object]) -> Any:
    """The notebook container of the pod that a start with these options makes."""
    spawner.user_options = options
    await spawner.load_user_options()
    return (await spawner.get_pod_manifest()).spec.containers[0]


async def test_a_pod_gets_what_the_profile_promises(spawner: DevPlatformSpawner) -> None:
    """Limits and guarantees, the GPU, the editor and the profile's variables as they are written."""
    container = await pod(spawner, {"profile": "gpu", "editor": "vscode"})
    assert container.resources.limits == {
        "cpu": 8.0,
        "memory": 32 * GIB,
        "nvidia.com/gpu": "1",
        "example.com/fuse": "1",
    }
    assert container.resources.requests == {"cpu": 8.0, "memory": 32 * GIB, "nvidia.com/gpu": "1"}
    env = {variable.name: variable.value for variable in container.env}
    assert env["JUPYTERHUB_DEFAULT_URL"] == "/vscode/"
    assert env["CUDA"] == "1"


async def test_nothing_leaks_into_the_next_start(spawner: DevPlatformSpawner) -> None:
    """After a GPU server a plain one has no GPU, none of its variables, and its own editor."""
    await pod(spawner, {"profile": "gpu", "editor": "vscode"})
    container = await pod(spawner, {"profile": "standard"})
    assert container.resources.limits == {"cpu": 2.0, "memory": 8 * GIB, "example.com/fuse": "1"}
    assert container.resources.requests == {"cpu": 2.0, "memory": 8 * GIB}
    env = {variable.name: variable.value for variable in container.env}
    assert "CUDA" not in env
    assert env["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    assert env["SHAPE"] == '{"a": 1}'


async def test_a_start_begins_at_the_first_place_and_the_page_says_the_order(spawner: DevPlatformSpawner) -> None:
    """As the profile gives it; what the operator configured for every pod is there too."""
    await pod(spawner, {"profile": "cheap"})
    assert spawner.node_selector == {"cloud.google.com/gke-spot": "true"}
    assert spawner.storage_extra_labels["devplatform.io/owner"] == "alice"
    order = "Tries a machine that may be taken away (cheaper) first, then a machine that stays."
    assert order in await spawner.get_options_form()


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        pytest.param({"profile": "team"}, 403, "profile-unavailable", id="another group's profile"),
        pytest.param({"profile": "nope"}, 400, "profile-unknown", id="no such profile"),
        pytest.param({"image": "evil"}, 400, "session-options-invalid", id="an image by the REST API"),
        pytest.param({"profile": "gpu", "cpu_limit": 64}, 400, "session-options-invalid", id="a bigger limit"),
    ],
)
async def test_a_refused_start_leaves_the_choice_before_it(
    spawner: DevPlatformSpawner, options: dict[str, object], status: int, code: str
) -> None:
    """The hub has stored what was asked already; nothing unchecked is offered again, and no pod is made."""
    await pod(spawner, {"profile": "gpu"})
    with pytest.raises(web.HTTPError) as refusal:
        await pod(spawner, options)
    assert (refusal.value.status_code, refusal.value.reason) == (status, code)
    kept = {"profile": "gpu", "editor": "jupyterlab", "options": {}}
    assert (spawner.user_options, spawner.orm_spawner.user_options) == (kept, kept)
    assert 'id="dp.gpu" value="gpu"\n               checked' in await spawner.get_options_form()


async def test_somebody_in_no_group_starts_nothing(spawner: DevPlatformSpawner) -> None:
    """Losing the group ends it, also for the profile that is for everybody."""
    spawner.user = Person(groups=[Group("team")])
    with pytest.raises(web.HTTPError) as refusal:
        await pod(spawner, {"profile": "standard"})
    assert (refusal.value.status_code, refusal.value.reason) == (403, "access-refused")


async def test_the_last_choice_outlives_a_stop_and_the_hub(spawner: DevPlatformSpawner) -> None:
    """It is part of the state that a stop does not clear."""
    await pod(spawner, {"profile": "gpu"})
    spawner.clear_state()
    state = json.loads(json.dumps(spawner.get_state()))
    spawner.load_state({})
    assert spawner._last_choice == {}
    spawner.load_state(state)
    assert spawner._last_choice == {"profile": "gpu", "editor": "jupyterlab", "options": {}}


async def test_what_is_said_of_a_disk_does_not_hide_why_its_pod_is_gone(
    spawner: DevPlatformSpawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart of the hub the pod is not there and its uid is not known: its events alone tell."""
    api = SimpleNamespace(api_client=SimpleNamespace(configuration=SimpleNamespace(host="https://cluster.test")))
    monkeypatch.setattr("kubespawner.reflector.shared_client", lambda *a, **k: api)
    watch = EventWatch(parent=spawner, namespace=spawner.namespace)
    monkeypatch.setattr(DevPlatformSpawner, "reflectors", {("events", spawner.namespace): watch})
    spawner._pvc_exists = True
    ago = time.time() - NOW
    pod_key, disk = (spawner.namespace, "Pod", spawner.pod_name), "PersistentVolumeClaim"
    watch._take("ADDED", event("p", 1, ago=-ago, about=pod_key, reason="Preempted", message="by another"))
    about = (spawner.namespace, disk, spawner.pvc_name)
    watch._take("ADDED", event("c", 2, ago=-ago, about=about, about_uid="c1", reason="Resizing", message="grows"))
    assert spawner._note_end(None).code == "pre-empted"


async def test_an_edit_of_the_profiles_counts_at_once_and_a_broken_one_is_said(
    spawner: DevPlatformSpawner, caplog: pytest.LogCaptureFixture
) -> None:
    """The person sees one sentence, the log file and line; nobody sees a stack trace."""
    file = Path(spawner.profiles_file)
    file.write_text(PROFILES.replace("name: gpu", "name: graphics"))
    assert "dp.graphics" in await spawner.get_options_form()
    file.write_text(PROFILES.replace("memory: 8G", "memory: 8 apples"))
    os.utime(file, ns=(1, 1))
    with pytest.raises(web.HTTPError) as refusal:
        await spawner.get_options_form()
    shown: Any = refusal.value
    assert shown.jupyterhub_message == (
        "The list of profiles is broken. An administrator finds the reason in the hub's log. [profiles-broken]"
    )
    assert f"{file}:2: memory: '8 apples' is not a size" in caplog.text


def test_the_form_and_a_link_are_checked_before_anything_starts(spawner: DevPlatformSpawner) -> None:
    """Both give the resolved choice, or the refusal that the hub shows on the form."""
    chosen = {"profile": "gpu", "editor": "vscode", "options": {}}
    form = {"profile": ["gpu"], "profile-option-gpu--editor": ["vscode"]}
    assert spawner.run_options_from_form(form) == chosen
    assert spawner.options_from_query({"profile": ["gpu"], "editor": ["vscode"]}) == chosen
    for ask in (spawner.run_options_from_form, spawner.options_from_query):
        with pytest.raises(web.HTTPError):
            ask({"profile": ["team"]})


LIMITS = """limits:
  - {servers: 2, memory: 40G}
  - {allowed_groups: [team], servers: 4}
"""


def another(spawner: DevPlatformSpawner, name: str) -> DevPlatformSpawner:
    """A further server of the same person."""
    user = spawner.user
    made = DevPlatformSpawner(_mock=True, config=spawner.config, name=name)
    made.user, made.orm_spawner = user, Row(name=name)
    for one in (spawner, made):
        user.spawners[one.name], user.orm_spawners[one.name] = one, one.orm_spawner
    return made


def ask(spawner: DevPlatformSpawner, **options: object) -> str:
    """The code with which a start is refused; "" when it goes ahead, as one that the hub has under way."""
    spawner.user_options = options
    try:
        spawner.plan_start()
    except web.HTTPError as refusal:
        return f"{refusal.status_code} {refusal.reason}"
    spawner._spawn_pending = True
    return ""


@pytest.fixture
def limited(spawner: DevPlatformSpawner) -> DevPlatformSpawner:
    """The same, of a person with limits."""
    Path(spawner.profiles_file).write_text(PROFILES + LIMITS)
    return spawner


def test_of_two_starts_the_second_sees_the_first(limited: DevPlatformSpawner) -> None:
    """From the moment of its plan, by what it was planned with; a server that is gone holds nothing."""
    second, third = another(limited, "second"), another(limited, "third")
    assert ask(limited, profile="gpu") == ""
    assert ask(second, profile="gpu") == "409 limit-reached", "32 GB of 40 GB are held"
    assert ask(second, profile="standard") == ""
    assert ask(third, profile="standard") == "409 limit-reached", "two servers are there"
    limited.clear_state()
    assert [use.server for use in third.held()] == ["second"], "another start of it is not planned yet"
    assert ask(third, profile="standard") == ""
    assert ask(limited, profile="standard") == "409 limit-reached"


def test_a_refused_start_holds_nothing_and_a_server_does_not_stand_in_its_own_way(limited: DevPlatformSpawner) -> None:
    """Also when its plan is made again."""
    second = another(limited, "second")
    assert ask(limited, profile="gpu") == ""
    assert ask(limited, profile="gpu") == ""
    for _ in range(3):
        assert ask(second, profile="gpu") == "409 limit-reached"
    assert [use.server for use in second.held()] == [""]


def test_groups_give_more(limited: DevPlatformSpawner) -> None:
    """By what the hub knows of the person now."""
    limited.user.groups.append(Group("team"))
    codes = [ask(another(limited, name), profile="standard") for name in "abcdef"]
    assert codes == ["", "", "", "", "409 limit-reached", "409 limit-reached"]


def test_what_a_hub_before_this_one_started_counts(limited: DevPlatformSpawner) -> None:
    """Also as long as nothing but its row is there; of a server without a record its being there counts."""
    first = another(limited, "first")
    assert ask(first, profile="gpu") == ""
    stored = json.loads(json.dumps(first.get_state()))
    del limited.user.spawners["first"]
    row = limited.user.orm_spawners["first"]
    row.server_id, row.state = 1, stored
    assert ask(limited, profile="gpu") == "409 limit-reached"
    again = another(limited, "first")
    again.load_state(stored)
    again._check_pending = True
    assert ask(limited, profile="gpu") == "409 limit-reached"
    row = limited.user.orm_spawners["second"] = Row(name="second", server_id=2, state={})
    assert ask(limited, profile="standard") == "409 limit-reached"
    row.server_id = None
    assert ask(limited, profile="standard") == ""
    assert not another(limited, "new").use_now()


def test_the_form_and_a_link_are_within_the_limits_too(limited: DevPlatformSpawner) -> None:
    """Refused before anything starts; and the page says what is left before anybody asks."""
    assert ask(limited, profile="gpu") == ""
    second = another(limited, "second")
    for check in (second.run_options_from_form, second.options_from_query):
        with pytest.raises(web.HTTPError) as refusal:
            check({"profile": ["gpu"]})
        assert refusal.value.reason == "limit-reached"
    page = second.render_options_form()
    assert '<dt>Memory:</dt> <dd>8 GB of 40 GB left <span class="dp-quiet">(limit for everybody)</span></dd>' in page
    assert "Needs 32 GB of memory; 8 GB of your 40 GB are left." in page
    assert "<li>the default server (gpu: 8 CPU, 32 GB of memory, 1 GPU)</li>" in page


def test_a_refusal_is_the_hubs_own() -> None:
    """JupyterHub 6 has an exception for it, which logs no traceback; 5 shows ours the same. A % stays a %."""
    refusal: Any = as_refusal(PublicError("100% full.", code="full", hint="Wait.", status=409))
    assert refusal.status_code == 409
    assert refusal.jupyterhub_message == "100% full. Wait. [full]"
    assert refusal.headers == {"X-DevPlatform-Error": "full"}
    assert "100% full. Wait. [full]" in str(refusal)
    assert (type(refusal).__name__ == "SpawnException") is (jupyterhub.version_info[0] >= 6)
