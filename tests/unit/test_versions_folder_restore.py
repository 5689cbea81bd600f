"""The plan that brings a folder back to a moment."""

from datetime import UTC, datetime

import pytest

from devplatform_versions.folder_restore import Deletion, FolderRestorePlan, Restore, plan_folder_restore
from devplatform_versions.model import Version


def version(path: str, generation: int, content: str = "x") -> Version:
    return Version(path, generation, len(content), content, datetime(2026, 1, 1, tzinfo=UTC), "alice")


@pytest.mark.parametrize(
    ("then", "now", "plan"),
    [
        pytest.param([], [], FolderRestorePlan((), (), 0), id="nothing then, nothing now"),
        pytest.param([version("a", 1)], [version("a", 1)], FolderRestorePlan((), (), 1), id="untouched since"),
        pytest.param(
            [version("a", 1, "old")],
            [version("a", 2, "new")],
            FolderRestorePlan((Restore("a", 1, 2),), (), 0),
            id="changed since",
        ),
        pytest.param(
            [version("a", 1, "same")],
            [version("a", 3, "same")],
            FolderRestorePlan((), (), 1),
            id="changed and changed back",
        ),
        pytest.param(
            [version("a", 1)], [], FolderRestorePlan((Restore("a", 1, 0),), (), 0), id="deleted since: only if absent"
        ),
        pytest.param([], [version("a", 5)], FolderRestorePlan((), (Deletion("a", 5),), 0), id="made since"),
        pytest.param(
            [version("d/b", 2, "1"), version("d/a", 1, "1"), version("d/c", 3)],
            [version("d/z", 9), version("d/y", 8), version("d/c", 3), version("d/b", 7, "2")],
            FolderRestorePlan(
                (Restore("d/a", 1, 0), Restore("d/b", 2, 7)), (Deletion("d/y", 8), Deletion("d/z", 9)), 1
            ),
            id="all of it, by path",
        ),
    ],
)
def test_plans_the_way_back(then: list[Version], now: list[Version], plan: FolderRestorePlan) -> None:
    """Every step names what must be live for it, so that a save in between is never overwritten."""
    assert plan_folder_restore(then, now) == plan
