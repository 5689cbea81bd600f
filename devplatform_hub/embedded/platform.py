"""Starting and stopping the hub process of one machine. It starts everything else: proxy, services and servers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from ..config import Machine
from ..core.errors import PublicError
from ..hub_services import SERVICES
from .install import Toolbox, clean_environment, node_binary
from .jupyterhub_config import SETTINGS_VARIABLE
from .state import DataFolder, RunningPlatform, find_running, record, write_atomically

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 45.0  # the hub gives every server its time to save and end


def check_port(port: int) -> None:
    """Raises `PublicError` (`port-in-use`) naming the program that has the port, where that can be known."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise PublicError(
                f"Port {port} may not be used by your account.", code="port-forbidden", hint="Choose one above 1023."
            ) from None
        except OSError:
            raise PublicError(
                f"Port {port} is in use{_holder(port)}.",
                code="port-in-use",
                hint="Stop that program, or choose another port: devplatform up --port 8001 (make up PORT=8001).",
            ) from None


def describe(
    data: DataFolder,
    toolbox: Toolbox,
    port: int,
    *,
    session_python: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    debug: bool = False,
) -> Machine:
    """This machine with fresh loopback ports for the parts that nobody visits directly."""
    names = ["hub", "proxy-api", *(service.name for service in SERVICES if service.has_pages)]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    node = node_binary()
    return Machine(
        data=str(data.root),
        port=port,
        hub_port=ports.pop("hub"),
        proxy_api_port=ports.pop("proxy-api"),
        service_ports=ports,
        python=sys.executable,
        session_python=str(session_python or toolbox.python("session")),
        mlflow_python=str(toolbox.python("mlflow")),
        proxy_command=(str(node), str(toolbox.program("proxy").resolve())),
        node=str(node),
        code_server=str(toolbox.program("editor")),
        settings=dict(settings or {}),
        debug=debug,
    )


def start(data: DataFolder, machine: Machine) -> RunningPlatform:
    """The hub, answering at its login page. Raises `PublicError` (`start-failed`) with the log's last words."""
    settings = data.run / "machine.json"
    write_atomically(settings, json.dumps(asdict(machine)))
    log = data.logs / "hub.log"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    started_at = os.fstat(descriptor).st_size
    environment = clean_environment() | {
        SETTINGS_VARIABLE: str(settings),
        "DEVPLATFORM_AUDIT_FILE": str(data.logs / "audit.jsonl"),
    }
    config = Path(__file__).with_name("jupyterhub_config.py")
    with os.fdopen(descriptor, "ab") as output:
        hub = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "-f", str(config)],
            cwd=data.hub,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches `devplatform`, which then stops the hub in order
        )
    process = psutil.Process(hub.pid)
    running = RunningPlatform(hub.pid, process.create_time(), machine.origin, str(log))
    record(data, running)
    if not _wait_until_answering(hub, machine.origin):
        stop(data)
        raise PublicError(
            f"The platform did not start: {_last_words(log, started_at)}",
            code="start-failed",
            hint=f"The whole story is in {log}.",
        )
    return running


def stop(data: DataFolder) -> bool:
    """End the platform of this folder and every process it started. False when nothing ran."""
    running = find_running(data)
    if running is None:
        data.process_file.unlink(missing_ok=True)
        return False
    process = running.process()
    if process is not None:
        family = [process, *_descendants(process)]
        process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs([process], timeout=_STOP_TIMEOUT)
        family += _descendants(process) if alive else []
        _end([*alive, *family[1:]])
    data.process_file.unlink(missing_ok=True)
    return True


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on right now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _end(processes: list[psutil.Process]) -> None:
    """What is still there after the hub ended: first asked, then killed; by process, never by name."""
    for send in ("terminate", "kill"):
        processes = [process for process in processes if process.is_running()]
        for process in processes:
            try:
                getattr(process, send)()
            except psutil.NoSuchProcess:
                continue
        _, processes = psutil.wait_procs(processes, timeout=5)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _wait_until_answering(hub: "subprocess.Popen[bytes]", origin: str) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and hub.poll() is None:
        try:
            with urllib.request.urlopen(f"{origin}/hub/login", timeout=5) as answer:  # noqa: S310 - our own loopback
                if answer.status == 200:
                    return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def _last_words(log: Path, offset: int) -> str:
    with log.open("rb") as stream:
        stream.seek(offset)
        lines = [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        return ""
    return ""
