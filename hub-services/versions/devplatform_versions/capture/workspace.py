"""Reading and writing inside the workspace, and nowhere else: every name is opened relative to its folder, no link
is followed, and nothing but regular files is ever opened (a FIFO would block, a device could do anything).
"""

import contextlib
import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK = 1024 * 1024
_KEPT_IN_MEMORY = 64 * 1024
_TRIES = 3
_TICK_NS = 20_000_000
"""Two writes within one tick of the kernel's clock have the same time: such a stamp proves nothing."""
TEMPORARY_PREFIX = ".~devplatform-"


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file has not changed, as git does it."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "Stamp":
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole file, as it was at one moment. `content` only when it is small; `trusted`: `stamp` proves sameness."""

    stamp: Stamp
    sha256: str
    content: bytes | None
    trusted: bool


class Unsteady(Exception):
    """The file changed again and again while it was read."""


class NotRegular(Exception):
    """There is something here that is not a regular file in a real folder; the text says what."""


class Workspace:
    """The workspace folder, held open. Every method takes a path that `parse_path` accepted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._root)

    @contextlib.contextmanager
    def folder(self, path: str, *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder. `NotRegular` when a part of the way is a link or a file."""
        descriptor = os.dup(self._root)
        try:
            for part in path.split("/") if path else ():
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=descriptor)
                try:
                    below = os.open(part, _FOLDER, dir_fd=descriptor)
                except NotADirectoryError:  # O_DIRECTORY with O_NOFOLLOW says this of a link too
                    raise NotRegular("a part of its path is a link or a file") from None
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def look(self, path: str) -> os.stat_result | None:
        """What is at this path itself; None when nothing is. `NotRegular` when a link leads there."""
        above, _, name = path.rpartition("/")
        try:
            with self.folder(above) as folder:
                return os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def read(self, path: str) -> Reading | None:
        """The content's hash, never of a mix of two states; None when there is no file."""
        above, _, name = path.rpartition("/")
        for _ in range(_TRIES):
            try:
                with self.folder(above) as folder, _opened(name, folder) as (descriptor, before):
                    return _hash(descriptor, before)
            except FileNotFoundError:
                return None
            except _Changed:
                continue
        raise Unsteady(path)

    def chunks(self, path: str, reading: Reading) -> Generator[bytes, None, None]:
        """The bytes that were read before, once more. `Unsteady`, before the last of them, if they changed since."""
        if reading.content is not None:
            yield reading.content
            return
        above, _, name = path.rpartition("/")
        digest, held = hashlib.sha256(), b""
        try:
            with self.folder(above) as folder, _opened(name, folder) as (descriptor, before):
                if Stamp.of(before) != reading.stamp:
                    raise Unsteady(path)
                while chunk := os.read(descriptor, _CHUNK):
                    if held:
                        yield held
                    digest.update(chunk)
                    held = chunk
        except FileNotFoundError:
            raise Unsteady(path) from None
        # The last bytes stay back until all are known to be right: a receiver cannot keep a mix.
        if digest.hexdigest() != reading.sha256:
            raise Unsteady(path)
        yield held

    def begin_write(self, path: str) -> "Replacement":
        """A new content for this path, in a temporary file beside it."""
        return Replacement(self, path)

    def remove(self, path: str, expected: Stamp | None) -> bool:
        """Remove a file if it is still the one expected, and the folders that are empty then."""
        above, _, name = path.rpartition("/")
        try:
            with self.folder(above) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if expected is None or not stat.S_ISREG(found.st_mode) or Stamp.of(found) != expected:
                    return False
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return True
        while above:
            above, _, name = above.rpartition("/")
            try:
                with self.folder(above) as folder:
                    os.rmdir(name, dir_fd=folder)
            except OSError:  # not empty, or somebody else was faster
                break
        return True


class Replacement:
    """Bytes on their way into the workspace. `commit` makes them the file at once; `abort` leaves no trace."""

    def __init__(self, workspace: Workspace, path: str) -> None:
        self._above, _, self._name = path.rpartition("/")
        self._workspace = workspace
        self._temporary = TEMPORARY_PREFIX + secrets.token_hex(8)
        with workspace.folder(self._above, make=True) as folder:
            self._descriptor = os.open(
                self._temporary,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o666,
                dir_fd=folder,
            )
            self._folder = os.dup(folder)
        self._open = True

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        with memoryview(chunk) as rest:
            written = 0
            while written < len(rest):
                written += os.write(self._descriptor, rest[written:])

    def commit(self, expected: Stamp | None) -> Stamp | None:
        """The stamp of the file that is there now; None, and nothing done, if it is not the one expected."""
        try:
            found = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            found = None
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise NotRegular("there is a folder, a link or a device of that name")
        if (Stamp.of(found) if found else None) != expected:
            return None
        if found is not None:
            os.fchmod(self._descriptor, stat.S_IMODE(found.st_mode) & 0o777)
            with contextlib.suppress(PermissionError):
                os.fchown(self._descriptor, found.st_uid, found.st_gid)
        os.fsync(self._descriptor)
        os.rename(self._temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        now = Stamp.of(os.fstat(self._descriptor))
        self._close()
        return now

    def abort(self) -> None:
        """Throw the bytes away, if they were not committed."""
        if self._open:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._temporary, dir_fd=self._folder)
            self._close()

    def _close(self) -> None:
        self._open = False
        os.close(self._descriptor)
        os.close(self._folder)


class _Changed(Exception):
    """The file is not what it was when the reading began."""


@contextlib.contextmanager
def _opened(name: str, folder: int) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file, open, and what it was then. It is looked at before it is opened: opening has effects."""
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise NotRegular("it is a link, a pipe, a socket or a device")
    try:
        descriptor = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it became a link in between
            raise NotRegular("it is a link") from None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotRegular("it is a link, a pipe, a socket or a device")
        yield descriptor, found
    finally:
        os.close(descriptor)


def _hash(descriptor: int, before: os.stat_result) -> Reading:
    begun = time_ns()
    digest, size, kept = hashlib.sha256(), 0, bytearray()
    while chunk := os.read(descriptor, _CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if size <= _KEPT_IN_MEMORY:
            kept += chunk
        if size > before.st_size:  # it grows while it is read
            raise _Changed
    stamp = Stamp.of(before)
    if Stamp.of(os.fstat(descriptor)) != stamp or size != stamp.size:
        raise _Changed
    content = bytes(kept) if size <= _KEPT_IN_MEMORY else None
    return Reading(stamp, digest.hexdigest(), content, begun - max(stamp.mtime_ns, stamp.ctime_ns) > _TICK_NS)
