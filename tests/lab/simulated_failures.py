"""Simulated pods that fail as real ones do, chosen by the image of their first container.

kwok plays what a kubelet reports, in its order: status and events. Everything before a node is found for a pod
(quota, admission, scheduling) is real in this lab and needs none of this.
"""

import json
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

MISSING = "registry.test/missing:1"
PRIVATE = "registry.test/private:1"
SLOW = "registry.test/slow:1"
UNMOUNTABLE = "registry.test/unmountable:1"
CRASHING = "registry.test/crashing:1"
OUT_OF_MEMORY = "registry.test/out-of-memory:1"
EVICTED = "registry.test/evicted:1"
DISK_FULL = "registry.test/disk-full:1"
"""Its server finds the home full; where the pod is a safe start it runs, as it would."""

_NOW = "@now"
SLOW_SECONDS = 3.0
"""How long the image of SLOW takes to be pulled; the same time passes before OUT_OF_MEMORY and EVICTED happen."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is reported next: the state of every container, the phase of the pod, one event."""

    state: Json
    event: tuple[str, str, str]
    after: float = 0.05
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    address: str = "127.0.0.1"


def _waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def _terminated(reason: str, code: int, message: str = "") -> Json:
    ended = {"reason": reason, "exitCode": code, "startedAt": _NOW, "finishedAt": _NOW}
    return {"terminated": ended | ({"message": message} if message else {})}


def _pull(image: str, why: str) -> tuple[Step, ...]:
    said = f'Failed to pull image "{image}": {why}'
    back_off = f'Back-off pulling image "{image}"'
    return (
        Step(_waiting("ContainerCreating"), ("Normal", "Pulling", f'Pulling image "{image}"')),
        Step(_waiting("ErrImagePull", why), ("Warning", "Failed", said), after=0.3),
        Step(_waiting("ErrImagePull", why), ("Warning", "Failed", "Error: ErrImagePull")),
        Step(_waiting("ImagePullBackOff", back_off), ("Normal", "BackOff", back_off), after=1),
        Step(_waiting("ImagePullBackOff", back_off), ("Warning", "Failed", "Error: ImagePullBackOff")),
    )


_RUNNING = Step({"running": {"startedAt": _NOW}}, ("Normal", "Started", "Started container notebook"), phase="Running")
_NOT_FOUND = (
    f'rpc error: code = NotFound desc = failed to pull and unpack image "{MISSING}": failed to resolve reference '
    f'"{MISSING}": {MISSING}: not found'
)
_DENIED = (
    f'failed to pull and unpack image "{PRIVATE}": failed to resolve reference "{PRIVATE}": failed to authorize: '
    "failed to fetch anonymous token: unexpected status from GET request: 403 Forbidden"
)
_NO_DISK = 'MountVolume.SetUp failed for volume "home" : rpc error: code = Internal desc = mount failed: exit status 32'
_LOW_MEMORY = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 51Mi. "

# The last 2,048 bytes of a real server's log on a full disk, which is what the kubelet keeps.
LAST_WORDS = (
    "[I ServerApp] Jupyter Server 2.21.1 is running at:\n"
    "Traceback (most recent call last):\n"
    + 24 * '  File "/opt/conda/lib/python3.11/site-packages/jupyter_server/serverapp.py", line 3149, in start\n'
    + "OSError: [Errno 28] No space left on device\n"
)[-2048:]

_STEP = "devplatform.test/step"
_SAFE = '.metadata.annotations["devplatform.io/safe-start"]'
_MARK = f'.status.conditions.[] | select( .type == "{_STEP}" ) | .reason'

BEHAVIOURS: dict[str, tuple[Step, ...]] = {
    MISSING: _pull(MISSING, _NOT_FOUND),
    PRIVATE: _pull(PRIVATE, _DENIED),
    SLOW: (
        Step(_waiting("ContainerCreating"), ("Normal", "Pulling", f'Pulling image "{SLOW}"')),
        Step(
            _RUNNING.state,
            ("Normal", "Pulled", f'Successfully pulled image "{SLOW}" in {SLOW_SECONDS:.3f}s'),
            after=SLOW_SECONDS,
            phase="Running",
        ),
    ),
    UNMOUNTABLE: (
        Step(_waiting("ContainerCreating"), ("Warning", "FailedMount", _NO_DISK)),
        Step(_waiting("ContainerCreating"), ("Warning", "FailedMount", _NO_DISK), after=1),
    ),
    # Our pods are not started again: what ended stays, with the reason.
    CRASHING: (
        Step(_waiting("ContainerCreating"), ("Normal", "Started", "Started container notebook")),
        Step(_terminated("Error", 1), ("Normal", "Killing", "Stopping container"), after=0.3, phase="Failed"),
    ),
    # It listens and ends before it answers: nothing is at this address.
    DISK_FULL: (
        Step(_RUNNING.state, ("Normal", "Started", "Started container notebook"), phase="Running", address="127.0.0.2"),
        Step(
            _terminated("Error", 1, LAST_WORDS),
            ("Normal", "Killing", "Stopping container"),
            after=1.5,
            phase="Failed",
            address="127.0.0.2",
        ),
    ),
    OUT_OF_MEMORY: (
        _RUNNING,
        Step(
            _terminated("OOMKilled", 137),
            ("Normal", "Killing", "Stopping container"),
            after=SLOW_SECONDS,
            phase="Failed",
        ),
    ),
    EVICTED: (
        _RUNNING,
        Step(
            _terminated("Error", 137),
            ("Warning", "Evicted", _LOW_MEMORY),
            after=SLOW_SECONDS,
            phase="Failed",
            reason="Evicted",
            message=_LOW_MEMORY,
        ),
    ),
}


def stages() -> list[Json]:
    """kwok's configuration of all of them. A safe start does not care for the disk that is full."""
    found = [
        _stage(image, number, step) for image, steps in BEHAVIOURS.items() for number, step in enumerate(steps, start=1)
    ]
    safe = _stage(DISK_FULL, 1, _RUNNING)
    safe["metadata"]["name"] = "pod-disk-full-safe"
    for stage in found:
        if stage["metadata"]["name"].startswith("pod-disk-full-"):
            stage["spec"]["selector"]["matchExpressions"].append({"key": _SAFE, "operator": "DoesNotExist"})
    safe["spec"]["selector"]["matchExpressions"].append({"key": _SAFE, "operator": "Exists"})
    return [*found, safe]


def _stage(image: str, number: int, step: Step) -> Json:
    """A stage follows on the one before it by a condition of the pod, which each writes anew."""
    before = [{"key": _MARK, "operator": "In", "values": [f"step-{number - 1}"]}]
    first = [{"key": _MARK, "operator": "DoesNotExist"}]
    kind, reason, message = step.event
    name = image.removeprefix("registry.test/").removesuffix(":1")
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"pod-{name}-{number}"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                    {"key": ".spec.containers[0].image", "operator": "In", "values": [image]},
                    *(before if number > 1 else first),
                ]
            },
            "delay": {"durationMilliseconds": round(step.after * 1000)},
            "next": {
                "event": {"type": kind, "reason": reason, "message": message},
                "statusTemplate": _template(step, number),
            },
        },
    }


def _template(step: Step, number: int) -> str:
    ready = "running" in step.state
    status = {
        "phase": step.phase,
        "podIP": step.address,
        "podIPs": [{"ip": step.address}],
        "conditions": [
            *({"type": name, "status": str(ready)} for name in ("Ready", "ContainersReady")),
            {"type": _STEP, "status": "True", "reason": f"step-{number}"},
        ],
        **({"reason": step.reason, "message": step.message} if step.reason else {}),
    }
    container = {"state": step.state, "ready": ready, "started": ready, "restartCount": 0, "imageID": ""}
    lines = [f"{key}: {json.dumps(value)}" for key, value in status.items()]
    lines += ["containerStatuses:", "{{ range .spec.containers }}", "- name: {{ .name | Quote }}"]
    lines += ["  image: {{ .image | Quote }}"]
    lines += [f"  {key}: {json.dumps(value)}" for key, value in container.items()]
    lines += ["{{ end }}"]
    return "\n".join(["{{ $now := Now }}", *lines]).replace(json.dumps(_NOW), "{{ $now | Quote }}")
