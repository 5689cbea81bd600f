"""Every route of the tracking server. A test compares it with the routes that the real server has.

The table follows MLflow 3.17: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from .model import Access, Answer, Body, Kind, Listing, Ref, Rule

_EXPERIMENT = Ref(Kind.EXPERIMENT, ("experiment_id",))
_EXPERIMENTS = Ref(Kind.EXPERIMENT, ("experiment_ids[]",))
_EITHER_EXPERIMENT = Ref(Kind.EXPERIMENT, ("experiment_id", "experiment_ids[]"))
_RUN = Ref(Kind.RUN, ("run_id", "run_uuid"))
_RUNS = Ref(Kind.RUN, ("run_ids[]", "run_id[]"))
_MODEL = Ref(Kind.LOGGED_MODEL, ("model_id",))
_MODEL_IF_ANY = Ref(Kind.LOGGED_MODEL, ("model_id",), optional=True)
_MODELS_OF_RUN = Ref(Kind.LOGGED_MODEL, ("models[].model_id",), optional=True)
_REGISTERED = Ref(Kind.REGISTERED_MODEL, ("name",))
_TRACE = Ref(Kind.TRACE, ("trace_id",))
_TRACES = Ref(Kind.TRACE, ("trace_ids[]",))
_TRACE_V2 = Ref(Kind.TRACE, ("request_id",))
_TRACES_V2_IF_ANY = Ref(Kind.TRACE, ("request_ids[]",), optional=True)
_ARTIFACT = Ref(Kind.ARTIFACT, ("artifact_path",))

_R2, _R3 = "api/2.0/mlflow/", "api/3.0/mlflow/"


def _get(path: str, *refs: Ref, answer: Answer = Answer.JSON, listing: Listing | None = None) -> Rule:
    return Rule(("GET",), path, Access.READ, refs, answer=answer, listing=listing)


def _ask(path: str, *refs: Ref, listing: Listing | None = None) -> Rule:
    """A POST that only reads."""
    return Rule(("POST",), path, Access.READ, refs, Body.JSON, listing=listing)


def _write(method: str, path: str, *refs: Ref, rewrite: str = "tags") -> Rule:
    return Rule((method,), path, Access.WRITE, refs, Body.JSON, rewrite=rewrite)


_PAGES = (
    Rule(("GET",), "", Access.READ, answer=Answer.PAGE),
    Rule(("GET",), "static-files/{path:path}", Access.READ, answer=Answer.ASSET),
    Rule(("GET",), "health", Access.READ, answer=Answer.TEXT),
    Rule(("GET",), "version", Access.READ, answer=Answer.TEXT),
    _get(f"{_R3}server-info"),
    _get(f"{_R3}ui-telemetry"),
    _get(f"{_R2}gateway-proxy"),  # an empty list of endpoints: the server has no deployments target
    Rule(("POST",), "graphql", Access.READ, body=Body.JSON, rewrite="graphql"),
)

_EXPERIMENT_ROUTES = (
    _write("POST", f"{_R2}experiments/create", rewrite="create_experiment"),
    _get(f"{_R2}experiments/get", _EXPERIMENT),
    _get(f"{_R2}experiments/get-by-name", Ref(Kind.EXPERIMENT_NAME, ("experiment_name",))),
    _get(f"{_R2}experiments/search", listing=Listing.EXPERIMENTS),
    _ask(f"{_R2}experiments/search", listing=Listing.EXPERIMENTS),
    _ask(f"{_R2}experiments/search-datasets", _EXPERIMENTS),
    _ask("api/2.0mlflow/experiments/search-datasets", _EXPERIMENTS),  # so it is called: a slip of theirs
    _write("POST", f"{_R2}experiments/update", _EXPERIMENT, rewrite="rename_experiment"),
    _write("POST", f"{_R2}experiments/delete", _EXPERIMENT),
    _write("POST", f"{_R2}experiments/restore", _EXPERIMENT),
    _write("POST", f"{_R2}experiments/set-experiment-tag", _EXPERIMENT),
    _write("POST", f"{_R2}experiments/delete-experiment-tag", _EXPERIMENT),
)

_RUN_ROUTES = (
    _write("POST", f"{_R2}runs/create", _EXPERIMENT, rewrite="create_run"),
    _get(f"{_R2}runs/get", _RUN),
    _ask(f"{_R2}runs/search", _EXPERIMENTS),
    *(
        _write("POST", f"{_R2}runs/{verb}", _RUN)
        for verb in ("update", "delete", "restore", "log-parameter", "set-tag", "delete-tag", "log-model")
    ),
    _write("POST", f"{_R2}runs/log-metric", _RUN, _MODEL_IF_ANY),
    _write(
        "POST",
        f"{_R2}runs/log-batch",
        _RUN,
        Ref(Kind.LOGGED_MODEL, ("metrics[].model_id",), optional=True),
        Ref(Kind.RUN, ("metrics[].run_id",), optional=True),
    ),
    _write("POST", f"{_R2}runs/log-inputs", _RUN, _MODELS_OF_RUN),
    _write("POST", f"{_R2}runs/outputs", _RUN, _MODELS_OF_RUN),
    _get(f"{_R2}metrics/get-history", _RUN),
    _get(f"{_R2}metrics/get-history-bulk", _RUNS),
    _get(f"{_R2}metrics/get-history-bulk-interval", _RUNS),
)

_ARTIFACT_ROUTES = (
    _get(f"{_R2}artifacts/list", _RUN),
    _get("get-artifact", _RUN, answer=Answer.FILE),
    _get("model-versions/get-artifact", _REGISTERED, answer=Answer.FILE),
    _get(f"{_R2}get-trace-artifact", _TRACE_V2, answer=Answer.FILE),
    _get(f"{_R3}get-trace-artifact", _TRACE_V2, answer=Answer.FILE),
    Rule(
        ("POST",), f"{_R2}upload-artifact", Access.WRITE, (_RUN,), Body.BYTES, in_query=True
    ),  # the UI's own small upload
    _get("api/2.0/mlflow-artifacts/artifacts", Ref(Kind.ARTIFACT, ("path",))),
    _get("api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}", _ARTIFACT, answer=Answer.FILE),
    Rule(("PUT",), "api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}", Access.WRITE, (_ARTIFACT,), Body.STREAM),
    Rule(("DELETE",), "api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}", Access.WRITE, (_ARTIFACT,)),
)

_LOGGED_MODEL_ROUTES = (
    _write(
        "POST",
        f"{_R2}logged-models",
        _EXPERIMENT,
        Ref(Kind.RUN, ("source_run_id",), optional=True, only_read=True),
        rewrite="user_tags",
    ),
    _ask(f"{_R2}logged-models/search", _EXPERIMENTS),
    _get(f"{_R2}logged-models/{{model_id}}", _MODEL),
    _write("PATCH", f"{_R2}logged-models/{{model_id}}", _MODEL),
    _write("DELETE", f"{_R2}logged-models/{{model_id}}", _MODEL),
    _write("POST", f"{_R2}logged-models/{{model_id}}/params", _MODEL),
    _write("PATCH", f"{_R2}logged-models/{{model_id}}/tags", _MODEL),
    _write("DELETE", f"{_R2}logged-models/{{model_id}}/tags/{{tag_key}}", _MODEL),
    _get(f"{_R2}logged-models/{{model_id}}/artifacts/directories", _MODEL),
    _get(f"{_R2}logged-models/{{model_id}}/artifacts/files", _MODEL, answer=Answer.FILE),
)

_REGISTRY_ROUTES = (
    _write("POST", f"{_R2}registered-models/create", rewrite="create_registered_model"),
    _get(f"{_R2}registered-models/get", _REGISTERED),
    _get(f"{_R2}registered-models/search", listing=Listing.REGISTERED_MODELS),
    _get(f"{_R2}registered-models/get-latest-versions", _REGISTERED),
    _ask(f"{_R2}registered-models/get-latest-versions", _REGISTERED),
    _get(f"{_R2}registered-models/alias", _REGISTERED),
    _write("POST", f"{_R2}registered-models/alias", _REGISTERED),
    _write("DELETE", f"{_R2}registered-models/alias", _REGISTERED),
    _write("POST", f"{_R2}registered-models/rename", _REGISTERED),
    _write("PATCH", f"{_R2}registered-models/update", _REGISTERED),
    _write("DELETE", f"{_R2}registered-models/delete", _REGISTERED),
    _write("POST", f"{_R2}registered-models/set-tag", _REGISTERED),
    _write("DELETE", f"{_R2}registered-models/delete-tag", _REGISTERED),
    _write(
        "POST",
        f"{_R2}model-versions/create",
        _REGISTERED,
        Ref(Kind.SOURCE, ("source",), only_read=True),
        Ref(Kind.RUN, ("run_id",), optional=True, only_read=True),
        _MODEL_IF_ANY,  # the server writes a tag to the logged model
    ),
    _get(f"{_R2}model-versions/get", _REGISTERED),
    _get(f"{_R2}model-versions/get-download-uri", _REGISTERED),
    _get(f"{_R2}model-versions/search", listing=Listing.MODEL_VERSIONS),
    _write("POST", f"{_R2}model-versions/set-tag", _REGISTERED),
    _write("POST", f"{_R2}model-versions/transition-stage", _REGISTERED),
    _write("PATCH", f"{_R2}model-versions/update", _REGISTERED),
    _write("DELETE", f"{_R2}model-versions/delete", _REGISTERED),
    _write("DELETE", f"{_R2}model-versions/delete-tag", _REGISTERED),
)

_TRACE_LOCATION = "trace.trace_info.trace_location.mlflow_experiment.experiment_id"
_ASSESSMENT = f"{_R3}traces/{{trace_id}}/assessments"
_TRACE_ROUTES = (
    _write("POST", f"{_R2}traces", _EXPERIMENT, rewrite="start_trace_v2"),
    _write(
        "POST",
        f"{_R3}traces",
        Ref(Kind.EXPERIMENT, (_TRACE_LOCATION,)),
        Ref(Kind.NEW_TRACE, ("trace.trace_info.trace_id",)),
        rewrite="start_trace_v3",
    ),
    _get(f"{_R2}traces", _EXPERIMENTS),
    _get(f"{_R2}traces/{{request_id}}/info", _TRACE_V2),
    _get(f"{_R3}traces/get", _TRACE),
    _get(f"{_R3}traces/batchGet", _TRACES),
    _ask(f"{_R3}traces/batchGetInfos", _TRACES),
    _get(f"{_R3}traces/{{trace_id}}", _TRACE),
    _ask(f"{_R3}traces/search", Ref(Kind.EXPERIMENT, ("locations[].mlflow_experiment.experiment_id",))),
    _ask(f"{_R3}traces/metrics", _EXPERIMENTS),
    _ask(f"{_R3}traces/calculate-filter-correlation", _EXPERIMENTS),
    _write("PATCH", f"{_R2}traces/{{request_id}}", _TRACE_V2),
    *(_write(method, f"{_R2}traces/{{request_id}}/tags", _TRACE_V2) for method in ("PATCH", "DELETE")),
    *(_write(method, f"{_R3}traces/{{trace_id}}/tags", _TRACE) for method in ("PATCH", "DELETE")),
    *(_write("POST", f"{base}traces/delete-traces", _EXPERIMENT, _TRACES_V2_IF_ANY) for base in (_R2, _R3)),
    _write("POST", f"{_R2}traces/link-to-run", _RUN, _TRACES),
    _write("POST", f"{_R2}traces/link-prompts", _TRACE),
    _write("POST", _ASSESSMENT, _TRACE, rewrite="assessment"),
    _get(f"{_ASSESSMENT}/{{assessment_id}}", _TRACE),
    _write("PATCH", f"{_ASSESSMENT}/{{assessment_id}}", _TRACE, rewrite="assessment"),
    _write("DELETE", f"{_ASSESSMENT}/{{assessment_id}}", _TRACE),
)

# What the UI asks for on its pages about evaluation; nothing of it can be changed through the proxy.
_EVALUATION_READS = (
    _get(f"{_R3}scorers/list", _EITHER_EXPERIMENT),
    _get(f"{_R3}datasets/search", _EXPERIMENTS),
    _ask(f"{_R3}datasets/search", _EXPERIMENTS),
    _ask(f"{_R3}issues/search", _EXPERIMENT),
    _get(f"{_R3}label-schemas/list", _EXPERIMENT),
    _get(f"{_R3}review-queues/list", _EXPERIMENT),
)

TABLE: tuple[Rule, ...] = (
    *_PAGES,
    *_EXPERIMENT_ROUTES,
    *_RUN_ROUTES,
    *_ARTIFACT_ROUTES,
    *_LOGGED_MODEL_ROUTES,
    *_REGISTRY_ROUTES,
    *_TRACE_ROUTES,
    *_EVALUATION_READS,
)

_CODE = "it runs code or calls other hosts from the server"
_OFF = "it is not offered here: it has no owner to check"
_DIRECT = "bytes go through this proxy only"

FAMILIES_REFUSED: tuple[tuple[str, str], ...] = (
    (f"{_R3}assistant", _CODE),
    (f"{_R3}gateway", _CODE),
    (f"{_R2}gateway-proxy", _CODE),
    ("gateway", _CODE),
    (f"{_R2}webhooks", _CODE),
    ("api/3.0/jobs", _CODE),
    (f"{_R3}jobs", _CODE),
    (f"{_R3}prompt-optimization", _CODE),
    (f"{_R3}genai", _CODE),
    (f"{_R3}scorer", _CODE),
    (f"{_R3}scorers", _CODE),
    (f"{_R3}issues", _OFF),
    (f"{_R3}demo", _OFF),
    (f"{_R3}mcp-servers", _OFF),
    (f"{_R3}datasets", _OFF),
    (f"{_R3}label-schemas", _OFF),
    (f"{_R3}review-queues", _OFF),
    (f"{_R3}workspaces", _OFF),
    (f"{_R3}ui-telemetry", "nothing is sent to anybody"),
    (f"{_R2}runs/create-promptlab-run", _CODE),
    (f"{_R2}get-online-trace-details", _CODE),
    (f"{_R2}unified-traces", _CODE),
    (f"{_R2}users", "people come from the hub"),
    (f"{_R2}artifacts/presigned-download-url", _DIRECT),
    (f"{_R2}artifacts/presigned-upload-url", _DIRECT),
    ("api/2.0/mlflow-artifacts/presigned", _DIRECT),
    ("api/2.0/mlflow-artifacts/mpu", _DIRECT),
    ("graphql", "queries are posted"),
    ("v1/traces", "spans in OTLP can name any trace"),
    ("build", _DIRECT),
)
