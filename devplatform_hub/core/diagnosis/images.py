"""Why an image cannot be had, from the words of kubelet, containerd and registries."""

import re

from .events import text
from .model import Finding, Waiting

_GONE = ("not found", "manifest unknown", "name unknown", "does not exist")
_FORBIDDEN = ("unauthorized", "403", "401", "denied", "forbidden", "no basic auth", "authentication required")
_FULL = ("no space left on device",)
_IMAGE = re.compile(r'"([^"]{1,200})"')


def image_finding(reason: str, words: str) -> Finding:
    """The finding for a container that waits with this reason, such as `ErrImagePull`, and these words."""
    low, detail = words.lower(), text(words)
    named = _IMAGE.search(words)
    image = f" ({text(named[1])})" if named else ""
    ask = "Choose another profile or image, and tell an administrator."
    if reason == "InvalidImageName":
        return Finding(
            "image-name-invalid",
            f"The name of this profile's image is not valid{image}.",
            ask,
            fatal=True,
            waiting=Waiting.IMAGE,
            detail=detail,
        )
    if reason == "ErrImageNeverPull":
        message = f"This profile's image is not on the machine, and must not be fetched{image}."
        return Finding("image-not-present", message, ask, fatal=True, waiting=Waiting.IMAGE, detail=detail)
    if any(word in low for word in _FULL):
        message = "The machine has no room left for this profile's image."
        return Finding("machine-disk-full", message, "It is tried again.", waiting=Waiting.IMAGE, detail=detail)
    # Registries answer "denied" or "not found" alike to those who may not look: what they say first decides.
    if any(word in low for word in _FORBIDDEN):
        message = f"The platform may not fetch this profile's image{image}."
        hint = "An administrator has to allow it, or correct the image's name."
        return Finding("image-forbidden", message, hint, fatal=True, waiting=Waiting.IMAGE, detail=detail)
    if any(word in low for word in _GONE):
        message = f"This profile's image does not exist{image}."
        return Finding("image-not-found", message, ask, fatal=True, waiting=Waiting.IMAGE, detail=detail)
    message = "The image cannot be fetched at the moment."
    return Finding("image-unreachable", message, "It is tried again.", waiting=Waiting.IMAGE, detail=detail)
