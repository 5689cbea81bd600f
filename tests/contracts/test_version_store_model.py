"""Any sequence of saves, restores, deletions, restarts and expiries: the store agrees with a few lines of Python."""

import asyncio
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from devplatform_versions import policy
from devplatform_versions.model import Version
from devplatform_versions.ports import PreconditionFailed, VersionNotFound

from .version_stores import KINDS, StoreUnderTest, content

OWNERS = st.sampled_from(["alice", "bob"])
PATHS = st.sampled_from(["f", "d/f", "d/e/f", "d", "d/e/g.txt", "d!/f"])
BODIES = st.sampled_from([b"", b"one", b"two", b"x" * 40_000, b"y" * 40_000])


@dataclass
class Known:
    """What the model knows of one file: its versions and tombstones, oldest first."""

    versions: list[Version] = field(default_factory=list)
    bodies: dict[int, bytes] = field(default_factory=dict)

    @property
    def live(self) -> Version | None:
        return self.versions[-1] if self.versions and not self.versions[-1].tombstone else None

    def add(self, version: Version, body: bytes | None, now: datetime) -> None:
        if self.live is not None:
            old = self.versions.pop()
            self.versions.append(_noncurrent(old, now))
        self.versions.append(version)
        if body is not None:
            self.bodies[version.generation] = body


def _noncurrent(old: Version, now: datetime) -> Version:
    return replace(old, noncurrent_since=now)


# Not a lambda: Hypothesis would parse its source for a description, which Python 3.11 cannot do beside other threads.
def _knows_something(machine: "StoreMachine") -> bool:
    return bool(machine.known)


class StoreMachine(RuleBasedStateMachine):
    """Drives a real store and the model side by side."""

    kind = "local"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.known: dict[tuple[str, str], Known] = {}
        self.kit: StoreUnderTest
        self.last = 0

    @initialize()
    def begin(self) -> None:
        self.kit = KINDS[self.kind](Path(self.folder.name))
        self.runner.run(self.kit.open())

    def teardown(self) -> None:
        if hasattr(self, "kit"):
            self.runner.run(self.kit.shut())
        self.runner.close()
        self.folder.cleanup()

    def file(self, owner: str, path: str) -> Known:
        return self.known.setdefault((owner, path), Known())

    def added(self, known: Known, version: Version, body: bytes | None) -> None:
        assert version.generation > self.last
        self.last = version.generation
        known.add(version, body, self.kit.clock.now())

    @rule(owner=OWNERS, path=PATHS, body=BODIES, match=st.sampled_from(["any", "live", "none", "wrong"]))
    def save(self, owner: str, path: str, body: bytes, match: str) -> None:
        known = self.file(owner, path)
        live = known.live.generation if known.live else 0
        expected = {"any": None, "live": live, "none": 0, "wrong": 12345}[match]
        if expected is not None and expected != live:
            with pytest.raises(PreconditionFailed):
                self.runner.run(self.kit.put(owner, path, body, match=expected))
            return
        version = self.runner.run(self.kit.put(owner, path, body, match=expected))
        if known.live is not None and known.bodies[live] == body:
            assert version == known.live
        else:
            self.added(known, version, body)

    @rule(owner=OWNERS, path=PATHS, match=st.sampled_from([None, 0]), pick=st.integers(0, 5))
    def restore(self, owner: str, path: str, match: int | None, pick: int) -> None:
        known = self.file(owner, path)
        old = known.versions[pick % len(known.versions)] if known.versions else None
        self.kit.clock.move(seconds=1)
        asked = self.kit.store.restore(owner, path, old.generation if old else 1, owner, if_generation_match=match)
        if old is None or old.tombstone:
            with pytest.raises(VersionNotFound):
                self.runner.run(asked)
        elif match == 0 and known.live:
            with pytest.raises(PreconditionFailed):
                self.runner.run(asked)
        else:
            version = self.runner.run(asked)
            assert version.restored_from == old.generation
            self.added(known, version, known.bodies[old.generation])

    @rule(owner=OWNERS, path=PATHS)
    def delete(self, owner: str, path: str) -> None:
        known = self.file(owner, path)
        self.kit.clock.move(seconds=1)
        tombstone = self.runner.run(self.kit.store.delete(owner, path, owner))
        assert (tombstone is None) == (known.live is None)
        if tombstone is not None:
            self.added(known, tombstone, None)

    @rule(days=st.sampled_from([1, 29, 31, 200]))
    def pass_time(self, days: int) -> None:
        self.kit.clock.move(days=days)

    @rule()
    def expire(self) -> None:
        now = self.kit.clock.now()
        for owner in ("alice", "bob"):
            gone = 0
            for (whose, _), known in self.known.items():
                if whose == owner:
                    expired = policy.expired(known.versions, now)
                    gone += sum(not v.tombstone for v in known.versions if v.generation in expired)
                    known.versions = [v for v in known.versions if v.generation not in expired]
            assert self.runner.run(self.kit.expire(owner)) == gone

    @precondition(_knows_something)
    @rule()
    def restart(self) -> None:
        self.runner.run(self.kit.reopen())

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "kit"):
            self.runner.run(self._compare())

    async def _compare(self) -> None:
        store, now = self.kit.store, self.kit.clock.now()
        for owner in ("alice", "bob"):
            mine = {path: known for (whose, path), known in self.known.items() if whose == owner and known.versions}
            snapshot = (await store.snapshot(owner, "")).items
            assert [v.path for v in snapshot] == sorted(path for path, known in mine.items() if known.live)
            past = now - timedelta(days=3)
            then = {
                path: next((v for v in reversed(known.versions) if v.created <= past), None)
                for path, known in mine.items()
            }
            assert [v.generation for v in (await store.snapshot(owner, "", past)).items] == [
                v.generation for _, v in sorted(then.items()) if v is not None and not v.tombstone
            ]
            for deleted in (False, True):
                shown = {path for path, known in mine.items() if deleted or known.live}
                await self._compare_folders(owner, shown, deleted)
            changes = await store.changes(owner, 0)
            assert [c.version.generation for c in changes] == sorted(
                v.generation for known in mine.values() for v in known.versions
            )
            for path, known in mine.items():
                listed = (await store.list_versions(owner, path)).items
                assert [(v.generation, v.noncurrent_since, v.tombstone) for v in listed] == [
                    (v.generation, v.noncurrent_since, v.tombstone) for v in reversed(known.versions)
                ]
                newest = next((v for v in listed if not v.tombstone), None)
                if newest is not None:
                    assert await content(store, newest, owner) == known.bodies[newest.generation]

    async def _compare_folders(self, owner: str, shown: set[str], deleted: bool) -> None:
        for folder in ("", "d", "d/e", "d!"):
            prefix = f"{folder}/" if folder else ""
            inside = {path.removeprefix(prefix) for path in shown if path.startswith(prefix)}
            expected = sorted({(name.partition("/")[0], "/" not in name) for name in inside})
            page = await self.kit.store.list_folder(owner, folder, deleted=deleted)
            assert [(entry.name, not entry.is_folder) for entry in page.items] == expected
            for entry in page.items:
                if not entry.is_folder:
                    versions = self.known[owner, prefix + entry.name].versions
                    assert entry.versions == sum(not v.tombstone for v in versions)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_agrees_with_the_model(kind: str) -> None:
    """Whatever is done, in whatever order, every listing is what the model says."""
    machine = type("Machine", (StoreMachine,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
