"""What every store promises that keeps who looked into whose versions (`VisitBook`)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devplatform_versions.model import Visit
from devplatform_versions.ports import VISITS_KEPT, VisitBook

from .version_stores import StoreUnderTest

OPENED = datetime(2026, 3, 1, 12, 0, 0, 7, tzinfo=UTC)


@pytest.fixture
def book(kit: StoreUnderTest) -> VisitBook:
    assert isinstance(kit.store, VisitBook)
    return kit.store


def visit(number: int, opened: datetime = OPENED) -> Visit:
    """One of many."""
    return Visit(f"id-{number}", "ada", f"Grund № {number} 'x\" \x00", opened, opened + timedelta(minutes=30))


async def test_gives_back_what_was_kept_newest_first(book: VisitBook) -> None:
    """In the order in which they were opened, whatever the clock said; each owner their own."""
    assert await book.visits("bob") == ()
    added = [visit(1), visit(2, OPENED - timedelta(days=1)), visit(3)]
    for one in added:
        await book.add_visit("bob", one)
    await book.add_visit("carol", visit(4))
    assert await book.visits("bob") == tuple(reversed(added))
    assert await book.visits("carol") == (visit(4),)


async def test_an_end_is_noted_once_and_a_dismissal_stays(book: VisitBook) -> None:
    """In whichever order they come: neither takes the other back."""
    ended = OPENED + timedelta(minutes=1)
    for number in (1, 2):
        await book.add_visit("bob", visit(number))
    assert await book.change_visit("bob", "id-1", ended=ended)
    assert await book.change_visit("bob", "id-1", dismissed=True)
    assert await book.change_visit("bob", "id-1", ended=ended + timedelta(minutes=5))
    assert await book.change_visit("bob", "id-2", dismissed=True)
    assert await book.change_visit("bob", "id-2", ended=ended)
    done = {"ended": ended, "dismissed": True}
    assert await book.visits("bob") == (replace(visit(2), **done), replace(visit(1), **done))


@pytest.mark.parametrize(("owner", "visit_id"), [("carol", "id-1"), ("bob", "id-2"), ("bob", ""), ("bob", "%")])
async def test_nobody_changes_what_is_not_theirs(book: VisitBook, owner: str, visit_id: str) -> None:
    await book.add_visit("bob", visit(1))
    assert not await book.change_visit(owner, visit_id, ended=OPENED, dismissed=True)
    assert await book.visits("bob") == (visit(1),)


async def test_survives_a_restart(kit: StoreUnderTest, book: VisitBook) -> None:
    await book.add_visit("bob", visit(1))
    await kit.reopen()
    assert isinstance(kit.store, VisitBook)
    assert await kit.store.visits("bob") == (visit(1),)


async def test_is_bounded(kit: StoreUnderTest, book: VisitBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest of each owner are kept, and retention of versions leaves them alone."""
    assert VISITS_KEPT == 1000
    monkeypatch.setattr("devplatform_versions.local.visits.VISITS_KEPT", 3)
    monkeypatch.setattr("devplatform_versions.gcs.visits.VISITS_KEPT", 3)
    await book.add_visit("carol", visit(0))
    for number in range(1, 6):
        await book.add_visit("bob", visit(number))
    assert [one.id for one in await book.visits("bob")] == ["id-5", "id-4", "id-3"]
    assert [one.id for one in await book.visits("carol")] == ["id-0"]
    kit.clock.move(days=4000)
    await kit.expire("bob")
    assert len(await book.visits("bob")) == 3
