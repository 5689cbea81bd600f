"""How long a person waits for a hub: to its login page, and from signing in to an editor that can be used."""

import http.client
import time
from dataclasses import dataclass, field
from urllib.parse import quote

import psutil
import requests

from devplatform_hub.embedded.leftovers import find_family

_PATIENCE = 120.0


def wait_for_login_page(port: int) -> None:
    """Return as soon as `GET /hub/login` answers 200. Raises `TimeoutError`."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/hub/login")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise TimeoutError("no login page")


def wait_until_idle(hub: psutil.Process) -> None:
    """Return when the hub's whole family has done nothing much for a second: what loads at the start has loaded."""
    deadline = time.monotonic() + _PATIENCE
    used = _processor_seconds(hub)
    while time.monotonic() < deadline:
        time.sleep(1)
        before, used = used, _processor_seconds(hub)
        if used - before < 0.1:
            return
    raise TimeoutError("it never came to rest")


def _processor_seconds(hub: psutil.Process) -> float:
    total = 0.0
    for process in find_family(hub):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


@dataclass(slots=True)
class Browser:
    """What a browser sends, with cookies, so that both hubs are asked alike."""

    origin: str
    name: str
    password: str
    _http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self._http.headers["Accept"] = "text/html,*/*;q=0.8"

    def seconds_to_editor(self) -> float:
        """Sign in, start the default server, and wait until JupyterLab's page and its kernels' API answer."""
        self._get("/hub/login")
        started = time.monotonic()
        form = {"username": self.name, "password": self.password, "_xsrf": self._xsrf("/hub/")}
        answer = self._http.post(f"{self.origin}/hub/login?next=%2Fhub%2Fhome", data=form, timeout=30)
        assert answer.url == f"{self.origin}/hub/home", answer.url
        self._start_server()
        user = f"/user/{quote(self.name)}"
        assert self._get(f"{user}/lab").status_code == 200
        headers = {"X-XSRFToken": self._xsrf(f"{user}/"), "Referer": f"{self.origin}{user}/lab"}
        for path in ("api/status", "api/kernelspecs", "api/contents?content=1"):
            answer = self._http.get(f"{self.origin}{user}/{path}", headers=headers, timeout=30)
            assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
        return time.monotonic() - started

    def stop_server(self) -> None:
        """Stop the server and wait until it is gone."""
        self._api("DELETE", f"/users/{quote(self.name)}/server")
        while self._api("GET", f"/users/{quote(self.name)}").json()["servers"]:
            time.sleep(0.2)

    def _start_server(self) -> None:
        answer = self._api("POST", f"/users/{quote(self.name)}/server")
        assert answer.status_code in (201, 202), answer.text
        deadline = time.monotonic() + _PATIENCE
        while not (server := self._api("GET", f"/users/{quote(self.name)}").json()["servers"].get("", {})).get("ready"):
            assert time.monotonic() < deadline, server
            time.sleep(0.05)

    def _get(self, path: str) -> requests.Response:
        return self._http.get(self.origin + path, headers={"Sec-Fetch-Mode": "navigate"}, timeout=30)

    def _api(self, method: str, path: str) -> requests.Response:
        headers = {"X-XSRFToken": self._xsrf("/hub/")}
        return self._http.request(method, f"{self.origin}/hub/api{path}", json={}, headers=headers, timeout=30)

    def _xsrf(self, path: str) -> str:
        return next(str(c.value) for c in self._http.cookies if c.name == "_xsrf" and c.path == path)
