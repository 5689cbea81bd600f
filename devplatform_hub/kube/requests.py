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

Method = Callable[..., Awaitable[aiohttp.ClientResponse]]


class ApiUnavailable(DevPlatformError):
    """The API server did not answer, or only that it is busy, until patience ended."""


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
        self, method: Method, *args: Any, what: str, accept: Collection[int] = (), **options: Any
    ) -> tuple[int, Json]:
        """Status and JSON of the answer; a status of 400 or more only where it is in `accept`.

        Raises `Refused`, or `ApiUnavailable` after the last try. A request that timed out may have been carried out.
        """
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while True:
            reason, after = "it did not answer", 0.0
            try:
                status, body, after = await asyncio.wait_for(_ask(method, args, options), self._timeout)
            except (TimeoutError, aiohttp.ClientError, OSError) as error:
                reason = str(error) or reason
            else:
                if status < 400 or status in accept:
                    return status, body
                if status not in _BUSY:
                    raise Refused(status, body, what)
                reason = f"{status} {str(body.get('message', ''))[:200]}"
            rest = max(after, pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret; so that not all come at once
            if time.monotonic() + rest > deadline:
                raise ApiUnavailable(f"{what}: {reason}")
            await asyncio.sleep(rest)
            pause = min(pause * 2, _LONGEST_PAUSE)


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
