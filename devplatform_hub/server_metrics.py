"""How starts of servers end and how long they take, in the hub's own /hub/metrics. No label has a person's name."""

import re

from prometheus_client import Counter, Histogram

_CODE = re.compile(r"[a-z][a-z0-9-]{0,59}")
_BUCKETS = (0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)

_STARTS = Counter(
    "devplatform_server_starts",
    "Starts of servers by outcome: allowed, refused or failed, and the code of what kept them from starting.",
    ["outcome", "code"],
)
_SECONDS = Histogram(
    "devplatform_server_start_seconds",
    "Seconds from the request to a server that runs, by profile.",
    ["profile"],
    buckets=_BUCKETS,
)
# From the hub's start on, so that the first refusal is an increase.
for _outcome in ("allowed", "refused", "failed"):
    _STARTS.labels(_outcome, "")


def started(outcome: str, why: str, seconds: float) -> None:
    """Count a start. `why` is its profile where it was `allowed`, else a stable code."""
    if outcome == "allowed":
        _STARTS.labels(outcome, "").inc()
        _SECONDS.labels(why).observe(seconds)
    else:
        # Codes are written in our source; what is none would be a series of its own for each text.
        _STARTS.labels(outcome, why if _CODE.fullmatch(why) else "other").inc()
