"""`python -m devplatform_versions.capture`: capture the workspace of this session until SIGTERM."""

import asyncio
import fcntl
import logging
import os
import signal
import sys
from pathlib import Path

from devplatform_hub.core.errors import PublicError

from ..client import Endpoint, VersionsClient
from .agent import Agent
from .settings import Settings
from .state_folder import state_folder

_log = logging.getLogger("devplatform.capture")


def main() -> int:
    """Run the agent; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    try:
        asyncio.run(_run())
    except PublicError as error:
        _log.error("%s %s (%s)", error.message, error.hint, error.code)
        return 1
    return 0


async def _run() -> None:
    settings = Settings.from_environment(os.environ)
    endpoint = Endpoint.from_environment()
    root = workspace_root()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state = state_folder(root)
    os.close(prepare(state))
    # The workspace itself is locked: two sessions of it may keep their states apart.
    lock = await _lock(os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), stop)
    try:
        if not stop.is_set():
            async with VersionsClient(endpoint) as client:
                await Agent(root, client, settings, state).run(stop)
    finally:
        os.close(lock)


def workspace_root() -> Path:
    """The workspace of this session. `PublicError` when it is not there."""
    given = os.environ.get("DEVPLATFORM_WORKSPACE", "")
    root = Path(os.path.realpath(given)) if given else None
    if root is None or not root.is_dir():
        raise PublicError(
            "DEVPLATFORM_WORKSPACE does not name a folder.",
            code="no-workspace",
            hint="The session sets it; start a new one, or set it to the folder to capture.",
        )
    return root


def prepare(folder: Path) -> int:
    """The agent's own folder, made if missing, as a descriptor. A link in its place is refused."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise PublicError(
            f"{folder.name} in the workspace cannot be used: {error.strerror}.",
            code="state-folder-invalid",
            hint="It must be a folder, not a link. Move away what is there, and start the session again.",
        ) from error


async def _lock(folder: int, stop: asyncio.Event) -> int:
    """The right to be the only agent of this workspace; waits while another session has it."""
    told = False
    while not stop.is_set():
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not told:
                _log.info("Another session captures this workspace: waiting until it ends")
                told = True
            await asyncio.sleep(2)
    return folder


if __name__ == "__main__":
    sys.exit(main())
