"""Listing a bucket: names in the order of their bytes, the generations of one name oldest first, in pages."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from .bucket import Bucket, SoftDeleted
from .errors import invalid
from .generations import Generation
from .globs import compiled

Item: TypeAlias = tuple[str, Generation, SoftDeleted | None]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, as the parameters of objects.list."""

    prefix: str = ""
    delimiter: str = ""
    trailing: bool = False
    versions: bool = False
    soft: bool = False
    start: str = ""
    end: str = ""
    glob: str = ""
    token: str = ""
    size: int = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Generations and folders of one page; `token` leads to the next."""

    items: list[Item]
    prefixes: list[str]
    token: str | None


def page(bucket: Bucket, query: Query) -> Page:
    """At most `size` items and prefixes together. Raises ApiError (400) for a token that was never given."""
    items: list[Item] = []
    prefixes: list[str] = []
    last = _position(query.token)
    for name, generation, soft in _entries(bucket, query, last):
        if len(items) + len(prefixes) == query.size:
            return Page(items, prefixes, _token(*last))
        if generation is None:
            prefixes.append(name)
            last = (name, -1)
        else:
            items.append((name, generation, soft))
            last = (name, generation.number)
    return Page(items, prefixes, None)


def _entries(
    bucket: Bucket, query: Query, after: tuple[str, int]
) -> Iterator[tuple[str, Generation | None, SoftDeleted | None]]:
    """Items, and folders as names without a generation, from the position on."""
    names = sorted(bucket.soft) if query.soft else bucket.names
    seen, above = after
    begin = max(query.prefix, query.start, _successor(seen) if above < 0 else seen)
    place = bisect_left(names, begin)
    pattern = compiled(query.glob) if query.glob else None
    while place < len(names):
        name = names[place]
        if not name.startswith(query.prefix) or (query.end and name >= query.end):
            return
        place += 1
        found = list(_of(bucket, name, query))
        if not found:
            continue
        cut = name.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        folder = name[: cut + len(query.delimiter)] if cut >= 0 else ""
        is_item = not folder or (query.trailing and name == folder)
        if is_item and (pattern is None or pattern.fullmatch(name)):
            for generation, soft in found:
                if name != seen or above < 0 or generation.number > above:
                    yield name, generation, soft
        if folder:
            if pattern is None or pattern.fullmatch(folder):
                yield folder, None, None
            # Straight to what comes behind the folder, however much is in it.
            place = bisect_left(names, _successor(folder), place)


def _of(bucket: Bucket, name: str, query: Query) -> Iterator[tuple[Generation, SoftDeleted | None]]:
    if query.soft:
        for soft in sorted(bucket.soft[name], key=lambda one: one.generation.number):
            yield soft.generation, soft
    elif query.versions:
        for generation in bucket.versions[name]:
            yield generation, None
    elif live := bucket.live(name):
        yield live, None


def _successor(text: str) -> str:
    """The first string behind everything that begins with this one."""
    while text:
        last = ord(text[-1])
        if last < 0x10FFFF:
            # Past the surrogates, which are in no name.
            return text[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        text = text[:-1]
    return chr(0x10FFFF) * 1025


def _token(name: str, number: int) -> str:
    return urlsafe_b64encode(json.dumps([name, number]).encode()).decode()


def _position(token: str) -> tuple[str, int]:
    """The entry that was given last: a name and its generation, or a folder and -1."""
    if not token:
        return "", 0
    try:
        name, number = json.loads(urlsafe_b64decode(token.encode()))
        return str(name), int(number)
    except (ValueError, TypeError):
        raise invalid("Invalid pageToken", "pageToken") from None
