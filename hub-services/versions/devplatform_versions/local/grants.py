"""Upload addresses: what was granted, signed so that it cannot be changed, and harmless in a log.

The URL carries what was granted; the signature travels in a header, so the URL alone opens nothing. Both together
put one set of bytes (their SHA-256 is granted) at one path of one person for a few minutes.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ..model import Origin
from ..ports import UploadRefused

_MAX_TOKEN = 8192  # a path of 900 control characters makes 7,300


@dataclass(frozen=True, slots=True)
class Granted:
    """One granted upload. `base` is the newest generation of the file at that time, 0 for none; times in µs."""

    id: int
    owner: str
    path: str
    size: int
    sha256: str
    author: str
    origin: Origin
    mtime: int | None
    if_generation_match: int | None
    base: int
    expires: int


def load_key(path: Path) -> bytes:
    """The store's own random key; made, for its owner's eyes only, when there is none."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) != 32:
        key = secrets.token_bytes(32)
        temporary = path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    return key


def new_grant_id() -> int:
    """A number that no other grant has; it fits SQLite's signed 64 bits."""
    return secrets.randbits(63)


def seal(granted: Granted, key: bytes) -> tuple[str, str]:
    """The token for the URL and the signature for the header."""
    fields = [
        granted.id,
        granted.owner,
        granted.path,
        granted.size,
        granted.sha256,
        granted.author,
        granted.origin.value,
        granted.mtime,
        granted.if_generation_match,
        granted.base,
        granted.expires,
    ]
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return token, _sign(token, key)


def unseal(token: str, signature: str, key: bytes, now: int) -> Granted:
    """What was granted. `UploadRefused` for a wrong signature, and for a right one after its time."""
    if len(token) > _MAX_TOKEN or not hmac.compare_digest(
        _sign(token, key).encode(), signature.encode(errors="replace")
    ):
        raise UploadRefused("its address was not granted")
    try:
        grant_id, owner, path, size, sha256, author, origin, mtime, match, base, expires = json.loads(
            base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        )
        granted = Granted(grant_id, owner, path, size, sha256, author, Origin(origin), mtime, match, base, expires)
    except (binascii.Error, ValueError, TypeError) as error:  # signed by an older release with the same key
        raise UploadRefused("its address is of another release") from error
    if now >= granted.expires:
        raise UploadRefused("its address has run out")
    return granted


def _sign(token: str, key: bytes) -> str:
    return hmac.new(key, token.encode(errors="replace"), hashlib.sha256).hexdigest()
