"""When a person last used their server: a Jupyter Server extension, on in every session of one machine.

Jupyter counts every API request and every byte of a proxied editor, so that a forgotten tab, which polls, keeps a
server for ever. Counted here, alike for every editor:

- a kernel that computes, or whose last message is recent (a silent long computation counts while it runs);
- a terminal with recent input or output, or with a job in its foreground, in JupyterLab and in VS Code;
- what a person does in VS Code, told from what an open window does by itself;
- saving, creating and deleting files and sessions through Jupyter's API, and opening a page.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from . import process_table

_VSCODE_REGULAR_MESSAGE = 1
# An open but unused window of VS Code sends bookkeeping now and then; typing or clicking sends a burst.
_BURST = 6
_BURST_WINDOW = timedelta(seconds=10)
_SAVING = ("/api/contents", "/api/kernels", "/api/sessions", "/api/terminals", "/files/")
_PAGES = ("/lab", "/tree", "/notebooks", "/edit", "/doc", "/terminals", "/vscode/")


class Meter:
    """Remembers when something was last used; `burst` of events within `window` make one use."""

    def __init__(self, burst: int = 1, window: timedelta = timedelta(0)) -> None:
        self.last: datetime | None = None
        self._burst = burst
        self._window = window
        self._began: datetime | None = None
        self._count = 0

    def note(self, now: datetime) -> None:
        """One event."""
        if self._began is None or now - self._began > self._window:
            self._began, self._count = now, 0
        self._count += 1
        if self._count >= self._burst:
            self.last = now


def is_vscode_message(message: object) -> bool:
    """Whether this WebSocket message from VS Code's window carries a request: not an acknowledgement or a keep-alive.

    The first byte of a frame of its protocol is the type (VS Code, `ProtocolMessageType`: 1 is `Regular`).
    """
    return isinstance(message, bytes) and len(message) > 13 and message[0] == _VSCODE_REGULAR_MESSAGE


def is_use(method: str, path: str) -> bool:
    """Whether an HTTP request (its path below the server's prefix) is something a person did, and no polling."""
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        return path.startswith(_SAVING)
    return method == "GET" and any(path == page or path.startswith(page.rstrip("/") + "/") for page in _PAGES[:-1])


class Activity:
    """The last use of one server, out of all its sources."""

    def __init__(self, settings: dict[str, Any], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._clock = clock
        self.requests = Meter()
        self.vscode = Meter(_BURST, _BURST_WINDOW)

    def now(self) -> datetime:
        return self._clock()

    def last(self) -> datetime:
        """What replaces `ServerWebApplication.last_activity`, which the hub is told."""
        times = [self._settings["started"], self.requests.last, self.vscode.last]
        manager = self._settings["kernel_manager"]
        times.append(manager.last_kernel_activity)
        for kernel_id in manager.list_kernel_ids():
            kernel = manager.get_kernel(kernel_id)
            busy = getattr(kernel, "execution_state", "") == "busy"
            times.append(self.now() if busy else getattr(kernel, "last_activity", None))
        times.append(self._settings.get("terminal_last_activity"))
        if any(process.has_foreground_job for process in process_table.descendants(os.getpid(), process_table.table())):
            times.append(self.now())
        return max(time for time in times if time is not None)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "devplatform_hub.embedded.activity"}]


def _load_jupyter_server_extension(app: Any) -> None:
    activity = Activity(app.web_app.settings)
    app.web_app.last_activity = activity.last
    _meter_requests(app.web_app, activity)
    _meter_vscode(activity)
    app.log.info("Activity is counted by use, not by traffic")


def _meter_requests(web_app: Any, activity: Activity) -> None:
    """See every request that tornado finished, through the function that logs it, whoever sets that."""
    base = web_app.settings["base_url"].rstrip("/")
    log_request = type(web_app).log_request

    def log_and_note(handler: Any) -> None:
        log_request(web_app, handler)
        path = handler.request.path.removeprefix(base)
        if handler.get_status() < 400 and is_use(handler.request.method, path):
            activity.requests.note(activity.now())

    web_app.log_request = log_and_note


def _meter_vscode(activity: Activity) -> None:
    """Look at what the browser sends to VS Code on its way through jupyter-server-proxy, which has no hook for that."""
    from jupyter_server_proxy.handlers import ProxyHandler

    forward = ProxyHandler.on_message

    def note_and_forward(handler: Any, message: Any) -> None:
        if is_vscode_message(message):
            activity.vscode.note(activity.now())
        forward(handler, message)

    ProxyHandler.on_message = note_and_forward
