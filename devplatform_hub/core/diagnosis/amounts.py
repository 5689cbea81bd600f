"""Kubernetes' quantities, such as `8Gi`, as people read them."""

import re

from ..quantities import format_size
from .events import Json, entries, mapping, text

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "": 1}
_QUANTITY = re.compile(r"(\d{1,18})(\.\d{1,9})?([KMGT]i|[kMGT]|m)?")


def readable(quantity: object, *, is_size: bool) -> str:
    """`8Gi` as `8 GB`, `500m` of CPU as `0.5`; what is no quantity as it is, cut short."""
    given = text(quantity)[:40]
    match = _QUANTITY.fullmatch(given)
    if match is None:
        return given
    number = float(match[1] + (match[2] or ""))
    if match[3] == "m":
        return f"{number / 1000:g}"
    amount = number * _UNITS[match[3] or ""]
    return format_size(int(amount)) if is_size else f"{amount:g}"


def memory_limit(pod: Json, container: str) -> str:
    """How much memory this container may use, such as `8 GB`; "" where it has no limit."""
    spec = mapping(pod.get("spec"))
    for one in entries(spec.get("containers")) + entries(spec.get("initContainers")):
        limit = mapping(mapping(one.get("resources")).get("limits")).get("memory")
        if one.get("name") == container and limit:
            return readable(limit, is_size=True)
    return ""
