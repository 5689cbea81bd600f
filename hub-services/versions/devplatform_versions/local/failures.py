"""Turning what a disk or SQLite says into what the port promises."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ..ports import StoreUnavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def as_unavailable(task: str) -> Iterator[None]:
    """`StoreUnavailable` with a sentence instead of an error of the disk or of SQLite."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise unavailable(task, error) from error


def unavailable(task: str, error: OSError | sqlite3.Error) -> StoreUnavailable:
    """The sentence for an error of the disk or of SQLite; it names no file of the store."""
    reason: object = error
    if isinstance(error, OSError):
        reason = "the disk is full" if error.errno in _FULL else error.strerror or type(error).__name__
    return StoreUnavailable(f"The version store could not {task}: {reason}.")
