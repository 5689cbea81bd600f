"""One history of saves, made twice: in the version store, and as commits in git."""

import asyncio
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from devplatform_versions.local.store import LocalVersionStore
from devplatform_versions.model import UploadGrant, UploadRequest
from devplatform_versions.ports import SIGNATURE_HEADER

FOLDERS = 100
START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_BETWEEN_SAVES = 20


@dataclass(frozen=True, slots=True)
class Save:
    """One save of the history."""

    at: datetime
    path: str
    data: bytes
    round: int


class Playback:
    """A clock that shows the time of the save that is being played."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def history(files: int, versions: int) -> Iterator[Save]:
    """Every file saved once in each round, in another order each time; about 2 KB of text, of which a part changes."""
    chance = random.Random(3)
    texts = {
        f"project{n % FOLDERS:03}/report{n:05}.txt": [f"line {i} {chance.random()}" for i in range(80)]
        for n in range(files)
    }
    at = START
    for number in range(versions):
        order = sorted(texts)
        chance.shuffle(order)
        for path in order:
            texts[path][chance.randrange(80)] = f"round {number} {chance.random()}"
            at += timedelta(seconds=SECONDS_BETWEEN_SAVES)
            yield Save(at, path, "\n".join(texts[path]).encode(), number)


async def build_store(root: Path, saves: Iterator[Save]) -> float:
    """Saves a second, through the store's own way of granting and committing, 32 at a time."""
    clock = Playback()
    store = LocalVersionStore(root=str(root), clock=clock)
    await store.open()
    count, began = 0, time.perf_counter()

    async def keep(save: Save) -> None:
        digest = hashlib.sha256(save.data).hexdigest()
        grant = await store.grant_upload("alice", UploadRequest(save.path, len(save.data), digest), "alice")
        assert isinstance(grant, UploadGrant)
        sink = await store.accept_upload(grant.url.removeprefix(store.upload_url), grant.headers[SIGNATURE_HEADER])
        await sink.write(save.data)
        await sink.commit()

    batch: list[Save] = []
    for save in saves:
        batch.append(save)
        if len(batch) == 32:
            clock.time = batch[-1].at
            await asyncio.gather(*map(keep, batch))
            count, batch = count + len(batch), []
            if count % 20_000 == 0:
                progress(f"  {count} versions kept")
    await asyncio.gather(*map(keep, batch))
    rate = (count + len(batch)) / (time.perf_counter() - began)
    await store.close()
    return rate


def git(repository: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(repository), *arguments], check=True, capture_output=True).stdout


def build_git(repository: Path, saves: Iterator[Save], *, per_save: bool) -> None:
    """The history as commits, packed and indexed as git can."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(repository)], check=True)
    importer = subprocess.Popen(
        ["git", "-C", str(repository), "fast-import", "--quiet"], stdin=subprocess.PIPE, bufsize=2**20
    )
    assert importer.stdin is not None
    last_round = -1
    for save in saves:
        if per_save or save.round != last_round:
            message = f"save {save.path}".encode()
            importer.stdin.write(
                b"commit refs/heads/main\ncommitter alice <alice@example.com> %d +0000\ndata %d\n%s\n"
                % (save.at.timestamp(), len(message), message)
            )
            last_round = save.round
        importer.stdin.write(b"M 100644 inline %s\ndata %d\n%s\n" % (save.path.encode(), len(save.data), save.data))
    importer.stdin.close()
    if importer.wait() != 0:
        raise RuntimeError("git fast-import failed")
    git(repository, "repack", "-adq")
    git(repository, "commit-graph", "write", "--reachable", "--changed-paths")
