"""Run by the Python of the MLflow environment: prints what the real server has, as JSON.

`routes`: [framework, methods, path] of Flask and of FastAPI, WebSockets included.
`fields`: {"METHOD path": [dotted field, ...]} of the protobuf messages that routes take.
`mutations`: the names of GraphQL mutations.
"""

import json
import os
import sys

PREFIX = "/prefix"
os.environ["_MLFLOW_STATIC_PREFIX"] = PREFIX
os.environ["MLFLOW_ENABLE_AI_GATEWAY"] = "false"

from mlflow.protos import databricks_pb2  # noqa: E402
from mlflow.protos.mlflow_artifacts_pb2 import MlflowArtifactsService  # noqa: E402
from mlflow.protos.model_registry_pb2 import ModelRegistryService  # noqa: E402
from mlflow.protos.service_pb2 import MlflowService  # noqa: E402
from mlflow.server import app as flask_app  # noqa: E402
from mlflow.server.fastapi_app import app as fastapi_app  # noqa: E402
from mlflow.server.graphql.graphql_schema_extensions import schema  # noqa: E402

_DEPTH = 6


def fastapi_routes(routes, prefix=""):
    """Routes of a FastAPI application and of every router that it includes."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from fastapi_routes(included.routes, prefix + route.include_context.prefix)
        elif hasattr(route, "path"):
            methods = sorted(getattr(route, "methods", None) or [])
            kind = type(route).__name__
            if kind != "Mount":
                yield [kind, methods, prefix + route.path]


def fields_of(message, prefix="", depth=0):
    """Dotted names of every field of a message, `[]` after repeated ones."""
    for field in message.fields:
        name = prefix + field.name + ("[]" if field.is_repeated else "")
        yield name
        inner = field.message_type
        if inner is not None and depth < _DEPTH and not inner.GetOptions().map_entry:
            yield from fields_of(inner, f"{name}.", depth + 1)


def messages():
    """What each route of a protobuf service takes."""
    for service in (MlflowService, ModelRegistryService, MlflowArtifactsService):
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = endpoint.path.lstrip("/")
                yield f"{endpoint.method} {endpoint.since.major}.0/{path}", sorted(fields_of(method.input_type))


routes = list(fastapi_routes(fastapi_app.routes))
for rule in flask_app.url_map.iter_rules():
    routes.append(["flask", sorted(rule.methods - {"HEAD", "OPTIONS"}), rule.rule])
mutations = sorted(schema.graphql_schema.mutation_type.fields)
json.dump({"prefix": PREFIX, "routes": routes, "fields": dict(messages()), "mutations": mutations}, sys.stdout)
