"""Amounts as Kubernetes writes them: `10Gi`, `500m`, `128e6`."""

import re
from decimal import Decimal

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_MILLI = {"m": Decimal("0.001")}
_UNITS = {unit: Decimal(factor) for unit, factor in (_BINARY | _DECIMAL | _MILLI).items()}
_QUANTITY = re.compile(r"([0-9]{1,20}(?:\.[0-9]{0,9})?)(?:[eE]\+?([0-9]{1,2})|([KMGTPE]i|[kMGTPEm]))?")


def quantity(size: int) -> str:
    """`size` bytes in the largest binary unit that is whole: `10Gi`, `1536Mi`, `1000`."""
    for unit, factor in reversed(_BINARY.items()):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_quantity(text: str) -> int | None:
    """Bytes of `10Gi`, `1.5T`, `128e6`; None for what is not an amount of bytes."""
    amount = None if text.strip().endswith("m") else parse_amount(text)
    return None if amount is None else int(amount)


def parse_amount(text: str) -> Decimal | None:
    """The number that any amount is: also `0.5` of `500m`; None for what is none."""
    match = _QUANTITY.fullmatch(text.strip())
    return Decimal(match[1]) * _UNITS[match[3] or ""] * 10 ** int(match[2] or 0) if match else None
