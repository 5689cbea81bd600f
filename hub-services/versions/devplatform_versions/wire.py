"""The JSON of the API (API.md): versions and requests as text, and back. What a client sends is checked here."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path

from .history import Group, History
from .model import Change, FolderEntry, Origin, UploadGrant, UploadRequest, Version, Visit
from .renames import Rename

_DECIMAL = re.compile(r"[0-9]{1,19}", re.ASCII)
_MAX_GENERATION = 2**63 - 1
_UPLOAD_ORIGINS = {Origin.CAPTURE.value: Origin.CAPTURE, Origin.UPLOAD.value: Origin.UPLOAD}


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC, with `Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def version_json(version: Version) -> dict[str, Any]:
    """One version. Generations are decimal strings, because a JavaScript number cannot hold them."""
    return {
        "path": version.path,
        "generation": str(version.generation),
        "size": version.size,
        "sha256": version.sha256,
        "created": time_text(version.created),
        "author": version.author,
        "origin": version.origin.value,
        "live": version.live,
        "tombstone": version.tombstone,
        "noncurrent_since": time_text(version.noncurrent_since) if version.noncurrent_since else None,
        "mtime": time_text(version.mtime) if version.mtime else None,
        "storage_class": version.storage_class,
        "restored_from": str(version.restored_from) if version.restored_from is not None else None,
    }


def entry_json(entry: FolderEntry) -> dict[str, Any]:
    """One row of a folder."""
    return {
        "name": entry.name,
        "kind": "folder" if entry.is_folder else "file",
        "deleted": entry.deleted,
        "versions": entry.versions,
        "newest": version_json(entry.newest) if entry.newest else None,
    }


def notes_json(history: History, newer: Version | None, renames: Mapping[int, Rename]) -> list[dict[str, Any]]:
    """What there is to say of versions of a page, newest first; `newer` is the last one of the page before."""
    notes: dict[int, dict[str, Any]] = {row.version.generation: {"hidden": row.reason} for row in history.hidden}
    for group in history.items:
        head = (group.head or newer) if isinstance(group, Group) else None
        if isinstance(group, Group) and head is not None:
            notes.update({row.version.generation: {"burst": str(head.generation)} for row in group.rows})
    for generation, rename in renames.items():
        other = {"path": rename.path, "generation": str(rename.generation)}
        notes.setdefault(generation, {})["renamed_from" if rename.came_from else "renamed_to"] = other
    return [{"generation": str(generation), **notes[generation]} for generation in sorted(notes, reverse=True)]


def parse_renames(notes: Iterable[Mapping[str, Any]]) -> dict[int, Rename]:
    """The renames among the notes of a file's versions, by generation."""
    renames: dict[int, Rename] = {}
    for note in notes:
        for key in ("renamed_from", "renamed_to"):
            if other := note.get(key):
                rename = Rename(other["path"], int(other["generation"]), came_from=key == "renamed_from")
                renames[int(note["generation"])] = rename
    return renames


def change_json(change: Change) -> dict[str, Any]:
    """One event of an owner's stream."""
    return {"cursor": str(change.cursor), "version": version_json(change.version)}


def visit_json(visit: Visit) -> dict[str, Any]:
    """An administrator's visit, for the owner; `ended` is null while it may go on."""
    return {
        "id": visit.id,
        "by": visit.actor,
        "reason": visit.reason,
        "opened": time_text(visit.opened),
        "until": time_text(visit.until),
        "ended": time_text(visit.ended) if visit.ended else None,
        "dismissed": visit.dismissed,
    }


def grant_json(grant: UploadGrant) -> dict[str, Any]:
    """Where to put the bytes, with which headers, until when."""
    return {
        "url": grant.url,
        "method": "PUT",
        "headers": dict(grant.headers),
        "expires": time_text(grant.expires) if grant.expires else None,
    }


def parse_generation(value: object, name: str = "generation") -> int:
    """A generation, as the decimal string that the API gives (or a whole number). Raises `PublicError`."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value) and int(value) <= _MAX_GENERATION:
        return int(value)
    raise _invalid(name, 'Send it as the decimal string that this API gave, such as "1710513000000000".')


def parse_time(value: object, name: str) -> datetime:
    """A moment in RFC 3339; one without a zone is refused. Raises `PublicError`."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) and len(value) <= 40 else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _invalid(name, "Send a time with its zone, such as 2026-03-15T14:30:00Z.")


def parse_visit(body: Mapping[str, Any]) -> Visit:
    """A visit from its JSON."""
    return Visit(
        id=str(body["id"]),
        actor=str(body["by"]),
        reason=str(body["reason"]),
        opened=parse_time(body["opened"], "opened"),
        until=parse_time(body["until"], "until"),
        ended=parse_time(body["ended"], "ended") if body.get("ended") else None,
        dismissed=bool(body.get("dismissed")),
    )


def parse_size(value: object) -> int:
    """A number of bytes. Raises `PublicError`."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_GENERATION:
        return value
    raise _invalid("size", "Send the number of bytes.")


def parse_item_path(item: object) -> str:
    """The checked `path` of an item of a batch. Raises `PublicError`."""
    path = item.get("path") if isinstance(item, Mapping) else None
    if not isinstance(path, str):
        raise _invalid("path", 'Send {"path": "folder/file"}.')
    return parse_path(path)


def parse_precondition(item: Mapping[str, Any]) -> int | None:
    """`if_generation_match` of an item: None when it is absent or null."""
    value = item.get("if_generation_match")
    return None if value is None else parse_generation(value, "if_generation_match")


def parse_upload(item: object) -> UploadRequest:
    """One item of `POST uploads`. Raises `PublicError`."""
    path = parse_item_path(item)
    assert isinstance(item, Mapping)  # noqa: S101 - parse_item_path refused everything else
    sha256 = item.get("sha256")
    if not isinstance(sha256, str):
        raise _invalid("sha256", "Send the SHA-256 of the bytes as 64 lower-case hexadecimal digits.")
    origin = item.get("origin", Origin.CAPTURE.value)
    if not isinstance(origin, str) or origin not in _UPLOAD_ORIGINS:
        raise _invalid("origin", "Send capture or upload, or leave it out.")
    mtime = item.get("mtime")
    return UploadRequest(
        path=path,
        size=parse_size(item.get("size")),
        sha256=sha256,
        mtime=None if mtime is None else parse_time(mtime, "mtime"),
        if_generation_match=parse_precondition(item),
        origin=_UPLOAD_ORIGINS[origin],
    )


def parse_items(body: Mapping[str, Any], most: int) -> list[Any]:
    """The items of a batch. Raises `PublicError`."""
    items = body.get("items")
    if not isinstance(items, list):
        raise _invalid("items", 'Send {"items": [{"path": ...}]}.')
    if len(items) > most:
        raise PublicError(
            f"{len(items)} items are too many at once.", code="too-many-items", hint=f"Send at most {most}."
        )
    return items


def _invalid(name: str, hint: str) -> PublicError:
    return PublicError(f"The value of {name} is not valid.", code="value-invalid", hint=hint)
