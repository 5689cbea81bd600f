"""What the agent does when the workspace, its memory and the service differ."""

from datetime import UTC, datetime, timedelta

import pytest

from devplatform_versions.capture.reconcile import (
    Arrival,
    Known,
    Save,
    decide_arrival,
    decide_save,
    merge_live,
)
from devplatform_versions.model import Origin, Version

THEN = datetime(2026, 3, 15, 14, 30, tzinfo=UTC)


def version(
    generation: int = 9, sha256: str = "new", origin: Origin = Origin.RESTORE, *, tombstone: bool = False
) -> Version:
    """A version of `a` made at THEN."""
    return Version("a", generation, 3, "" if tombstone else sha256, THEN, "alice", origin, tombstone=tombstone)


@pytest.mark.parametrize(
    ("known", "local", "step"),
    [
        pytest.param(None, None, Save.NOTHING, id="never-there"),
        pytest.param(None, "x", Save.UPLOAD, id="new"),
        pytest.param(Known(5, "x", True), "x", Save.REMEMBER, id="same-bytes"),
        pytest.param(Known(5, "x", True), "y", Save.UPLOAD, id="changed"),
        pytest.param(Known(0, None, True), "x", Save.UPLOAD, id="back-after-deletion"),
        pytest.param(Known(None, None, True), "x", Save.UPLOAD, id="upload-without-known-end"),
        pytest.param(Known(5, "x", True), None, Save.DELETE, id="deleted"),
        pytest.param(Known(None, None, True), None, Save.DELETE, id="deleted-after-upload-without-known-end"),
        pytest.param(Known(0, None, True), None, Save.FORGET, id="deleted-before"),
        pytest.param(Known(5, "x", False), None, Save.FORGET, id="never-in-this-workspace"),
    ],
)
def test_saves(known: Known | None, local: str | None, step: Save) -> None:
    """One step for what is known and what is there; a file that was never seen here is never deleted there."""
    assert decide_save(known, local) is step


@pytest.mark.parametrize(
    ("known", "local", "mtime", "arriving", "step"),
    [
        pytest.param(Known(5, "x", True), "x", -1, version(), Arrival.WRITE, id="clean"),
        pytest.param(Known(5, "x", True), None, 0, version(), Arrival.WRITE, id="local-deletion"),
        pytest.param(None, None, 0, version(), Arrival.WRITE, id="unknown-and-missing"),
        pytest.param(Known(0, None, True), None, 0, version(), Arrival.WRITE, id="deleted-file-comes-back"),
        pytest.param(Known(5, "x", True), "new", -1, version(), Arrival.ADOPT, id="has-it-already"),
        pytest.param(Known(9, "new", True), "x", -1, version(), Arrival.NOTHING, id="known-already"),
        pytest.param(Known(12, "y", True), "y", -1, version(), Arrival.NOTHING, id="older-than-known"),
        pytest.param(Known(5, "x", True), "y", -1, version(), Arrival.CAPTURE_THEN_WRITE, id="dirty-before"),
        pytest.param(None, "y", -1, version(), Arrival.CAPTURE_THEN_WRITE, id="unknown-file-before"),
        pytest.param(Known(5, "x", True), "y", 1, version(), Arrival.CAPTURE, id="saved-after-the-restore"),
        pytest.param(Known(5, "x", True), "x", -1, version(origin=Origin.CAPTURE), Arrival.NOTHING, id="an-echo"),
        pytest.param(Known(5, "x", True), "x", -1, version(tombstone=True), Arrival.WRITE, id="removed-by-folder"),
        pytest.param(Known(5, "x", True), None, 0, version(tombstone=True), Arrival.ADOPT, id="removed-here-too"),
        pytest.param(
            Known(5, "x", True), "y", -1, version(tombstone=True), Arrival.CAPTURE_THEN_WRITE, id="removed-but-dirty"
        ),
    ],
)
def test_arrivals(known: Known | None, local: str | None, mtime: int, arriving: Version, step: Arrival) -> None:
    """A restore replaces what is a version already; anything else becomes one first."""
    saved = None if local is None else THEN + timedelta(seconds=mtime)
    assert decide_arrival(known, local, saved, arriving) is step


def test_what_the_service_says_is_remembered() -> None:
    """Whether the file was ever seen in this workspace survives; what is not live has generation 0."""
    assert merge_live(Known(5, "x", True), version(9, "y")) == Known(9, "y", True)
    assert merge_live(None, version(9, "y")) == Known(9, "y", False)
    assert merge_live(Known(5, "x", True), None) == Known(0, None, True)
    assert merge_live(None, None) is None
