"""One start from a pod that runs to a server that answers, or to why it never will."""

import asyncio
from typing import Any

import pytest

from devplatform_hub.answering import answers
from devplatform_hub.kube.starting import Sight, Story, follow_pod

from .cluster_words import SINGLE_USER_LOG, Json, terminated

RUNNING = {"name": "notebook", "ready": True, "state": {"running": {}}}
FULL = {"name": "notebook", "ready": False, "state": terminated(1, message=SINGLE_USER_LOG)}


def pod(phase: str, container: Json) -> Json:
    status = {"phase": phase, "podIP": "10.0.0.1", "containerStatuses": [container]}
    return {
        "metadata": {"name": "p", "uid": "1"},
        "spec": {"nodeName": "n", "restartPolicy": "Never"},
        "status": status,
    }


class Seen(Sight):
    """Pods one after the other, as they would be seen; the last one stays."""

    def __init__(self, *pods: Json) -> None:
        object.__setattr__(self, "_pods", list(pods))

    def pod(self, name: str, uid: str) -> Json | None:
        pods: list[Json] = self._pods  # type: ignore[attr-defined]
        return pods.pop(0) if len(pods) > 1 else pods[0]

    def said(self, name: str, uid: str | None) -> list[Json]:
        return []

    def revision(self, name: str) -> tuple[int, int]:
        return 0, 0

    async def change(self, name: str, seen: tuple[int, int], within: float) -> None:
        await asyncio.sleep(0)


async def follow(seen: Seen, *answer: bool) -> Any:
    told = list(answer)

    async def answered(_: Json) -> bool:
        return told.pop(0)

    return await asyncio.wait_for(follow_pod(Story((None,)), seen, "p", "1", answered), 1)


async def test_a_server_that_runs_and_ends_before_it_answers_is_told() -> None:
    """As the real one on a full disk does: it listens for a moment and is gone."""
    up = pod("Running", RUNNING)
    found = await follow(Seen(up, up, pod("Failed", FULL)), False, False)
    assert (found.code, found.message) == ("disk-full", "Your home disk is full, so your server cannot start.")


async def test_a_start_is_over_when_its_server_answers() -> None:
    """However often it has to be asked."""
    up = pod("Running", RUNNING)
    assert await follow(Seen(up), False, False, True) == up


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(b"HTTP/1.1 404 Not Found\r\n\r\n", True, id="anything"),
        pytest.param(b"", False, id="closed without a word"),
        pytest.param(None, False, id="listens and says nothing"),
    ],
)
async def test_only_what_comes_back_is_an_answer(reply: bytes | None, expected: bool) -> None:
    """An open port is none."""
    asked = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        assert await answers(f"http://127.0.0.1:{port}/user/a%40b/api", within=0.2) is expected
    assert asked[0].startswith(f"GET /user/a%40b/api HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n".encode())
    assert not await answers(f"http://127.0.0.1:{port}/api")
