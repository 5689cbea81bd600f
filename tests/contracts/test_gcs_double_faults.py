"""What goes wrong with the double when a test wants it, and what Google's client makes of it."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from google.api_core.exceptions import NotFound, ServiceUnavailable, TooManyRequests
from google.cloud.storage.retry import DEFAULT_RETRY

from tests.doubles.gcs import GcsFault, busy

from .gcs_kit import BUCKET, Gcs, names, path_of, reason

QUICK = DEFAULT_RETRY.with_delay(initial=0.01, maximum=0.01).with_timeout(5)


def test_busy_once_is_tried_again(gcs: Gcs) -> None:
    """429 and 503 with Retry-After; a client that does not try again sees them."""
    gcs.save("f", "x")
    for status, error in ((429, TooManyRequests), (503, ServiceUnavailable)):
        gcs.server.faults[:] = [busy(status=status, retry_after=7, times=2)]
        answer = gcs.call("GET", path_of("f"))
        assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
        with pytest.raises(error):
            gcs.bucket.get_blob("f", retry=None)
        gcs.server.faults[:] = [busy(status=status, times=2)]
        assert gcs.bucket.get_blob("f", retry=QUICK).size == 1


def test_only_one_method_is_busy(gcs: Gcs) -> None:
    gcs.save("f", "x")
    gcs.server.faults[:] = [busy(method="storage.objects.list", times=None)]
    assert gcs.bucket.get_blob("f").size == 1
    assert gcs.call("GET", f"/b/{BUCKET}/o").status_code == 503


def test_fail_after_some_calls(gcs: Gcs) -> None:
    """As the other doubles: so many right answers, then none."""
    gcs.save("f", "x")
    gcs.server.fail_after(2)
    assert [gcs.call("GET", path_of("f")).status_code for _ in range(4)] == [200, 200, 503, 503]


def test_a_reset_before_the_answer(gcs: Gcs) -> None:
    """Nothing was done; the client tries again."""
    gcs.server.faults[:] = [GcsFault(reset=True, method="storage.objects.insert", times=1)]
    with pytest.raises(requests.ConnectionError):
        gcs.call("POST", f"/b/{BUCKET}/o?uploadType=media&name=f", root="/upload/storage/v1", data="x")
    assert gcs.state() == []


def test_an_answer_that_is_lost(gcs: Gcs) -> None:
    """It was done all the same: tried again with a precondition, the client is told 412 of its own doing."""
    gcs.server.faults[:] = [GcsFault(lost=True, method="storage.objects.insert", times=1)]
    query = "uploadType=media&name=f&ifGenerationMatch=0"
    with pytest.raises(requests.ConnectionError):
        gcs.call("POST", f"/b/{BUCKET}/o?{query}", root="/upload/storage/v1", data="x")
    again = gcs.call("POST", f"/b/{BUCKET}/o?{query}", root="/upload/storage/v1", data="x")
    assert (again.status_code, [name for name, *_ in gcs.state()]) == (412, ["f"])


@pytest.mark.parametrize("part", [0.0, 0.5])
def test_half_a_page(gcs: Gcs, part: float) -> None:
    """The connection ends in the middle of the answer."""
    gcs.save("f", "x")
    gcs.server.faults[:] = [GcsFault(cut=part, times=1)]
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        gcs.call("GET", f"/b/{BUCKET}/o")
    assert gcs.call("GET", f"/b/{BUCKET}/o").json()["items"][0]["name"] == "f"


def test_a_download_goes_on_where_it_broke_off(gcs: Gcs) -> None:
    """Google's client asks for the rest of the same generation, and gets the right bytes."""
    body = "0123456789" * 100_000
    gcs.save("f", body)
    gcs.server.faults[:] = [GcsFault(cut=0.5, method="storage.objects.get", times=1)]
    assert gcs.bucket.blob("f").download_as_text(retry=QUICK) == body


def test_short_pages(gcs: Gcs) -> None:
    """Cloud Storage may give fewer than asked for, even none, and a token."""
    for name in "abc":
        gcs.save(name, "x")
    gcs.server.faults[:] = [GcsFault(page=0, times=1), GcsFault(page=1)]
    listed = gcs.client.list_blobs(BUCKET)
    assert [names(page) for page in listed.pages] == [["a"], ["b"], ["c"]]
    gcs.server.faults[:] = [GcsFault(page=0, times=1)]
    first = gcs.call("GET", f"/b/{BUCKET}/o").json()
    assert (first.get("items"), "nextPageToken" in first) == (None, True)


def test_deleted_between_list_and_read(gcs: Gcs) -> None:
    """By somebody else, or by a lifecycle rule."""
    [made] = gcs.save("f", "x")
    [blob] = gcs.versions()
    remove: Callable[[], Any] = lambda: gcs.held.drop("f", gcs.held.versions["f"][0])  # noqa: E731
    gcs.server.faults[:] = [GcsFault(method="storage.objects.get", before=remove, times=1)]
    with pytest.raises(NotFound):
        gcs.bucket.blob("f", generation=made).download_as_bytes()
    assert blob.generation == made


def test_delays_are_served_side_by_side(gcs: Gcs) -> None:
    """Thirty milliseconds a request, for benchmarks; many at once wait together."""
    gcs.save("f", "x")
    gcs.server.delay = 0.2
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: gcs.bucket.blob("f").download_as_bytes(), range(10)))
    assert 0.2 <= time.monotonic() - began < 1.8
    assert gcs.server.most_at_once > 1


def test_one_slow_call(gcs: Gcs) -> None:
    """It holds up nobody else."""
    gcs.save("f", "x")
    begun, ended = threading.Event(), []
    of_lists = {"method": "storage.objects.list"}
    gcs.server.faults[:] = [GcsFault(before=begun.set, **of_lists), GcsFault(wait=0.5, **of_lists)]
    slow = threading.Thread(target=lambda: ended.append(gcs.call("GET", f"/b/{BUCKET}/o").status_code))
    slow.start()
    assert begun.wait(10)
    assert gcs.bucket.blob("f").download_as_bytes() == b"x"
    assert ended == []
    slow.join()
    assert ended == [200]


def test_one_change_a_second(gcs: Gcs) -> None:
    """The documented rate of one name, where a test wants it: 429, and nothing changed."""
    gcs.server.store.limits_rate = True
    [made] = gcs.save("f", "x")
    path, asked = f"/b/{BUCKET}/o", {"uploadType": "media", "name": "f"}
    again = gcs.call("POST", path, root="/upload/storage/v1", params=asked, data="y")
    assert reason(again) == (429, "rateLimitExceeded")
    assert gcs.call("DELETE", path_of("f")).status_code == 429
    assert gcs.state() == [("f", made, 1, True)]
    gcs.server.clock.move(seconds=1)
    assert gcs.call("DELETE", path_of("f")).status_code == 204
    gcs.save("g", "x")


def test_the_log_tells_all(gcs: Gcs) -> None:
    """Method, line, objects, status; calls of a batch one by one."""
    gcs.save("a", "x")
    gcs.save("b", "x")
    gcs.server.log.calls.clear()
    with gcs.client.batch():
        gcs.bucket.delete_blob("a")
        gcs.bucket.delete_blob("b")
    gcs.call("POST", f"{path_of('c')}/copyTo{path_of('d')}")
    assert [(one.method, one.touched, one.status) for one in gcs.server.log.calls] == [
        ("batch", (), 200),
        ("storage.objects.delete", (f"{BUCKET}/a",), 204),
        ("storage.objects.delete", (f"{BUCKET}/b",), 204),
        ("storage.objects.copy", (f"{BUCKET}/c", f"{BUCKET}/d"), 404),
    ]


@pytest.mark.parametrize("path", ["/", "/nothing", "/storage/v1/none", "/b%FFx/o", "/upload/storage/v1/b/x/z"])
def test_addresses_of_nothing(gcs: Gcs, path: str) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert gcs.http.request(method, f"{gcs.server.url}{path}", timeout=5).status_code in (400, 404)


BODIES = [
    b"{",
    b"[]",
    b"\xff",
    json.dumps({"metadata": "x"}).encode(),
    json.dumps({"metadata": {"a": 1}}).encode(),
]


LISTS = [
    {"sourceObjects": [{}]},
    {"sourceObjects": [7]},
    {"sourceObjects": {}},
    {"destination": [], "sourceObjects": []},
]


@pytest.mark.parametrize("body", LISTS)
def test_lists_that_are_none(gcs: Gcs, body: dict[str, Any]) -> None:
    """Neither are they of what they should be of."""
    assert gcs.call("POST", f"{path_of('f')}/compose", json=body).status_code == 400


@pytest.mark.parametrize("body", BODIES)
def test_bodies_that_are_none(gcs: Gcs, body: bytes) -> None:
    """400, never a crash."""
    gcs.save("f", "x")
    assert gcs.call("PATCH", path_of("f"), data=body).status_code == 400


def test_a_process_of_its_own_is_told_by_http(gcs: Gcs) -> None:
    """What a test does in-process works over HTTP, too."""
    control = f"{gcs.server.url}/-"
    gcs.http.post(f"{control}/fill", json={"bucket": BUCKET, "files": 3, "versions": 2}, timeout=5)
    assert len(gcs.versions()) == 6
    before = gcs.server.clock.now()
    gcs.http.post(f"{control}/clock", json={"days": 2}, timeout=5)
    assert gcs.server.clock.now() - before > 2 * 86_400_000_000
    gcs.http.post(f"{control}/faults", json=[{"status": 429, "times": 1}], timeout=5)
    assert [gcs.call("GET", f"/b/{BUCKET}").status_code for _ in range(2)] == [429, 200]
    gcs.call("PATCH", f"/b/{BUCKET}", json={"lifecycle": {"rule": [RULE]}})
    done = gcs.http.post(f"{control}/lifecycle", json={"bucket": BUCKET}, timeout=5).json()
    assert {one["action"] for one in done} == {"deleted"}
    assert gcs.http.get(f"{control}/log", timeout=5).json()[-1]["method"] == "storage.buckets.patch"
    assert gcs.http.get(f"{control}/ledger", timeout=5).json()["operations"]["lifecycle.Delete"] == 3
    assert gcs.http.get(f"{control}/nothing", timeout=5).status_code == 404


RULE = {"action": {"type": "Delete"}, "condition": {"isLive": False, "age": 0}}
