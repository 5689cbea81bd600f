"""Amounts as Kubernetes writes them."""

import re
from decimal import Decimal

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_QUANTITY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,9})?)(?:[eE]\+?([0-9]{1,2})|([KMGTPE]i|[kMGTPE]))?")


def quantity(size: int) -> str:
    """`size` bytes in the largest binary unit that is whole: `10Gi`, `1536Mi`, `1000`."""
    for unit, factor in reversed(_BINARY.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_quantity(text: str) -> int | None:
    """Bytes of `10Gi`, `1.5T`, `128e6`; None for what is not an amount of bytes."""
    match = _QUANTITY.fullmatch(text.strip())
    if not match:
        return None
    unit = match[3] or ""
    return int(Decimal(match[1]) * (_BINARY.get(unit) or _DECIMAL[unit]) * 10 ** int(match[2] or 0))
