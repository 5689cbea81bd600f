"""Where a pod may run, as plain values: labels, tolerations and node affinity of a placement."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.cluster import SPOT_LABEL, Placement, Toleration

FLEX_START = "cloud.google.com/gke-flex-start"
QUEUED_TAINT = "cloud.google.com/gke-queued"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
ZONE = "topology.kubernetes.io/zone"
SPOT_GRACE_SECONDS = 15
"""GKE gives a pod on a machine that is taken away 15 of the 30 seconds; more in the pod has no effect."""

_NEVER_SPOT = {"key": SPOT_LABEL, "operator": "DoesNotExist"}


def placement_selector(placement: Placement | None) -> dict[str, str]:
    """Labels of the machines of a placement; its accelerator is part of `gpu.gpu_selector`."""
    if placement is None:
        return {}
    wanted = {
        SPOT_LABEL: "true" if placement.spot else "",
        ZONE: placement.zone,
        FLEX_START: "true" if placement.flex_start else "",
    }
    return {**{label: value for label, value in wanted.items() if value}, **placement.node_selector}


def placement_tolerations(placement: Placement | None) -> dict[str, dict[str, str]]:
    """Taints that GKE, or whoever made the node pool, puts on such machines, by a name for each."""
    if placement is None:
        return {}
    found = {}
    if placement.spot is not False:
        found["spot"] = _taint(SPOT_LABEL)
    if placement.flex_start:
        found["flex-start"] = _taint(FLEX_START)
    return found


def queue_toleration() -> dict[str, str]:
    """Machines that the Dynamic Workload Scheduler brings for a queue carry a taint."""
    return {"key": QUEUED_TAINT, "operator": "Exists", "effect": "NoSchedule"}


def profile_toleration(toleration: Toleration) -> dict[str, str]:
    """A toleration of `profiles.yaml` as Kubernetes has it."""
    found = {"key": toleration.key, "operator": toleration.operator}
    if toleration.operator == "Equal":
        found["value"] = toleration.value
    return found | ({"effect": toleration.effect} if toleration.effect else {})


def required_affinity(terms: Sequence[Any] | Mapping[str, Any], placement: Placement | None) -> Any:
    """`terms` (KubeSpawner's `node_affinity_required`), narrowed to machines that stay where the placement says so.

    One of the terms has to hold, so the condition goes into each: beside them it would be a way around them.
    """
    if placement is None or placement.spot is not False:
        return dict(terms) if isinstance(terms, Mapping) else list(terms)
    if isinstance(terms, Mapping) and terms:
        return {name: _narrowed(term) for name, term in terms.items()}
    return [_narrowed(term) for term in terms] or [{"matchExpressions": [_NEVER_SPOT]}]


def _narrowed(term: Any) -> dict[str, Any]:
    fields = dict(term) if isinstance(term, Mapping) else dict(term.to_dict())
    before = [fields.pop(key, None) or [] for key in ("matchExpressions", "match_expressions")]
    return {**fields, "matchExpressions": [*before[0], *before[1], _NEVER_SPOT]}


def _taint(key: str) -> dict[str, str]:
    return {"key": key, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
