"""The culler as a process: sweeps on a clock until it is told to stop. It serves nothing."""

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path

from traitlets import Float, Unicode

from devplatform_hub.core.profiles_yaml import parse_profiles
from devplatform_hub.servicekit.app import ServiceApp, stop_signal
from devplatform_hub.servicekit.hub import HubClient, HubUnavailable

from .sweep import profile_limits, sweep


class CullerApp(ServiceApp):
    """Stops servers after their profile's idle time or maximum age.

    Scopes it needs: `list:users`, `read:servers` and `delete:servers`, nothing else.
    """

    name = "devplatform-culler"
    service_package = "devplatform_culler"

    profiles_file = Unicode(help="The profiles.yaml that the hub uses; read anew at every sweep.").tag(config=True)
    interval = Float(
        60, min=0.1, help="Seconds between sweeps; a server may live this much longer than its limit."
    ).tag(config=True)

    aliases = {**ServiceApp.aliases, "profiles": "CullerApp.profiles_file", "interval": "CullerApp.interval"}

    async def run_until_told(self) -> None:
        """Sweep every `interval` seconds until SIGTERM or SIGINT."""
        stop = stop_signal()
        async with HubClient() as hub:
            while not stop.is_set():
                await self.sweep_once(hub)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self.interval)

    async def sweep_once(self, hub: HubClient) -> None:
        """One sweep; a hub that does not answer is tried again at the next."""
        path = Path(self.profiles_file)
        catalog = parse_profiles(await asyncio.to_thread(path.read_text, "utf-8"), str(path))
        try:
            report = await sweep(hub, profile_limits(catalog), datetime.now(UTC))
        except HubUnavailable as error:
            self.log.warning("No sweep this time: %s", error)
            return
        if report.stopped or report.failed:
            self.log.info("Of %d servers stopped %d, failed %d", report.seen, len(report.stopped), len(report.failed))
