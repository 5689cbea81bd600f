"""Field masks: `items(name,metadata/gcsfuse_mtime),nextPageToken`."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeAlias

from .errors import ApiError

Mask: TypeAlias = dict[str, "Mask | None"]
"""Names that are wanted; None below one: all of it."""

_TOKEN = re.compile(r"[A-Za-z0-9_*.-]+|[(),/]")


@lru_cache(maxsize=256)
def parsed(text: str) -> Mask | None:
    """The mask, or None for everything. Raises ApiError (400)."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise _refused(text)
    mask = _names(tokens, text)
    if tokens:
        raise _refused(text)
    return None if "*" in mask else mask


def applied(value: Any, mask: Mask | None) -> Any:
    """The parts of a JSON value that the mask names; in lists, of every entry."""
    if mask is None or "*" in mask:
        return value
    if isinstance(value, list):
        return [applied(entry, mask) for entry in value]
    if not isinstance(value, dict):
        return value
    return {name: applied(value[name], below) for name, below in mask.items() if name in value}


def known(mask: Mask | None, names: Iterable[str]) -> None:
    """Raises ApiError (400) for a name that the answer can never have: a slip of the pen shows in a test."""
    unknown = set(mask or ()) - set(names) - {"*"}
    if unknown:
        raise _refused(sorted(unknown)[0])


def _names(tokens: list[str], text: str) -> Mask:
    mask: Mask = {}
    while True:
        if not tokens or tokens[0] in "(),/":
            raise _refused(text)
        path = [tokens.pop(0)]
        while tokens and tokens[0] == "/":
            tokens.pop(0)
            if not tokens or tokens[0] in "(),/":
                raise _refused(text)
            path.append(tokens.pop(0))
        below: Mask | None = None
        if tokens and tokens[0] == "(":
            tokens.pop(0)
            below = _names(tokens, text)
            if not tokens or tokens.pop(0) != ")":
                raise _refused(text)
        _add(mask, path, below)
        if not tokens or tokens[0] != ",":
            return mask
        tokens.pop(0)


def _add(mask: Mask, path: list[str], below: Mask | None) -> None:
    first, *rest = path
    if rest:
        inner = mask.setdefault(first, {})
        if inner is not None:
            _add(inner, rest, below)
    elif below is None or mask.get(first, {}) is None:
        mask[first] = None
    else:
        mask[first] = (mask.get(first) or {}) | below


def _refused(text: str) -> ApiError:
    return ApiError(400, "invalidParameter", f"Invalid field selection {text}", location="fields")
