"""HTTP conditional and range requests (RFC 9110, sections 13 and 14), for one representation. Pure."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"bytes=\s*(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))\s*", re.ASCII | re.IGNORECASE)


class RangeNotSatisfiable(ValueError):
    """No byte of the representation is in the range: 416."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, end) of something that has `size` of them."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of the header `Content-Range`."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The range that a `Range` header asks for, or None for the whole (no header, several ranges, or nonsense).

    A server may ignore a header that it does not understand; a well-formed range outside raises
    `RangeNotSatisfiable`.
    """
    match = _ONE_RANGE.fullmatch(header) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise RangeNotSatisfiable
        return ByteRange(max(0, size - int(suffix)), size, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable
    return ByteRange(start, min(int(last) + 1, size) if last else size, size)


def etag_matches(header: str | None, etag: str) -> bool:
    """Whether `If-None-Match` names this entity tag (given with its quotes), by the weak comparison of RFC 9110."""
    if not header:
        return False
    if header.strip() == "*":
        return True
    return any(candidate.strip().removeprefix("W/") == etag for candidate in header.split(","))
