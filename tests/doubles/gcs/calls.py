"""A request and its answer, apart from aiohttp: so that a batch can hold several, and every handler is one step."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

from . import shapes
from .errors import ApiError, invalid
from .fields import Mask, applied, parsed


@dataclass(slots=True)
class Call:
    """`segments` are the decoded parts of the path, `api` those below the root of the API; `raw` is all as it came.

    `whole` is False where the connection ended before the body did. `touched` collects the objects
    ("bucket/object") and listed prefixes ("bucket/prefix*") that the call asks for, before it is known whether
    it may.
    """

    method: str
    raw: str
    segments: list[str]
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    base: str = ""
    member: str | None = None
    whole: bool = True
    touched: list[str] = field(default_factory=list)
    api: list[str] = field(default_factory=list)
    page_limit: int | None = None

    @property
    def mask(self) -> Mask | None:
        """The parameter `fields`. Raises ApiError (400)."""
        return parsed(self.query["fields"]) if self.query.get("fields") else None

    @property
    def repeated(self) -> dict[str, list[str]]:
        """Parameters that may come several times."""
        return parse_qs(self.raw.partition("?")[2])

    @property
    def form(self) -> dict[str, str]:
        """The body of an HTML form."""
        return query_of(self.body.decode(errors="replace"))

    def flag(self, name: str) -> bool:
        """A boolean parameter; google-cloud-storage writes True, others true."""
        return self.query.get(name, "").lower() in ("true", "1")

    def json(self) -> dict[str, Any]:
        """The body. Raises ApiError (400)."""
        return json_object(self.body)


@dataclass(slots=True)
class Answer:
    """What goes back."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[..., Answer]


def json_object(text: bytes) -> dict[str, Any]:
    """Raises ApiError (400) for what is not a JSON object."""
    try:
        value = json.loads(text or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(400, "parseError", "Parse Error")
    shapes.check(value)
    return value


def json_answer(value: Any, mask: Mask | None = None, status: int = 200) -> Answer:
    """A JSON answer, cut to the mask."""
    body = json.dumps(applied(value, mask), ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, {"Content-Type": "application/json; charset=UTF-8"})


def refusal(error: ApiError, is_xml: bool) -> Answer:
    """The answer to a call that was refused."""
    if error.status == 304:
        return Answer(304)
    if is_xml:
        return Answer(error.status, error.xml().encode(), {"Content-Type": "application/xml; charset=UTF-8"})
    return json_answer(error.json(), status=error.status)


def query_of(text: str) -> dict[str, str]:
    """The parameters of a query; the last of the same name counts."""
    return dict(parse_qsl(text, keep_blank_values=True, errors="strict"))


def segments_of(path: str) -> list[str]:
    """The decoded parts of a path: a quoted slash belongs to its part. Raises ApiError (400)."""
    try:
        return [unquote(part, errors="strict") for part in path.strip("/").split("/")]
    except UnicodeDecodeError:
        raise invalid("The path is not UTF-8.", code="InvalidURI") from None


@dataclass(frozen=True, slots=True)
class Route:
    """A method of the API: `{}` in the pattern takes one part; `price` is its class of operation."""

    method: str
    pattern: str
    name: str
    price: str
    handler: Handler


class Routes:
    """Routes, found by the shape of a path."""

    def __init__(self, routes: list[Route]) -> None:
        self._shapes: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in routes:
            parts = route.pattern.split("/")
            self._shapes.setdefault((route.method, len(parts)), []).append((parts, route))

    def find(self, method: str, segments: list[str]) -> tuple[Route, list[str]] | None:
        """The route, and what its pattern's places hold."""
        for parts, route in self._shapes.get((method, len(segments)), ()):
            if all(part in ("{}", given) for part, given in zip(parts, segments, strict=True)):
                return route, [given for part, given in zip(parts, segments, strict=True) if part == "{}"]
        return None
