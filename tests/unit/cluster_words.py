"""Pods and events as the API gives them, for tests of what is found out about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SINGLE_USER_LOG = """\
[I 2026-11-25 16:11:49.054 ServerApp] nbdime | extension was successfully loaded.
[I 2026-11-25 16:11:49.059 ServerApp] Serving notebooks from local directory: /home/jovyan
[I 2026-11-25 16:11:49.059 ServerApp] Jupyter Server 2.21.1 is running at:
[I 2026-11-25 16:11:49.060 ServerApp] Use Control-C to stop this server and shut down all kernels.

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main
  File "<frozen runpy>", line 88, in _run_code
  File "/opt/conda/lib/python3.11/site-packages/jupyterhub/singleuser/__main__.py", line 4, in <module>
    main()
  File "/opt/conda/lib/python3.11/site-packages/jupyter_server/extension/application.py", line 635, in launch_instance
    serverapp.start()
  File "/opt/conda/lib/python3.11/site-packages/jupyter_server/serverapp.py", line 3264, in start
    self.start_app()
  File "/opt/conda/lib/python3.11/site-packages/jupyter_server/serverapp.py", line 3149, in start_app
    self.write_browser_open_files()
  File "/opt/conda/lib/python3.11/site-packages/jupyter_server/serverapp.py", line 3016, in write_browser_open_files
    self.write_browser_open_file()
  File "/opt/conda/lib/python3.11/site-packages/jupyter_server/serverapp.py", line 3039, in write_browser_open_file
    with open(self.browser_open_file, "w", encoding="utf-8") as f:
OSError: [Errno 28] No space left on device
"""
"""What the real server says last on a home that is full: what the kubelet keeps of its log as the message."""


def event(reason: str, message: str, ago: float = 1, *, first: float | None = None, count: int = 1) -> Json:
    """An event as kubelet and autoscaler write it: last seen `ago` seconds before NOW."""
    return {
        "metadata": {"name": "p.1", "uid": reason, "creationTimestamp": stamp(ago if first is None else first)},
        "involvedObject": {"kind": "Pod", "name": "p", "uid": "1"},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "source": {"component": "kubelet"},
        "firstTimestamp": stamp(ago if first is None else first),
        "lastTimestamp": stamp(ago),
        "count": count,
        "eventTime": None,
    }


def scheduler_event(message: str, ago: float = 1, *, first: float | None = None) -> Json:
    """`FailedScheduling` as the scheduler writes it: by the newer API, which counts in a series."""
    began = ago if first is None else first
    series = {"count": 2, "lastObservedTime": stamp(ago)} if first is not None else None
    return {
        "metadata": {"name": "p.2", "uid": "FailedScheduling", "creationTimestamp": stamp(began)},
        "involvedObject": {"kind": "Pod", "name": "p", "uid": "1"},
        "reason": "FailedScheduling",
        "message": message,
        "type": "Warning",
        "reportingComponent": "default-scheduler",
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": stamp(began).replace("Z", ".123456Z"),
        "series": series,
    }


def stamp(ago: float) -> str:
    return (NOW - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def container(name: str = "notebook", *, last: Json | None = None, **state: Json) -> Json:
    """A container's status: `container(waiting={...})`."""
    return {"name": name, "image": "registry.test/notebook:1", "state": state, "lastState": last or {}, "ready": False}


def pod(*containers: Json, init: tuple[Json, ...] = (), spec: Json | None = None, **status: Any) -> Json:
    """A pod that has a machine."""
    memory = {"resources": {"limits": {"memory": "8Gi"}}}
    return {
        "metadata": {"name": "p", "uid": "1"},
        "spec": {
            "nodeName": "n",
            "restartPolicy": "Never",
            "containers": [{"name": "notebook", **memory}],
            **(spec or {}),
        },
        "status": {
            "phase": "Pending",
            "initContainerStatuses": list(init),
            "containerStatuses": list(containers),
            **status,
        },
    }


def unplaced(**spec: Any) -> Json:
    """A pod that no machine has yet."""
    return {"metadata": {"name": "p", "uid": "1"}, "spec": spec, "status": {"phase": "Pending"}}


def terminated(code: int, reason: str = "Error", message: str = "") -> Json:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str, message: str = "") -> Json:
    return {"reason": reason, "message": message}
