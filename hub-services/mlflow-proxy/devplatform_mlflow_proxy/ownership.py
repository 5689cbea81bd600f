"""Whose a thing is: asked of the tracking server once, remembered while the answer cannot change."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from .rules import OWNER_TAG, Kind, Target
from .upstream import Upstream

_REMEMBERED = 20_000
_OWNER_SECONDS = 60.0
_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Found:
    """A thing that exists; `owner` None is nobody."""

    owner: str | None


class Ownership:
    """Owners of experiments and what is in them, and of registered models."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        # What is in an experiment stays in it, so these answers are true for ever; the oldest are forgotten.
        self._experiment_of: OrderedDict[tuple[Kind, str], str] = OrderedDict()
        self._owner_of: OrderedDict[str, tuple[float, str | None]] = OrderedDict()

    def forget_owners(self) -> None:
        """Ask anew: an administrator may have handed an experiment over."""
        self._owner_of.clear()

    async def find(self, target: Target) -> Found | None:
        """Whose `target` is, or None when there is no such thing. Raises `UpstreamUnavailable`."""
        if target.kind is Kind.REGISTERED_MODEL:
            # Not remembered: a name can be deleted and taken by somebody else.
            answer = await self._upstream.get_json("api/2.0/mlflow/registered-models/get", name=target.id)
            return _owner_in(answer, "registered_model")
        if target.kind is Kind.EXPERIMENT_NAME:
            path = "api/2.0/mlflow/experiments/get-by-name"
            return _owner_in(await self._upstream.get_json(path, experiment_name=target.id), "experiment")
        experiment = target.id if target.kind is Kind.EXPERIMENT else await self._experiment(target.kind, target.id)
        return await self._experiment_owner(experiment) if experiment else None

    async def _experiment_owner(self, experiment: str) -> Found | None:
        known = self._owner_of.get(experiment)
        if known and known[0] > self._clock():
            return Found(known[1])
        answer = await self._upstream.get_json("api/2.0/mlflow/experiments/get", experiment_id=experiment)
        found = _owner_in(answer, "experiment")
        if found:
            _remember(self._owner_of, experiment, (self._clock() + _OWNER_SECONDS, found.owner))
        return found

    async def _experiment(self, kind: Kind, identifier: str) -> str | None:
        key = (kind, identifier)
        if key in self._experiment_of:
            self._experiment_of.move_to_end(key)
            return self._experiment_of[key]
        experiment = await self._ask_experiment(kind, identifier)
        if experiment:
            _remember(self._experiment_of, key, experiment)
        return experiment

    async def _ask_experiment(self, kind: Kind, identifier: str) -> str | None:
        if kind is Kind.RUN:
            answer = await self._upstream.get_json("api/2.0/mlflow/runs/get", run_id=identifier)
            return _text_at(answer, "run", "info", "experiment_id")
        if kind is Kind.LOGGED_MODEL:
            answer = await self._upstream.get_json(f"api/2.0/mlflow/logged-models/{identifier}")
            return _text_at(answer, "model", "info", "experiment_id")
        answer = await self._upstream.get_json(f"api/3.0/mlflow/traces/{identifier}")
        return _text_at(answer, "trace", "trace_info", "trace_location", "mlflow_experiment", "experiment_id")


def owner_of_tags(thing: Mapping[str, Any]) -> str | None:
    """The owner that a thing's tags name, None for nobody."""
    for tag in thing.get("tags") or ():
        if tag.get("key") == OWNER_TAG:
            return str(tag.get("value") or "") or None
    return None


def _owner_in(answer: Mapping[str, Any] | None, name: str) -> Found | None:
    thing = (answer or {}).get(name)
    return Found(owner_of_tags(thing)) if isinstance(thing, dict) else None


def _text_at(value: object, *steps: str) -> str | None:
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def _remember(memory: OrderedDict[_K, _V], key: _K, value: _V) -> None:
    memory[key] = value
    memory.move_to_end(key)
    while len(memory) > _REMEMBERED:
        memory.popitem(last=False)
