"""Who looked into whose versions, as small objects without content: a visit is the metadata of one.

A visit is written once and changed by PATCH with a precondition, so that an end and a dismissal at the same time are
both kept. The order is that of the generations, which a PATCH leaves alone.
"""

import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..model import Visit
from ..ports import VISITS_KEPT, StoreUnavailable
from .api import GcsApi
from .history import micros, moment_of
from .names import visit_object, visits_prefix
from .walks import Resource, Wanted, pages

_KEY = "devplatform-visit"
_TRIES = 8


async def add(api: GcsApi, owner: str, visit: Visit) -> None:
    """Keep a visit, and let go of the oldest when there are too many. Raises `StoreUnavailable`."""
    made = await api.insert(visit_object(owner, visit.id), _metadata(visit), ifGenerationMatch="0", fields="generation")
    if made.status not in (200, 412):  # 412: by a call whose answer was lost
        raise StoreUnavailable(f"Cloud Storage refuses to keep a visit (status {made.status})")
    for old in (await _resources(api, owner))[VISITS_KEPT:]:
        await api.delete(str(old["name"]), ifGenerationMatch=str(old["generation"]))


async def change(api: GcsApi, owner: str, visit_id: str, *, ended: datetime | None, dismissed: bool) -> bool:
    """Note the end of a visit, or that its notice was put away; whether this owner has it."""
    name = visit_object(owner, visit_id)
    for _ in range(_TRIES):
        there = await api.get(name, fields="metageneration,metadata")
        if there.status != 200:
            return False
        known = _visit(there.body)
        wanted = replace(known, ended=known.ended or ended, dismissed=known.dismissed or dismissed)
        match = str(there.body["metageneration"])
        answer = await api.patch(
            name, {"metadata": _metadata(wanted)}, ifMetagenerationMatch=match, fields="generation"
        )
        if answer.status == 200:
            return True
    raise StoreUnavailable("a visit is changed by too many at once")


async def kept_of(api: GcsApi, owner: str) -> tuple[Visit, ...]:
    """The visits of an owner, newest first."""
    return tuple(_visit(resource) for resource in await _resources(api, owner))


async def _resources(api: GcsApi, owner: str) -> list[Resource]:
    found: list[Resource] = []
    async with aclosing(pages(api, Wanted(visits_prefix(owner)))) as listing:
        async for items, _, _ in listing:
            found += [item for item in items if _KEY in (item.get("metadata") or {})]
    return sorted(found, key=lambda item: int(item["generation"]), reverse=True)


def _metadata(visit: Visit) -> dict[str, str]:
    told = {
        "id": visit.id,
        "actor": visit.actor,
        "reason": visit.reason,
        "opened": micros(visit.opened),
        "until": micros(visit.until),
        "ended": None if visit.ended is None else micros(visit.ended),
        "dismissed": visit.dismissed,
    }
    return {_KEY: json.dumps(told, separators=(",", ":"))}


def _visit(resource: Mapping[str, Any]) -> Visit:
    told = json.loads(resource["metadata"][_KEY])
    return Visit(
        id=told["id"],
        actor=told["actor"],
        reason=told["reason"],
        opened=moment_of(told["opened"]),
        until=moment_of(told["until"]),
        ended=None if told["ended"] is None else moment_of(told["ended"]),
        dismissed=told["dismissed"],
    )
