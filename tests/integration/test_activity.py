"""What keeps a server alive, told to a real hub every second: work does, traffic does not."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import pytest

from tests.integration import kernels
from tests.integration.real_hub import RealHub, running_hub

pytestmark = [pytest.mark.lab("proxy"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    traits = {"EmbeddedSpawner": {"environment": {"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}}}
    with running_hub(tmp_path_factory.mktemp("hub"), traits) as hub:
        yield hub


@pytest.fixture(scope="module")
def alice(hub: RealHub) -> str:
    return hub.start_server("alice")


def idle_seconds(hub: RealHub) -> float:
    """Seconds since the last activity that the hub knows of, on its own clock (this machine's)."""
    return time.time() - datetime.fromisoformat(hub.server("alice")["last_activity"]).timestamp()


def test_polling_is_no_activity(hub: RealHub, alice: str) -> None:
    """A tab that asks for kernels, terminals and files for ever keeps nothing alive."""
    for _ in range(12):
        for path in ("kernels", "terminals", "sessions", "contents"):
            assert hub.call("GET", f"/user/alice/api/{path}", token=alice)[0] == 200
        time.sleep(0.5)
    assert idle_seconds(hub) > 5


def test_saving_a_file_is_activity(hub: RealHub, alice: str) -> None:
    """Whatever editor does it through Jupyter's API."""
    body = {"type": "file", "format": "text", "content": "saved"}
    assert hub.call("PUT", "/user/alice/api/contents/note.txt", body, alice)[0] == 201
    hub.wait(lambda: idle_seconds(hub) < 2.5, 5, "activity after a save")


def test_a_silent_computation_is_activity_while_it_runs(hub: RealHub, alice: str) -> None:
    """A kernel that says nothing for an hour may be training a model."""
    kernel = kernels.start_kernel(hub, "alice", alice)
    with closing(kernels.connect(hub, "alice", alice, kernel)) as channel:
        kernels.execute(channel, "import time; time.sleep(8)")
        time.sleep(6.5)
        assert idle_seconds(hub) < 3
        time.sleep(7)
        assert idle_seconds(hub) > 3
    assert hub.call("DELETE", f"/user/alice/api/kernels/{kernel}", token=alice)[0] == 204


def test_a_job_in_a_terminal_is_activity_while_it_runs(hub: RealHub, alice: str) -> None:
    """Silent or not; a shell that only waits is none."""
    import json

    import websocket

    status, terminal = hub.call("POST", "/user/alice/api/terminals", {}, alice)
    assert status == 200
    address = f"{hub.origin.replace('http', 'ws')}/user/alice/terminals/websocket/{terminal['name']}"
    with closing(websocket.create_connection(address, header=[f"Authorization: token {alice}"], timeout=20)) as channel:
        channel.send(json.dumps(["stdin", "sleep 8\r"]))
        time.sleep(6.5)
        assert idle_seconds(hub) < 3
        time.sleep(7)
        assert idle_seconds(hub) > 3
