"""Who looked into whose versions, as rows of the local store."""

import sqlite3
from datetime import datetime

from ..model import Visit
from ..ports import VISITS_KEPT
from .rows import micros, moment
from .writer import Batch


def add(batch: Batch, *, owner: str, visit: Visit) -> None:
    """Keep a visit, and let go of the oldest of the owner's when there are too many."""
    batch.connection.execute(
        "INSERT INTO visits (id, owner, actor, reason, opened, until, ended, dismissed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            visit.id,
            owner,
            visit.actor,
            visit.reason,
            micros(visit.opened),
            micros(visit.until),
            None if visit.ended is None else micros(visit.ended),
            visit.dismissed,
        ),
    )
    batch.connection.execute(
        "DELETE FROM visits WHERE owner = ? AND number <= "
        "(SELECT number FROM visits WHERE owner = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (owner, owner, VISITS_KEPT),
    )


def change(batch: Batch, owner: str, visit_id: str, *, ended: datetime | None, dismissed: bool) -> bool:
    """Note the end of a visit, or that its notice was put away; whether this owner has it."""
    changed = batch.connection.execute(
        "UPDATE visits SET ended = coalesce(ended, ?), dismissed = max(dismissed, ?) WHERE owner = ? AND id = ?",
        (None if ended is None else micros(ended), dismissed, owner, visit_id),
    )
    return changed.rowcount > 0


def kept(connection: sqlite3.Connection, owner: str) -> tuple[Visit, ...]:
    """The visits of an owner, newest first."""
    rows = connection.execute(
        "SELECT id, actor, reason, opened, until, ended, dismissed FROM visits WHERE owner = ? ORDER BY number DESC",
        (owner,),
    )
    return tuple(
        Visit(
            id=visit_id,
            actor=actor,
            reason=reason,
            opened=moment(opened),
            until=moment(until),
            ended=None if ended is None else moment(ended),
            dismissed=bool(dismissed),
        )
        for visit_id, actor, reason, opened, until, ended, dismissed in rows
    )
