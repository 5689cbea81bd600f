"""V4 signed URLs: leave to do one thing to one object, for minutes, without any credential.

https://cloud.google.com/storage/docs/authentication/canonical-requests. What must hold is signed as headers, which have
to be sent as they were signed: the precondition, the size, the hash of the bytes, the metadata.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

Signer = Callable[[bytes], Awaitable[bytes]]
"""Signs with the service account's key (RSA, SHA-256), wherever that is. Raises `StoreUnavailable`."""

_ALGORITHM = "GOOG4-RSA-SHA256"
_UNRESERVED = "-_.~"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What is allowed: a method on one object; `headers` are sent with it, exactly. `seconds` it lasts."""

    method: str
    bucket: str
    name: str
    headers: Mapping[str, str]
    seconds: int
    query: Mapping[str, str]


async def signed_url(request: SignedRequest, root: str, email: str, now: datetime, sign: Signer) -> str:
    """The URL by which whoever has it may do that, as the service account `email`."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/auto/storage/goog4_request"
    headers = {name.lower(): " ".join(value.split()) for name, value in request.headers.items()}
    headers["host"] = urlsplit(root).netloc
    names = ";".join(sorted(headers))
    query = {
        **request.query,
        "X-Goog-Algorithm": _ALGORITHM,
        "X-Goog-Credential": f"{email}/{scope}",
        "X-Goog-Date": stamp,
        "X-Goog-Expires": str(request.seconds),
        "X-Goog-SignedHeaders": names,
    }
    path = f"/{quote(request.bucket, safe=_UNRESERVED)}/{quote(request.name, safe=_UNRESERVED + '/')}"
    text = "&".join(sorted(f"{_quoted(name)}={_quoted(value)}" for name, value in query.items()))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    payload = headers.get("x-goog-content-sha256", "UNSIGNED-PAYLOAD")
    canonical = "\n".join([request.method, path, text, lines, names, payload])
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = await sign("\n".join([_ALGORITHM, stamp, scope, digest]).encode())
    return f"{root}{path}?{text}&X-Goog-Signature={signature.hex()}"


def _quoted(text: str) -> str:
    return quote(text, safe=_UNRESERVED)
