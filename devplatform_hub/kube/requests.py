"""Asking the API server: raw JSON, a time limit for each try, and patience with one that is busy or away.

The client's own model classes cost several milliseconds for each pod, and the hub has one thread for everybody.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import aiohttp

from ..core.errors import DevPlatformError
from . import Json

_BUSY = {429, 500, 502, 503, 504}
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 5.0
_WARMING = 4.0
"""For so many seconds an API server that has just started may not know the rights that it has stored."""

Method = Callable[..., Awaitable[aiohttp.ClientResponse]]


class ApiUnavailable(DevPlatformError):
    """The API server did not answer, or only that it is busy, until patience ended."""


class ApiSilent(ApiUnavailable):
    """The API server did not answer at all."""


class Refused(DevPlatformError):
    """The API server said no. `body` is its `Status` object, or {} where it gave none."""

    def __init__(self, status: int, body: Json, what: str) -> None:
        super().__init__(f"{what}: {status} {str(body.get('message', ''))[:500]}")
        self.status = status
        self.body = body
        self.what = what


class Requests:
    """Calls methods of `kubernetes_asyncio` API classes. `timeout` is for one try, `patience` for all, in seconds."""

    def __init__(self, *, timeout: float = 5.0, patience: float = 30.0) -> None:
        self._timeout = timeout
        self._patience = patience

    async def __call__(
        self,
        method: Method,
        *args: Any,
        what: str,
        accept: Collection[int] = (),
        warming: float = _WARMING,
        **options: Any,
    ) -> tuple[int, Json]:
        """Status and JSON of the answer; a status of 400 or more only where it is in `accept`.

        For `warming` seconds it is not taken for true that the hub has no right to this. Raises `Refused`, or
        `ApiUnavailable` after the last try. A request that timed out may have been carried out.
        """
        begun = time.monotonic()
        deadline = begun + self._patience
        pause = _FIRST_PAUSE
        while True:
            given_up: type[ApiUnavailable] = ApiSilent
            reason, after = "it did not answer", 0.0
            try:
                async with asyncio.timeout(self._timeout):
                    status, body, after = await _ask(method, args, options)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                reason = str(error) or reason
            else:
                is_warming = _has_no_right(status, body) and time.monotonic() - begun < warming
                if (status < 400 or status in accept) and not is_warming:
                    return status, body
                if status not in _BUSY and not is_warming:
                    raise Refused(status, body, what)
                reason, given_up = f"{status} {str(body.get('message', ''))[:200]}", ApiUnavailable
            rest = max(after, pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret; so that not all come at once
            if time.monotonic() + rest > deadline:
                raise given_up(f"{what}: {reason}")
            await asyncio.sleep(rest)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _has_no_right(status: int, body: Json) -> bool:
    """Whether it is the account that may not, as opposed to a quota or a policy that does not allow the object."""
    return status == 401 or (status == 403 and ': User "' in str(body.get("message", "")))


async def _ask(method: Method, args: tuple[Any, ...], options: Json) -> tuple[int, Json, float]:
    response = await method(*args, _preload_content=False, **options)
    try:
        content = await response.read()
    finally:
        response.release()
    try:
        body = json.loads(content) if content else {}
    except ValueError:  # a proxy in between that answers in HTML
        body = {"message": content[:300].decode("utf-8", "replace")}
    return response.status, body if isinstance(body, dict) else {}, _retry_after(response.headers.get("Retry-After"))


def _retry_after(value: str | None) -> float:
    try:
        return min(max(float(value or 0), 0.0), 30.0)
    except ValueError:  # the form with a date, which no API server uses
        return 0.0
