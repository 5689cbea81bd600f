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
    except OSError as error:
        raise StoreUnavailable(f"The version store could not {task}: {_reason(error)}.") from error
    except sqlite3.Error as error:
        raise StoreUnavailable(f"The version store could not {task}: {error}.") from error


def _reason(error: OSError) -> str:
    return "the disk is full" if error.errno in _FULL else error.strerror or type(error).__name__
