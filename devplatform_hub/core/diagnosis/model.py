"""What is found out about a server that starts, waits or ended."""

from dataclasses import dataclass
from enum import StrEnum


class Waiting(StrEnum):
    """What a start waits for, in the order in which a start comes by them."""

    QUEUE = "queue"
    SCHEDULER = "scheduler"
    NODE = "node"
    VOLUME = "volume"
    IMAGE = "image"
    SIDECAR = "sidecar"
    CONTAINER = "container"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause. `fatal`: it cannot heal, so the start ends now. `no_capacity`: another place may have room.

    `message` and `hint` are plain text for a data scientist; `detail` is what the cluster said, for an administrator.
    """

    code: str
    message: str
    hint: str = ""
    fatal: bool = False
    no_capacity: bool = False
    waiting: Waiting | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a server ended. `message` says what happened, `hint` what to do; `exit_code` is the hub's."""

    code: str
    message: str
    hint: str = ""
    exit_code: int = 1
