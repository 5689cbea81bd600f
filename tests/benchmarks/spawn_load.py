"""Hundreds of people who start their servers at once, and what that costs the hub: for bench-spawn and its kin.

with Cluster(folder / "cluster") as cluster, loaded_hub("ours", cluster, folder / "hub", people=200) as hub:
    measured = asyncio.run(start_all(hub, 200))
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import psutil

from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import OURS, STOCK, ClusterHub, cluster_hub

IN_FLIGHT = 100
"""Requests at a time: JupyterHub's own `concurrent_spawn_limit`, over which it refuses."""
PROFILES = """\
profiles:
  - {name: standard, display_name: Standard, description: Everyday work., cpu: 1, memory: 1G, default: true}
"""
# A request for a server is answered when that is ready, so that its time is what a person waits.
_CONFIG = """
c.JupyterHub.tornado_settings = {**c.JupyterHub.get("tornado_settings", {}), "slow_spawn_timeout": 900}
c.JupyterHub.authenticate_prometheus = False
"""
_STOCK_TRAITS = {
    "KubeSpawner": {
        "storage_pvc_ensure": True,
        "storage_capacity": "10Gi",
        "storage_access_modes": ["ReadWriteOnce"],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}],
        "volume_mounts": [{"name": "home", "mountPath": "/home/jovyan"}],
        "profile_list": [
            {
                "display_name": "Standard",
                "default": True,
                "kubespawner_override": {"cpu_limit": 1, "cpu_guarantee": 1, "mem_limit": "1G", "mem_guarantee": "1G"},
            }
        ],
    }
}
# Every name of the load is an address for the cluster, so that each person gets an account, a Role and a binding.
_OUR_TRAITS = {"DevPlatformSpawner": {"kubectl_domain": "example.com"}}


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one run: seconds that a person waited, starts a second, seconds of the hub's processor for one, memory."""

    people: int
    seconds: float
    rate: float
    p50: float
    p99: float
    cpu_per_start: float
    rss_mb: float
    failed: int

    def rounded(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


@contextmanager
def loaded_hub(kind: str, cluster: Cluster, folder: Path, people: int, *, database: str = "") -> Iterator[ClusterHub]:
    """A hub of this kind, `ours` or `stock`, that knows so many people, and machines with room for all of them."""
    cluster.nodes(max(10, people // 80), prefix=f"machine-{kind}", cpu="128", memory="512Gi")
    ours = kind == "ours"
    with cluster_hub(
        cluster,
        folder,
        namespace=cluster.namespace(f"people-{kind}"),
        spawner=OURS if ours else STOCK,
        profiles=PROFILES,
        groups={"developer-platform-users": [*(person(number) for number in range(people)), "root"]},
        traits=_OUR_TRAITS if ours else _STOCK_TRAITS,
        config=_CONFIG,
        database=database,
        started=False,
    ) as hub:
        hub.start(within=300)
        yield hub


def person(number: int) -> str:
    return f"user-{number:05d}"


async def start_all(hub: ClusterHub, people: int) -> Measured:
    """Everybody starts a server, `IN_FLIGHT` at a time. A start that fails counts, with the time that it took."""
    assert hub.process is not None
    process = psutil.Process(hub.process.pid)
    waited: list[float] = []
    failed: list[str] = []
    numbers = iter(range(people))
    # A token that the hub made: one of a configuration is hashed slowly at every request.
    headers = {"Authorization": f"token {hub.token_of('root')}"}
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    timeout = aiohttp.ClientTimeout(total=1200)
    before, begun = process.cpu_times(), time.monotonic()
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:

        async def one_after_another() -> None:
            for number in numbers:
                asked = time.monotonic()
                url = f"{hub.origin}/hub/api/users/{person(number)}/server"
                async with session.post(url, json={}) as answer:
                    said = await answer.text()
                    if answer.status != 201:
                        failed.append(f"{answer.status} {said[:300]}")
                waited.append(time.monotonic() - asked)

        await asyncio.gather(*(one_after_another() for _ in range(IN_FLIGHT)))
    seconds, after = time.monotonic() - begun, process.cpu_times()
    if failed:
        print(f"{len(failed)} starts failed, the first: {failed[0]}")
    waited.sort()
    spent = after.user + after.system - before.user - before.system
    return Measured(
        people=people,
        seconds=seconds,
        rate=people / seconds,
        p50=waited[len(waited) // 2],
        p99=waited[int(len(waited) * 0.99)],
        cpu_per_start=spent / people,
        rss_mb=process.memory_info().rss / 2**20,
        failed=len(failed),
    )
