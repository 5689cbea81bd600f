"""Reading the audit back: pages of events, newest first, and events as they are written.

A page costs what is between its first and its last event, and no more than `max_bytes`; memory is that of the events
found. A cursor stays right while lines are added and files are rotated, by renaming them or by copies. Reading blocks:
a server reads in a thread.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..core.errors import PublicError
from .audit_files import AuditFile, open_newest_first
from .audit_query import Event, Query

MAX_BYTES = 16 * 2**20
_CLOCKS_DIFFER = timedelta(minutes=10)
"""Lines may be so much out of order: several processes write them, and a clock may be set."""
_TIME = b'{"time": "'
_PLACE = re.compile(rb"1\.([0-9a-f]{16})\.([0-9a-f]{1,15})")
_TO_THE_SECOND = len("2026-11-25T14:30:00")


@dataclass(slots=True)
class Page:
    """Events, newest first. `cursor` leads to what is older; it is empty when there is no more.

    A page may have no events and a cursor: nothing was found in the bytes that it read. `unreadable` counts lines
    that were looked at and are no event: torn ones, too long ones, and what is no JSON.
    """

    events: list[Event] = field(default_factory=list)
    cursor: str = ""
    unreadable: int = 0
    bytes_read: int = 0


def read_page(path: Path, query: Query, *, limit: int = 100, cursor: str = "", max_bytes: int = MAX_BYTES) -> Page:
    """The newest events that `query` asks for; with the `cursor` of a page, those after that page.

    Raises `PublicError` (`cursor-invalid`) for a cursor that no page had, and `OSError`.
    """
    page, search = Page(), _Search(query)
    since, start = query.since, _position(cursor) if cursor else None
    for file in open_newest_first(path):
        with closing(file):
            if start and file.name != start[0]:
                continue  # newer than that page
            position = min(start[1], file.size) if start else file.size
            start = None
            if since and file.changed < since.timestamp():
                return page
            for line in file.lines_before(position):
                if search.is_over(line.text):
                    return page
                search.look(line.text, page)
                page.bytes_read += position - line.start
                position = line.start
                if len(page.events) >= limit or page.bytes_read >= max_bytes:
                    page.cursor = _cursor(file, position)
                    return page
    return page


class _Search:
    """One query, prepared to be asked of a million lines: only those that may match are parsed."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._needles = query.needles()
        self._before = _stamp(query.since - _CLOCKS_DIFFER) if query.since else b""
        self._after = _stamp(query.until + timedelta(seconds=1)) if query.until else b""

    def is_over(self, text: bytes) -> bool:
        """Whether this line is so old that no line before it can match."""
        return bool(self._before) and text.startswith(_TIME) and _time_in(text) < self._before

    def look(self, text: bytes, page: Page) -> None:
        """Put the event of this line onto the page, if it is asked for."""
        if not text.startswith(b"{") or not text.endswith(b"}"):
            page.unreadable += 1
            return
        if self._after and text.startswith(_TIME) and _time_in(text) > self._after:
            return
        for needle in self._needles:
            if needle not in text:
                return
        event = parse_event(text)
        if event is None:
            page.unreadable += 1
        elif self._query.matches(event):
            page.events.append(event)


class Follower:
    """The events that are written from now on, oldest first, through rotations."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _first(path)
        self._position = self._file.size if self._file else 0
        self._late: tuple[AuditFile, int] | None = None

    @property
    def cursor(self) -> str:
        """Of the page with the newest events that are not told here; empty where there is no file yet."""
        return _cursor(self._file, self._position) if self._file else ""

    def poll(self) -> list[Event]:
        """What was written since the last time. Raises `OSError`."""
        events: list[Event] = []
        if self._late:  # somebody may have had it open still when it was rotated
            file, position = self._late
            events += self._read(file, position)[0]
            file.close()
            self._late = None
        if self._file:
            found, self._position = self._read(self._file, self._position)
            events += found
        for file in self._newer():
            if self._late:
                self._late[0].close()
            self._late = (self._file, self._position) if self._file else None
            self._file = file
            found, self._position = self._read(file, 0)
            events += found
        return events

    def close(self) -> None:
        """Once nobody follows any more."""
        for file in (self._file, self._late[0] if self._late else None):
            if file:
                file.close()
        self._file = self._late = None

    def _newer(self) -> list[AuditFile]:
        newer: list[AuditFile] = []
        for file in open_newest_first(self._path):
            if self._file and file.name == self._file.name:
                file.close()
                return newer[::-1]
            newer.append(file)
        if self._file is None:  # there was none when this began: all are new
            return newer[::-1]
        for file in newer:  # somebody deleted ours: these may be older
            file.close()
        new = AuditFile.open(self._path)
        return [new] if new else []

    @staticmethod
    def _read(file: AuditFile, position: int) -> tuple[list[Event], int]:
        events = []
        for line in file.lines_after(position):
            position = line.start + len(line.text) + 1
            event = parse_event(line.text)
            if event is not None:
                events.append(event)
        return events, position


def pages(path: Path, query: Query, *, limit: int, cursor: str = "") -> Iterator[Page]:
    """Pages until there are `limit` events or no more files, each after bounded work."""
    found = 0
    while True:
        page = read_page(path, query, limit=limit - found, cursor=cursor)
        found, cursor = found + len(page.events), page.cursor
        yield page
        if not cursor or found >= limit:
            return


def parse_event(text: bytes) -> Event | None:
    """The event of a line; None for what is none."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _first(path: Path) -> AuditFile | None:
    files = open_newest_first(path)
    return next(files, None)


def _stamp(at: datetime) -> bytes:
    return at.astimezone(UTC).isoformat()[:_TO_THE_SECOND].encode()


def _time_in(text: bytes) -> bytes:
    return text[len(_TIME) : len(_TIME) + _TO_THE_SECOND]


def _cursor(file: AuditFile, position: int) -> str:
    return base64.urlsafe_b64encode(f"1.{file.name}.{position:x}".encode()).decode().rstrip("=")


def _position(cursor: str) -> tuple[str, int]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        text = b""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise PublicError("This is no place in the audit.", code="cursor-invalid", hint="Start again without it.")
    return found[1].decode(), int(found[2], 16)
