"""Names that have a meaning to the platform: the owner's tag, everybody's own experiment, artifact paths."""

import re

from devplatform_hub.core.errors import PublicError

RESERVED = "devplatform."
OWNER_TAG = "devplatform.owner"
USER_TAG = "mlflow.user"

_HOMES = "people/"
_EXPERIMENT_ID = re.compile(r"[0-9]{1,20}")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ARTIFACT_SOURCE = re.compile(r"mlflow-artifacts:/(?://?)?(?P<path>[^/].*)")
_OTHER_SOURCE = re.compile(r"(?:runs|models):/[^/].*")
_PROMPT_SOURCES = frozenset({"dummy-source", "prompt-template"})


def home_experiments(person: str) -> tuple[str, str]:
    """The names of a person's own experiment: `people/<name>`, which nobody else can take, and the plain name."""
    return f"{_HOMES}{person}", person


def check_experiment_name(name: object, person: str) -> None:
    """Refuse a name in somebody else's `people/` folder, so that nobody can take it before its owner comes."""
    if not isinstance(name, str) or not name.strip():
        raise PublicError("An experiment needs a name.", code="mlflow-name-invalid")
    folded = name.strip().casefold()
    own = f"{_HOMES}{person}".casefold()
    if folded.startswith(_HOMES) and folded != own and not folded.startswith(f"{own}/"):
        raise PublicError(
            "Experiment names that start with people/ are for the person they name.",
            code="mlflow-name-reserved",
            hint=f"Use people/{person} or people/{person}/..., or a name without people/.",
            status=403,
        )


def is_reserved_tag(key: object) -> bool:
    """Whether only the platform writes this tag. Databases compare keys without case and trailing blanks."""
    return isinstance(key, str) and key.strip().casefold().startswith(RESERVED)


def is_user_tag(key: object) -> bool:
    """Whether this is the tag that says who made a run."""
    return isinstance(key, str) and key.strip().casefold() == USER_TAG


def check_artifact_path(path: str) -> str:
    """`path` when it is a plain relative path. `..`, absolute, encoded, fragments, queries: `PublicError`."""
    segments = path.split("/")
    bad = (
        path.startswith("/")
        or "\\" in path
        or "#" in path
        or "?" in path
        or ".." in segments
        or "." in segments
        or "" in segments[:-1]
        or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path) is not None
        or _ESCAPE.search(path) is not None
        or _CONTROL.search(path) is not None
    )
    if bad:
        raise PublicError(
            "That is not an artifact path.",
            code="mlflow-path-invalid",
            hint="Use a relative path without .., empty parts, percent escapes, #, ? and backslashes.",
        )
    return path


def experiment_of_artifact(path: str) -> str:
    """The experiment id that an artifact path of the tracking server starts with: `<experiment>/<run>/artifacts/…`."""
    first, _, rest = check_artifact_path(path).partition("/")
    if not _EXPERIMENT_ID.fullmatch(first) or not rest:
        raise PublicError(
            "Artifacts are inside a run, a logged model or a trace of an experiment.",
            code="mlflow-path-invalid",
            hint="Log with mlflow.log_artifact: it makes the path.",
            status=403,
        )
    return first


def experiment_of_source(source: str) -> str | None:
    """The experiment whose artifacts a model version's `source` names; None for runs:/, models:/ and prompts.

    Everything else, local paths and other hosts above all, is refused.
    """
    if source in _PROMPT_SOURCES:
        return None
    found = _ARTIFACT_SOURCE.fullmatch(source)
    if found:
        return experiment_of_artifact(found["path"])
    if _OTHER_SOURCE.fullmatch(source):
        check_artifact_path(source.partition(":/")[2])
        return None
    raise PublicError(
        "A model version can only come from a run or a logged model of this server.",
        code="mlflow-source-invalid",
        hint="Use runs:/<run id>/<path> or models:/<model id>.",
        status=403,
    )
