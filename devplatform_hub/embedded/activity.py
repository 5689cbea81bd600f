"""When a person last used their server: a Jupyter Server extension, on in every session of one machine.

Jupyter counts every API request and every byte of a proxied editor, so that a forgotten tab, which polls, keeps a
server for ever. Counted here, alike for every editor:

- a kernel that computes, or whose last message is recent (a silent long computation counts while it runs);
- a terminal with recent input or output, or with a job in its foreground, in JupyterLab and in VS Code;
- a window of VS Code that its person uses, told from one that is only open;
- saving, creating and deleting files and sessions through Jupyter's API, and opening a page.
"""

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from . import process_table

_SAVING = ("/api/contents", "/api/kernels", "/api/sessions", "/api/terminals", "/files/")
_EXTENSION_HOST = re.compile(rb'"desiredConnectionType":\s*2\b')
_WINDOW_ACTIVE = re.compile(rb"\$onDidChangeWindowActive.{0,8}\[(true|false)\]", re.DOTALL)
_MOST_WINDOWS = 64


class VSCodeWindows:
    """Whether somebody uses a window of VS Code, from what its browser side sends to the server.

    VS Code knows: a window that lost the focus, or had no input for a minute, tells its extension host so
    (`$onDidChangeWindowActive`). All other traffic, which never ceases, says nothing about a person.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._windows: dict[str, bool] = {}  # by the token with which a window reconnects: it does not tell us again
        self._connected: set[str] = set()
        self._last: datetime | None = None

    def note(self, window: str, message: object) -> None:
        """One message from the window with this token."""
        if not isinstance(message, bytes):
            return
        if len(message) < 4096 and _EXTENSION_HOST.search(message):
            self._connected.add(window)
            self._set(window, self._windows.get(window, True))  # a new window was opened by somebody
        found = _WINDOW_ACTIVE.findall(message)
        if found:
            self._set(window, found[-1] == b"true")

    def closed(self, window: str) -> None:
        """Its connection ended; it may come back."""
        if window in self._connected:
            self._connected.discard(window)
            if self._windows.get(window):
                self._last = self._clock()

    def last(self) -> datetime | None:
        """When a window was last in use: now, while one is."""
        if any(self._windows.get(window) for window in self._connected):
            self._last = self._clock()
        return self._last

    def _set(self, window: str, active: bool) -> None:
        if active or self._windows.get(window):
            self._last = self._clock()
        self._windows.pop(window, None)
        self._windows[window] = active
        for old in [known for known in self._windows if known not in self._connected][:-_MOST_WINDOWS]:
            del self._windows[old]


def is_use(method: str, path: str, fetch_mode: str) -> bool:
    """Whether an HTTP request is something that a person did: saving and the like, or opening a page.

    `path` is below the server's prefix; `fetch_mode` is what the browser says in `Sec-Fetch-Mode`. Every page polls.
    """
    if method in ("POST", "PUT", "PATCH", "DELETE"):
        return path.startswith(_SAVING)
    return method == "GET" and fetch_mode == "navigate"


class Activity:
    """The last use of one server, out of all its sources."""

    def __init__(self, settings: dict[str, Any], clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._settings = settings
        self._clock = clock
        self.last_request: datetime | None = None
        self.vscode = VSCodeWindows(clock)

    def now(self) -> datetime:
        return self._clock()

    def last(self) -> datetime:
        """What replaces `ServerWebApplication.last_activity`, which the hub is told."""
        times = [self._settings["started"], self.last_request, self.vscode.last()]
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
        mode = handler.request.headers.get("Sec-Fetch-Mode", "")
        if handler.get_status() < 400 and is_use(handler.request.method, path, mode):
            activity.last_request = activity.now()

    web_app.log_request = log_and_note


def _meter_vscode(activity: Activity) -> None:
    """Look at what the browser sends to VS Code on its way through jupyter-server-proxy, which has no hook for that."""
    from jupyter_server_proxy.handlers import ProxyHandler

    forward, close = ProxyHandler.on_message, ProxyHandler.on_close

    def note_and_forward(handler: Any, message: Any) -> None:
        window = handler.get_query_argument("reconnectionToken", "")
        if window:
            activity.vscode.note(window, message)
        forward(handler, message)

    def note_and_close(handler: Any) -> None:
        activity.vscode.closed(handler.get_query_argument("reconnectionToken", ""))
        close(handler)

    ProxyHandler.on_message, ProxyHandler.on_close = note_and_forward, note_and_close
