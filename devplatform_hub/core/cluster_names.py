"""What Kubernetes, image registries, Cloud Storage and gcsfuse accept as a name or a path.

Every function gives its text back, or raises `ValueError` with `what is wrong; what would be right`.
"""

import ipaddress
import re

from .cluster import HOME
from .quantities import parse_duration, parse_size
from .yaml_fields import shown

_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_IMAGE_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?"
_IMAGE = re.compile(
    rf"(?:{_IMAGE_HOST}/)?{_IMAGE_PART}(?:/{_IMAGE_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_LONGEST_IMAGE = 500
_BUCKET_PART = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_PARTITION = re.compile(r"[1-7]g\.[1-9][0-9]{0,2}gb")
_CLIENTS = re.compile(r"[1-9][0-9]?")
_MOST_CLIENTS = 48  # of one GPU, on GKE
_SYSTEM_FOLDERS = (
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/bin",
    "/sbin",
    "/lib",
    "/lib64",
    "/usr",
    "/boot",
    "/run",
    "/var/run",
)
_FOREVER = -1


def label_key(text: str) -> str:
    """The key of a label or a taint: `name` or `prefix/name`."""
    prefix, slash, name = text.rpartition("/")
    if not _LABEL_NAME.fullmatch(name) or (slash and not _is_subdomain(prefix)):
        raise ValueError(f"{shown(text)} is not a label's key; write it such as team or example.com/team")
    return text


def label_value(text: str) -> str:
    """The value of a label; it may be empty."""
    if text and not _LABEL_NAME.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a label's value; use up to 63 letters, digits, dots and hyphens")
    return text


def label_word(text: str) -> str:
    """The value of a label that is not empty."""
    if not text:
        raise ValueError("'' is not a label's value; name one, or leave the key out")
    return label_value(text)


def image_reference(text: str) -> str:
    """An image as a container runtime takes it, with or without a registry, a tag and a digest."""
    if len(text) > _LONGEST_IMAGE or not _IMAGE.fullmatch(text):
        raise ValueError(f"{shown(text)} is not an image; write it such as registry.example.com/team/notebook:1.2")
    return text


def object_name(text: str) -> str:
    """The name of most objects of Kubernetes, such as a storage class."""
    if not _is_subdomain(text):
        raise ValueError(f"{shown(text)} is not a name in Kubernetes; use small letters, digits, dots and hyphens")
    return text


def queue_name(text: str) -> str:
    """The name of a Kueue queue, which goes into a label: 63 characters at most."""
    if len(text) > 63 or not _is_subdomain(text):
        raise ValueError(f"{shown(text)} is not a queue; use up to 63 small letters, digits and hyphens")
    return text


def bucket_name(text: str) -> str:
    """A bucket's name by the rules of Cloud Storage. `_`, with which gcsfuse would mount every bucket, is none."""
    parts = text.split(".")
    good = 3 <= len(text) <= (63 if len(parts) == 1 else 222) and all(_BUCKET_PART.fullmatch(part) for part in parts)
    if not good or text.startswith("goog") or "google" in text or _is_address(text):
        raise ValueError(
            f"{shown(text)} is not a bucket; use its name without gs://, 3 to 63 small letters, digits and hyphens"
        )
    return text


def mount_path(text: str) -> str:
    """A folder in the server where something may be mounted without hiding what the server needs."""
    parts = text.split("/")[1:]
    if not text.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{shown(text)} is not an absolute path; write it without '..', such as /mnt/data")
    if ":" in text or not text.isprintable() or len(text) > 255:
        raise ValueError(f"{shown(text)} holds a character that a mount cannot have; write it such as /mnt/data")
    for folder in _SYSTEM_FOLDERS:
        if f"{text}/".startswith(f"{folder}/") or folder.startswith(f"{text}/"):
            raise ValueError(f"{shown(text)} would hide {folder} of the system; use a folder such as /mnt/data")
    if f"{HOME}/".startswith(f"{text}/"):
        raise ValueError(f"{shown(text)} would hide the home folder; use one inside or outside it, such as /mnt/data")
    return text


def prefix_in_bucket(text: str) -> str:
    """A folder inside a bucket. gcsfuse parts its options at commas and colons: none can be in a value."""
    if any(part in ("", ".", "..") for part in text.split("/")) or any(c in ',:\\"' for c in text):
        raise ValueError(f"{shown(text)} is not a folder in a bucket; write it such as data/2026, without commas")
    if not text.isprintable() or len(text) > 500:
        raise ValueError(f"{shown(text)} is not a folder in a bucket; use printable characters")
    return text


def path_inside(text: str) -> str:
    """A folder or a file inside what is mounted."""
    if any(part in ("", ".", "..") for part in text.split("/")) or not text.isprintable() or len(text) > 255:
        raise ValueError(f"{shown(text)} is not a path inside it; write it without '..', such as data/2026")
    return text


def mig_partition(text: str) -> str:
    """A part of a GPU as NVIDIA's MIG names it."""
    if not _PARTITION.fullmatch(text):
        raise ValueError(f"{shown(text)} is not a partition of a GPU; write it such as 1g.5gb or 3g.20gb")
    return text


def client_count(text: str) -> int:
    """How many servers share one GPU."""
    if not _CLIENTS.fullmatch(text) or not 2 <= int(text) <= _MOST_CLIENTS:
        raise ValueError(f"{shown(text)} servers cannot share a GPU; write a whole number from 2 to {_MOST_CLIENTS}")
    return int(text)


def lifetime(text: str) -> int:
    """Seconds of `45m`, `2h`; -1 of `never`."""
    return _FOREVER if text == "never" else parse_duration(text)


def disk_size(text: str) -> int:
    """Bytes of a disk, in whole MB: what a disk is made of."""
    size = parse_size(text)
    if size < 2**20:
        raise ValueError(f"{shown(text)} is too small for a disk; write it such as 10G")
    return size


def _is_subdomain(text: str) -> bool:
    return len(text) <= 253 and all(_DNS_LABEL.fullmatch(part) for part in text.split("."))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
