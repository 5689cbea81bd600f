"""`users.yaml` on disk: read when it changed, changed by one writer at a time, replaced whole or not at all."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..atomic_files import write_atomically
from ..core.errors import PublicError
from .local_users import LocalUsers
from .users_text import UsersFileBroken, parse_users, render_users

_LOCK_TIMEOUT = 10.0
_MODE = 0o600


class UsersFile:
    """The file at `path`. Every method may be called from any thread and any process."""

    def __init__(self, path: str | os.PathLike[str], *, lock_timeout: float = _LOCK_TIMEOUT) -> None:
        self.path = Path(path)
        self._lock_path = self.path.with_name(f".{self.path.name}.lock")
        self._lock_timeout = lock_timeout
        self._remembered: tuple[tuple[int, ...], LocalUsers] | None = None
        self._reading = threading.Lock()

    def read(self) -> LocalUsers:
        """Everybody, as the file says now. Raises `FileNotFoundError`, or `PublicError` when it cannot be trusted."""
        with self._reading:
            stamp = _stamp(self.path.stat())
            if self._remembered and self._remembered[0] == stamp:
                return self._remembered[1]
            users = self._parse()
            self._remembered = (stamp, users)
            return users

    def read_or_nobody(self) -> LocalUsers:
        """Everybody; nobody when there is no file yet."""
        try:
            return self.read()
        except FileNotFoundError:
            return LocalUsers()

    def change(self, make: Callable[[LocalUsers], LocalUsers]) -> LocalUsers:
        """Replace the content by what `make` gives for it. Raises what `make` raises; then nothing is changed."""
        with self._locked():
            before = self._parse() if self.path.exists() else LocalUsers()
            after = make(before)
            if after != before or not self.path.exists():
                self._replace(render_users(after))
        return after

    def _parse(self) -> LocalUsers:
        try:
            return parse_users(self.path.read_text("utf-8"), str(self.path))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise UsersFileBroken([f"{self.path}:{line}: this is not UTF-8; put back a copy."]) from None
        except FileNotFoundError:
            raise
        except OSError as error:
            raise PublicError(
                f"{self.path} cannot be read: {error.strerror}.",
                code="users-file-unreadable",
                hint="Give it to the account that runs the platform.",
                status=503,
            ) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        try:
            deadline = time.monotonic() + self._lock_timeout
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise PublicError(
                        f"Another program has been changing {self.path} for {self._lock_timeout:.0f} seconds.",
                        code="users-file-busy",
                        hint="Try again. Nothing was changed.",
                        status=503,
                    )
                time.sleep(0.02)
            yield
        finally:
            os.close(descriptor)

    def _replace(self, text: str) -> None:
        try:
            write_atomically(self.path, text, _MODE)
        except OSError as error:
            raise _unwritable(self.path, error) from None


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _unwritable(path: Path, error: OSError) -> PublicError:
    return PublicError(
        f"{path} cannot be written: {error.strerror}.",
        code="users-file-unwritable",
        hint="Free some space, or give the folder to your account. Nothing was changed.",
        status=503,
    )
