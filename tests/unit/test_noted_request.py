"""What is written of requests is bounded: texts, bodies, and refusals of one person."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from devplatform_hub.noted_request import NotedRequest, RefusalLimit, short, some


class Clock:
    """Time that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_refusals_of_one_person_are_bounded() -> None:
    """So many a minute; the first line after it says how many are missing; others are not affected."""
    clock = Clock()
    limit = RefusalLimit(at_most=3, seconds=60, clock=clock)
    assert [limit.left_out("mallory") for _ in range(10)] == [0, 0, 0, *[None] * 7]
    assert limit.left_out("bob") == 0
    clock.now = 59
    assert limit.left_out("mallory") is None
    clock.now = 60
    assert [limit.left_out("mallory") for _ in range(4)] == [8, 0, 0, None]
    clock.now = 1000
    assert [limit.left_out("mallory"), limit.left_out("mallory"), limit.left_out("bob")] == [1, 0, 0]


def test_people_who_are_counted_are_bounded() -> None:
    """Whoever was refused longest ago is forgotten first."""
    limit = RefusalLimit(at_most=1, people=3, clock=Clock())
    assert [limit.left_out(name) for name in "abcdbdd"] == [0, 0, 0, 0, None, None, None]
    assert list(limit._written) == ["c", "b", "d"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("a", "a", id="text"),
        pytest.param("x" * 500, "x" * 120 + "...", id="endless"),
        pytest.param(True, "true", id="flag"),
        pytest.param(5, "5", id="number"),
        pytest.param({"token": "secret"}, "...", id="object"),
        pytest.param(["secret"], "...", id="list"),
        pytest.param(None, "...", id="nothing"),
    ],
)
def test_a_value_is_short(value: object, text: str) -> None:
    assert short(value) == text


def test_of_many_values_the_first_are_named() -> None:
    assert some(["a", "b"]) == "a b"
    assert some(str(number) for number in range(22)) == " ".join(str(number) for number in range(20)) + " and 2 more"
    assert some([]) == ""


def request(body: bytes, status: int = 201) -> NotedRequest:
    """A request whose answer had this status, by alice."""
    handler: Any = SimpleNamespace(
        request=SimpleNamespace(method="POST", body=body, remote_ip="::1"),
        path_args=["bob"],
        get_status=lambda: status,
        _headers={},
    )
    return NotedRequest(handler, SimpleNamespace(kind="user", name="alice"))


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        pytest.param(b'{"users": ["a", 5, null, "b"]}', 201, ["a", "b"], id="texts alone"),
        pytest.param(b'{"users": "a"}', 201, [], id="no list"),
        pytest.param(b'["users"]', 201, [], id="no object"),
        pytest.param(b"", 201, [], id="nothing"),
        pytest.param(b"{", 201, [], id="no JSON"),
        pytest.param(b"\xff", 201, [], id="no text"),
        pytest.param(b"[" * 100_000, 201, [], id="too deep"),
        pytest.param(json.dumps({"users": ["x" * 70_000]}).encode(), 403, [], id="much that was refused"),
        pytest.param(json.dumps({"users": ["x" * 70_000]}).encode(), 201, ["x" * 70_000], id="much that was done"),
    ],
)
def test_bodies(body: bytes, status: int, found: list[str]) -> None:
    """Nothing that is sent breaks the reading of it."""
    assert request(body, status).texts("users") == found


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "allowed"), (302, "allowed"), (403, "refused"), (400, ""), (405, ""), (409, ""), (500, "failed")],
)
def test_outcomes(status: int, outcome: str) -> None:
    """A bad request is not an attempt at anything."""
    assert request(b"", status).outcome == outcome
