"""The vocabulary of the route table."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Access(Enum):
    """What a route does with what it names."""

    READ = "read"
    WRITE = "write"
    REFUSED = "refused"


class Kind(Enum):
    """What a request can name; each leads to an owner."""

    EXPERIMENT = "experiment"
    EXPERIMENT_NAME = "experiment called"
    RUN = "run"
    LOGGED_MODEL = "logged model"
    TRACE = "trace"
    NEW_TRACE = "new trace"
    REGISTERED_MODEL = "registered model"
    ARTIFACT = "artifact"
    SOURCE = "source of a model version"


class Body(Enum):
    """How a request carries its content."""

    NONE = "none"
    JSON = "json"
    BYTES = "bytes"
    STREAM = "stream"


class Answer(Enum):
    """What comes back, and so how it is made safe for a browser."""

    JSON = "json"
    TEXT = "text"
    FILE = "file"
    PAGE = "page"
    ASSET = "asset"


class Listing(Enum):
    """Answers that list things nobody named; with private reading only one's own stay in them."""

    EXPERIMENTS = "experiments"
    REGISTERED_MODELS = "registered_models"
    MODEL_VERSIONS = "model_versions"


@dataclass(frozen=True, slots=True)
class Ref:
    """Where a request names something: any of `keys`, in the path, the query or the body.

    A key is a dotted path into the body; `[]` descends into every item of a list.
    At least one key is there unless `optional`. `only_read` names something that a writing route does not change.
    """

    kind: Kind
    keys: tuple[str, ...]
    optional: bool = False
    only_read: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One route of the tracking server. `api/` in `path` stands for `api/` and `ajax-api/` alike.

    `{name}` is one segment, `{name:path}` any number. `rewrite` names the function of `rewrites` that the body goes
    through. `in_query` says that a route other than GET takes its arguments from the query.
    """

    methods: tuple[str, ...]
    path: str
    access: Access
    refs: tuple[Ref, ...] = ()
    body: Body = Body.NONE
    answer: Answer = Answer.JSON
    rewrite: str = ""
    listing: Listing | None = None
    in_query: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A rule with what its path variables are in this request."""

    rule: Rule
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that a request names, and whether it would change it."""

    kind: Kind
    id: str
    write: bool
