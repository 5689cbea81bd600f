"""An answered request to the hub as the audit sees it: who asked, whether they got it, and what they sent.

Nothing here is written as it came: no header, no token, of a body only what a caller names, in bounded pieces.
"""

import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from jupyterhub import orm
from tornado.web import HTTPError

from .servicekit import audit
from .servicekit.addresses import address_of

_LARGEST_REFUSED_BODY = 2**16
_NAMED_AT_MOST = 20
_LONGEST = 120
_CODE = "X-DevPlatform-Error"
NOT_ALLOWED = "not-allowed"
MISSING_OR_NOT_ALLOWED = "missing-or-not-allowed"
"""The hub answers 404 to somebody who may see some people and not this one, as if there was none."""


class RefusalLimit:
    """So many refusals of one person a minute are written, as they cost those who ask nothing; others are counted."""

    def __init__(
        self, at_most: int = 60, seconds: float = 60, people: int = 1000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._at_most, self._seconds, self._people, self._clock = at_most, seconds, people, clock
        self._written: dict[str, tuple[float, int]] = {}

    def left_out(self, name: str) -> int | None:
        """None for one that is left out; else how many were left out of this person's last full minute."""
        now = self._clock()
        begun, count = self._written.pop(name, (now, 0))
        before = 0
        if now - begun >= self._seconds:
            begun, before, count = now, max(0, count - self._at_most), 0
        self._written[name] = (begun, count + 1)
        if len(self._written) > self._people:
            del self._written[next(iter(self._written))]
        return before if count < self._at_most else None


_refusals = RefusalLimit()


class NotedRequest:
    """A request of somebody who is known. `outcome` is empty where nothing happened, such as for a bad request."""

    def __init__(self, handler: Any, actor: Any) -> None:
        self.handler, self.actor = handler, actor
        self.method = str(handler.request.method)
        self.arguments = [argument or "" for argument in [*handler.path_args, None, None, None]]
        self.outcome, self.why = self._outcome()

    @classmethod
    def of(cls, handler: Any) -> "NotedRequest | None":
        """None where nobody is known to have asked."""
        try:
            actor = handler.current_user
        except (HTTPError, RuntimeError):  # it was refused before that was looked at
            return None
        return cls(handler, actor) if actor is not None else None

    @cached_property
    def body(self) -> dict[str, Any]:
        """What was sent as a JSON object; {} for anything else, and for much of it that the hub has not read either."""
        content = self.handler.request.body or b""
        is_read = self.outcome == "allowed" or len(content) <= _LARGEST_REFUSED_BODY
        try:
            found = json.loads(content) if is_read else None
        except (ValueError, RecursionError):
            found = None
        return found if isinstance(found, dict) else {}

    def texts(self, name: str) -> list[str]:
        """A list of texts in the body; what is in it and is no text is left out."""
        found = self.body.get(name)
        return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []

    def happened_since(self, at: datetime | None) -> bool:
        """Whether a time in the hub's database is within this request."""
        begun = datetime.fromtimestamp(self.handler.request._start_time, UTC)
        return at is not None and (at if at.tzinfo else at.replace(tzinfo=UTC)) >= begun

    def is_by(self, person: str) -> bool:
        """Whether this person asked themselves."""
        return bool(self.actor.kind == "user" and self.actor.name == person)

    def report(self, action: str, target: str, *said: str, owner: str | None = None) -> None:
        """Write the event, unless nothing happened or `owner` did it themselves. `said` is what more there is to it."""
        if not self.outcome or (owner is not None and self.is_by(owner)):
            return
        more = [self.why, *said]
        if self.actor.kind != "user":
            more.append("by a service")
        if getattr(self.handler, "_token_authenticated", False):
            token = self.handler.get_token()
            more += [f"with token {token.api_id}"] if token else []
        if self.outcome == "refused":
            left_out = _refusals.left_out(self.actor.name)
            if left_out is None:
                return
            more += [f"{left_out} refusals of theirs before this are not written"] if left_out else []
        why = ", ".join(text for text in more if text)
        remote = address_of(self.handler.request)
        audit.emit(action, actor=self.actor.name, outcome=self.outcome, target=target, why=why, remote=remote)

    def _outcome(self) -> tuple[str, str]:
        status, code = self.handler.get_status(), self.handler._headers.get(_CODE)
        if code and status >= 400:
            return "refused", str(code)
        if status < 400:
            return "allowed", ""
        if status == 403:
            return "refused", NOT_ALLOWED
        if status == 404:
            return ("refused", MISSING_OR_NOT_ALLOWED) if self._names_something() else ("", "")
        return ("failed", f"status {status}") if status >= 500 else ("", "")

    def _names_something(self) -> bool:
        name = self.arguments[0]
        found = self.handler.find_user(name) or orm.Group.find(self.handler.db, name)
        return found is not None


def short(value: object) -> str:
    """A bounded text."""
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool | int) else "..."
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def some(values: Iterable[str]) -> str:
    """The first of these, and how many more there are."""
    named = list(values)
    more = len(named) - _NAMED_AT_MOST
    said = " ".join(short(name) for name in named[:_NAMED_AT_MOST])
    return f"{said} and {more} more" if more > 0 else said
