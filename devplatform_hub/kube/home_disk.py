"""The claim of a person's home disk: made once, grown when a profile asks for more, never shrunk, never deleted."""

import logging
from typing import Any

from . import Json
from .requests import Refused, Requests
from .storage import growth
from .user_access import key_of
from .user_access_api import NotOurs

_log = logging.getLogger("devplatform.start")


async def ensure_home(core: Any, storage: Any, ask: Requests, namespace: str, claim: Json, wanted: int) -> str:
    """Make this claim, or grow the one that is there to `wanted` bytes; a sentence where that cannot be, else "".

    A quota is checked before the name is: 403 says only that no new claim may be made. Raises `Refused`, and `NotOurs`
    where the claim says that it is another person's; one that says nothing was made for this name by an administrator.
    """
    name = claim["metadata"]["name"]
    status, answer = await ask(
        core.create_namespaced_persistent_volume_claim,
        namespace,
        claim,
        what=f"making the claim {name}",
        accept=(403, 409),
    )
    if status < 400:
        return ""
    found, there = await ask(
        core.read_namespaced_persistent_volume_claim, name, namespace, what=f"reading the claim {name}", accept=(404,)
    )
    if found == 404:
        raise Refused(status, answer, f"making the claim {name}")
    owner, wants = key_of(there), key_of(claim)
    if owner and wants and owner[0] != wants[0]:
        raise NotOurs("home disk", name)
    step = growth(there, wanted, await _storage_class(storage, ask, there))
    if step.patch is None:
        return step.message
    _log.info("Growing the claim %s to %d bytes", name, wanted)
    status, answer = await ask(
        core.patch_namespaced_persistent_volume_claim,
        name,
        namespace,
        step.patch,
        what=f"growing the claim {name}",
        accept=(403, 409, 422),
        _content_type="application/merge-patch+json",
    )
    if status >= 400:  # a quota, a class or a claim that changed: the disk that is there still serves
        return f"Your home disk could not grow: {str(answer.get('message', ''))[:200]}"
    return step.message


async def _storage_class(storage: Any, ask: Requests, claim: Json) -> Json | None:
    """The class of a claim; None where it has none or the hub may not look."""
    name = claim["spec"].get("storageClassName")
    if not name:
        return None
    try:
        status, answer = await ask(
            storage.read_storage_class, name, what="reading a class", accept=(403, 404), warming=0
        )
    except Refused:
        return None
    return answer if status < 400 else None
