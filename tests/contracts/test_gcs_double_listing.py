"""The double of Cloud Storage, judged by Google's own client: listings in pages, folders, globs, names, field masks."""

from typing import Any

import pytest

from .gcs_kit import BUCKET, Gcs, names, reason

ODD_NAMES = ["ü/ñ 💾.txt", "a b/c d.txt", "#1?x=y&z.txt", "100%+1.txt", "A.txt", "a.txt", "Ω" * 512, "a//b", "folder/"]


@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13])
def test_pages_walk_all_versions_once(gcs: Gcs, size: int) -> None:
    """Also when one name has more versions than a page."""
    made = gcs.save("f", *"abcdefghijkl") + gcs.save("g", "x")
    assert [blob.generation for blob in gcs.versions(page_size=size)] == made


def test_a_page_has_a_largest_size(gcs: Gcs) -> None:
    """However many are asked for; and there is no page of none."""
    gcs.save("f", *"abcd")
    gcs.server.desk.page_limit = 3
    path = f"/b/{BUCKET}/o?versions=true&maxResults="
    assert len(gcs.call("GET", f"{path}1000").json()["items"]) == 3
    assert reason(gcs.call("GET", f"{path}0")) == (400, "invalid")


def test_max_results_stops(gcs: Gcs) -> None:
    gcs.save("f", *"abcdefghijkl")
    assert len(gcs.versions(max_results=5)) == 5


TREE = ["a", "d/", "d/f", "d/e/g", "d!", "e/f", "e0"]
LISTINGS: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("top", {"delimiter": "/"}, ["a", "d!", "e0"], ["d/", "e/"]),
    ("folder", {"delimiter": "/", "prefix": "d/"}, ["d/", "d/f"], ["d/e/"]),
    ("half a name", {"delimiter": "/", "prefix": "d"}, ["d!"], ["d/"]),
    (
        "trailing",
        {"delimiter": "/", "include_trailing_delimiter": True},
        ["a", "d!", "d/", "e0"],
        ["d/", "e/"],
    ),
    ("deep", {"prefix": "d/"}, ["d/", "d/e/g", "d/f"], []),
    ("range", {"start_offset": "d/", "end_offset": "e"}, ["d/", "d/e/g", "d/f"], []),
    ("range of folders", {"delimiter": "/", "start_offset": "d/e", "end_offset": "e0"}, [], ["d/", "e/"]),
    ("glob", {"match_glob": "**/f"}, ["d/f", "e/f"], []),
    ("glob of one folder", {"match_glob": "d/*"}, ["d/", "d/f"], []),
    ("glob of folders", {"match_glob": "**/", "delimiter": "/"}, [], ["d/", "e/"]),
    ("glob of choices", {"match_glob": "{a,e?,d/e/[f-h]}"}, ["a", "d/e/g", "e0"], []),
    ("glob of others", {"match_glob": "[!a-d]*/?"}, ["e/f"], []),
    ("nothing", {"prefix": "none/"}, [], []),
]


@pytest.mark.parametrize("versions", [False, True])
@pytest.mark.parametrize("page", [1, 2, 100])
@pytest.mark.parametrize(
    ("query", "items", "prefixes"), [row[1:] for row in LISTINGS], ids=[row[0] for row in LISTINGS]
)
def test_folders(
    gcs: Gcs, query: dict[str, Any], items: list[str], prefixes: list[str], page: int, versions: bool
) -> None:
    """What is in a folder and which folders are below, whatever the size of the pages; also of versions."""
    for name in TREE:
        gcs.save(name, "x", "y")
    listed = gcs.client.list_blobs(BUCKET, versions=versions, page_size=page, **query)
    assert names(listed) == [name for name in items for _ in range(1 + versions)]
    assert sorted(listed.prefixes) == prefixes


def test_deleted_files_show_only_with_versions(gcs: Gcs) -> None:
    """A folder in which nothing lives is there for versions only."""
    gcs.save("d/f", "x")
    gcs.bucket.delete_blob("d/f")
    for versions, prefixes in ((False, set()), (True, {"d/"})):
        listed = gcs.client.list_blobs(BUCKET, delimiter="/", versions=versions)
        assert names(listed) == []
        assert listed.prefixes == prefixes


@pytest.mark.parametrize("name", ODD_NAMES, ids=[f"{n[:12]}" for n in ODD_NAMES])
def test_odd_names(gcs: Gcs, name: str) -> None:
    """They come back as they went in: listed, read, copied, deleted."""
    made = gcs.save(name, "one", "two")
    assert [(b.name, b.generation) for b in gcs.versions()] == [(name, made[0]), (name, made[1])]
    assert gcs.bucket.blob(name, generation=made[0]).download_as_text() == "one"
    source = gcs.bucket.blob(name)
    assert gcs.bucket.copy_blob(source, gcs.bucket, name, source_generation=made[0]).name == name
    gcs.bucket.delete_blob(name)
    assert gcs.bucket.get_blob(name) is None


@pytest.mark.parametrize("name", ["a\nb", "a\rb", ".", "..", "x" * 1025, ".well-known/acme-challenge/x"])
def test_names_that_are_refused(gcs: Gcs, name: str) -> None:
    """As https://cloud.google.com/storage/docs/objects#naming has it."""
    answer = gcs.call("POST", f"/b/{BUCKET}/o", root="/upload/storage/v1", params={"uploadType": "media", "name": name})
    assert reason(answer) == (400, "invalid")


MASKS: list[tuple[str, dict[str, Any]]] = [
    ("items(name,size),nextPageToken", {"items": [{"name": "f", "size": "1"}]}),
    ("items/name", {"items": [{"name": "f"}]}),
    ("items(metadata/owner)", {"items": [{"metadata": {"owner": "alice"}}]}),
    ("items(metadata(owner,none),size)", {"items": [{"metadata": {"owner": "alice"}, "size": "1"}]}),
    ("kind", {"kind": "storage#objects"}),
    ("prefixes", {}),
]


@pytest.mark.parametrize(("mask", "answer"), MASKS, ids=[mask for mask, _ in MASKS])
def test_field_masks(gcs: Gcs, mask: str, answer: dict[str, Any]) -> None:
    """Only what is asked for comes back."""
    blob = gcs.bucket.blob("f")
    blob.metadata = {"owner": "alice", "more": "x"}
    blob.upload_from_string("x")
    assert gcs.call("GET", f"/b/{BUCKET}/o", params={"fields": mask}).json() == answer


@pytest.mark.parametrize("mask", ["items(name", "items(nam)", "item", "items()", "items/", "a b", ","])
def test_wrong_field_masks(gcs: Gcs, mask: str) -> None:
    """A slip of the pen is refused, so that it shows in a test of what asks."""
    gcs.save("f", "x")
    assert reason(gcs.call("GET", f"/b/{BUCKET}/o", params={"fields": mask})) == (400, "invalidParameter")


def test_a_listing_goes_on_while_things_change(gcs: Gcs) -> None:
    """A page begins behind the last entry of the one before, whatever went or came meanwhile."""
    for name in "abcdef":
        gcs.save(name, "x")
    pages = gcs.client.list_blobs(BUCKET, page_size=2).pages
    assert names(next(pages)) == ["a", "b"]
    for name in "bc":
        gcs.bucket.delete_blob(name)
    gcs.save("aa", "x")
    gcs.save("dd", "x")
    assert [names(page) for page in pages] == [["d", "dd"], ["e", "f"]]


def test_a_wrong_page_token_is_refused(gcs: Gcs) -> None:
    assert reason(gcs.call("GET", f"/b/{BUCKET}/o?pageToken=nonsense")) == (400, "invalid")


def test_names_are_in_the_order_of_their_bytes(gcs: Gcs) -> None:
    """Upper case before lower, and UTF-8, not what a language thinks."""
    for name in ("b", "B", "ä", "a", "\U0001f4be", "\uffee"):
        gcs.save(name, "x")
    listed = names(gcs.client.list_blobs(BUCKET))
    assert listed == sorted(listed, key=str.encode) == ["B", "a", "b", "ä", "\uffee", "\U0001f4be"]
