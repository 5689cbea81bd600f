"""Amounts as people write them in YAML, and as they read them on a page."""

import re
from decimal import Decimal

# Twelve digits: more is a mistake, and no number that follows can then overflow what it goes into.
_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)"
_SIZE = re.compile(_NUMBER + r"\s*([KMGT]i?)?B?")
_DURATION = re.compile(_NUMBER + r"\s*(s|m|h|d)?")
_CPU = re.compile(_NUMBER + r"(m)?")
_LEAST_CPU = 0.001  # Kubernetes counts in thousandths
# Kubernetes tells G (10^9) from Gi (2^30); JupyterHub and docker users expect G to be 2^30, and so do our profiles.
_SIZE_FACTOR = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_DURATION_FACTOR = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_size(text: str | int) -> int:
    """Bytes of `8G`, `8 GB`, `512Mi`, `1024`; units are powers of 1,024. Raises `ValueError` otherwise."""
    if isinstance(text, int) and not isinstance(text, bool):
        return _positive(text, "a size")
    match = _SIZE.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"{_short(text)} is not a size; write it such as 8G, 512M or a number of bytes")
    unit = (match[2] or "").removesuffix("i")
    return _positive(int(Decimal(match[1]) * _SIZE_FACTOR[unit]), "a size")


def parse_duration(text: str | int) -> int:
    """Seconds of `90`, `45m`, `2h`, `1d`. Raises `ValueError` otherwise."""
    if isinstance(text, int) and not isinstance(text, bool):
        return _positive(text, "a duration")
    match = _DURATION.fullmatch(str(text).strip())
    if not match:
        raise ValueError(f"{_short(text)} is not a duration; write it such as 45m, 2h, 1d or a number of seconds")
    return _positive(int(Decimal(match[1]) * _DURATION_FACTOR[match[2] or "s"]), "a duration")


def parse_cpu(text: str | float) -> float:
    """Cores of `2`, `0.5`, `500m`. Raises `ValueError` otherwise."""
    match = _CPU.fullmatch(str(text).strip()) if not isinstance(text, bool) else None
    cores = float(match[1]) / (1000 if match[2] else 1) if match else 0.0
    if cores < _LEAST_CPU:
        raise ValueError(f"{_short(text)} is not an amount of CPU; write it such as 2, 0.5 or 500m")
    return cores


def format_size(size: int) -> str:
    """`size` bytes for a person: `0 bytes`, `1 byte`, `1.5 KB`, `8 GB`, in powers of 1,024."""
    if size < 1024:
        return f"{size} byte{'' if size == 1 else 's'}"
    value = float(size)
    for unit in ("KB", "MB", "GB", "TB"):
        value /= 1024
        if round(value, 1) < 1024 or unit == "TB":
            break
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def format_duration(seconds: int) -> str:
    """`seconds` for a person in the largest unit that is whole: `45 minutes`, `2 hours`, `1 day`."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def format_cpu(cores: float) -> str:
    """`cores` for a person: `2 CPU`, `0.5 CPU`."""
    return f"{cores:g} CPU"


def _short(text: object) -> str:
    return repr(text)[:60]


def _positive(value: int, what: str) -> int:
    if value <= 0:
        raise ValueError(f"{value} is not {what}; write a number above zero")
    return value
