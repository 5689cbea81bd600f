"""As much of a hub's user and of its row of a server as a spawner needs that makes a pod and no start."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from kubespawner import KubeSpawner


@dataclass
class Group:
    """A group of the hub."""

    name: str


@dataclass
class Person:
    """Somebody who may use the platform."""

    name: str = "alice"
    id: int = 1
    url: str = "/user/alice/"
    groups: list[Group] = field(default_factory=lambda: [Group("developer-platform-users"), Group("Not A Group!")])
    spawners: dict[str, Any] = field(default_factory=dict)
    orm_spawners: dict[str, "Row"] = field(default_factory=dict)


@dataclass
class Row:
    """Their server in the hub's database."""

    user_options: dict[str, Any] = field(default_factory=dict)
    name: str = ""
    server: Any = None
    server_id: int | None = None
    state: Any = None


def without_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let spawners be made where there is no API server to be found."""
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda *a, **k: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda *a, **k: None)


def belongs_to_alice(spawner: KubeSpawner) -> None:
    """Give a spawner that was made with `_mock` its person and its row."""
    spawner.user, spawner.orm_spawner = Person(), Row()
