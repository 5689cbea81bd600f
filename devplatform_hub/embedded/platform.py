"""Starting and stopping the hub process of one machine. It starts everything else: proxy, services and servers."""

import http.client
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from ..atomic_files import write_atomically
from ..config import Machine
from ..core.errors import PublicError
from ..hub_services import SERVICES
from ..servicekit.audit import AUDIT_BYTES_VARIABLE, AUDIT_FILE_VARIABLE
from . import leftovers
from .install import Toolbox, clean_environment, node_binary
from .state import DataFolder, RunningPlatform, find_running, record

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 45.0  # the hub gives every server its time to save and end
# Below the range that the kernel takes the ports of outgoing connections from: nobody gets ours in between.
_INTERNAL_PORTS = range(20000, 32000)
_LOG_BYTES = 20 * 2**20
_AUDIT_BYTES = 20 * 2**20


def check_port(port: int) -> None:
    """Raises `PublicError`: `port-in-use` naming the program that has it where that is known, or `port-forbidden`."""
    try:
        _probe(port)
    except PermissionError:
        raise PublicError(
            f"Port {port} may not be used by your account.", code="port-forbidden", hint="Choose one above 1023."
        ) from None
    except OSError:
        holder = leftovers.describe_listener(port)
        raise PublicError(
            f"Port {port} is in use{f' by {holder}' if holder else ''}.",
            code="port-in-use",
            hint=f"Stop it, or choose another port: devplatform up --port {port + 1} (make up PORT={port + 1}).",
        ) from None


def check_database(data: DataFolder) -> None:
    """Raises `PublicError` (`database-broken`) when the hub's database cannot be read."""
    if not data.database.exists():
        return
    try:
        connection = sqlite3.connect(f"{data.database.as_uri()}?mode=ro", uri=True)
        try:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        problem = str(error)
    if problem != "ok":
        raise PublicError(
            f"The hub's database {data.database} is broken: {problem}.",
            code="database-broken",
            hint="Put a copy of it back, or move it away: people, files, versions and runs are kept elsewhere "
            "and only sign-ins and running servers are forgotten. Nothing was changed.",
        )


def describe(
    data: DataFolder,
    toolbox: Toolbox,
    port: int,
    *,
    session_python: Path | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    debug: bool = False,
) -> Machine:
    """This machine. Ports that nobody visits directly stay what they were, so that servers which outlive a crash
    of the hub find it again."""
    names = ["hub", "proxy-api", *(service.name for service in SERVICES if service.has_pages)]
    ports = _internal_ports(names, data.remembered_ports(), taken={port})
    node = node_binary()
    return Machine(
        data=str(data.root),
        port=port or next(free for free in free_ports(len(ports) + 1) if free not in ports.values()),
        hub_port=ports.pop("hub"),
        proxy_api_port=ports.pop("proxy-api"),
        service_ports=ports,
        python=sys.executable,
        session_python=str(session_python.absolute() if session_python else toolbox.python("session")),
        mlflow_python=str(toolbox.python("mlflow")),
        proxy_command=(str(node), str(toolbox.program("proxy").resolve())),
        node=str(node),
        code_server=str(toolbox.program("editor")),
        mark=str(data.machine_file),
        settings=settings or {},
        debug=debug,
    )


def start(data: DataFolder, machine: Machine) -> RunningPlatform:
    """The hub, answering at its login page. Raises `PublicError` (`start-failed`) with the log's last words."""
    write_atomically(data.machine_file, json.dumps(asdict(machine)))
    log = data.logs / "hub.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_name("hub.log.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    started_at = os.fstat(descriptor).st_size
    environment = clean_environment() | {
        leftovers.MARK: str(data.machine_file),
        AUDIT_FILE_VARIABLE: str(data.logs / "audit.jsonl"),
    }
    environment.setdefault(AUDIT_BYTES_VARIABLE, str(_AUDIT_BYTES))
    config = Path(__file__).with_name("jupyterhub_config.py")
    with os.fdopen(descriptor, "ab") as output:
        hub = subprocess.Popen(
            [sys.executable, "-m", "devplatform_hub.embedded.hub_app", "-f", str(config)],
            cwd=data.hub,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0o077,  # the database and the logs too are for the owner alone
            start_new_session=True,  # Ctrl-C reaches `devplatform`, which then stops the hub in order
        )
    running = RunningPlatform(hub.pid, psutil.Process(hub.pid).create_time(), machine.origin, str(log))
    record(data, running)
    try:
        answers = _wait_until_answering(hub, machine.port)
    except BaseException:  # Ctrl-C while it starts
        stop(data)
        raise
    if not answers:
        stop(data)
        raise _why_not_started(log, started_at)
    return running


def stop(data: DataFolder) -> bool:
    """End the platform of this folder and every process it started, also after a crash. False when nothing ran."""
    running = find_running(data)
    process = running.process() if running else None
    family: list[psutil.Process] = []
    data.process_file.unlink(missing_ok=True)  # first: whoever watches the hub then knows that it was meant to end
    if process is not None:
        family = leftovers.find_family(process)
        process.send_signal(signal.SIGTERM)
        psutil.wait_procs([process], timeout=_STOP_TIMEOUT)
    left = {*(p for p in family if p.is_running()), *leftovers.find_marked(str(data.machine_file))}
    leftovers.end(left)
    return process is not None or bool(left)


def end_leftovers(data: DataFolder) -> int:
    """End what a killed hub left behind, but not people's servers, which the next hub takes over. How many ended."""
    left = leftovers.find_marked(str(data.machine_file), sessions=False)
    leftovers.end(left)
    return len(left)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on, and that no outgoing connection will take."""
    return list(_internal_ports([str(number) for number in range(count)], {}, set()).values())


def _internal_ports(names: list[str], remembered: Mapping[str, int], taken: set[int]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for name in names:
        candidates = [remembered[name]] if name in remembered else []
        candidates += random.SystemRandom().sample(_INTERNAL_PORTS, 200)
        chosen[name] = next(port for port in candidates if port not in taken and _is_free(port))
        taken = taken | {chosen[name]}
    return chosen


def _is_free(port: int) -> bool:
    try:
        _probe(port)
    except OSError:
        return False
    return True


def _probe(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def wait_for_services(machine: Machine, seconds: float) -> list[str]:
    """The titles of the services that do not answer within this time; empty when all is well."""
    waiting = {
        service.title: (machine.service_ports[service.name], f"/services/{service.name}/healthz")
        for service in SERVICES
        if service.has_pages
    }
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        waiting = {title: where for title, where in waiting.items() if not _answers(*where)}
        if waiting:
            time.sleep(0.2)
    return list(waiting)


def _wait_until_answering(hub: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline and hub.poll() is None:
        if _answers(port, "/hub/login"):
            return True
        time.sleep(0.1)
    return False


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)  # never through a proxy of the system
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _why_not_started(log: Path, offset: int) -> PublicError:
    with log.open("rb") as stream:
        stream.seek(offset)
        said = stream.read().decode("utf-8", "replace")
    if "Can't locate revision" in said:
        return PublicError(
            "The hub's database was written by a newer JupyterHub.",
            code="data-too-new",
            hint="Use that release, or choose another folder with --data. Nothing was lost.",
        )
    if "No space left on device" in said or "disk is full" in said:
        return PublicError(
            "The disk is full.", code="disk-full", hint="Free some space and start it again. Nothing was lost."
        )
    return PublicError(
        f"The platform did not start: {_last_words(said)}", code="start-failed", hint=f"The whole story is in {log}."
    )


def _last_words(said: str) -> str:
    """What JupyterHub called critical or an error, else the last line that is not the proxy's."""
    serious = re.findall(r"^\[[CE] [^\]]*\] *(\S.*)$", said, re.MULTILINE)
    lines = [line.strip() for line in said.splitlines() if line.strip() and "[ConfigProxy]" not in line]
    return str([*lines[-1:], *serious[-1:]][-1])[:300] if lines else "it said nothing"
