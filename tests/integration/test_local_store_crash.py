"""`kill -9` at any moment: what was acknowledged is there, once, with its bytes, and nothing else takes space."""

import hashlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from devplatform_versions.local.store import LocalVersionStore

ROUNDS = 30
ROOT = Path(__file__).resolve().parent.parent.parent


def write_and_be_killed(root: Path, seed: int, after: float) -> list[dict[str, object]]:
    """What a writing process had acknowledged when it was killed `after` seconds after it was ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.crashing_writer", str(root), str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        ready = process.stdout.readline()
        assert ready == b"ready\n", process.stderr.read().decode()
        lines: list[bytes] = []
        # The pipe must be read all along, or the writer waits for it.
        reader = threading.Thread(target=lambda out=process.stdout: lines.extend(out))
        reader.start()
        time.sleep(after)
        assert process.poll() is None, process.stderr.read().decode()
        process.send_signal(signal.SIGKILL)
        reader.join(30)
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def check_folder(root: Path) -> None:
    """Every row has its bytes with the right hash, every count is right; before anything is swept."""
    with closing(sqlite3.connect(root / "store.sqlite")) as database, database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        for sha256, size, inline in database.execute("SELECT sha256, size, content FROM blobs").fetchall():
            data = (root / "blobs" / sha256.hex()[:2] / sha256.hex()).read_bytes() if inline is None else inline
            assert (len(data), hashlib.sha256(data).digest()) == (size, sha256)
        assert database.execute(
            "SELECT count(*) FROM versions v LEFT JOIN blobs b ON b.id = v.blob"
            " WHERE v.blob IS NOT NULL AND (b.id IS NULL OR b.sha256 != v.sha256 OR b.size != v.size)"
        ).fetchone() == (0,)
        assert database.execute(
            "SELECT count(*) FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM versions v WHERE v.blob = b.id)"
        ).fetchone() == (0,)
        assert database.execute(
            "SELECT count(*) FROM files f WHERE f.newest != (SELECT max(generation) FROM versions WHERE file = f.id)"
            " OR f.versions != (SELECT count(blob) FROM versions WHERE file = f.id)"
            " OR f.live != (SELECT iif(blob IS NULL, 0, generation) FROM versions WHERE generation = f.newest)"
            " OR 1 < (SELECT count(*) FROM versions WHERE file = f.id AND noncurrent IS NULL AND blob IS NOT NULL)"
        ).fetchone() == (0,)
        assert database.execute(
            "SELECT count(*) FROM folders d WHERE d.live != (SELECT count(*) FROM files f WHERE f.owner = d.owner"
            " AND f.live > 0 AND (d.path = '' OR substr(f.path, 1, length(d.path) + 1) = d.path || '/'))"
        ).fetchone() == (0,)


async def check_store(root: Path, acknowledged: dict[int, dict[str, object]]) -> None:
    """Through the port: every acknowledged version once, with its bytes; and after the sweep no orphan."""
    store = LocalVersionStore(root=str(root))
    await store.open()
    try:
        found = {change.cursor: change.version for change in await store.changes("alice", 0, limit=5000)}
        for generation, said in acknowledged.items():
            version = found[generation]
            assert (version.path, version.sha256, version.size) == (said["path"], said["sha256"], said["size"])
        for version in random.Random(1).sample(sorted(found.values(), key=lambda v: v.generation), 5):
            if not version.tombstone:
                parts = [part async for part in store.read("alice", version.path, version.generation)]
                assert hashlib.sha256(b"".join(parts)).hexdigest() == version.sha256
        assert store._engine is not None
        await store._engine.swept()
    finally:
        await store.close()
    with closing(sqlite3.connect(root / "store.sqlite")) as database, database:
        named = {row[0].hex() for row in database.execute("SELECT sha256 FROM blobs WHERE content IS NULL")}
    assert {file.name for file in (root / "blobs").glob("*/*")} == named
    assert list((root / "incoming").iterdir()) == []


@pytest.mark.timeout(300)
async def test_survives_kill_at_any_moment(tmp_path: Path) -> None:
    """A store that is killed dozens of times while six writers save, restore, delete and expire loses nothing."""
    root = tmp_path / "versions"
    acknowledged: dict[int, dict[str, object]] = {}
    chance = random.Random(20260301)
    for number in range(ROUNDS):
        said = write_and_be_killed(root, number, after=chance.uniform(0.0, 0.25))
        for line in said:
            generation = line["generation"]
            assert isinstance(generation, int)
            # A save of bytes that are live already is acknowledged with the version that is there.
            assert acknowledged.get(generation, line)["path"] == line["path"]
            acknowledged[generation] = line
        check_folder(root)
        if acknowledged and number % 3 == 0:
            await check_store(root, acknowledged)
    assert len(acknowledged) > 5 * ROUNDS
    await check_store(root, acknowledged)
