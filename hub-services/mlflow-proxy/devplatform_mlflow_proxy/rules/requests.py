"""What a request names: ids in its path, query and body, in one spelling and without doubles."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from devplatform_hub.core.errors import PublicError

from .model import Access, Kind, Match, Ref, Target
from .naming import check_artifact_path, experiment_of_artifact, experiment_of_source

_PATH_ARGUMENTS = ("path", "artifact_path", "artifact_directory_path", "artifact_file_path")
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")
_LOGGED_MODEL_ID = re.compile(r"m-[0-9a-f]+")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,250}")
_NAMED = (Kind.REGISTERED_MODEL, Kind.EXPERIMENT_NAME)
_GRAPHQL_IDS = {
    "experiment_id": Kind.EXPERIMENT,
    "experiment_ids": Kind.EXPERIMENT,
    "run_id": Kind.RUN,
    "run_ids": Kind.RUN,
    "run_uuid": Kind.RUN,
}

Query = Mapping[str, Sequence[str]]


def canonical_body(raw: bytes) -> dict[str, Any]:
    """The request's JSON object with its own keys in snake_case; `PublicError` for anything else.

    The tracking server takes `runId` for `run_id` too, and JSON in a JSON string: a check that knew one spelling
    only could be walked around with the other, so there is exactly one from here on.
    """
    try:
        body = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise _invalid("The request body is not a JSON object.")
    return snake_keys(body)


def snake_keys(value: object) -> dict[str, Any]:
    """A JSON object with snake_case keys (one level). Two spellings of one key are refused."""
    if not isinstance(value, dict):
        raise _invalid("The request body does not have the right shape.")
    result = {}
    for key, item in value.items():
        name = key if key.islower() else _CAPITAL.sub(r"_\1", key).lower()
        if name in result:
            raise _invalid("The request names one thing twice.")
        result[name] = item
    return result


def targets_of(match: Match, query: Query, body: dict[str, Any]) -> list[Target]:
    """Everything that the request names, each once. A change that does not say of what is refused.

    A reading request that names nothing gives a target with an empty id: with private reading it is nobody's.
    """
    rule = match.rule
    takes_query = "GET" in rule.methods or rule.in_query
    for name in _PATH_ARGUMENTS if takes_query else ():
        for value in query.get(name, ()):
            check_artifact_path(value)
    if rule.path == "graphql":
        return _graphql_targets(body)
    found: dict[Target, None] = {}
    for ref in rule.refs:
        values = list(_values(ref, match, query if takes_query else None, body))
        writes = rule.access is Access.WRITE and not ref.only_read
        if not values and not ref.optional:
            if writes:
                raise _invalid(f"The request does not say which {ref.kind.value} it is about.")
            values = [""]
        for value in values:
            for target in _targets(ref.kind, value, writes):
                found[target] = None
    return list(found)


def _targets(kind: Kind, value: str, write: bool) -> Iterator[Target]:
    if kind is Kind.ARTIFACT:
        whole = write or "/" in value
        experiment = experiment_of_artifact(value) if whole else value if value.isdigit() else ""
        yield Target(Kind.EXPERIMENT, experiment, write)
    elif kind is Kind.SOURCE:
        yield from _source_targets(value)
    elif value and kind not in _NAMED and not _ID.fullmatch(value):
        raise _invalid("An id in the request is not one of this server.")
    else:
        yield Target(kind, value, write)


def _source_targets(source: str) -> Iterator[Target]:
    experiment = experiment_of_source(source)
    scheme, _, rest = source.partition(":/")
    first = rest.split("/")[0].partition("@")[0]
    if experiment:
        yield Target(Kind.EXPERIMENT, experiment, write=False)
    elif scheme == "runs":
        yield Target(Kind.RUN, first, write=False)
    elif scheme == "models":
        kind = Kind.LOGGED_MODEL if _LOGGED_MODEL_ID.fullmatch(rest) else Kind.REGISTERED_MODEL
        yield Target(kind, first, write=False)


def _values(ref: Ref, match: Match, query: Query | None, body: dict[str, Any]) -> Iterator[str]:
    for key in ref.keys:
        in_path = match.variables.get(key)
        if in_path is not None:
            yield in_path
            if body.get(key, in_path) != in_path:
                raise _invalid(f"The request names two values for {key}.")
        elif query is not None:
            yield from query.get(key.removesuffix("[]"), ())
        else:
            yield from _in_body(body, key.split("."))


def _in_body(value: object, steps: Sequence[str]) -> Iterator[str]:
    """The texts at a dotted path; null is absent, and any other type is refused."""
    if value is None:
        return
    if not steps:
        if not isinstance(value, str) or not value:
            raise _invalid("An id in the request is not a text.")
        yield value
        return
    step, rest = steps[0], steps[1:]
    item = snake_keys(value).get(step.removesuffix("[]"))
    if item is None:
        return
    if not step.endswith("[]"):
        yield from _in_body(item, rest)
        return
    if not isinstance(item, list):
        raise _invalid("A list in the request is not one.")
    for element in item:
        yield from _in_body(element, rest)


def _graphql_targets(body: dict[str, Any]) -> list[Target]:
    """What a GraphQL request reads, by its variables. One with texts inside the query itself names nothing we know."""
    query, variables = body.get("query"), body.get("variables") or {}
    if not isinstance(query, str):
        raise _invalid("The request has no GraphQL query.")
    found = list(dict.fromkeys(_graphql_ids(variables))) if '"' not in query else []
    return found or [Target(Kind.EXPERIMENT, "", write=False)]


def _graphql_ids(value: object) -> Iterator[Target]:
    if isinstance(value, list):
        for element in value:
            yield from _graphql_ids(element)
    elif isinstance(value, dict):
        for key, item in snake_keys(value).items():
            kind = _GRAPHQL_IDS.get(key)
            if kind is None:
                yield from _graphql_ids(item)
                continue
            for identifier in item if isinstance(item, list) else [item]:
                yield Target(kind, str(identifier or ""), write=False)


def _invalid(message: str) -> PublicError:
    return PublicError(message, code="mlflow-request-invalid", hint="Use an MLflow client of version 3.")
