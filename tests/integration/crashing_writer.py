"""A process that writes versions as fast as it can and says on standard output what was acknowledged.

Run by test_local_store_crash.py, which ends it with SIGKILL at a random moment. Each line is JSON:
`{"path", "generation", "sha256", "size", "kind"}` of one change that the store has acknowledged.
"""

import asyncio
import hashlib
import json
import os
import random
import sys
from datetime import timedelta
from pathlib import Path

from devplatform_versions.clock import SystemClock
from devplatform_versions.local.store import LocalVersionStore
from devplatform_versions.model import Unchanged, UploadRequest, Version
from devplatform_versions.ports import SIGNATURE_HEADER

WRITERS = 6


def tell(kind: str, version: Version) -> None:
    """One line, in one write: a killed process leaves at most the last line cut."""
    line = json.dumps(
        {
            "kind": kind,
            "path": version.path,
            "generation": version.generation,
            "sha256": version.sha256,
            "size": version.size,
        }
    )
    os.write(1, f"{line}\n".encode())


async def save(store: LocalVersionStore, path: str, data: bytes) -> Version:
    digest = hashlib.sha256(data).hexdigest()
    grant = await store.grant_upload("alice", UploadRequest(path, len(data), digest), "alice")
    if isinstance(grant, Unchanged):
        return grant.version
    sink = await store.accept_upload(grant.url.removeprefix(store.upload_url), grant.headers[SIGNATURE_HEADER])
    for start in range(0, len(data), 50_000):
        await sink.write(data[start : start + 50_000])
    return await sink.commit()


async def work(store: LocalVersionStore, number: int, chance: random.Random) -> None:
    """Saves of all sizes (some of them with bytes that are there already), restores, deletions, expiry."""
    known: list[Version] = []
    while True:
        path = f"d{number}/f{chance.randrange(3)}"
        action = chance.random()
        if known and action < 0.1:
            old = chance.choice(known)
            restored = await store.restore("alice", old.path, old.generation, "alice")
            tell("restored", restored)
        elif action < 0.2:
            tombstone = await store.delete("alice", path, "alice")
            if tombstone is not None:
                tell("deleted", tombstone)
        elif action < 0.25:
            data = chance.randbytes(60_000)  # somebody else's, let go at once: its content is freed under load
            await save_and_expire(store, f"bob{number}", data)
        else:
            size = chance.choice([0, 10, 3_000, 40_000, 200_000, 1_500_000])
            data = bytes(size) if chance.random() < 0.2 else chance.randbytes(size)
            version = await save(store, path, data)
            tell("saved", version)
            known.append(version)


async def save_and_expire(store: LocalVersionStore, owner: str, data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    grant = await store.grant_upload(owner, UploadRequest("f", len(data), digest), owner)
    if not isinstance(grant, Unchanged):
        sink = await store.accept_upload(grant.url.removeprefix(store.upload_url), grant.headers[SIGNATURE_HEADER])
        await sink.write(data)
        await sink.commit()
    await store.delete(owner, "f", owner)
    await store.expire(owner, SystemClock().now() + timedelta(days=400))


async def main(root: Path, seed: int) -> None:
    store = LocalVersionStore(root=str(root))
    await store.open()
    os.write(1, b"ready\n")
    await asyncio.gather(*(work(store, number, random.Random(seed * 100 + number)) for number in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
