"""The tree as a read-only FUSE file system. Every operation ends within a bounded time: a dead service is EIO."""

# ruff: noqa: ARG002 - the arguments are those of mfusepy.Operations

import asyncio
import concurrent.futures
import contextlib
import errno
import itertools
import logging
import os
import stat
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, TypeVar

import mfusepy

from devplatform_hub.core.errors import PublicError

from ..client import NotAllowed, VersionsClient
from .tree import FRESH, Entry, Leaf, VersionTree

T = TypeVar("T")
_log = logging.getLogger("devplatform.mount")
_PATIENCE = 10.0


class LoopThread:
    """An event loop in a thread of its own, for the calls of FUSE's threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="client", daemon=True).start()

    def call(self, work: Coroutine[Any, Any, T], patience: float = _PATIENCE) -> T:
        """The result of `work`, or `TimeoutError`, and then it is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(patience)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise


class VersionFiles(mfusepy.Operations):
    """What the kernel asks, answered from the tree. Writing is refused with EROFS."""

    use_ns = True

    def __init__(self, loop: LoopThread, client: VersionsClient) -> None:
        self.was_mounted = False
        self._calls = loop
        self._tree = VersionTree(client)
        self._handles: dict[int, Leaf] = {}
        self._numbers = itertools.count(1)
        self._born = time.time_ns()

    def init(self, path: str) -> None:
        """The mount is there."""
        self.was_mounted = True
        _log.info("Old versions are shown in .versions (FUSE)")

    def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
        """What `stat` shows: a version has the time when it was saved."""
        entry = self._find(path)
        if entry is None:
            return self._attributes(stat.S_IFDIR | 0o555, 2, 0, self._born)
        return self._attributes(stat.S_IFREG | 0o444, 1, entry.size, entry.created_ns)

    def readdir(self, path: str, fh: int) -> list[tuple[str, int, int]]:
        """The names in a folder, with their kind."""
        if self._find(path) is not None:
            raise OSError(errno.ENOTDIR, path)
        entries = self._entries(path.strip("/"))
        listed = [(".", stat.S_IFDIR, 0), ("..", stat.S_IFDIR, 0)]
        listed += [(name, stat.S_IFREG if entry else stat.S_IFDIR, 0) for name, entry in entries.items()]
        return listed

    def open(self, path: str, fi: Any) -> int:
        """Open a version for reading. What the kernel has read of it stays right for ever."""
        if fi.flags & (os.O_WRONLY | os.O_RDWR | os.O_TRUNC | os.O_APPEND):
            raise OSError(errno.EROFS, path)
        leaf = self._find(path)
        if leaf is None:
            raise OSError(errno.EISDIR, path)
        number = next(self._numbers)
        self._handles[number] = leaf
        fi.fh = number
        fi.keep_cache = 1
        return 0

    def read(self, path: str, size: int, offset: int, fi: Any) -> bytes:
        """Bytes of an open version."""
        leaf = self._handles.get(fi.fh)
        if leaf is None:
            raise OSError(errno.EBADF, path)
        return self._ask(self._tree.read(leaf, offset, size))

    def release(self, path: str, fi: Any) -> int:
        """The last descriptor is closed."""
        self._handles.pop(fi.fh, None)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        """A full disk, as every read-only file system is."""
        return {"f_bsize": 4096, "f_frsize": 4096, "f_blocks": 0, "f_bavail": 0, "f_namemax": 255}

    def _find(self, path: str) -> Entry:
        """The version at a path, None for a folder. ENOENT when there is neither."""
        inside = path.strip("/")
        if not inside:
            return None
        folder, _, name = inside.rpartition("/")
        entries = self._entries(folder)
        if name not in entries:
            raise OSError(errno.ENOENT, path)
        return entries[name]

    def _entries(self, folder: str) -> Mapping[str, Entry]:
        known = self._tree.peek(folder)
        if known is not None:
            return known
        try:
            return self._ask(self._tree.entries(folder))
        except OSError as error:
            before = self._tree.fall_back(folder) if error.errno == errno.EIO else None
            if before is None:
                raise
            return before

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._calls.call(work)
        except NotAllowed as error:
            raise OSError(errno.EACCES, error.message) from error
        except PublicError as error:
            raise OSError(_number(error), error.message) from error
        except (OSError, EOFError) as error:  # TimeoutError is one
            raise OSError(errno.EIO, "the versions service did not answer") from error

    def _attributes(self, mode: int, links: int, size: int, time_ns: int) -> dict[str, Any]:
        times = dict.fromkeys(("st_mtime", "st_ctime", "st_atime"), time_ns)
        owner = {"st_uid": os.getuid(), "st_gid": os.getgid()}
        return {"st_mode": mode, "st_nlink": links, "st_size": size, "st_blocks": -(-size // 512), **owner, **times}


def show(mountpoint: str, client: VersionsClient, loop: LoopThread) -> None:
    """Mount, and serve until SIGTERM or somebody unmounts it. `RuntimeError` when it cannot be mounted."""
    files = VersionFiles(loop, client)
    with _ended_by_signal(files):
        _mount(files, mountpoint)


@contextlib.contextmanager
def _ended_by_signal(files: VersionFiles) -> Iterator[None]:
    """libfuse reports the end by a signal as a failure too; what was mounted did not fail to mount."""
    try:
        yield
    except RuntimeError:
        if not files.was_mounted:
            raise


def _mount(files: VersionFiles, mountpoint: str) -> None:
    mfusepy.FUSE(
        files,
        mountpoint,
        raw_fi=True,
        foreground=True,
        nothreads=False,
        ro=True,
        nosuid=True,
        nodev=True,
        noexec=True,
        fsname="devplatform-versions",
        subtype="devplatform",
        default_permissions=True,
        attr_timeout=FRESH,
        entry_timeout=FRESH,
        negative_timeout=1,
    )


def _number(error: PublicError) -> int:
    if error.status == 404:
        return errno.ENOENT
    # A name that no workspace path can have: it cannot be there.
    return errno.ENOENT if error.code == "path-invalid" else errno.EIO
