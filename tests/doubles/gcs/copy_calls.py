"""The JSON API's methods that make objects of objects: copy, rewrite, compose, move, restore."""

import secrets
from collections.abc import Mapping
from typing import Any

from .calls import Answer, Call, Route, json_answer
from .desk import Desk
from .errors import invalid
from .metadata import class_of, details_of
from .object_calls import answer_object
from .preconditions import Preconditions, number, of_query
from .resources import Shown, shown
from .sessions import Rewrite
from .store import Place

_MEBIBYTE = 1 << 20


def copy(desk: Desk, call: Call, *names: str) -> Answer:
    """objects.copy."""
    source, to = _places(desk, call, *names)
    given = call.json()
    one = desk.store.copy(source, to, _details(given, to), class_of(given))
    return answer_object(call, to.bucket, to.name, one)


def rewrite(desk: Desk, call: Call, *names: str) -> Answer:
    """objects.rewrite: in one call, or in as many as the double's `rewrite_chunk` or the caller makes of it."""
    source, to = _places(desk, call, *names)
    given = call.json()
    origin = desk.store.get(source)
    step = number(call.query, "maxBytesRewrittenPerCall")
    if step is not None and (step == 0 or step % _MEBIBYTE):
        raise invalid("maxBytesRewrittenPerCall must be a multiple of 1 MiB.", "maxBytesRewrittenPerCall")
    asked = (*names, str(source.generation))
    token, position = call.query.get("rewriteToken"), 0
    if token is not None:
        going = desk.rewrites.pop(token, None)
        if going is None or going.asked != asked or going.generation != origin.number:
            raise invalid("Invalid rewriteToken", "rewriteToken")
        position = going.position
    limits = [limit for limit in (step, desk.rewrite_chunk) if limit is not None]
    position = min([origin.size, *(position + limit for limit in limits)])
    answer: dict[str, Any] = {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(position),
        "objectSize": str(origin.size),
        "done": position >= origin.size,
    }
    if position < origin.size:
        to.must.check(to.bucket.live(to.name))
        answer["rewriteToken"] = secrets.token_urlsafe(24)
        desk.rewrites[answer["rewriteToken"]] = Rewrite(asked, origin.number, position)
    else:
        one = desk.store.copy(source, to, _details(given, to), class_of(given))
        answer["resource"] = shown(Shown(call.base, to.bucket.name, to.name, one), None)
    return json_answer(answer, call.mask)


def compose(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """objects.compose."""
    bucket = desk.store.bucket(bucket_name)
    desk.allow(call, "storage.objects.create", bucket, name)
    given = call.json()
    sources = []
    for entry in given.get("sourceObjects") or []:
        desk.allow(call, "storage.objects.get", bucket, entry["name"])
        generation = number({"generation": str(entry.get("generation") or 0)}, "generation")
        wanted = (entry.get("objectPreconditions") or {}).get("ifGenerationMatch")
        must = Preconditions(generation=None if wanted is None else int(wanted), of="Source")
        sources.append(Place(bucket, entry["name"], generation, must))
    to = Place(bucket, name, None, of_query(call.query))
    if bucket.live(name):
        desk.allow(call, "storage.objects.delete", bucket, name)
    described = given.get("destination") or {}
    one = desk.store.compose(sources, to, details_of(described, bucket), class_of(described))
    return answer_object(call, bucket, name, one)


def move(desk: Desk, call: Call, bucket_name: str, source_name: str, name: str) -> Answer:
    """objects.move."""
    bucket = desk.store.bucket(bucket_name)
    source, to = _pair(desk, call, (bucket_name, source_name), (bucket_name, name), "storage.objects.move")
    return answer_object(call, bucket, name, desk.store.move(source, to))


def restore(desk: Desk, call: Call, bucket_name: str, name: str) -> Answer:
    """objects.restore."""
    bucket = desk.store.bucket(bucket_name)
    desk.allow(call, "storage.objects.restore", bucket, name)
    desk.allow(call, "storage.objects.create", bucket, name)
    if bucket.live(name):
        desk.allow(call, "storage.objects.delete", bucket, name)
    generation = number(call.query, "generation")
    if generation is None:
        raise invalid("Required parameter: generation", "generation")
    one = desk.store.restore(Place(bucket, name, generation, of_query(call.query)))
    return answer_object(call, bucket, name, one)


def _places(desk: Desk, call: Call, source_bucket: str, source: str, bucket: str, name: str) -> tuple[Place, Place]:
    return _pair(desk, call, (source_bucket, source), (bucket, name))


def _pair(
    desk: Desk, call: Call, source: tuple[str, str], to: tuple[str, str], needed: str = "storage.objects.get"
) -> tuple[Place, Place]:
    """Both ends of a copy or a move, when the caller has what is needed for the one and may write the other."""
    origin, target = desk.store.bucket(source[0]), desk.store.bucket(to[0])
    desk.allow(call, needed, origin, source[1])
    desk.allow(call, "storage.objects.create", target, to[1])
    if target.live(to[1]):
        desk.allow(call, "storage.objects.delete", target, to[1])
    generation = number(call.query, "sourceGeneration")
    return (
        Place(origin, source[1], generation, of_query(call.query, "Source")),
        Place(target, to[1], None, of_query(call.query)),
    )


def _details(given: Mapping[str, Any], to: Place) -> dict[str, Any] | None:
    """Metadata for the copy, or None: the source's. Naming only a storage class is not metadata."""
    described = {name: value for name, value in given.items() if name != "storageClass"}
    return details_of(described, to.bucket) if described else None


ROUTES = [
    Route("POST", "b/{}/o/{}/copyTo/b/{}/o/{}", "storage.objects.copy", "A", copy),
    Route("POST", "b/{}/o/{}/rewriteTo/b/{}/o/{}", "storage.objects.rewrite", "A", rewrite),
    Route("POST", "b/{}/o/{}/compose", "storage.objects.compose", "A", compose),
    Route("POST", "b/{}/o/{}/moveTo/o/{}", "storage.objects.move", "A", move),
    Route("POST", "b/{}/o/{}/restore", "storage.objects.restore", "A", restore),
]
