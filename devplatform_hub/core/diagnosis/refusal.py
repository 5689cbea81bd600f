"""What the API server's refusal to make something means for the person who wants a server."""

import re
from collections.abc import Mapping
from typing import Any

from .amounts import readable
from .events import mapping, text
from .model import Finding

_BUSY = {408, 429, 500, 502, 503, 504}
_ADMINISTRATOR = "Tell an administrator."
_KINDS = {
    "pods": "your server",
    "persistentvolumeclaims": "your home disk",
    "serviceaccounts": "your server's identity",
    "roles": "your server's rights",
    "rolebindings": "your server's rights",
    "secrets": "your server's certificate",
    "services": "your server's address",
    "namespaces": "your namespace",
}
_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]*), requested: (?P<asked>.*?), used: (?P<used>.*?), limited: (?P<of>.*)"
)
_DENIED = re.compile(r"admission webhook \"[^\"]*\" denied the request:? (?P<why>.*)")
_POLICY = re.compile(r"olicy ['\"][^'\"]*['\"](?: with binding '[^']*')? denied request: (?P<why>.*)")
_LIMITS = re.compile(
    r"(?P<edge>maximum|minimum) (?P<what>\S+) usage per (?P<per>\w+) is (?P<limit>[\w.]*\w)"
    r"(?:, but (?:limit|request) is (?P<asked>[\w.]*\w))?"
)
_MISSING = re.compile(
    r"no PriorityClass with name (\S+) was found|RuntimeClass(?:\.node\.k8s\.io)? \"?([^\s\"]+)\"? not found"
)
_RESOURCES = {
    "cpu": "CPU",
    "memory": "memory",
    "storage": "disk space",
    "ephemeral-storage": "temporary disk space",
    "nvidia.com/gpu": "GPUs",
    "pods": "servers",
    "persistentvolumeclaims": "disks",
}
_SIZES = ("memory", "storage", "ephemeral-storage")


def diagnose_refusal(status: int, body: Mapping[str, Any] | str, *, what: str = "") -> Finding:
    """The finding for an HTTP status of 400 or more and its `Status` object. What may pass soon is not fatal.

    `what` was to be made, such as `your home disk`; by default what the answer itself names.
    """
    given = mapping(body) if isinstance(body, Mapping) else {"message": body}
    words = " ".join(str(given.get("message") or "")[:4000].split())
    kind = str(mapping(given.get("details")).get("kind") or "")
    what = what or _KINDS.get(kind, "your server")
    code, message, hint, fatal = _rule(words) or _by_status(status, words, what)
    return Finding(code, message, hint, fatal=fatal, detail=text(words))


def _rule(words: str) -> tuple[str, str, str, bool] | None:
    """What a rule of the cluster says, whatever status it comes with."""
    low = words.lower()
    if "exceeded quota" in low or "failed quota" in low or "insufficient quota" in low:
        return _quota(words)
    if "violates podsecurity" in low:
        message = "The cluster's security rules do not allow this profile."
        return "admission-denied", message, _ADMINISTRATOR, True
    denied = _DENIED.search(words) or _POLICY.search(words)
    if denied:
        why = text(denied["why"])[:200].rstrip(".")
        message = "A rule of the cluster does not allow this server"
        explained = why and why != "without explanation"
        return "admission-denied", f"{message}: {why}." if explained else f"{message}.", _ADMINISTRATOR, True
    if "failed calling webhook" in low:
        message = "A part of the cluster that checks every server does not answer."
        return "cluster-busy", message, "Try again in a few minutes.", False
    limits = _LIMITS.search(words)
    if limits:
        return _limit(limits)
    if "max limit to request ratio" in low:
        message = "This profile's limits are too far above what it asks for."
        return "limit-exceeded", message, _ADMINISTRATOR, True
    missing = _MISSING.search(words)
    if missing:
        name = text(missing[1] or missing[2])[:100]
        message = f'Something that this profile needs is missing from the platform: "{name}".'
        return "config-missing", message, _ADMINISTRATOR, True
    if "looking up service account" in low or ("serviceaccount" in low and "not found" in low):
        return "identity-missing", "The identity of your server is missing.", "Try again.", True
    if "is being terminated" in low:
        return "namespace-missing", "The place for servers in the cluster is being removed.", _ADMINISTRATOR, True
    return _disk_size(low)


def _disk_size(low: str) -> tuple[str, str, str, bool] | None:
    if "field can not be less than" in low:
        message = "Your home disk is larger than this profile asks for, and cannot be made smaller."
        return "disk-cannot-shrink", message, _ADMINISTRATOR, True
    if "only dynamically provisioned pvc can be resized" in low:
        message = "Your home disk is smaller than this profile asks for, and its kind cannot grow."
        return "disk-cannot-grow", message, _ADMINISTRATOR, True
    return None


def _by_status(status: int, words: str, what: str) -> tuple[str, str, str, bool]:
    if status in _BUSY:
        hint = "Try again in a few minutes."
        return "cluster-busy", f"The cluster is too busy to make {what}.", hint, False
    if status == 401 or (status == 403 and re.search(r"User \"[^\"]*\" cannot ", words)):
        message = f"The platform may not make {what} in its cluster."
        return "hub-forbidden", message, _ADMINISTRATOR, True
    if status == 403:
        return "admission-denied", f"A rule of the cluster does not allow {what}.", _ADMINISTRATOR, True
    if status == 404:
        return "namespace-missing", "The place for servers in the cluster is missing.", _ADMINISTRATOR, True
    if status == 409:
        message = f"An earlier one of {what} is still being removed."
        return "still-there", message, "Try again in a minute.", False
    message = "The cluster does not accept this profile."
    if what != _KINDS["pods"]:
        message = f"The cluster does not accept what this profile asks of {what}."
    return "pod-invalid", message, _ADMINISTRATOR, True


def _quota(words: str) -> tuple[str, str, str, bool]:
    message = "Your team's quota does not allow this server."
    hint = "Stop a server that is not needed, choose a smaller profile, or ask an administrator for more."
    match = _QUOTA.search(words)
    if match is None:
        if "must specify" in words:
            return "quota-exceeded", message, "This profile has to say what it asks for. Tell an administrator.", True
        return "quota-exceeded", message, hint, True
    asked, used, limits = (_amounts(match[group]) for group in ("asked", "used", "of"))
    told: dict[str, str] = {}
    for name, limit in limits.items():
        kind = name.rpartition("storageclass.storage.k8s.io/")[2].removeprefix("requests.").removeprefix("limits.")
        resource = _RESOURCES.get(kind, kind[:60])
        is_size = kind.endswith(_SIZES)
        total, taken, more = (
            readable(amount, is_size=is_size) for amount in (limit, used.get(name, "0"), asked.get(name, "0"))
        )
        told[resource] = f"{resource}: {total} in all, {taken} in use, {more} more asked for"
    if told:
        message = f"{message} {'; '.join(list(told.values())[:3])}."
    return "quota-exceeded", message, hint, True


def _amounts(listed: str) -> dict[str, str]:
    """`limits.cpu=2,limits.memory=8Gi` by name."""
    pairs = (part.partition("=") for part in listed.split(","))
    return {text(name): text(amount) for name, equals, amount in pairs if equals}


def _limit(match: re.Match[str]) -> tuple[str, str, str, bool]:
    resource = _RESOURCES.get(match["what"], text(match["what"])[:60])
    is_size = match["what"] in _SIZES
    than = {"maximum": ("more", "at most"), "minimum": ("less", "at least")}[match["edge"]]
    owner = "disk" if match["per"] == "PersistentVolumeClaim" else "server"
    asked = f", not {readable(match['asked'], is_size=is_size)}" if match["asked"] else ""
    message = (
        f"This profile asks for {than[0]} {resource} than one {owner} may have: "
        f"{than[1]} {readable(match['limit'], is_size=is_size)}{asked}."
    )
    return "limit-exceeded", message, _ADMINISTRATOR, True
