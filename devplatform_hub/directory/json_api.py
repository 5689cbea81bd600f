"""Asking a directory over HTTP: one place for time limits, retries, the budget and what is no JSON."""

import asyncio
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from ..ports import DirectoryUnavailable
from .call_budget import CallBudget
from .held_token import BearerSource
from .json_shapes import MalformedAnswer
from .retrying import TRANSIENT, Patience, retry_after

_LARGEST = 16 * 2**20
_REST = 5.0
"""Seconds for which a server that could not be reached is not asked again: people wait for each of those tries."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered for good: any status that another try would not change."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server is treated: seconds for one try, tries for one question, calls at once and in a minute."""

    timeout: float
    patience: Patience
    at_once: int
    per_minute: int


class JsonApi:
    """A server that answers JSON. Every failure is `DirectoryUnavailable`, with a reason and without a secret.

    `is_busy` recognises refusals that mean "later" though their status does not say so.
    """

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        clock: Callable[[], float],
        log: logging.Logger,
        is_busy: Callable[[Answer], bool] = lambda _answer: False,
    ) -> None:
        self._name, self._limits, self._clock, self._log, self._is_busy = name, limits, clock, log, is_busy
        self._budget = CallBudget(limits.per_minute, longest_wait=limits.patience.total, clock=clock)
        self._at_once = asyncio.Semaphore(limits.at_once)
        self._session: aiohttp.ClientSession | None = None
        self._down: tuple[float, str] | None = None
        self.calls = 0

    async def close(self) -> None:
        """End the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def get(
        self,
        url: str,
        what: str,
        *,
        bearer: BearerSource,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to a GET. `what` names the question in messages. A refused token is replaced once."""
        token = await bearer.token()
        answer = await self._ask("GET", url, what, params=params, headers=_with(token, headers))
        if answer.status == 401:
            bearer.forget(token)
            fresh = await bearer.token()
            if fresh != token:
                return await self._ask("GET", url, what, params=params, headers=_with(fresh, headers))
        return answer

    async def post_form(self, url: str, what: str, form: Mapping[str, str], auth: aiohttp.BasicAuth) -> Answer:
        """The answer to a form, as an OAuth token endpoint takes it (safe to repeat)."""
        return await self._ask("POST", url, what, data=form, auth=auth)

    async def _ask(self, method: str, url: str, what: str, **options: Any) -> Answer:
        started, failures = self._clock(), 0
        while True:
            self._not_while_down()
            outcome = await self._try(method, url, what, **options)
            if isinstance(outcome, Answer) and outcome.status not in TRANSIENT and not self._is_busy(outcome):
                return outcome
            failures += 1
            reason, asked = self._failure(outcome)
            spent = self._clock() - started
            pause = self._limits.patience.pause(failures, spent=spent, asked=asked, share=random.random())  # noqa: S311
            if pause is None:
                if not isinstance(outcome, Answer):
                    self._down = (self._clock() + _REST, reason)
                raise DirectoryUnavailable(f"{self._name} gives no answer to {what}: {reason}, {failures} tries")
            self._log.debug("%s: %s of %s, again in %.2f s", self._name, reason, what, pause)
            await asyncio.sleep(pause)

    async def _try(self, method: str, url: str, what: str, **options: Any) -> "Answer | Exception":
        """One try: an answer, or what kept it from coming."""
        async with self._at_once:
            await self._budget.take()
            self.calls += 1
            try:
                async with self._client().request(method, url, allow_redirects=False, **options) as response:
                    body = await _read(response)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                return error
        if body is None:
            raise MalformedAnswer(f"{self._name} answers {what} with more than {_LARGEST // 2**20} MiB")
        return self._parsed(response, body, what)

    def _parsed(self, response: aiohttp.ClientResponse, body: bytes, what: str) -> Answer:
        headers, status = response.headers, response.status
        if 300 <= status < 400:
            raise MalformedAnswer(f"{self._name} sends {what} elsewhere (status {status})")
        try:
            return Answer(status, json.loads(body) if body else None, headers)
        except (ValueError, RecursionError):
            if status >= 400:
                return Answer(status, None, headers)
            raise MalformedAnswer(f"{self._name} answers {what} with something that is not JSON") from None

    def _failure(self, outcome: "Answer | Exception") -> tuple[str, float]:
        if isinstance(outcome, Answer):
            return f"status {outcome.status}", retry_after(outcome.headers, datetime.now(UTC))
        if isinstance(outcome, TimeoutError):
            return f"nothing within {self._limits.timeout:g} s", 0.0
        return f"it cannot be reached ({type(outcome).__name__})", 0.0

    def _not_while_down(self) -> None:
        if self._down and self._clock() < self._down[0]:
            raise DirectoryUnavailable(f"{self._name} gave no answer a moment ago: {self._down[1]}")
        self._down = None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limits.at_once),
                timeout=aiohttp.ClientTimeout(total=self._limits.timeout),
                headers={"Accept": "application/json"},
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,  # a company's HTTPS_PROXY
            )
        return self._session


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    parts, size = [], 0
    async for part in response.content.iter_chunked(2**16):
        size += len(part)
        if size > _LARGEST:
            return None
        parts.append(part)
    return b"".join(parts)


def _with(token: str, headers: Mapping[str, str] | None) -> dict[str, str]:
    return {**(headers or {}), "Authorization": f"Bearer {token}"}
