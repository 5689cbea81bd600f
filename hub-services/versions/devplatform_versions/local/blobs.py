"""The folder of large content: each file is named by the SHA-256 of its bytes and never changes.

Only the writer thread places and removes files here, so that a check against the database cannot be overtaken.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

_TOO_LONG_UNDER_WAY = 24 * 3600


class BlobFolder:
    """Content beside the database, and the uploads that are under way."""

    def __init__(self, root: Path) -> None:
        self._blobs = root / "blobs"
        self._incoming = root / "incoming"

    def prepare(self) -> None:
        """Make the folders, and throw away the uploads that a crash left behind."""
        for folder in (self._blobs, self._incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        for left_over in self._incoming.iterdir():
            left_over.unlink()

    def path(self, sha256: bytes) -> Path:
        """Where this content is or would be."""
        name = sha256.hex()
        return self._blobs / name[:2] / name

    def new_incoming(self) -> Path:
        """A name for an upload that nobody else uses."""
        return self._incoming / secrets.token_hex(16)

    def place(self, incoming: Path, sha256: bytes) -> Path:
        """Move durable bytes to their name. `make_durable` of the folder must follow before a row says so."""
        target = self.path(sha256)
        if not target.parent.is_dir():
            target.parent.mkdir(mode=0o700, exist_ok=True)
            make_durable([self._blobs])
        incoming.replace(target)
        return target.parent

    def remove(self, sha256: bytes) -> None:
        """Free the space of content that no row names any longer."""
        self.path(sha256).unlink(missing_ok=True)

    def shards(self) -> Iterator[list[bytes]]:
        """What is there, one of the 256 subfolders at a time."""
        for folder in sorted(self._blobs.iterdir()):
            names = (entry.name for entry in os.scandir(folder) if len(entry.name) == 64)
            yield [bytes.fromhex(name) for name in names if set(name) <= set("0123456789abcdef")]

    def drop_abandoned(self) -> int:
        """Remove uploads that nobody wrote to for a day, by the clock that stamps files; how many."""
        dropped = 0
        for entry in self._incoming.iterdir():
            with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
                if time.time() - entry.stat().st_mtime > _TOO_LONG_UNDER_WAY:
                    entry.unlink()
                    dropped += 1
        return dropped


def make_durable(folders: Iterable[Path]) -> None:
    """The names in these folders survive a power cut from now on."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
