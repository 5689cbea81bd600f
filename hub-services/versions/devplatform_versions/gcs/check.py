"""Is the way to the bucket open, and is the bucket as the policy wants it? For `devplatform check storage`."""

from collections.abc import Awaitable, Callable
from typing import Any

from devplatform_hub.core.findings import Finding

from ..bucket_check import FIELDS, Wanted, check_bucket
from ..ports import StoreUnavailable
from .store import GCSVersionStore

_ROLE = "roles/storage.legacyBucketReader"


async def check_storage(store: GCSVersionStore, wanted: Wanted) -> tuple[Finding, ...]:
    """Credentials, the bucket's settings, its objects, and signatures, each tried. Raises nothing of its own."""
    credentials = await _tried("credentials", store.identity.token, "a token of Google")
    if not credentials.works:
        return (credentials,)
    try:
        answer = await store.api.bucket(fields=FIELDS, projection="noAcl")
    except StoreUnavailable as error:
        return (credentials, Finding("the bucket", works=False, missing="an answer", remedy=f"{error}."))
    return (
        credentials,
        *_settings(store.bucket, answer.status, answer.body, wanted),
        await _tried("listing objects", lambda: store.list_folder("check", "", limit=1), "storage.objects.list"),
        await _tried("signing addresses", lambda: store.identity.sign(b"check"), "iam.serviceAccounts.signBlob"),
    )


def _settings(name: str, status: int, body: Any, wanted: Wanted) -> tuple[Finding, ...]:
    if status == 404:
        return (Finding("the bucket", works=False, missing=f"a bucket named {name}", remedy="Make it, or correct it."),)
    if status != 200 or not isinstance(body, dict):
        remedy = f"Grant {_ROLE} on the bucket; without it versions work, and nobody knows how long they are kept."
        return (Finding("the bucket's settings", works=False, missing="storage.buckets.get", remedy=remedy),)
    return check_bucket(body, wanted)


async def _tried(step: str, ask: Callable[[], Awaitable[object]], missing: str) -> Finding:
    try:
        await ask()
    except StoreUnavailable as error:
        return Finding(step, works=False, missing=missing, remedy=f"{error}.")
    return Finding(step, works=True)
