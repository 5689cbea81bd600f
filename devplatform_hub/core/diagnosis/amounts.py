"""Kubernetes' quantities, such as `8Gi`, as people read them."""

from ..cluster_quantities import parse_amount
from ..quantities import format_size
from .events import Json, entries, mapping, text


def readable(quantity: object, *, is_size: bool) -> str:
    """`8Gi` as `8 GB`, `500m` of CPU as `0.5`; what is no quantity as it is, cut short."""
    given = text(quantity)[:40]
    amount = parse_amount(given)
    if amount is None:
        return given
    return format_size(int(amount)) if is_size and not given.endswith("m") else f"{float(amount):g}"


def memory_limit(pod: Json, container: str) -> str:
    """How much memory this container may use, such as `8 GB`; "" where it has no limit."""
    spec = mapping(pod.get("spec"))
    for one in entries(spec.get("containers")) + entries(spec.get("initContainers")):
        limit = mapping(mapping(one.get("resources")).get("limits")).get("memory")
        if one.get("name") == container and limit:
            return readable(limit, is_size=True)
    return ""
