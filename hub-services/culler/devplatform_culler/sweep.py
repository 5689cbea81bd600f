"""One look at every running server, and the stops that follow from it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from devplatform_hub.core.profiles import Catalog
from devplatform_hub.ports import HubApi
from devplatform_hub.servicekit import audit
from devplatform_hub.servicekit.hub import HubUnavailable

from .policy import Cull, Limits, RunningServer, decide

_log = logging.getLogger("devplatform.culler")
_STOPS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What one sweep saw and did."""

    seen: int
    stopped: tuple[Cull, ...]
    failed: tuple[Cull, ...]


async def sweep(hub: HubApi, limits_of: Callable[[str], Limits], now: datetime) -> SweepReport:
    """Stop every ready server whose limits say so, twenty at a time. One that cannot be stopped stops no other.

    Raises `HubUnavailable` when the hub cannot say which servers run.
    """
    culls: list[Cull] = []
    seen = 0
    async for user in hub.users(state="active"):
        for model in (user.get("servers") or {}).values():
            server = _running_server(str(user["name"]), model)
            if server is None:
                continue
            seen += 1
            cull = decide(server, limits_of(_profile_of(model)), now)
            if cull:
                culls.append(cull)
    gate = asyncio.Semaphore(_STOPS_AT_ONCE)
    outcomes = await asyncio.gather(*(_stop(hub, cull, gate) for cull in culls))
    stopped = tuple(cull for cull, done in zip(culls, outcomes, strict=True) if done)
    failed = tuple(cull for cull, done in zip(culls, outcomes, strict=True) if not done)
    return SweepReport(seen, stopped, failed)


def profile_limits(catalog: Catalog) -> Callable[[str], Limits]:
    """The limits of a profile by its slug; a profile that is gone from the catalogue has those of the default one."""
    table = {p.slug: Limits(p.idle_timeout, p.max_age) for p in catalog.profiles}
    fallback = next(table[p.slug] for p in catalog.profiles if p.default)
    return lambda slug: table.get(slug, fallback)


async def _stop(hub: HubApi, cull: Cull, gate: asyncio.Semaphore) -> bool:
    server = cull.server
    target = f"{server.user}/{server.name}"
    async with gate:
        try:
            await hub.stop_server(server.user, server.name)
        except HubUnavailable as error:
            _log.warning("Could not stop %s: %s", ascii(target), error)
            audit.emit("server.cull", actor="culler", outcome="failed", target=target, why=cull.why)
            return False
    _log.info("Stopped %s: %s", ascii(target), cull.why)
    audit.emit("server.cull", actor="culler", outcome="allowed", target=target, why=cull.why)
    return True


def _running_server(user: str, model: Mapping[str, Any]) -> RunningServer | None:
    started = _time(model.get("started"))
    if not model.get("ready") or model.get("pending") or started is None:
        return None
    return RunningServer(user, str(model.get("name") or ""), started, _time(model.get("last_activity")))


def _profile_of(model: Mapping[str, Any]) -> str:
    options = model.get("user_options")
    return str(options.get("profile", "")) if isinstance(options, Mapping) else ""


def _time(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
