"""The decisions about MLflow requests, as tables."""

from typing import Any

import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_mlflow_proxy.answers import request_headers, response_headers
from devplatform_mlflow_proxy.handlers import relative_path
from devplatform_mlflow_proxy.rules import (
    Access,
    Answer,
    Kind,
    Requester,
    Target,
    Visibility,
    canonical_body,
    decide,
    match,
    rewrite,
    targets_of,
)
from devplatform_mlflow_proxy.rules.naming import (
    check_artifact_path,
    check_experiment_name,
    experiment_of_artifact,
    experiment_of_source,
)

ALICE = Requester("alice")
ROOT = Requester("root", admin=True)
EXPERIMENT = Target(Kind.EXPERIMENT, "1", write=True)


@pytest.mark.parametrize(
    ("requester", "write", "owner", "visibility", "code"),
    [
        pytest.param(ALICE, True, "alice", Visibility.OWNER, None, id="the owner writes"),
        pytest.param(ALICE, True, "bob", Visibility.EVERYBODY, "mlflow-not-yours", id="nobody writes another's"),
        pytest.param(ALICE, True, None, Visibility.EVERYBODY, "mlflow-not-yours", id="nobody's is not everybody's"),
        pytest.param(ALICE, True, "Alice", Visibility.EVERYBODY, "mlflow-not-yours", id="names are compared exactly"),
        pytest.param(ALICE, False, "bob", Visibility.EVERYBODY, None, id="everybody reads"),
        pytest.param(ALICE, False, "bob", Visibility.OWNER, "mlflow-private", id="unless reading is the owner's"),
        pytest.param(ALICE, False, None, Visibility.OWNER, "mlflow-private", id="nobody's is private too"),
        pytest.param(ROOT, True, "bob", Visibility.OWNER, None, id="administrators write everything"),
    ],
)
def test_decides_by_owner(
    requester: Requester, write: bool, owner: str | None, visibility: Visibility, code: str | None
) -> None:
    """Owners and administrators write; who reads is the operator's choice."""
    refusal = decide(requester, Target(Kind.RUN, "r", write), owner, visibility)
    assert (refusal and refusal.code) == code


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("POST", "api/2.0/mlflow/runs/create", Access.WRITE, id="a change"),
        pytest.param("POST", "ajax-api/2.0/mlflow/runs/create", Access.WRITE, id="the same from the UI"),
        pytest.param("HEAD", "api/2.0/mlflow/runs/get", Access.READ, id="HEAD is GET"),
        pytest.param("GET", "", Access.READ, id="the UI"),
        pytest.param("PUT", "ajax-api/3.0/mlflow/assistant/config", Access.REFUSED, id="the assistant"),
        pytest.param("POST", "gateway/x/mlflow/invocations", Access.REFUSED, id="the gateway"),
        pytest.param("POST", "api/3.0/mlflow/scorers/register", Access.REFUSED, id="a refused sibling of a read"),
        pytest.param("GET", "api/2.0/mlflow/runs/get/", None, id="a trailing slash"),
        pytest.param("GET", "api/2.0/mlflow/runs/GET", None, id="another case"),
        pytest.param("DELETE", "api/2.0/mlflow/runs/get", None, id="another method"),
        pytest.param("GET", "ajax-api/ajax-api/2.0/mlflow/runs/get", None, id="a doubled prefix"),
        pytest.param("OPTIONS", "api/2.0/mlflow/runs/get", None, id="a preflight"),
    ],
)
def test_finds_the_rule(method: str, path: str, expected: Access | None) -> None:
    """What is not in the table has no rule."""
    found = match(method, path)
    assert (found and found.rule.access) == expected


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("1/r/../../2/r/artifacts/x", id="dot dot"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("file:///etc/passwd", id="a scheme"),
        pytest.param("C:/windows", id="a drive"),
        pytest.param("1\\..\\2", id="backslashes"),
        pytest.param("1/r/artifacts/x#/../../2", id="a fragment"),
        pytest.param("1/r/artifacts/x?path=y", id="a query"),
        pytest.param("1/r/%2e%2e/2", id="encoded again"),
        pytest.param("1/./r", id="dot"),
        pytest.param("1//r", id="an empty part"),
        pytest.param("1/r/a\0b", id="NUL"),
        pytest.param("1/r/a\nb", id="a line break"),
    ],
)
def test_refuses_artifact_paths_that_leave(path: str) -> None:
    """CVE-2023-1177 and its many successors: nothing but a plain relative path goes to the server."""
    with pytest.raises(PublicError, match="not an artifact path"):
        check_artifact_path(path)


@pytest.mark.parametrize(
    "path", ["1/r/artifacts/model/MLmodel", "12/models/m-1/artifacts/ü b.txt", "1/r/artifacts/100%.txt"]
)
def test_finds_the_experiment_of_an_artifact(path: str) -> None:
    """The first part of an artifact path is the experiment."""
    assert experiment_of_artifact(path) == path.partition("/")[0]


@pytest.mark.parametrize("path", ["1", "x/r/artifacts/a", "models/a", "1/"])
def test_refuses_artifacts_outside_an_experiment(path: str) -> None:
    """What is in no experiment has no owner."""
    with pytest.raises(PublicError):
        experiment_of_artifact(path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("mlflow-artifacts:/7/r/artifacts/m", "7", id="an artifact"),
        pytest.param("mlflow-artifacts:///7/r/artifacts/m", "7", id="with an empty host"),
        pytest.param("runs:/abc/model", None, id="a run"),
        pytest.param("models:/m-0a1b", None, id="a logged model"),
        pytest.param("prompt-template", None, id="a prompt"),
    ],
)
def test_reads_the_source_of_a_model_version(source: str, expected: str | None) -> None:
    """Sources are runs, models and artifacts of this server."""
    assert experiment_of_source(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd", "file:///etc/passwd", "file:/etc", "FILE:/etc", "mlflow-artifacts://evil.example/7/r/a",
        "http://169.254.169.254/", "s3://bucket/x", "gs://bucket/x", "mlflow-artifacts:/7/../8/r/a", "dbfs:/x",
        "mlflow-artifacts:/7/r/a#fragment", "runs://evil/x/y", "runs:/../etc", "", "relative/path", "//etc/passwd",
    ],
)  # fmt: skip
def test_refuses_other_sources(source: str) -> None:
    """CVE-2026-2614: a version's source would be read by the server later, for whoever asks."""
    with pytest.raises(PublicError):
        experiment_of_source(source)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"{\\"run_id\\": \\"r\\"}"', id="JSON in a text, which MLflow takes"),
        pytest.param(b"{", id="broken"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="too deep"),
        pytest.param(b'{"run_id": "a", "runId": "b"}', id="one thing twice"),
    ],
)
def test_refuses_bodies_that_can_be_read_in_two_ways(raw: bytes) -> None:
    """What the rules read is what the server reads."""
    with pytest.raises(PublicError):
        canonical_body(raw)


def test_reads_one_spelling() -> None:
    """MLflow takes camelCase for every field; the rules see snake_case, and so does the server afterwards."""
    assert canonical_body(b'{"runId": "r", "experimentIds": ["1"]}') == {"run_id": "r", "experiment_ids": ["1"]}


def targets(method: str, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> list[Target]:
    found = match(method, path)
    assert found is not None
    return targets_of(found, query, body)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "expected"),
    [
        pytest.param(
            "POST", "api/2.0/mlflow/runs/update", {}, {"run_id": "a", "run_uuid": "b"},
            [Target(Kind.RUN, "a", True), Target(Kind.RUN, "b", True)], id="both names of a run",
        ),
        pytest.param(
            "GET", "api/2.0/mlflow/runs/get", {"run_id": ["a", "b"]}, {},
            [Target(Kind.RUN, "a", False), Target(Kind.RUN, "b", False)], id="a doubled argument",
        ),
        pytest.param(
            "PUT", "api/2.0/mlflow-artifacts/artifacts/3/r/artifacts/x", {}, {},
            [Target(Kind.EXPERIMENT, "3", True)], id="an artifact's experiment",
        ),
        pytest.param(
            "POST", "api/2.0/mlflow/runs/log-inputs", {}, {"run_id": "r", "models": [{"modelId": "m-1"}]},
            [Target(Kind.RUN, "r", True), Target(Kind.LOGGED_MODEL, "m-1", True)], id="inside a list, in camelCase",
        ),
        pytest.param(
            "POST", "graphql", {}, {"query": "query q($d: I!) { a(i: $d) { b } }", "variables": {"d": {"runId": "r"}}},
            [Target(Kind.RUN, "r", False)], id="GraphQL by its variables",
        ),
        pytest.param(
            "POST", "graphql", {}, {"query": '{ a(input: {runId: "r"}) { b } }', "variables": {"runId": "mine"}},
            [Target(Kind.EXPERIMENT, "", False)], id="GraphQL with texts inside names nothing",
        ),
        pytest.param(
            "POST", "api/2.0/mlflow/runs/search", {}, {}, [Target(Kind.EXPERIMENT, "", False)], id="a search of all"
        ),
    ],
)  # fmt: skip
def test_names_everything_a_request_is_about(
    method: str, path: str, query: dict[str, list[str]], body: dict[str, Any], expected: list[Target]
) -> None:
    """Every place and spelling of an id counts."""
    assert targets(method, path, query, body) == expected


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        pytest.param("POST", "api/2.0/mlflow/runs/update", {}, id="no id"),
        pytest.param("POST", "api/2.0/mlflow/runs/update", {"run_id": None}, id="null"),
        pytest.param("POST", "api/2.0/mlflow/runs/update", {"run_id": ["a"]}, id="a list"),
        pytest.param("POST", "api/2.0/mlflow/runs/update", {"run_id": 5}, id="a number"),
        pytest.param("POST", "api/2.0/mlflow/runs/update", {"run_id": "../x"}, id="not an id"),
        pytest.param("PATCH", "api/2.0/mlflow/logged-models/m-1", {"model_id": "m-2"}, id="path and body differ"),
        pytest.param("POST", "api/2.0/mlflow/traces/link-to-run", {"run_id": "r", "trace_ids": "t"}, id="not a list"),
    ],
)
def test_refuses_changes_that_do_not_say_of_what(method: str, path: str, body: dict[str, Any]) -> None:
    """A changing request without a clear target never reaches the server."""
    with pytest.raises(PublicError) as caught:
        targets(method, path, {}, body)
    assert caught.value.code == "mlflow-request-invalid"


CLAIM = [
    {"key": "mlflow.user", "value": "bob"},
    {"key": "devplatform.owner", "value": "bob"},
    {"key": "k", "value": "v"},
]


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        pytest.param(
            "create_run", {"user_id": "bob", "experiment_id": "1", "tags": CLAIM},
            {"user_id": "alice", "experiment_id": "1",
             "tags": [{"key": "k", "value": "v"}, {"key": "mlflow.user", "value": "alice"}]},
            id="a run is by whoever makes it",
        ),
        pytest.param(
            "create_experiment", {"name": "x", "tags": CLAIM[1:]},
            {"name": "x", "tags": [{"key": "k", "value": "v"}, {"key": "devplatform.owner", "value": "alice"}]},
            id="an experiment belongs to whoever makes it",
        ),
        pytest.param(
            "create_registered_model", {"name": "x"},
            {"name": "x", "tags": [{"key": "devplatform.owner", "value": "alice"}]}, id="so does a registered model",
        ),
        pytest.param(
            "assessment", {"assessment": {"source": {"sourceType": "HUMAN", "source_id": "bob"}}},
            {"assessment": {"source": {"source_type": "HUMAN", "source_id": "alice"}}}, id="an assessment too",
        ),
    ],
)  # fmt: skip
def test_replaces_what_a_client_claims(name: str, body: dict[str, Any], expected: dict[str, Any]) -> None:
    """Identity comes from the hub."""
    assert rewrite(name, body, ALICE, {"trace_id": "t"}) == expected


def test_takes_ids_out_of_a_new_traces_assessments() -> None:
    """The server merges assessments by id, so a new trace could carry off somebody else's."""
    assessment = {"assessmentId": "a-1", "trace_id": "t", "rationale": "r"}
    info = {"trace_id": "t", "trace_location": {"mlflowExperiment": {"experimentId": "1"}}, "assessments": [assessment]}
    result = rewrite("start_trace_v3", {"trace": {"traceInfo": info, "spans": [{}]}}, ALICE, {})
    assert result == {
        "trace": {
            "trace_info": {
                "trace_id": "t",
                "trace_location": {"mlflow_experiment": {"experiment_id": "1"}},
                "trace_metadata": {"mlflow.user": "alice"},
                "tags": {},
                "assessments": [{"rationale": "r"}],
            }
        }
    }


@pytest.mark.parametrize(
    ("name", "body", "variables", "code"),
    [
        pytest.param("tags", {"key": "devplatform.owner", "value": "alice"}, {}, "mlflow-tag-reserved", id="set owner"),
        pytest.param("tags", {"key": "DevPlatform.owner "}, {}, "mlflow-tag-reserved", id="in another case"),
        pytest.param("tags", {"tags": [{"key": "devplatform.x"}]}, {}, "mlflow-tag-reserved", id="in a batch"),
        pytest.param("tags", {}, {"tag_key": "devplatform.owner"}, "mlflow-tag-reserved", id="in the path"),
        pytest.param("tags", {"key": "mlflow.user", "value": "bob"}, {}, "mlflow-user-fixed", id="say it was bob"),
        pytest.param("tags", {"key": "mlflow.user"}, {}, "mlflow-user-fixed", id="delete who it was"),
        pytest.param("create_experiment", {"name": "people/bob"}, {}, "mlflow-name-reserved", id="take bob's place"),
        pytest.param("rename_experiment", {"new_name": "People/bob/x"}, {}, "mlflow-name-reserved", id="by renaming"),
        pytest.param("create_experiment", {"name": ""}, {}, "mlflow-name-invalid", id="no name"),
        pytest.param(
            "create_experiment", {"name": "x", "artifact_location": "file:///etc"}, {}, "mlflow-artifact-location",
            id="a place for artifacts",
        ),
    ],
)  # fmt: skip
def test_refuses_to_pretend(name: str, body: dict[str, Any], variables: dict[str, str], code: str) -> None:
    """What the platform says about ownership cannot be written by a client."""
    with pytest.raises(PublicError) as caught:
        rewrite(name, body, ALICE, variables)
    assert caught.value.code == code


@pytest.mark.parametrize("name", ["people/alice", "people/alice/nlp", "iris", "bob", "people", "peoples/bob"])
def test_allows_other_experiment_names(name: str) -> None:
    """One's own folder, and every name outside people/."""
    check_experiment_name(name, "alice")


@pytest.mark.parametrize(
    "path",
    ["a%2fb", "a/../b", "a/%2e%2e/b", "a%5cb", "a/./b", "%00", "a%0ab", "%ff", "..%2fx", "../health"],
)
def test_refuses_paths_with_two_meanings(path: str) -> None:
    """Path traversal ends before the table is asked."""
    with pytest.raises(PublicError):
        relative_path(f"/services/mlflow/{path}", "/services/mlflow/")


def test_forwards_nothing_of_a_person() -> None:
    """No cookie, credential, origin, workspace or forged proxy header reaches MLflow."""
    given = {
        "Cookie": "a=b", "Authorization": "Bearer t", "X-Hub-User": "root", "X-Devplatform-Secret": "x",
        "X-Forwarded-For": "127.0.0.1", "X-MLFLOW-WORKSPACE": "other", "Origin": "https://evil.example", "Host": "evil",
        "Transfer-Encoding": "chunked", "Connection": "X", "Accept": "*/*", "Range": "bytes=0-1",
    }  # fmt: skip
    assert request_headers(given) == {"Accept": "*/*", "Range": "bytes=0-1"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("text/html", "application/octet-stream", id="a page"),
        pytest.param("image/svg+xml", "image/svg+xml", id="a picture, sandboxed"),
        pytest.param("text/html; charset=utf-8", "application/octet-stream", id="with a parameter"),
        pytest.param("image/png\r\nX-A: b", "application/octet-stream", id="with a header inside"),
        pytest.param("application/xhtml+xml", "application/octet-stream", id="another page"),
        pytest.param("", "application/octet-stream", id="nothing"),
    ],
)
def test_makes_artifacts_harmless(given: str, expected: str) -> None:
    """CVE-2023-6568: whatever somebody logged, a browser downloads it and runs nothing."""
    headers = response_headers(Answer.FILE, {"Content-Type": given, "Set-Cookie": "a=b", "Server": "x"}, 'a"\n.html')
    assert headers == {
        "Content-Type": expected,
        "Content-Disposition": "attachment; filename*=UTF-8''a%22%0A.html",
        "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def test_shows_html_errors_as_text() -> None:
    """An error page that repeats the request is not a page here."""
    assert response_headers(Answer.JSON, {"Content-Type": "text/html"}, "")["Content-Type"].startswith("text/plain")
