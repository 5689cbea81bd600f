"""Whose hub user it is: found by the person's subject, whatever they are called by now."""

from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub import orm

from devplatform_hub.authenticators.sessions import Binding, name_of
from devplatform_hub.core.identity import Identity

NORA = Identity("github", "105", "nora")


@pytest.fixture
def db() -> Iterator[Any]:
    session = orm.new_session_factory("sqlite:///:memory:")()
    yield session
    session.close()
    session.get_bind().dispose()  # its connection would be left to the collector


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        pytest.param({}, "", id="nobody"),
        pytest.param({"nora": NORA}, "nora", id="the same name"),
        pytest.param({"nora-before": NORA}, "nora-before", id="renamed"),
        pytest.param({"nora": Identity("github", "106", "nora")}, "", id="another person of this name"),
        pytest.param({"nora": Identity("gitlab", "105", "nora")}, "", id="the same number elsewhere"),
        pytest.param({"nora": Identity("github", "10", "nora")}, "", id="a number that begins alike"),
        pytest.param({"older": NORA, "nora": NORA, "newer": NORA}, "nora", id="several: the one of today's name"),
        pytest.param({"older": NORA, "newer": NORA}, "older", id="several: the first"),
        pytest.param({"nora": None}, "", id="made by an administrator, nobody's yet"),
    ],
)
@pytest.mark.parametrize("ended", [False, True], ids=["signed in", "put out"])
def test_the_hub_user_of_a_person(db: Any, users: dict[str, Identity | None], expected: str, ended: bool) -> None:
    """By subject and provider, whether or not their sessions were ended."""
    for name, identity in users.items():
        user = orm.User(name=name)
        if identity is not None:
            user.cookie_id = Binding.of(identity, "").new_cookie_id()
            user.cookie_id = Binding.ended(user.cookie_id) if ended else user.cookie_id
        db.add(user)
    db.commit()
    assert name_of(db, NORA) == expected
