"""The one place where a person's name becomes the name of a pod, a volume, a prefix or a folder.

`slug` gives the same result as `kubespawner.slugs.safe_slug` (a test compares them), so that
names agree between the spawner, the versions service and the machine, without importing kubespawner.
"""

import hashlib
import re

_DNS_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_UNSAFE_RUN = re.compile(r"[^a-z0-9]+")
_HASH_LENGTH = 8
_SLUG_LENGTH = 32


def slug(name: str) -> str:
    """A DNS label (RFC 1123, starting with a letter) for any text; different texts give different slugs.

    A name that is a valid label already, and has no `--`, is kept.
    Every other one becomes `<readable part>---<first 8 hex digits of its SHA-256>`, 32 characters at most;
    the `---` keeps hashed names apart from kept ones and from `user--server` templates.
    """
    if "--" not in name and _DNS_LABEL.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:_HASH_LENGTH]
    room = _SLUG_LENGTH - _HASH_LENGTH - len("---")
    readable = _UNSAFE_RUN.sub("-", name.lower()).lstrip("-")[:room].rstrip("-")
    if readable and not "a" <= readable[0] <= "z":
        readable = "x-" + readable[: room - 2]
    return f"{readable or 'x'}---{digest}"
