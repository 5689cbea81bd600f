"""Two people side by side: what is one's is closed to the other, on every route of the hub and of a server."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from jupyterhub.apihandlers import default_handlers

from tests.integration.product import Product
from tests.lab.audit_events import valid_events

pytestmark = pytest.mark.lab("proxy", "session", "mlflow")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
CLOSED = {403, 404, 405}
# Not `api` itself: Jupyter Server tells its version to everybody, and the hub relies on that.
SERVER_PATHS = (
    "",
    "lab",
    "tree",
    "api/contents",
    "api/contents/secret.txt",
    "api/kernels",
    "api/sessions",
    "api/terminals",
    "api/status",
    "api/me",
    "api/shutdown",
    "files/secret.txt",
    "nbconvert/html/secret.ipynb",
    "lab/api/workspaces/default",
    "lab/api/settings",
    "git/status",
    "vscode/",
    "proxy/8888/",
    "terminals/websocket/1",
    "api/kernels/0/channels",
)

_REFUSED = {("alice", "bob/", "refused")}
"""What the audit says of alice's attempts."""


def hub_routes() -> list[str]:
    """Every route of the hub's API that names a user, with bob for the user and something for the rest."""
    routes = []
    for route in default_handlers:
        pattern = str(route[0])
        if "users/" in pattern:
            path = re.sub(r"\([^()]*\)", "bob", pattern, count=1)
            routes.append(re.sub(r"\((?:[^()]|\([^()]*\))*\)\??", "x", path).rstrip("$?/"))
    return sorted(set(routes))


@pytest.fixture(scope="module")
def token(product: Product) -> Iterator[str]:
    """A token of alice's with all she may do, while bob's server runs with a file in it."""
    bob = product.sign_in("bob")
    product.start_server(bob, {"profile": "standard", "editor": "jupyterlab"})
    (product.data / "people" / "bob" / "workspace" / "secret.txt").write_text("bob's")
    yield product.token(product.sign_in("alice"))
    product.stop_server(bob)


@pytest.mark.parametrize("path", hub_routes())
def test_the_hub_keeps_others_out(product: Product, token: str, path: str) -> None:
    """No route that names bob answers alice, whatever the method; his server goes on."""
    for method in METHODS:
        answer = requests.request(
            method,
            f"{product.origin}/hub{path}",
            headers={"Authorization": f"token {token}"},
            json={},
            timeout=30,
            allow_redirects=False,
        )
        assert answer.status_code in CLOSED, (method, path, answer.status_code, answer.text[:200])


@pytest.mark.parametrize("path", SERVER_PATHS, ids=lambda path: path or "root")
def test_a_server_keeps_others_out(product: Product, token: str, path: str) -> None:
    """Neither alice's token nor her cookies open bob's server; a browser is sent to the hub, which refuses."""
    url = f"{product.origin}/user/bob/{path}"
    headers = {"Authorization": f"token {token}"}
    for method in METHODS:
        answer = requests.request(method, url, headers=headers, timeout=30, allow_redirects=False)
        if answer.status_code == 302:  # to sign in, or to the page that will say so
            target = answer.headers["Location"]
            assert target.startswith(("/hub/api/oauth2/authorize?", "/user/bob/")), (method, path, target)
        else:
            assert answer.status_code in CLOSED, (method, path, answer.status_code)
        assert "bob's" not in answer.text
    seen = product.sign_in("alice").get(f"/user/bob/{path}")
    assert seen.status_code in CLOSED, (path, seen.status_code, seen.url)
    assert "bob's" not in seen.text


def test_bobs_server_went_on(product: Product, token: str) -> None:
    """Nothing that alice tried has stopped or changed it."""
    bob = product.sign_in("bob")
    assert bob.api("GET", "/users/bob").json()["servers"][""]["ready"] is True
    assert (product.data / "people" / "bob" / "workspace" / "secret.txt").read_text() == "bob's"


def test_an_administrators_visit_is_in_the_audit(product: Product, token: str) -> None:
    """Whoever opens another person's server says yes to a page of the hub, and a line says who it was."""
    boss = product.sign_in("boss")
    page = boss.get("/user/bob/lab")
    assert "/hub/api/oauth2/authorize" in page.url
    assert {(event["actor"], event["target"], event["outcome"]) for event in _visits(product)} <= _REFUSED
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    scopes = re.findall(r'name="scopes"[^>]*value="([^"]+)"', page.text)
    data = [*fields, *(("scopes", scope) for scope in scopes)]
    opened = boss.http.post(page.url, data=data, headers={"Referer": page.url}, timeout=30)
    assert (opened.status_code, opened.url.startswith(f"{product.origin}/user/bob/")) == (200, True)
    visits = [(event["actor"], event["target"], event["outcome"]) for event in _visits(product)]
    assert [visit for visit in visits if visit not in _REFUSED] == [("boss", "bob/", "allowed")]


def test_ones_own_server_is_no_visit(product: Product, token: str) -> None:
    """Bob opening his own writes nothing."""
    before = _visits(product)
    opened = product.sign_in("bob").get("/user/bob/lab")
    assert (opened.status_code, opened.url.startswith(f"{product.origin}/user/bob/")) == (200, True)
    assert _visits(product) == before


def _visits(product: Product) -> list[dict[str, Any]]:
    lines = (product.data / "logs" / "audit.jsonl").read_text("utf-8")
    return [event for event in valid_events(lines) if event["action"] == "server.visit"]
