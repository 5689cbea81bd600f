"""Letting go of what the retention policy lets go, for everybody, now and then."""

import asyncio
import logging

from devplatform_hub.ports import Clock

from .ports import OwnerList, StoreUnavailable, VersionStore

_log = logging.getLogger("devplatform.versions.retention")


async def expire_all(store: VersionStore, clock: Clock) -> int:
    """One sweep over every owner; how many versions went. An owner whose sweep fails is left for the next one."""
    if not isinstance(store, OwnerList):
        return 0
    removed = 0
    for owner in await store.owners():
        try:
            count = await store.expire(owner, clock.now())
        except StoreUnavailable as error:
            _log.warning("The versions of %s were not swept: %s", owner, error)
            continue
        if count:
            _log.info("Retention let go of %d versions of %s", count, owner)
        removed += count
    return removed


async def expire_forever(store: VersionStore, clock: Clock, interval: float) -> None:
    """Sweep every `interval` seconds until cancelled; first a minute after the start, when people have their pages."""
    wait = min(60.0, interval)
    while True:
        await asyncio.sleep(wait)
        wait = interval
        try:
            await expire_all(store, clock)
        except StoreUnavailable as error:
            _log.warning("Nothing was swept this time: %s", error)
