"""`python -m devplatform_versions.mount`: show old versions in `.versions` until SIGTERM, by FUSE or as copies."""

import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from pathlib import Path

from devplatform_hub.core.errors import PublicError

from ..capture.__main__ import prepare as open_state_folder
from ..capture.__main__ import workspace_root
from ..capture.state_folder import state_folder
from ..client import Endpoint, VersionsClient
from .copies import Copies
from .mountpoint import prepare, unmount_stale, why_not_fuse
from .selection import Bounds

_log = logging.getLogger("devplatform.mount")
_WAYS = ("auto", "fuse", "copies", "off")
_REQUEST_TIMEOUT = 8.0
"""Shorter than a FUSE operation may last, so that its answer can still say what went wrong."""


def main() -> int:
    """Show old versions; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("fuse").setLevel(logging.ERROR)
    try:
        _run(os.environ.get("DEVPLATFORM_VERSIONS_VIEW", "auto"))
    except PublicError as error:
        _log.error("%s %s (%s)", error.message, error.hint, error.code)
        return 1
    return 0


def _run(way: str) -> None:
    if way not in _WAYS:
        raise PublicError(
            "DEVPLATFORM_VERSIONS_VIEW is not valid.", code="setting-invalid", hint=f"It is one of {', '.join(_WAYS)}."
        )
    if way == "off":
        _log.info("Old versions are not shown in .versions: DEVPLATFORM_VERSIONS_VIEW is off")
        return
    endpoint = Endpoint.from_environment()
    root = workspace_root()
    lock = _lock(root)
    try:
        folder = prepare(root)
        reason = "DEVPLATFORM_VERSIONS_VIEW says so" if way == "copies" else why_not_fuse()
        if reason is None:
            reason = _show_by_fuse(folder, endpoint)
            if reason is None:
                return
            prepare(root)
        if way == "fuse":
            raise PublicError(f"Old versions are not shown in .versions: {reason}.", code="fuse-unavailable")
        _log.info("Old versions are shown in .versions as copies, not by FUSE: %s", reason)
        asyncio.run(_show_copies(folder, endpoint))
    finally:
        os.close(lock)


def _show_by_fuse(folder: Path, endpoint: Endpoint) -> str | None:
    """Serve until unmounted; None, or why it could not be mounted."""
    from .filesystem import LoopThread, show  # needs libfuse

    loop = LoopThread()
    client = VersionsClient(endpoint, timeout=_REQUEST_TIMEOUT)
    try:
        show(str(folder), client, loop)
    except RuntimeError as error:
        return f"mounting failed ({error})"
    finally:
        loop.call(client.close())
        unmount_stale(folder)
    _log.info("Old versions are not shown any longer")
    return None


async def _show_copies(folder: Path, endpoint: Endpoint) -> None:
    async with VersionsClient(endpoint) as client:
        copies = Copies(folder, client, Bounds())
        task = asyncio.create_task(copies.run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            _log.info("The copies are not kept up to date any longer")
        finally:
            copies.close()


def _lock(root: Path) -> int:
    """The right to show the versions of this workspace; waits while another session has it."""
    folder = open_state_folder(state_folder(root))
    try:
        lock = os.open("mount.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if not told:
                _log.info("Another session shows old versions of this workspace: waiting until it ends")
                told = True
            time.sleep(2)


if __name__ == "__main__":
    sys.exit(main())
