"""The route table against the routes of the real tracking server: complete, and closed to everybody but the owner."""

import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from devplatform_mlflow_proxy.rules import Access, Body, Kind, Rule, match
from devplatform_mlflow_proxy.rules.model import Ref
from devplatform_mlflow_proxy.rules.table import FAMILIES_REFUSED, TABLE
from tests.doubles.mlflow_proxy import RunningProxy, running_proxy
from tests.lab.tools import ROOT, mlflow_python

pytestmark = [pytest.mark.lab("mlflow"), pytest.mark.asyncio(loop_scope="module")]

WRITES = [rule for rule in TABLE if rule.access is Access.WRITE]
IDS = {
    "experiment_id", "experiment_ids", "run_id", "run_ids", "run_uuid", "model_id", "trace_id", "trace_ids",
    "request_id", "request_ids", "source_run_id", "source",
}  # fmt: skip
# Ids in messages that name nothing the server changes.
NOT_TARGETS = {
    "trace.trace_info.assessments[].trace_id": "the proxy takes it out",
    "trace.trace_info.assessments[].source": "who assessed, which the proxy writes",
    "assessment.trace_id": "the server takes the one in the path, and the proxy refuses another",
    "assessment.source": "who assessed, which the proxy writes",
    "datasets[].dataset.source": "a description, stored as a text",
    "trace.spans[].trace_id": "the proxy takes spans out",
    "trace.spans[].links[].trace_id": "the proxy takes spans out",
}


@pytest.fixture(scope="module")
def server_description() -> dict[str, Any]:
    """Routes and messages of the MLflow that the platform installs."""
    python = mlflow_python()
    assert python is not None
    script = ROOT / "tests" / "lab" / "describe_mlflow.py"
    result = subprocess.run([python, "-I", script], capture_output=True, check=True, timeout=120)
    return dict(json.loads(result.stdout))


def shape(path: str) -> str:
    """A path with its variables as `*` and `**`, in either framework's spelling or ours."""
    path = re.sub(r"<path:\w+>|\{\w+:path\}", "**", path)
    return re.sub(r"<\w+>|\{[\w.]+\}", "*", path).replace("ajax-api/", "api/")


def example(path: str) -> str:
    """A concrete path of a template."""
    return re.sub(r"\*\*|\*", "x", shape(path))


async def test_every_route_of_the_server_is_in_the_table(server_description: dict[str, Any]) -> None:
    """A route that MLflow adds is refused, and this test says that somebody has to decide about it."""
    known = {(method, shape(rule.path)) for rule in TABLE for method in rule.methods}
    families = tuple(family for family, _ in FAMILIES_REFUSED)
    prefix = server_description["prefix"]
    missing, seen = [], set()
    for _, methods, path in server_description["routes"]:
        relative = path.removeprefix(prefix).removeprefix("/")
        for method in set(methods) - {"HEAD", "OPTIONS"}:
            seen.add((method, shape(relative)))
            listed = (method, shape(relative)) in known
            refused = shape(relative).startswith(tuple(f"{f}/" for f in families)) or shape(relative) in families
            if not listed and not refused:
                missing.append(f"{method} {relative}")
            found = match(method, example(relative))
            if not listed:
                assert found is None or found.rule.access is Access.REFUSED, f"{method} {relative} is open by accident"
            else:
                assert found is not None
                assert shape(found.rule.path) == shape(relative), f"{method} {relative} falls to {found.rule.path}"
    assert missing == []
    assert known - seen == set(), "the table has routes that the server does not"


async def test_the_server_has_no_route_but_http(server_description: dict[str, Any]) -> None:
    """No WebSocket and no mounted application that the table could not see."""
    kinds = {kind for kind, _, _ in server_description["routes"]}
    assert kinds == {"flask", "APIRoute", "_AssistantAPIRoute"}


async def test_graphql_changes_nothing(server_description: dict[str, Any]) -> None:
    """GraphQL is open for reading: its only mutations are two searches, misnamed, and an echo."""
    assert server_description["mutations"] == ["mlflowSearchDatasets", "mlflowSearchRuns", "testMutation"]


async def test_every_id_that_a_changing_route_takes_is_checked(server_description: dict[str, Any]) -> None:
    """No id that a message can carry goes to the server unseen."""
    unseen = []
    for route, fields in server_description["fields"].items():
        method, path = route.split(" ")
        rule = next((r for r in WRITES if method in r.methods and shape(r.path) == shape(f"api/{path}")), None)
        if rule is None:
            continue
        checked = {key for ref in rule.refs for key in ref.keys}
        for field in fields:
            leaf = field.rpartition(".")[2].removesuffix("[]")
            registry = leaf == "name" and path.split("/")[2] in ("registered-models", "model-versions")
            created = path.endswith(("experiments/create", "registered-models/create"))
            if (leaf in IDS or registry) and not created and field not in checked and field not in NOT_TARGETS:
                unseen.append(f"{route}: {field}")
    assert not unseen, "\n".join(unseen)


# Somebody else's token on every changing route.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningProxy]:
    async with running_proxy(tmp_path_factory.mktemp("routes")) as running:
        yield running


async def things_of(proxy: RunningProxy, token: str, name: str) -> dict[Kind, str]:
    """One of each kind of thing, owned by the token's person."""
    experiment = (await proxy.api("POST", "experiments/create", token, name=f"{name} walk"))["experiment_id"]
    run = (await proxy.api("POST", "runs/create", token, experiment_id=experiment))["run"]["info"]["run_id"]
    model = await proxy.api("POST", "logged-models", token, experiment_id=experiment, name="m", source_run_id=run)
    await proxy.api("POST", "registered-models/create", token, name=f"{name} model")
    source = f"mlflow-artifacts:/{experiment}/{run}/artifacts/m"
    await proxy.api("POST", "model-versions/create", token, name=f"{name} model", source=source, run_id=run)
    trace = f"tr-{name}"
    status, _, body = await proxy.call("POST", "api/3.0/mlflow/traces", token, json=trace_body(experiment, trace))
    assert status == 200, body
    artifact = f"{experiment}/{run}/artifacts/kept.txt"
    status, _, body = await proxy.call(
        "PUT", f"api/2.0/mlflow-artifacts/artifacts/{artifact}", token, data=name.encode()
    )
    assert status == 200, body
    return {
        Kind.EXPERIMENT: experiment,
        Kind.RUN: run,
        Kind.LOGGED_MODEL: model["model"]["info"]["model_id"],
        Kind.REGISTERED_MODEL: f"{name} model",
        Kind.TRACE: trace,
        Kind.NEW_TRACE: trace,
        Kind.ARTIFACT: artifact,
        Kind.SOURCE: source,
    }


def trace_body(experiment: str, trace: str) -> dict[str, Any]:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    info = {
        "trace_id": trace,
        "trace_location": location,
        "request_time": "2026-01-02T03:04:05Z",
        "execution_duration": "1s",
        "state": "OK",
    }
    return {"trace": {"trace_info": info}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alices(proxy: RunningProxy) -> dict[Kind, str]:
    return await things_of(proxy, "alice-token", "alice")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bobs(proxy: RunningProxy) -> dict[Kind, str]:
    return await things_of(proxy, "bob-token", "bob")


def place(body: dict[str, Any], key: str, value: str) -> None:
    """Put `value` at a dotted key, `[]` being a list of one."""
    step, _, rest = key.partition(".")
    name = step.removesuffix("[]")
    if not rest:
        body[name] = [value] if step.endswith("[]") else value
    elif step.endswith("[]"):
        inner: dict[str, Any] = body.setdefault(name, [{}])[0]
        place(inner, rest, value)
    else:
        place(body.setdefault(name, {}), rest, value)


def is_variable(rule: Rule, key: str) -> bool:
    """Whether `key` is in the path."""
    return re.search(r"\{" + re.escape(key) + r"[:}]", rule.path) is not None


def request_for(rule: Rule, chosen: list[tuple[Ref, str, str]]) -> tuple[str, str, dict[str, Any]]:
    """Method, path and aiohttp options of a request that names exactly these things."""
    path, arguments = rule.path, {"key": "k", "value": "v"} if rule.body is Body.JSON else {}
    for _, key, value in chosen:
        if is_variable(rule, key):
            path = re.sub(r"\{%s(:path)?\}" % key, value, path)  # noqa: UP031 - braces
        else:
            place(arguments, key, value)
    path = re.sub(r"\{\w+(:path)?\}", "k", path)
    if rule.in_query:
        return rule.methods[0], path, {"params": {**arguments, "path": "a.txt"}, "data": b"x"}
    if rule.body is Body.STREAM:
        return rule.methods[0], path, {"data": b"overwritten"}
    return rule.methods[0], path, {"json": arguments} if rule.body is Body.JSON else {}


def attacks() -> Iterator[Any]:
    """Each changing route once for each thing it can name and each spelling: that one somebody else's."""
    for rule in WRITES:
        for victim in (ref for ref in rule.refs if not ref.only_read):
            for key in victim.keys:
                spellings = [key]
                if not is_variable(rule, key) and not rule.in_query and "_" in key.rpartition(".")[2]:
                    head, dot, leaf = key.rpartition(".")
                    words = leaf.split("_")
                    spellings.append(head + dot + words[0] + "".join(word.title() for word in words[1:]))
                for spelled in spellings:
                    name = f"{rule.methods[0]} {rule.path} {spelled}"
                    yield pytest.param(rule, victim, spelled, id=name.replace("api/", ""))


@pytest.mark.parametrize(("rule", "victim", "key"), attacks())
async def test_refuses_changes_to_what_is_somebody_elses(
    proxy: RunningProxy, alices: dict[Kind, str], bobs: dict[Kind, str], rule: Rule, victim: Ref, key: str
) -> None:
    """Bob names one thing of Alice's, in each place and spelling, with the rest his own: 403, and nothing happens."""
    own = [(ref, ref.keys[0], bobs[ref.kind]) for ref in rule.refs if ref is not victim]
    method, path, options = request_for(rule, [*own, (victim, key, alices[victim.kind])])
    status, _, body = await proxy.call(method, path, "bob-token", **options)
    assert (status, json.loads(body)["error"]["code"]) == (403, "mlflow-not-yours"), body
    # The same request in the old interface's place is the same route.
    if path.startswith("api/"):
        status, _, _ = await proxy.call(method, f"ajax-{path}", "bob-token", **options)
        assert status == 403


async def test_routes_that_name_nothing_create_only(proxy: RunningProxy) -> None:
    """The only changing routes that no owner is asked for make something new."""
    assert {rule.path for rule in WRITES if not [ref for ref in rule.refs if not ref.only_read]} == {
        "api/2.0/mlflow/experiments/create",
        "api/2.0/mlflow/registered-models/create",
    }


async def test_the_owner_is_not_refused_on_any_changing_route(proxy: RunningProxy, bobs: dict[Kind, str]) -> None:
    """The requests of the walk are real ones: with one's own things none of them is refused by the rules."""
    last = sorted(WRITES, key=lambda rule: "delete" in rule.path or rule.methods == ("DELETE",))
    for rule in last:
        method, path, options = request_for(rule, [(ref, ref.keys[0], bobs[ref.kind]) for ref in rule.refs])
        status, _, body = await proxy.call(method, path, "bob-token", **options)
        assert status != 403, (rule.path, body)
        assert b'"error": {"code"' not in body or status in (400, 404), (rule.path, body)


async def test_alice_still_has_everything(proxy: RunningProxy, alices: dict[Kind, str]) -> None:
    """After the whole walk her things are as they were."""
    run = (await proxy.api("GET", "runs/get", run_id=alices[Kind.RUN]))["run"]
    assert run["info"]["lifecycle_stage"] == "active"
    assert "metrics" not in run["data"]
    assert {tag["key"] for tag in run["data"]["tags"]} == {"mlflow.user", "mlflow.runName"}
    experiment = (await proxy.api("GET", "experiments/get", experiment_id=alices[Kind.EXPERIMENT]))["experiment"]
    assert (experiment["name"], experiment["lifecycle_stage"]) == ("alice walk", "active")
    model = (await proxy.api("GET", "registered-models/get", name="alice model"))["registered_model"]
    assert model["tags"] == [{"key": "devplatform.owner", "value": "alice"}]
    status, _, body = await proxy.call("GET", f"api/2.0/mlflow-artifacts/artifacts/{alices[Kind.ARTIFACT]}")
    assert (status, body) == (200, b"alice")


REFUSED_PATHS = [
    pytest.param("PUT", "ajax-api/3.0/mlflow/assistant/config", id="the assistant's settings"),
    pytest.param("POST", "ajax-api/3.0/mlflow/assistant/message", id="the assistant"),
    pytest.param("POST", "gateway/openai/v1/chat/completions", id="the AI gateway"),
    pytest.param("POST", "ajax-api/3.0/jobs/", id="jobs"),
    pytest.param("POST", "api/2.0/mlflow/webhooks", id="webhooks"),
    pytest.param("POST", "api/3.0/mlflow/scorers/register", id="scorers"),
    pytest.param("POST", "api/2.0/mlflow/users/create", id="user management"),
    pytest.param("GET", "signup", id="sign-up"),
    pytest.param("POST", "ajax-api/2.0/mlflow/gateway-proxy", id="requests to other hosts"),
    pytest.param("POST", "api/2.0/mlflow-artifacts/mpu/create/1/r/artifacts/x", id="multipart upload"),
    pytest.param("GET", "api/9.9/mlflow/new", id="a route of the future"),
    pytest.param("TRACE", "api/2.0/mlflow/runs/get", id="another method"),
    pytest.param("GET", "metrics", id="Prometheus"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED_PATHS)
@pytest.mark.parametrize("token", ["bob-token", "root-token"])
async def test_refuses_what_runs_code_or_is_unknown(proxy: RunningProxy, method: str, path: str, token: str) -> None:
    """Switched off means for everybody, administrators too."""
    status, _, _ = await proxy.call(method, path, token)
    assert status in (403, 405)


@pytest.mark.parametrize("rule", TABLE, ids=lambda rule: f"{rule.methods[0]} {rule.path}".replace("api/", ""))
async def test_refuses_strangers_on_every_route(proxy: RunningProxy, rule: Rule) -> None:
    """Without a credential, with a wrong one or without the scope there is nothing but the UI's own public files."""
    if rule.path.startswith("static-files"):
        return
    for token in ("", "wrong", "no-scope"):
        status, _, _ = await proxy.call(rule.methods[0], example(rule.path), token)
        assert status == 403


async def test_administrators_write_everything(proxy: RunningProxy, alices: dict[Kind, str]) -> None:
    """An administrator changes other people's runs, and the default experiment, which nobody owns."""
    await proxy.api("POST", "runs/set-tag", "root-token", run_id=alices[Kind.RUN], key="seen", value="yes")
    await proxy.api("POST", "runs/delete-tag", "root-token", run_id=alices[Kind.RUN], key="seen")
    await proxy.api("POST", "runs/create", "root-token", experiment_id="0")
    status, _, body = await proxy.call("POST", "api/2.0/mlflow/runs/create", "bob-token", json={"experiment_id": "0"})
    assert (status, json.loads(body)["error"]["code"]) == (403, "mlflow-not-yours")
