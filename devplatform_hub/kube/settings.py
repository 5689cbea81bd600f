"""From a `SessionPlan` to what KubeSpawner sets on a pod. Pure: it names traits and their values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.session import SessionPlan


@dataclass(frozen=True, slots=True)
class ConfiguredResources:
    """What the operator configured for every pod, whatever the profile."""

    limits: Mapping[str, Any] = field(default_factory=dict)
    guarantees: Mapping[str, Any] = field(default_factory=dict)


def pod_settings(plan: SessionPlan, configured: ConfiguredResources) -> dict[str, Any]:
    """Every trait that a plan decides, each with a value at every start: nothing stays from the start before.

    What a profile promises is guaranteed, not only allowed: a person who was shown 8 GB gets 8 GB,
    and a pod whose requests equal its limits is the last that a full node evicts.
    A GPU is asked for in both places too, because Kubernetes refuses an extended resource where they differ.
    """
    gpu = {plan.gpu.resource: str(plan.gpu.count)} if plan.gpu else {}
    return {
        "cpu_limit": plan.cpu,
        "cpu_guarantee": plan.cpu,
        "mem_limit": plan.memory,
        "mem_guarantee": plan.memory,
        "extra_resource_limits": {**configured.limits, **gpu},
        "extra_resource_guarantees": {**configured.guarantees, **gpu},
        "default_url": plan.default_url,
    }
