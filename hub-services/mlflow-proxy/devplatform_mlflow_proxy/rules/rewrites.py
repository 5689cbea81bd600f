"""Bodies on their way to the tracking server: what a client claims about who it is becomes who it is."""

from collections.abc import Callable, Mapping
from typing import Any

from devplatform_hub.core.errors import PublicError

from .decisions import Requester
from .naming import OWNER_TAG, USER_TAG, check_experiment_name, is_reserved_tag, is_user_tag
from .requests import snake_keys

Json = dict[str, Any]


def rewrite(name: str, body: Json, requester: Requester, variables: Mapping[str, str]) -> Json:
    """`body` as it goes on, by the rewrite that a rule names ("" changes nothing). Raises `PublicError`."""
    if not name:
        return body
    return _REWRITES[name](body, requester, variables)


def _check_tags(body: Json, requester: Requester, variables: Mapping[str, str]) -> Json:
    """Refuse to change a tag of the platform (administrators may), or to say that somebody else made something."""
    pairs = [snake_keys(tag) for tag in _tags(body)]
    if "key" in body:
        pairs.append({"key": body["key"], "value": body.get("value")})
    pairs += [{"key": variables[name], "value": None} for name in ("tag_key",) if name in variables]
    for pair in pairs:
        key = pair.get("key")
        if is_reserved_tag(key) and not requester.admin:
            raise PublicError(
                "Tags that start with devplatform. are the platform's own.",
                code="mlflow-tag-reserved",
                hint="Choose another name for the tag.",
                status=403,
            )
        if is_user_tag(key) and pair.get("value") != requester.name:
            raise PublicError(
                "Who made a run is not for a client to say.",
                code="mlflow-user-fixed",
                hint="Leave the tag mlflow.user as it is.",
                status=403,
            )
    return body


def _own_tags(body: Json, requester: Requester, *, owner: bool = False, user: bool = False) -> Json:
    """`body` with the platform's tags replaced by true ones, whatever was claimed."""
    claimed = [snake_keys(tag) for tag in _tags(body)]
    names_user = any(is_user_tag(tag.get("key")) for tag in claimed)
    tags = [tag for tag in claimed if not is_reserved_tag(tag.get("key")) and not is_user_tag(tag.get("key"))]
    if owner:
        tags.append({"key": OWNER_TAG, "value": requester.name})
    if user or names_user:
        tags.append({"key": USER_TAG, "value": requester.name})
    return {**body, "tags": tags}


def _create_experiment(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    check_experiment_name(body.get("name"), requester.name)
    if body.get("artifact_location"):
        raise PublicError(
            "The platform chooses where artifacts are kept.",
            code="mlflow-artifact-location",
            hint="Create the experiment without artifact_location.",
            status=403,
        )
    return _own_tags(body, requester, owner=True)


def _rename_experiment(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    if body.get("new_name") is not None:
        check_experiment_name(body["new_name"], requester.name)
    return body


def _create_run(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    return {**_own_tags(body, requester, user=True), "user_id": requester.name}


def _create_registered_model(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    return _own_tags(body, requester, owner=True)


def _user_tags(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    return _own_tags(body, requester)


def _start_trace_v2(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    metadata = body.get("request_metadata") or []
    if not isinstance(metadata, list):
        raise PublicError("request_metadata is not a list.", code="mlflow-request-invalid")
    kept = [pair for pair in map(snake_keys, metadata) if not is_user_tag(pair.get("key"))]
    kept.append({"key": USER_TAG, "value": requester.name})
    return {**_own_tags(body, requester), "request_metadata": kept}


def _start_trace_v3(body: Json, requester: Requester, _: Mapping[str, str]) -> Json:
    trace = snake_keys(body.get("trace"))
    info = snake_keys(trace.get("trace_info"))
    location = snake_keys(info.get("trace_location"))
    info["trace_location"] = {**location, "mlflow_experiment": snake_keys(location.get("mlflow_experiment"))}
    for field in ("trace_metadata", "tags"):
        claimed = info.get(field) or {}
        if not isinstance(claimed, dict):
            raise PublicError(f"{field} is not an object.", code="mlflow-request-invalid")
        info[field] = {key: value for key, value in claimed.items() if not (is_user_tag(key) or is_reserved_tag(key))}
    info["trace_metadata"][USER_TAG] = requester.name
    info["assessments"] = [_new_assessment(item, requester) for item in info.get("assessments") or ()]
    return {"trace": {"trace_info": info}}  # spans in it would name traces, and the server takes none of them here


def _assessment(body: Json, requester: Requester, variables: Mapping[str, str]) -> Json:
    if body.get("assessment") is None:
        return body
    assessment = _of_person(body["assessment"], requester)
    if assessment.get("trace_id", variables["trace_id"]) != variables["trace_id"]:
        raise PublicError("The request names two traces.", code="mlflow-request-invalid")
    return {**body, "assessment": assessment}


def _new_assessment(value: object, requester: Requester) -> Json:
    """An assessment without ids of its own: the server merges by them, so they could take somebody else's row."""
    assessment = _of_person(value, requester)
    return {key: item for key, item in assessment.items() if key not in ("assessment_id", "trace_id")}


def _of_person(value: object, requester: Requester) -> Json:
    """An assessment by a human is by this person."""
    assessment = snake_keys(value)
    if assessment.get("source") is None:
        return assessment
    source = snake_keys(assessment["source"])
    if str(source.get("source_type", "")).upper() == "HUMAN":
        source["source_id"] = requester.name
    return {**assessment, "source": source}


def _graphql(body: Json, _requester: Requester, _: Mapping[str, str]) -> Json:
    # The keys of this body are JavaScript's, and only these three are read.
    names = {"query": "query", "variables": "variables", "operation_name": "operationName"}
    return {name: body[key] for key, name in names.items() if key in body}


def _tags(body: Json) -> list[Any]:
    tags = body.get("tags") or []
    if not isinstance(tags, list):
        raise PublicError("The tags of the request are not a list.", code="mlflow-request-invalid")
    return tags


_REWRITES: dict[str, Callable[[Json, Requester, Mapping[str, str]], Json]] = {
    "tags": _check_tags,
    "create_experiment": _create_experiment,
    "rename_experiment": _rename_experiment,
    "create_run": _create_run,
    "create_registered_model": _create_registered_model,
    "user_tags": _user_tags,
    "start_trace_v2": _start_trace_v2,
    "start_trace_v3": _start_trace_v3,
    "assessment": _assessment,
    "graphql": _graphql,
}
