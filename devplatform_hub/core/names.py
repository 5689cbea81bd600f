"""The one place where a person's name becomes the name of a pod, a volume, a prefix or a folder.

Every name here is the one that `kubespawner`'s own templates give with its slug scheme `safe` (a test compares
them), so that names agree between the spawner, the versions service and the machine, without importing kubespawner.

A hash in a name has 32 bits, as kubespawner's have. Nobody meets another's name by chance, but who may choose server
names freely can search for one. So whatever acts on an object that it finds under such a name also compares the
verbatim names in the object's annotations (`kube.user_access.is_ours`).
"""

import hashlib
import re
from dataclasses import dataclass

_DNS_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_UNSAFE_RUN = re.compile(r"[^a-z0-9]+")
_HASH_LENGTH = 8
_SLUG_LENGTH = 32
PEOPLE = "users"
"""The folder of a bucket that holds each person's own: `users/<slug>`."""
_FIELD_LENGTH = 48
"""The longest that kubespawner lets `{username}` and `{user_server}` in a template become."""


@dataclass(frozen=True, slots=True)
class SessionNames:
    """What belongs to one server of one person. `claim`, `account` and `prefix` are the same for all their servers.

    `role` is the name of a Role and of the RoleBinding to it.
    """

    pod: str
    claim: str
    account: str
    role: str
    prefix: str


def session_names(user: str, server: str) -> SessionNames:
    """The names for any two texts; `server` is "" for a person's default server.

    Accounts and roles begin with `person-`, which nothing of a usual installation does: with `user-` somebody who
    is called `scheduler` would get the account of Zero-to-JupyterHub's scheduler, with `jupyter-` one called `admin`
    the administrators' role.
    """
    person, one = user_slug(user), server_slug(user, server)
    return SessionNames(
        pod=f"jupyter-{one}",
        claim=f"claim-{person}",
        account=f"person-{person}",
        role=f"person-{one}",
        prefix=user_prefix(user),
    )


def slug(name: str) -> str:
    """A DNS label (RFC 1123, starting with a letter) for any text; different texts give different slugs.

    A name that is a valid label already, and has no `--`, is kept.
    Every other one becomes `<readable part>---<first 8 hex digits of its SHA-256>`, 32 characters at most;
    the `---` keeps hashed names apart from kept ones and from `user--server` templates.
    """
    return name if _is_kept(name) else _hashed(name, _SLUG_LENGTH)


def user_prefix(user: str) -> str:
    """The folder of a bucket that is this person's own, `users/<slug>`."""
    return f"{PEOPLE}/{slug(user)}"


def user_slug(user: str) -> str:
    """`{username}` of kubespawner's templates: like `slug`, but 48 characters at most, hashed or not."""
    return _field(user)


def server_slug(user: str, server: str) -> str:
    """`{user_server}` of kubespawner's templates: one name for both, 48 characters at most."""
    person = _field(user)
    named = _field(server) if server else ""
    if len(person) + len(named) + len("--") <= _FIELD_LENGTH:
        return f"{person}--{named}" if named else person
    # 0xFF is in no UTF-8 text, so `a-b` + `c` and `a` + `b-c` are hashed differently.
    digest = hashlib.sha256(user.encode("utf-8") + b"\xff" + server.encode("utf-8")).hexdigest()[:_HASH_LENGTH]
    room = (_FIELD_LENGTH - _HASH_LENGTH - 1) // 2 - len("--")
    return f"{_readable(user, room)}--{_readable(server, room)}---{digest}"


def label_value(text: str) -> str:
    """`text` as the value of a label: kept where it is one, and has no `--`, else as `slug` makes it.

    Equal to kubespawner's, except for a Kelvin sign or a long s: those it keeps, and the API server refuses them.
    """
    return text if "--" not in text and _LABEL_VALUE.fullmatch(text) else _hashed(text, _SLUG_LENGTH)


def _field(name: str) -> str:
    return name if _is_kept(name) and len(name) <= _FIELD_LENGTH else _hashed(name, _FIELD_LENGTH)


def _is_kept(name: str) -> bool:
    return "--" not in name and _DNS_LABEL.fullmatch(name) is not None


def _hashed(name: str, longest: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:_HASH_LENGTH]
    return f"{_readable(name, longest - _HASH_LENGTH - len('---'))}---{digest}"


def _readable(name: str, room: int) -> str:
    """What can be read of a name: a letter first, no two hyphens in a row, none at an end, never empty."""
    readable = _UNSAFE_RUN.sub("-", name.lower()).lstrip("-")[:room].rstrip("-")
    if readable and not "a" <= readable[0] <= "z":
        readable = "x-" + readable[: room - 2]
    return readable or "x"
