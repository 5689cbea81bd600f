"""An API server that does not answer, and one that answers only that it is busy: what each becomes for the person."""

import json
from typing import Any

import aiohttp
import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_hub.kube.requests import ApiSilent, ApiUnavailable, Refused, Requests
from devplatform_hub.kube.starting import public_of


class Answer:
    """What the client gives back with `_preload_content=False`."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._body = json.dumps(body).encode()

    async def read(self) -> bytes:
        return self._body

    def release(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(aiohttp.ClientConnectionError("refused"), ApiSilent, id="nobody there"),
        pytest.param(TimeoutError(), ApiSilent, id="no answer in time"),
        pytest.param(Answer(503, {}), ApiUnavailable, id="busy"),
        pytest.param(Answer(429, {}), ApiUnavailable, id="too many requests"),
        pytest.param(Answer(422, {}), Refused, id="no"),
    ],
)
async def test_silence_is_told_from_being_busy(answer: Answer | Exception, expected: type[Exception]) -> None:
    """When patience has ended, the last try counts."""

    async def method(**_: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ApiUnavailable if expected is not Refused else Refused) as raised:
        await Requests(timeout=1, patience=0.0)(method, what="making it")
    assert type(raised.value) is expected


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        pytest.param(ApiSilent("x"), "cluster-unreachable", "The cluster does not answer.", id="silent"),
        pytest.param(ApiUnavailable("x"), "cluster-busy", "The cluster is too busy to make your server.", id="busy"),
        pytest.param(
            PublicError("Another has it.", code="access-name-taken", status=409),
            "access-name-taken",
            "Another has it.",
            id="ours already",
        ),
    ],
)
def test_what_a_person_reads(error: Exception, code: str, message: str) -> None:
    """Never the words of a connection."""
    public = public_of(error)
    assert (public.code, public.message) == (code, message)
    assert public.status == (503 if not isinstance(error, PublicError) else 409)
