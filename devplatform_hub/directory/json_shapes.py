"""What an answer has to look like. One that does not is an outage: half an answer would take somebody's access."""

from collections.abc import Mapping
from typing import Any

from ..ports import DirectoryUnavailable


class MalformedAnswer(DirectoryUnavailable):
    """The directory answered something that its own description does not allow."""


def as_object(value: object, where: str) -> Mapping[str, Any]:
    """`value` as a JSON object."""
    if not isinstance(value, dict):
        raise MalformedAnswer(f"{where} is {_kind(value)} where an object belongs")
    return value


def as_list(value: object, where: str) -> list[Any]:
    """`value` as a JSON list."""
    if not isinstance(value, list):
        raise MalformedAnswer(f"{where} is {_kind(value)} where a list belongs")
    return value


def text_of(holder: object, key: str, where: str) -> str:
    """The text under `key`; it has to be there, and not empty."""
    value = as_object(holder, where).get(key)
    if not isinstance(value, str) or not value:
        raise MalformedAnswer(f"{where} has {_kind(value) if value != '' else 'an empty text'} as {key}")
    return value


def flag_of(holder: object, key: str, where: str, *, default: bool | None = None) -> bool:
    """The truth value under `key`; `default` where the directory may leave it out."""
    value = as_object(holder, where).get(key, default)
    if not isinstance(value, bool):
        raise MalformedAnswer(f"{where} has {_kind(value)} as {key} where true or false belongs")
    return value


class Pages:
    """A guard for answers that come in pages: it ends those that never end."""

    def __init__(self, where: str, at_most: int = 1000) -> None:
        self._where, self._left = where, at_most
        self._seen: set[str] = set()

    def next(self, token: object) -> str | None:
        """The token of the next page, None after the last. Raises `MalformedAnswer` when a page comes again."""
        if token is None or token == "":
            return None
        if not isinstance(token, str):
            raise MalformedAnswer(f"{self._where} names {_kind(token)} as its next page")
        if token in self._seen:
            raise MalformedAnswer(f"{self._where} names the same next page twice")
        self._seen.add(token)
        self._left -= 1
        if self._left <= 0:
            raise MalformedAnswer(f"{self._where} has more than {len(self._seen)} pages")
        return token


def _kind(value: object) -> str:
    kinds = {type(None): "nothing", str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    return kinds.get(type(value), "a list" if isinstance(value, list) else "an object")
