"""How the hub's database is spoken to: SQLite so that a commit does not stop the hub's only thread for the disk."""

import sqlite3
from typing import Any
from urllib.parse import urlsplit


class QuickSqlite(sqlite3.Connection):
    """A connection whose commits are appended to a log and reach the disk together, some pages later.

    The hub commits about ten times for one start, in the thread that serves everybody. A hub that is killed loses
    nothing; a machine that loses its power loses the last commits, never older ones, and the file stays whole
    (<https://sqlite.org/wal.html>, <https://sqlite.org/pragma.html#pragma_synchronous>). Where the file system cannot
    share a log, SQLite goes on with what it had.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            self.execute("PRAGMA journal_mode=WAL").close()
            self.execute("PRAGMA synchronous=NORMAL").close()
        except sqlite3.Error:  # not a database, or not to be written: the hub says which
            self.close()
            raise


def connection_settings(url: str) -> dict[str, Any]:
    """What `JupyterHub.db_kwargs` is for this database, by its URL."""
    if urlsplit(url).scheme.partition("+")[0] != "sqlite":
        return {}
    return {"connect_args": {"factory": QuickSqlite, "check_same_thread": False}}
