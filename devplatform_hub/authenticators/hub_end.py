"""Closing what an authenticator keeps open when its hub ends, for which JupyterHub has no hook."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

_SECONDS = 5.0


def close_at_the_end(close: Callable[[], Awaitable[None]], log: Any, seconds: float = _SECONDS) -> "asyncio.Task[None]":
    """A task that calls `close` when the hub ends, and gives it so many seconds. Keep it: a loop does not.

    A hub that was told to stop ends its services and servers, then cancels every task of its loop and waits for
    them (`JupyterHub.shutdown_cancel_tasks`, in 5 and 6 alike): this one has until then done nothing.
    """
    return asyncio.get_running_loop().create_task(_close(close, log, seconds))


async def _close(close: Callable[[], Awaitable[None]], log: Any, seconds: float) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        try:
            async with asyncio.timeout(seconds):
                await close()
        except TimeoutError:
            log.warning("The connections to the directory were not closed within %g s", seconds)
        except Exception:
            log.exception("The connections to the directory could not be closed")
