"""The one folder that holds everything a machine's platform knows, and the record of what is running from it."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ..atomic_files import write_atomically
from ..core.errors import PublicError

_SCHEMA = 1
_MARKER = "devplatform.json"
_LEAST_FREE_BYTES = 200 * 2**20


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths inside the folder; `open_data` makes sure that they exist and are ours."""

    root: Path

    @property
    def users_file(self) -> Path:
        return self.root / "users.yaml"

    @property
    def profiles_file(self) -> Path:
        return self.root / "profiles.yaml"

    @property
    def hub(self) -> Path:
        return self.root / "hub"

    @property
    def database(self) -> Path:
        return self.hub / "jupyterhub.sqlite"

    @property
    def people(self) -> Path:
        return self.root / "people"

    @property
    def versions(self) -> Path:
        return self.root / "versions"

    @property
    def mlflow(self) -> Path:
        return self.root / "mlflow"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def process_file(self) -> Path:
        return self.run / "platform.json"

    @property
    def machine_file(self) -> Path:
        """The settings that the hub process reads; its path marks every process of this platform."""
        return self.run / "machine.json"

    def remembered_ports(self) -> dict[str, int]:
        """The internal ports of the last start, by the name of the part; empty when there was none."""
        try:
            last = json.loads(self.machine_file.read_text("utf-8"))
            ports = {"hub": last["hub_port"], "proxy-api": last["proxy_api_port"], **last["service_ports"]}
            return {str(name): int(port) for name, port in ports.items()}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def open_data(root: Path) -> DataFolder:
    """The folder at `root`, made if it is missing, readable by its owner only.

    Raises `PublicError`: `data-not-ours` for a folder with other things in it, `data-too-new` for one of a later
    release, `data-broken`, `data-not-writable`, `disk-full`. Nothing that is in the folder is changed before that.
    """
    root = root.absolute()
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_marker(root)
        root.chmod(0o700)
        data = DataFolder(root)
        for folder in (data.hub, data.people, data.versions, data.mlflow, data.run, data.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise PublicError(
            f"The data folder {root} cannot be used: {error.strerror}.",
            code="data-not-writable",
            hint="Give the folder to your account, free some space, or choose another with --data.",
        ) from None
    free = shutil.disk_usage(root).free
    if free < _LEAST_FREE_BYTES:
        raise PublicError(
            f"The disk of {root} has only {free // 2**20} MB free.",
            code="disk-full",
            hint=f"Free at least {_LEAST_FREE_BYTES // 2**20} MB, or choose another folder with --data.",
        )
    return data


def _check_marker(root: Path) -> None:
    marker = root / _MARKER
    if not marker.exists():
        if any(root.iterdir()):
            raise PublicError(
                f"{root} has other things in it and no {_MARKER}.",
                code="data-not-ours",
                hint="Choose an empty or a new folder with --data.",
            )
        write_atomically(marker, json.dumps({"schema": _SCHEMA}) + "\n")
        return
    try:
        schema = json.loads(marker.read_text("utf-8"))["schema"]
    except (ValueError, KeyError, TypeError):
        raise PublicError(
            f"{marker} is broken.",
            code="data-broken",
            hint=f'If the folder is one of ours, put {{"schema": {_SCHEMA}}} into that file. Nothing was changed.',
        ) from None
    if schema != _SCHEMA:
        raise PublicError(
            f"{root} was written by another release (schema {schema!r}, this one reads {_SCHEMA}).",
            code="data-too-new",
            hint="Use that release, or choose another folder with --data. Nothing was changed.",
        )


@dataclass(frozen=True, slots=True)
class RunningPlatform:
    """The hub process that was started from a data folder; `created` tells it from a later process of the same id."""

    pid: int
    created: float
    url: str
    log: str

    def process(self) -> psutil.Process | None:
        """The live process, or None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.created) < 1 else None
        except psutil.NoSuchProcess:
            return None


@contextmanager
def starting(data: DataFolder) -> Iterator[None]:
    """The right to start the platform of this folder. Raises `PublicError` (`starting-already`) when another has it."""
    with (data.run / "start.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PublicError(
                f"Another `devplatform up` is starting the platform of {data.root}.",
                code="starting-already",
                hint="Wait for it, or stop it with Ctrl-C where it runs.",
            ) from None
        yield


def record(data: DataFolder, running: RunningPlatform) -> None:
    """Remember what runs."""
    write_atomically(data.process_file, json.dumps(asdict(running)) + "\n")


def find_running(data: DataFolder) -> RunningPlatform | None:
    """What runs from this folder; None when nothing does, also after a crash."""
    try:
        running = RunningPlatform(**json.loads(data.process_file.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return running if running.process() else None
