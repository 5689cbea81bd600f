"""Asking for a page of somebody's bytes: starts the worker, feeds it, and ends it when it takes too long."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devplatform_hub.core.errors import PublicError

_log = logging.getLogger("devplatform.versions.rendering")
_MOST_WAITING = 30
_MOST_ANSWER = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a version on their way to the worker; `size` of them are promised."""

    size: int
    chunks: AsyncIterator[bytes]


def too_complex() -> PublicError:
    """What a person sees when a file cannot be rendered within the limits."""
    return PublicError(
        "This file is too large or too complex to be shown here.",
        code="rendering-too-complex",
        hint="Download it, and open it with a program of your own.",
        status=422,
    )


class Renderer:
    """Runs at most `at_once` workers, of at most `seconds` and `memory` bytes each."""

    def __init__(self, *, at_once: int = 2, seconds: float = 20, memory: int = 2**30) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._seconds = seconds
        self._memory = memory
        self._waiting = 0

    async def run(self, job: Mapping[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
        """The answer of the worker. Raises `PublicError` when there is none within the limits."""
        if self._waiting >= _MOST_WAITING:
            raise PublicError(
                "Too many files are being prepared for reading right now.",
                code="rendering-busy",
                hint="Try again in a minute.",
                status=503,
            )
        self._waiting += 1
        try:
            async with self._free:
                answer = await self._run(job, parts)
        finally:
            self._waiting -= 1
        if answer.get("kind") == "too-complex":
            raise too_complex()
        return answer

    async def _run(self, job: Mapping[str, Any], parts: Sequence[Part]) -> dict[str, Any]:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "devplatform_versions.rendering.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Nothing of the service's own environment: its hub token is there.
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            cwd="/",
            limit=2**16,
        )
        try:
            async with asyncio.timeout(self._seconds):
                async with asyncio.TaskGroup() as group:
                    group.create_task(_feed(worker, {**job, "memory": self._memory}, parts))
                    output = group.create_task(_read(worker.stdout, _MOST_ANSWER))
                    errors = group.create_task(_read(worker.stderr, 2**16))
                status = await worker.wait()
        except TimeoutError:
            _log.warning("A %s of %s took over %d s", job["job"], [part.size for part in parts], self._seconds)
            raise too_complex() from None
        except BaseExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from group_of_errors
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        text = output.result()
        if status != 0 or text is None:
            # The last line names the error; the rest could quote the file.
            last = (errors.result() or b"").decode("utf-8", "replace").strip().rpartition("\n")[2]
            _log.warning("A %s ended with status %d: %s", job["job"], status, ascii(last.partition(":")[0])[:200])
            raise too_complex()
        return json.loads(text)


async def _feed(worker: asyncio.subprocess.Process, job: Mapping[str, Any], parts: Sequence[Part]) -> None:
    assert worker.stdin is not None  # noqa: S101 - a pipe was asked for
    header = {**job, "sizes": [part.size for part in parts]}
    try:
        worker.stdin.write(json.dumps(header).encode() + b"\n")
        for part in parts:
            async for chunk in part.chunks:
                worker.stdin.write(chunk)
                await worker.stdin.drain()
        worker.stdin.close()
        await worker.stdin.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        return  # it ended early; its status says why


async def _read(stream: asyncio.StreamReader | None, most: int) -> bytes | None:
    """Everything that comes, or None when that is too much (the rest is thrown away)."""
    assert stream is not None  # noqa: S101 - a pipe was asked for
    content: bytearray | None = bytearray()
    while chunk := await stream.read(2**16):
        if content is not None:
            content += chunk
            if len(content) > most:
                content = None
    return None if content is None else bytes(content)
