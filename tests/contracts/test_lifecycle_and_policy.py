"""The bucket's rules and the local store's policy are one: 400 simulated days, played by both, day by day."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from devplatform_versions.gcs.history import history_of
from devplatform_versions.lifecycle import bucket_lifecycle
from devplatform_versions.model import Version
from devplatform_versions.policy import expired, storage_class
from tests.doubles.gcs import Clock, GcsServer
from tests.doubles.gcs.store import Place

from .version_stores import START

DAY = timedelta(days=1)
BUCKET, NAME = "workspaces", "users/alice/f"


@dataclass
class Played:
    """One file in a bucket, and the same file as the policy would keep it."""

    server: GcsServer
    clock: Clock
    known: list[Version] = field(default_factory=list)

    def now(self) -> datetime:
        return START + timedelta(microseconds=self.clock.now() - Clock(START).now())

    def save(self) -> None:
        self._end()
        made = self.server.store.write(self._place(), b"x", {}, None)
        self.known.append(Version("f", made.number, 1, "", self.now(), "alice"))

    def delete(self) -> None:
        self._end()
        self.server.store.delete(self._place())

    def night(self) -> None:
        """What both let go of at the end of a day."""
        self.server.apply_lifecycle(BUCKET)
        gone = expired(self.known, self.now())
        self.known = [version for version in self.known if version.generation not in gone]

    def kept(self) -> list[tuple[int, str]]:
        """Generation and class of what the bucket has, newest first."""
        held = self.server.store.bucket(BUCKET)
        resources = [
            {"generation": str(one.number), "timeCreated": START.isoformat(), "storageClass": one.storage_class}
            for name, one in held.all()
            if name == NAME
        ]
        return [(v.generation, v.storage_class) for v in history_of("f", "alice", resources) if not v.tombstone]

    def promised(self) -> list[tuple[int, str]]:
        """The same by the policy."""
        return [(v.generation, storage_class(v, self.now())) for v in reversed(self.known)]

    def _end(self) -> None:
        if self.known and self.known[-1].live:
            self.known[-1] = replace(self.known[-1], noncurrent_since=self.now())

    def _place(self) -> Place:
        return Place(self.server.store.bucket(BUCKET), NAME)


@pytest.fixture
def played() -> Played:
    clock = Clock(START)
    server = GcsServer(clock)
    server.make_bucket(BUCKET, lifecycle=bucket_lifecycle())
    return Played(server, clock)


SAVES = {
    "daily for 60 days": [1 if day < 60 else 0 for day in range(400)],
    "fifty times a day for 5 days": [50 if day < 5 else 0 for day in range(400)],
    "now and then, for a year": [1 if day % 17 == 0 else 0 for day in range(400)],
    "again after 200 days": [1 if day in (0, 200) else 0 for day in range(400)],
    "every day of a year": [1] * 400,
}


@pytest.mark.parametrize("deleted_on", [None, 20, 210])
@pytest.mark.parametrize("saves", SAVES.values(), ids=SAVES.keys())
def test_400_days(played: Played, saves: list[int], deleted_on: int | None) -> None:
    """Every night the same versions are left, in the same classes; a live file is always there."""
    for day, count in enumerate(saves):
        for _ in range(count):
            played.save()
            played.clock.move(seconds=600)
        if day == deleted_on and played.known and played.known[-1].live:
            played.delete()
        played.clock.move(seconds=max(1.0, 86_400 - 600 * count))
        played.night()
        assert played.kept() == played.promised(), day
    assert played.server.ledger.early == []  # nothing was moved or removed before its class was paid for


def test_what_pages_promise_is_kept(played: Played) -> None:
    """Thirty days of everything, then ten in all; a live version never goes, however old."""
    for _ in range(40):
        played.save()
        played.clock.move(seconds=60)
    counts = []
    for _ in range(400):
        played.clock.move(days=1)
        played.night()
        counts.append(len(played.kept()))
    assert (counts[28], counts[30], counts[300], counts[-1]) == (40, 10, 10, 1)
