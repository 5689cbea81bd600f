"""Where the next page of a listing starts, as an opaque token. It says a place, never whose listing it is."""

import base64
import binascii
import json
from typing import Any

from .ports import TokenInvalid

_MAX_TOKEN = 8192


def token_of(kind: str, *place: str | int) -> str:
    """The token of the page after `place`."""
    text = json.dumps([kind, *place], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after(kind: str, token: str | None, types: tuple[type, ...]) -> tuple[Any, ...] | None:
    """The place in a token of this kind of listing; None for the first page. `TokenInvalid` for anything else."""
    if token is None:
        return None
    try:
        if len(token) > _MAX_TOKEN:
            raise TokenInvalid
        place = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise TokenInvalid from None
    if not isinstance(place, list) or place[:1] != [kind] or tuple(map(type, place[1:])) != types:
        raise TokenInvalid
    if any(type(part) is int and not 0 <= part < 2**63 for part in place[1:]):
        raise TokenInvalid
    if any(type(part) is str and not _is_text(part) for part in place[1:]):
        raise TokenInvalid
    return tuple(place[1:])


def _is_text(part: str) -> bool:
    try:
        part.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold and SQLite cannot
        return False
    return True
