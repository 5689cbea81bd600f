"""Catching up with the service when the agent starts: restores made while it was away, then what is live now."""

from collections.abc import Sequence

from ..client import VersionsClient
from ..model import Version
from .reconcile import merge_live
from .restorer import Restorer
from .state import CaptureState, Row

_AT_ONCE = 500


async def synchronise(client: VersionsClient, state: CaptureState, restorer: Restorer) -> None:
    """Afterwards the state has the live generation of every path, and the cursor is where the stream goes on."""
    if state.value("owner") != client.endpoint.owner:
        if state.value("owner") is not None:  # a workspace that was somebody else's: its rows mean nothing here
            state.forget(list(state.paths()))
        state.set_value("owner", client.endpoint.owner)
        cursor = await _catch_up(client, 0, None)
    else:
        cursor = await _catch_up(client, int(state.value("cursor") or 0), restorer)
    state.set_value("cursor", str(cursor))
    mark = int(state.value("mark") or 0) + 1
    state.set_value("mark", str(mark))
    batch: list[Version] = []
    async for version in client.snapshot(""):
        batch.append(version)
        if len(batch) >= _AT_ONCE:
            _merge(state, batch, mark)
            batch.clear()
    _merge(state, batch, mark)
    state.end_snapshot(mark)


async def _catch_up(client: VersionsClient, cursor: int, restorer: Restorer | None) -> int:
    """Where the stream of changes is now. What was restored since `cursor` is applied, if there is a restorer."""
    newest: dict[str, Version] = {}
    while True:
        changes, following = await client.changes(cursor)
        if restorer is not None:
            newest.update((change.version.path, change.version) for change in changes)
        if not changes or following == cursor:
            break
        cursor = following
    if restorer is not None:
        await restorer.apply_all(newest.values())
    return cursor


def _merge(state: CaptureState, live: Sequence[Version], mark: int) -> None:
    rows: list[Row] = []
    for version in live:
        row = state.get(version.path)
        known = merge_live(row.known if row else None, version)
        if known is None:
            continue
        same = row is not None and row.known.sha256 == version.sha256
        rows.append(Row(version.path, known, row.stamp if row is not None and same else None))
    state.put(rows, mark)
