"""`make bench-spawn`: how fast a hub starts servers, with DevPlatformSpawner and with stock KubeSpawner.

Each runs alone, on a control plane of its own (real but for the kubelets), with the same hub, proxy and database, and
a home disk for everybody; ours also gives everybody a service account, a Role and a RoleBinding. 100 requests are in
flight, as many as the hub allows.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.spawn_load import Measured, loaded_hub, start_all
from tests.lab.cluster import Cluster

GOAL = 1.0
_STEADY = 0.8
"""Of the rate with the fewest people, so much is kept with the most."""


def run(kind: str, people: int) -> Measured:
    """One measurement, on a new control plane."""
    with tempfile.TemporaryDirectory(prefix="bench-spawn-") as name:
        folder = Path(name)
        with Cluster(folder / "cluster") as cluster, loaded_hub(kind, cluster, folder / "hub", people) as hub:
            return asyncio.run(start_all(hub, people))


def main(sizes: list[int], kinds: list[str]) -> int:
    found: dict[str, dict[int, Measured]] = {kind: {} for kind in kinds}
    for people in sizes:
        for kind in kinds:
            found[kind][people] = run(kind, people)
            print(f"{kind}, {people} people: {found[kind][people].rounded()}", file=sys.stderr, flush=True)
    if set(kinds) != {"ours", "stock"}:
        return 0
    ours, stock = found["ours"], found["stock"]
    ratios = {people: ours[people].rate / stock[people].rate for people in sizes}
    worst = min(sizes, key=lambda people: ratios[people])
    steady = ours[max(sizes)].rate / ours[min(sizes)].rate
    failed = sum(one.failed for one in ours.values())
    result = {
        "name": "spawn",
        "unit": "servers started a second",
        "ours": round(ours[worst].rate, 2),
        "peer": round(stock[worst].rate, 2),
        "ratio": round(ratios[worst], 3),
        "goal": f"ratio >= {GOAL:g} with any number of people, and {_STEADY:g} of the rate kept with the most",
        "met": ratios[worst] >= GOAL and steady >= _STEADY and not failed,
        "detail": {
            "peer": f"jupyterhub-kubespawner {version('jupyterhub-kubespawner')}, jupyterhub {version('jupyterhub')}",
            "worst_at": worst,
            "rate_kept": round(steady, 3),
            "ratios": {people: round(ratio, 3) for people, ratio in ratios.items()},
            **{kind: [one.rounded() for one in found[kind].values()] for kind in kinds},
        },
    }
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=[200, 1000, 5000])
    parser.add_argument("--kinds", nargs="+", choices=["ours", "stock"], default=["stock", "ours"])
    given = parser.parse_args()
    sys.exit(main(given.people, given.kinds))
