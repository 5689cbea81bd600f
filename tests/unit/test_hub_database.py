"""How the hub's database is spoken to."""

import sqlite3
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from traitlets.config import Config

import devplatform_hub
from devplatform_hub.hub_database import QuickSqlite, connection_settings

OURS = {"connect_args": {"factory": QuickSqlite, "check_same_thread": False}}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("sqlite:///jupyterhub.sqlite", OURS, id="a file"),
        pytest.param("sqlite+pysqlite:////srv/jupyterhub.sqlite", OURS, id="with a driver"),
        pytest.param("postgresql+psycopg://hub@db/hub", {}, id="PostgreSQL"),
        pytest.param("mysql://hub@db/hub", {}, id="MySQL"),
    ],
)
def test_only_sqlite_is_spoken_to_differently(url: str, expected: dict[str, Any]) -> None:
    """Other databases have nothing of it, and would refuse it."""
    assert connection_settings(url) == expected


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_hubs_own_engine_takes_it(tmp_path: Path) -> None:
    """A commit is in the log at once: a hub that is killed now has lost nothing."""
    file = tmp_path / "hub.sqlite"
    url = f"sqlite:///{file}"
    with orm.new_session_factory(url, **connection_settings(url))() as session:
        session.add(orm.User(name="alice"))
        session.commit()
        with closing(sqlite3.connect(file)) as other:
            assert other.execute("select name from users").fetchall() == [("alice",)]
            assert other.execute("pragma journal_mode").fetchall() == [("wal",)]
        session.get_bind().dispose()


def test_what_is_no_database_leaves_nothing_open(tmp_path: Path) -> None:
    """The hub then says what is wrong, as before."""
    broken = tmp_path / "broken.sqlite"
    broken.write_text("this is not a database" * 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(sqlite3.DatabaseError, match="file is not a database"):
            QuickSqlite(str(broken))
    assert broken.stat().st_size == 2200


@pytest.mark.parametrize(
    ("configured", "expected"),
    [
        pytest.param({}, OURS, id="JupyterHub's default"),
        pytest.param({"db_url": "postgresql+psycopg://hub@db/hub"}, {}, id="PostgreSQL"),
        pytest.param({"db_kwargs": {"pool_size": 3}}, {"pool_size": 3}, id="an operator's own"),
    ],
)
def test_setup_leaves_to_operators_what_they_said(configured: dict[str, Any], expected: dict[str, Any]) -> None:
    """How the hub connects is theirs to answer for, once they say anything of it."""
    c = Config()
    c.JupyterHub.update(configured)
    devplatform_hub.setup(c)
    assert c.JupyterHub.db_kwargs == expected
