"""Every method of the double's JSON API with every precondition: 412, 304, and nothing changed by a refused call."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from requests import Response

from .gcs_kit import BUCKET, Gcs, path_of

UPLOAD = "/upload/storage/v1"
Do = Callable[[Gcs, dict[str, str]], Response]


def _post(path: str, body: Any = None, root: str = "/storage/v1") -> Do:
    return lambda gcs, query: gcs.call("POST", path, root=root, params=query, json={} if body is None else body)


def _insert(gcs: Gcs, query: dict[str, str]) -> Response:
    return gcs.call(
        "POST", f"/b/{BUCKET}/o", root=UPLOAD, params={"uploadType": "media", "name": "f", **query}, data="x"
    )


def _multipart(gcs: Gcs, query: dict[str, str]) -> Response:
    body = b'--=\r\n\r\n{"name":"f"}\r\n--=\r\nContent-Type: text/plain\r\n\r\nx\r\n--=--'
    kind = {"Content-Type": "multipart/related; boundary=="}
    path = f"/b/{BUCKET}/o"
    return gcs.call("POST", path, root=UPLOAD, params={"uploadType": "multipart", **query}, data=body, headers=kind)


def _resumable(gcs: Gcs, query: dict[str, str]) -> Response:
    path = f"/b/{BUCKET}/o"
    begun = gcs.call("POST", path, root=UPLOAD, params={"uploadType": "resumable", "name": "f", **query}, json={})
    return begun if begun.status_code != 200 else gcs.http.put(begun.headers["Location"], data="x", timeout=10)


def _simple(method: str, body: Any = None, **asked: str) -> Do:
    return lambda gcs, query: gcs.call(method, path_of("f"), params={**query, **asked}, json=body)


READS: dict[str, Do] = {
    "get": _simple("GET"),
    "media": _simple("GET", alt="media"),
}
WRITES: dict[str, Do] = {
    "patch": _simple("PATCH", {"metadata": {"a": "b"}}),
    "update": _simple("PUT", {"metadata": {"a": "b"}}),
    "delete": _simple("DELETE"),
    "insert": _insert,
    "multipart": _multipart,
    "resumable": _resumable,
    "copy": _post(f"{path_of('source')}/copyTo{path_of('f')}"),
    "rewrite": _post(f"{path_of('source')}/rewriteTo{path_of('f')}"),
    "move": _post(f"{path_of('source')}/moveTo/o/f"),
    "compose": _post(f"{path_of('f')}/compose", {"sourceObjects": [{"name": "source"}]}),
}
SOURCES: dict[str, Do] = {name: WRITES[name] for name in ("copy", "rewrite", "move")}


def _cases(of: str) -> list[tuple[str, Callable[[int], int], int]]:
    """Precondition, its value for the generation that there is, and the status; 0 stands for success."""
    return [
        (f"if{of}GenerationMatch", lambda live: live, 0),
        (f"if{of}GenerationMatch", lambda live: live - 1, 412),
        (f"if{of}GenerationMatch", lambda live: 0, 412),
        (f"if{of}GenerationNotMatch", lambda live: live - 1, 0),
        (f"if{of}GenerationNotMatch", lambda live: 0, 0),
        (f"if{of}GenerationNotMatch", lambda live: live, 304),
        (f"if{of}MetagenerationMatch", lambda live: 2, 0),
        (f"if{of}MetagenerationMatch", lambda live: 1, 412),
        (f"if{of}MetagenerationNotMatch", lambda live: 1, 0),
        (f"if{of}MetagenerationNotMatch", lambda live: 2, 304),
        (f"if{of}GenerationMatch", lambda live: -1, 400),
    ]


def _prepared(gcs: Gcs) -> dict[str, int]:
    """Two objects with an old version each and a metageneration of 2; their live generations."""
    live = {}
    for name in ("source", "f"):
        live[name] = gcs.save(name, "old", "new")[1]
        assert gcs.call("PATCH", path_of(name), json={"contentType": "text/plain"}).status_code == 200
    return live


@pytest.mark.parametrize("case", _cases(""), ids=lambda case: f"{case[0]}-{case[2]}")
@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_on_the_target(gcs: Gcs, name: str, case: tuple[str, Callable[[int], int], int]) -> None:
    """A call with a precondition of its target."""
    parameter, value, status = case
    live = _prepared(gcs)
    before = gcs.state()
    answer = (READS | WRITES)[name](gcs, {parameter: str(value(live["f"]))})
    assert answer.status_code == (status or (204 if name == "delete" else 200)), answer.text
    assert (gcs.state() == before) == (bool(status) or name in READS)


@pytest.mark.parametrize("case", _cases("Source"), ids=lambda case: f"{case[0]}-{case[2]}")
@pytest.mark.parametrize("name", list(SOURCES))
def test_on_the_source(gcs: Gcs, name: str, case: tuple[str, Callable[[int], int], int]) -> None:
    """A copy or a move with a precondition of its source."""
    parameter, value, status = case
    live = _prepared(gcs)
    before = gcs.state()
    answer = SOURCES[name](gcs, {parameter: str(value(live["source"]))})
    assert answer.status_code == (status or 200), answer.text
    assert (gcs.state() == before) == bool(status)


@pytest.mark.parametrize("name", ["insert", "multipart", "resumable", "copy", "rewrite", "move", "compose"])
def test_where_there_is_none(gcs: Gcs, name: str) -> None:
    """ifGenerationMatch=0 writes; what wants something of a live one fails: 304 for NotMatch, as the reference says."""
    gcs.save("source", "x")
    gcs.save("f", "x")
    gcs.bucket.delete_blob("f")
    refused = {"ifGenerationMatch": "7", "ifMetagenerationMatch": "1"}
    assert [WRITES[name](gcs, {key: value}).status_code for key, value in refused.items()] == [412, 412]
    refused = {"ifGenerationNotMatch": "7", "ifMetagenerationNotMatch": "7"}
    assert [WRITES[name](gcs, {key: value}).status_code for key, value in refused.items()] == [304, 304]
    assert WRITES[name](gcs, {"ifGenerationMatch": "0"}).status_code == 200
    assert gcs.bucket.get_blob("f") is not None


@pytest.mark.parametrize("name", ["get", "media", "patch", "update", "delete"])
def test_of_a_missing_object(gcs: Gcs, name: str) -> None:
    """404 comes first."""
    assert (READS | WRITES)[name](gcs, {"ifGenerationMatch": "7"}).status_code == 404


def test_of_one_generation(gcs: Gcs) -> None:
    """With `generation`, the preconditions are about that one."""
    old, live = gcs.save("f", "one", "two")
    for match, status in ((old, 200), (live, 412)):
        answer = gcs.call("GET", path_of("f"), params={"generation": str(old), "ifGenerationMatch": str(match)})
        assert answer.status_code == status


def test_a_part_of_a_composition(gcs: Gcs) -> None:
    """Each source can have one."""
    [made] = gcs.save("a", "x")
    for match, status in ((made - 1, 412), (made, 200)):
        source = {"name": "a", "objectPreconditions": {"ifGenerationMatch": str(match)}}
        answer = gcs.call("POST", f"{path_of('b')}/compose", data=json.dumps({"sourceObjects": [source]}))
        assert answer.status_code == status


def test_of_a_bucket(gcs: Gcs) -> None:
    """Buckets have a metageneration, too."""
    now = gcs.call("GET", f"/b/{BUCKET}").json()["metageneration"]
    for match, status in (("99", 412), (now, 200), (now, 412)):
        answer = gcs.call("PATCH", f"/b/{BUCKET}", params={"ifMetagenerationMatch": match}, json={"labels": {"a": "b"}})
        assert answer.status_code == status
