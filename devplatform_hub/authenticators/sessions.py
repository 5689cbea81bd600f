"""Sessions of the hub: which person they belong to, and how all of them end.

JupyterHub finds the user of a login cookie by `cookie_id`, one random text per user. We keep in front of the
random part whose account it is and in which state it was when they signed in, so that no second store is
needed and a restart of the hub forgets nothing: `<subject>.<epoch>.<random>`.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jupyterhub import orm

from ..core.identity import Identity

_ENDED = "ended"
_ARRIVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Binding:
    """The first two parts of a `cookie_id`, as digests."""

    subject: str
    epoch: str

    @classmethod
    def of(cls, identity: Identity, epoch: str) -> "Binding":
        """The binding to this person, in this state of their account."""
        subject = _subject(identity)
        return cls(subject, _digest("epoch", subject, epoch))

    def holds(self, cookie_id: str) -> bool:
        """Whether sessions with this `cookie_id` are of this person in this state."""
        return cookie_id.split(".")[:-1] == [self.subject, self.epoch]

    def new_cookie_id(self) -> str:
        """A `cookie_id` that no session has yet."""
        return f"{self.subject}.{self.epoch}.{secrets.token_hex(16)}"

    @staticmethod
    def is_of_another(cookie_id: str, identity: Identity) -> bool:
        """Whether this is bound to a person, and that is somebody else."""
        parts = cookie_id.split(".")
        return len(parts) == 3 and bool(parts[0]) and parts[0] != _subject(identity)

    @staticmethod
    def ended(cookie_id: str) -> str:
        """A `cookie_id` that belongs to the same person, and to no session ever."""
        parts = cookie_id.split(".")
        return f"{parts[0] if len(parts) == 3 else ''}.{_ENDED}.{secrets.token_hex(16)}"

    @staticmethod
    def is_ended(cookie_id: str) -> bool:
        """Whether `ended` made this."""
        return cookie_id.split(".")[1:2] == [_ENDED]


def name_of(db: Any, identity: Identity) -> str:
    """The hub user who is bound to this person, whatever they are called by now; empty without one.

    A person who marries keeps their files, and one who left their name to another does not come back as that one.
    """
    mine = orm.User.cookie_id.startswith(f"{_subject(identity)}.")
    names = [name for (name,) in db.query(orm.User.name).filter(mine).order_by(orm.User.id)]
    return identity.username if identity.username in names else next(iter(names), "")


class Arrivals:
    """People who are signing in for the first time, until the hub has made their user.

    Two people with one name could arrive at once: only the first is let through.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._arriving: dict[str, tuple[Binding, float]] = {}

    def put(self, name: str, binding: Binding) -> bool:
        """Whether this name is not just being given to somebody else."""
        now = self._clock()
        self._arriving = {key: kept for key, kept in self._arriving.items() if now - kept[1] < _ARRIVAL_SECONDS}
        other = self._arriving.get(name)
        if other and other[0].subject != binding.subject:
            return False
        self._arriving[name] = (binding, now)
        return True

    def pop(self, name: str) -> Binding | None:
        """Whose hub user has just been made, if somebody is signing in."""
        arrived = self._arriving.pop(name, None)
        return arrived[0] if arrived else None


def end_sessions(user: Any, cookie_id: str) -> None:
    """End every browser session and delete every token of a hub user, those of their servers too."""
    owner: orm.User = user.orm_user
    for row in [*owner.api_tokens, *user.db.query(orm.OAuthCode).filter_by(user_id=owner.id)]:
        user.db.delete(row)
    owner.cookie_id = cookie_id
    user.db.commit()


def end_browser_sessions(user: Any) -> None:
    """Sign a hub user out of every browser. Servers run on, and tokens that they made themselves stay."""
    owner: orm.User = user.orm_user
    for row in [*owner.api_tokens, *user.db.query(orm.OAuthCode).filter_by(user_id=owner.id)]:
        if isinstance(row, orm.OAuthCode) or row.session_id:
            user.db.delete(row)
    owner.cookie_id = f"{owner.cookie_id.rpartition('.')[0]}.{secrets.token_hex(16)}"
    user.db.commit()


async def stop_servers(hub: Any, user: Any, log: Any) -> None:
    """Stop every server of a hub user that is not just starting or stopping; a later review gets those."""
    for name, spawner in list(user.spawners.items()):
        if not spawner.active or spawner.pending:
            continue
        log.info("Stopping server %r of %s", name, user.name)
        try:
            await hub.proxy.delete_user(user, name)
            await user.stop(name)
        except Exception:
            log.exception("Could not stop server %r of %s; the next review tries again", name, user.name)


def _subject(identity: Identity) -> str:
    return _digest("subject", identity.provider, identity.subject)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
