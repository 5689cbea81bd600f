"""One generation of an object: small enough that a process holds a million of them."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import google_crc32c

NO_DETAILS: Mapping[str, Any] = {}
_LINE = b"The quick brown fox jumps over the lazy dog, again and again.\n"
_FILLER = _LINE * 64


@dataclass(slots=True, eq=False)
class Generation:
    """What is kept of one version. Times are microseconds since 1970.

    `body` is the content, or a seed that it is made from whenever it is asked for. `details` are the fields that a
    client gave or that are rare; they may be shared, so they are replaced and never changed. `deleted` is when it
    became noncurrent.
    """

    number: int
    created: int
    body: bytes | int
    size: int
    crc: int | None
    md5: bytes | None
    storage_class: str
    details: Mapping[str, Any]
    updated: int
    metageneration: int = 1
    deleted: int | None = None

    @property
    def held(self) -> str:
        """Which hold is on it, or nothing."""
        if self.details.get("temporaryHold"):
            return "Temporary"
        return "Event-Based" if self.details.get("eventBasedHold") else ""

    @property
    def etag(self) -> str:
        """Changes with the generation and with the metageneration."""
        return b64encode(f"{self.number}/{self.metageneration}".encode()).decode()

    def content(self) -> bytes:
        """All bytes."""
        return self.body if isinstance(self.body, bytes) else seeded(self.body, self.size)

    def crc32c(self) -> str:
        """CRC32C, big-endian, in Base64."""
        crc = google_crc32c.value(self.content()) if self.crc is None else self.crc
        return b64encode(crc.to_bytes(4, "big")).decode()

    def md5_hash(self) -> str | None:
        """MD5 in Base64; composed objects have none."""
        if self.md5 is not None:
            return b64encode(self.md5).decode()
        if isinstance(self.body, int):
            return b64encode(hashlib.md5(self.content(), usedforsecurity=False).digest()).decode()
        return None

    def change(self, details: Mapping[str, Any], now: int) -> None:
        """New metadata: the metageneration rises."""
        self.details = details
        self.metageneration += 1
        self.updated = now


def seeded(seed: int, size: int) -> bytes:
    """Text that differs from seed to seed."""
    head = b"%d\n" % seed
    return (head + _FILLER * (size // len(_FILLER) + 1))[:size]


def hashes(body: bytes) -> tuple[int, bytes]:
    """CRC32C and MD5."""
    return google_crc32c.value(body), hashlib.md5(body, usedforsecurity=False).digest()
