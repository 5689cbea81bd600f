"""What the API (API.md) answers, back as values: the client's half of `wire`. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .model import FolderEntry, Origin, Version
from .wire import parse_time


def parse_version(body: Mapping[str, Any]) -> Version:
    """A version from its JSON."""
    return Version(
        path=body["path"],
        generation=int(body["generation"]),
        size=int(body["size"] or 0),
        sha256=body["sha256"] or "",
        created=parse_time(body["created"], "created"),
        author=body["author"],
        origin=Origin(body["origin"]),
        noncurrent_since=_time(body.get("noncurrent_since"), "noncurrent_since"),
        tombstone=bool(body["tombstone"]),
        mtime=_time(body.get("mtime"), "mtime"),
        storage_class=body.get("storage_class") or "STANDARD",
        restored_from=int(body["restored_from"]) if body.get("restored_from") else None,
    )


def parse_entry(body: Mapping[str, Any]) -> FolderEntry:
    """A row of a folder from its JSON."""
    newest = body.get("newest")
    return FolderEntry(
        body["name"], body["kind"] == "folder", parse_version(newest) if newest else None, int(body["versions"] or 0)
    )


def _time(value: str | None, name: str) -> datetime | None:
    return parse_time(value, name) if value else None
