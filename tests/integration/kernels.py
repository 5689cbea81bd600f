"""Running code in a person's kernel as JupyterLab does: the REST API of their server, and the kernel's WebSocket."""

import json
import uuid
from contextlib import closing
from typing import Any

import websocket

from tests.integration.real_hub import RealHub


def start_kernel(hub: RealHub, user: str, token: str) -> str:
    """The id of a new kernel in this person's server."""
    status, answer = hub.call("POST", f"/user/{user}/api/kernels", {"name": "python3"}, token)
    assert status == 201, answer
    return str(answer["id"])


def run(hub: RealHub, user: str, token: str, kernel: str, code: str, *, timeout: float = 60) -> str:
    """What the code wrote, or `ErrorName: text` at the end when it raised."""
    with closing(connect(hub, user, token, kernel, timeout)) as channel:
        request = execute(channel, code)
        written = []
        while True:
            message = json.loads(channel.recv())
            if message["parent_header"].get("msg_id") != request:
                continue
            content: dict[str, Any] = message["content"]
            if message["msg_type"] == "stream":
                written.append(content["text"])
            elif message["msg_type"] == "error":
                written.append(f"{content['ename']}: {content['evalue']}")
            elif message["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(written).strip()


def connect(hub: RealHub, user: str, token: str, kernel: str, timeout: float = 60) -> websocket.WebSocket:
    """The kernel's channels."""
    address = hub.origin.replace("http", "ws")
    channel: websocket.WebSocket = websocket.create_connection(
        f"{address}/user/{user}/api/kernels/{kernel}/channels",
        header=[f"Authorization: token {token}"],
        timeout=timeout,
    )
    return channel


def execute(channel: websocket.WebSocket, code: str) -> str:
    """Send the code; gives the id of the request."""
    request = uuid.uuid4().hex
    header = {"msg_id": request, "username": "", "session": request, "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channel.send(json.dumps(message))
    return request
