"""For how long the hub has not heard of its cluster, in its own /hub/metrics."""

from functools import partial

from kubespawner import KubeSpawner
from prometheus_client import Gauge

_KINDS = ("pods", "events")


def stale_seconds(kind: str) -> float:
    """Of the watch of this kind that was out of reach for longest; 0 while all stand, and before there is one."""
    watches = [watch for key, watch in KubeSpawner.reflectors.items() if key[0] == kind]
    return max((float(getattr(watch, "stale_seconds", 0.0)) for watch in watches), default=0.0)


_STALE = Gauge(
    "devplatform_kube_watch_stale_seconds",
    "For how many seconds what the hub knows of pods or events may be out of date; 0 while the watch stands.",
    ["kind"],
)
for _kind in _KINDS:
    _STALE.labels(_kind).set_function(partial(stale_seconds, _kind))
