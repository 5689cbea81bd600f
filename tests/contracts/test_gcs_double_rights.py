"""Which right each method of the double asks for: https://cloud.google.com/storage/docs/access-control/iam-json."""

from collections.abc import Callable, Iterator

import pytest
from requests import Response

from tests.doubles.gcs.iam import ROLES

from .gcs_kit import BUCKET, Gcs, opened_gcs, path_of

UPLOAD = "/upload/storage/v1"
COMPOSED = {"sourceObjects": [{"name": "source"}]}
Do = Callable[[Gcs, str], Response]


def _json(method: str, path: str, body: object = None, root: str = "/storage/v1") -> Do:
    """A call of the JSON API; "NAME" in the path is the object that it writes."""
    return lambda gcs, name: gcs.call(method, path.replace("NAME", name), root=root, json=body)


def _xml(method: str, query: str = "", **headers: str) -> Do:
    return lambda gcs, name: gcs.http.request(
        method, f"{gcs.server.url}/{BUCKET}/{name}{query}", headers=headers, data="x" * (method == "PUT"), timeout=10
    )


def _restore(name: str) -> Do:
    return lambda gcs, _: gcs.call(
        "POST", f"{path_of(name)}/restore?generation={gcs.held.soft[name][0].generation.number}"
    )


SOURCE = path_of("source")
READS: list[tuple[str, Do, str]] = [
    ("get", _json("GET", SOURCE), "get"),
    ("media", _json("GET", f"{SOURCE}?alt=media"), "get"),
    ("list", _json("GET", f"/b/{BUCKET}/o"), "list"),
    ("patch", _json("PATCH", SOURCE, {"contentType": "a"}), "update"),
    ("update", _json("PUT", SOURCE, {"contentType": "a"}), "update"),
    ("delete", _json("DELETE", SOURCE), "delete"),
    ("restore", _restore("gone"), "restore create"),
    ("restore over", _restore("replaced"), "restore create delete"),
    ("XML get", lambda gcs, name: _xml("GET")(gcs, "source"), "get"),
    ("XML delete", lambda gcs, name: _xml("DELETE")(gcs, "source"), "delete"),
]
# What they need besides the right to delete what they replace.
WRITES: list[tuple[str, Do, str]] = [
    ("insert", _json("POST", f"/b/{BUCKET}/o?uploadType=media&name=NAME", root=UPLOAD), "create"),
    ("resumable", _json("POST", f"/b/{BUCKET}/o?uploadType=resumable&name=NAME", root=UPLOAD), "create"),
    ("copy", _json("POST", f"{SOURCE}/copyTo{path_of('NAME')}"), "get create"),
    ("rewrite", _json("POST", f"{SOURCE}/rewriteTo{path_of('NAME')}"), "get create"),
    ("compose", _json("POST", f"{path_of('NAME')}/compose", COMPOSED), "get create"),
    ("move", _json("POST", f"{SOURCE}/moveTo/o/NAME"), "move create"),
    ("XML put", _xml("PUT"), "create"),
    ("XML resumable", _xml("POST", **{"x-goog-resumable": "start"}), "create"),
    ("XML multipart", _xml("POST", "?uploads"), "create"),
]
CASES = [(name, do, "none", needed) for name, do, needed in READS]
CASES += [(name, do, "new", needed) for name, do, needed in WRITES]
CASES += [(f"{name} over", do, "there", f"{needed} delete") for name, do, needed in WRITES]
RIGHTS = ["get", "list", "create", "delete", "update", "move", "restore"]


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    """Everybody has the role "test", which may nothing yet."""
    with opened_gcs() as under_test:
        for name in ("source", "there", "gone", "replaced"):
            [made] = under_test.save(name, "x")
            if name in ("gone", "replaced"):
                under_test.bucket.delete_blob(name, generation=made)
        under_test.save("replaced", "x")
        monkeypatch.setitem(ROLES, "roles/storage.test", set())
        under_test.server.iam.bind("allUsers", "roles/storage.test")
        under_test.server.iam.enforced = True
        yield under_test


@pytest.mark.parametrize(("do", "name", "needed"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_method_needs(gcs: Gcs, do: Do, name: str, needed: str) -> None:
    """With every right but one of those it is refused and nothing changes; with just those it is done."""
    before = gcs.state()
    for lacking in needed.split():
        ROLES["roles/storage.test"] = {f"storage.objects.{right}" for right in RIGHTS if right != lacking}
        assert do(gcs, name).status_code == 401, lacking
    assert gcs.state() == before
    ROLES["roles/storage.test"] = {f"storage.objects.{right}" for right in needed.split()}
    assert do(gcs, name).status_code in (200, 201, 204)
