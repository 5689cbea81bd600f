"""A home that is really full, on one machine: a start as always fails and says so, a safe start comes up and helps."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket

from tests.integration.product import SERVER_TIMEOUT, Product, Visitor
from tests.lab.small_disks import fill_with_ballast, small_disk

pytestmark = pytest.mark.lab("proxy", "session", "mlflow", "code-server")

SIZE = 24 * 2**20
ASKED: dict[str, object] = {"profile": "standard", "editor": "jupyterlab"}
KEPT = {"profile": "standard", "editor": "jupyterlab", "options": {}}
FULL = "Your home disk is full, so your server cannot start."


@pytest.fixture
def home(product: Product) -> Iterator[Path]:
    """Bob's home on a disk of its own, with a workspace."""
    with small_disk(product.data / "people" / "bob", SIZE) as folder:
        (folder / "workspace").mkdir(mode=0o700)
        yield folder


@pytest.fixture
def bob(product: Product, home: Path) -> Iterator[Visitor]:
    """Bob in a browser; his server does not outlive his disk."""
    visitor = product.sign_in("bob")
    yield visitor
    product.stop_server(visitor)


def failed_start(bob: Visitor) -> str:
    """Why a start as always failed, as the API says it."""
    answer = bob.api("POST", "/users/bob/server", ASKED)
    assert answer.status_code == 507, answer.text
    return str(answer.json()["message"])


def server_api(product: Product, token: str, method: str, path: str, body: object = None) -> Any:
    """The JSON that Bob's own server answers."""
    url = f"{product.origin}/user/bob/api/{path}"
    answer = requests.request(method, url, json=body, headers={"Authorization": f"token {token}"}, timeout=30)
    assert answer.ok, (answer.status_code, answer.text)
    return answer.json() if answer.content else None


def in_terminal(product: Product, token: str, command: str, until: str) -> str:
    """What a new terminal shows until this text, with the command typed into it."""
    name = server_api(product, token, "POST", "terminals", {})["name"]
    deadline = time.monotonic() + SERVER_TIMEOUT
    url = f"{product.origin.replace('http', 'ws')}/user/bob/terminals/websocket/{name}"
    shown = ""
    with closing(websocket.create_connection(url, header=[f"Authorization: token {token}"], timeout=20)) as channel:
        channel.send(json.dumps(["stdin", f"{command}\r"]))
        while until not in shown:
            assert time.monotonic() < deadline, shown
            kind, *content = json.loads(channel.recv())
            shown += content[0] if kind == "stdout" else ""
    return shown.replace("\r\n", "\n")


def audit(product: Product) -> list[tuple[str, str, str]]:
    """What happened to Bob's server, oldest first."""
    lines = map(json.loads, (product.data / "logs" / "audit.jsonl").read_text("utf-8").splitlines())
    return [(one["action"], one["outcome"], one.get("why", "")) for one in lines if one.get("target") == "bob/"]


def temporary_homes() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("devplatform-safe-*"))


def files(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


def test_a_full_home_is_told_and_a_safe_start_makes_room(product: Product, bob: Visitor, home: Path) -> None:
    """From the failed start over the offer to the next start as always; what is temporary goes, nothing is kept."""
    before, begun = temporary_homes(), len(audit(product))
    config = home / ".jupyter" / "jupyter_server_config.py"
    config.parent.mkdir()
    config.write_text("raise SystemExit('the configuration was read')")
    (home / "workspace" / "jupyter_server_config.py").write_text("raise SystemExit('the workspace was read')")
    fill_with_ballast(home / "workspace" / "large.bin")

    said = failed_start(bob)
    assert (FULL in said, "[disk-full]" in said) == (True, True), said
    page = bob.get("/hub/spawn/bob").text
    assert (FULL in page, 'name="safe" value="true"' in page, "<details" in page) == (True, True, False), page
    assert "Choose a safe start" in bob.get("/hub/home").text

    full = files(home)
    product.start_server(bob, ASKED | {"safe": True})
    token = product.token(bob)
    assert "This is a safe start." in bob.get("/hub/home").text
    (temporary,) = temporary_homes() - before
    listed = server_api(product, token, "GET", "contents/?content=1")["content"]
    assert {"large.bin", "jupyter_server_config.py"} <= {one["name"] for one in listed}
    shown = in_terminal(product, token, 'echo "HOME=<$HOME>"', f"HOME=<{temporary}>")
    assert f"Safe start. Your files are in {home}." in shown
    assert files(home) == full, "a safe start writes nothing to the home"
    server_api(product, token, "DELETE", "contents/large.bin")
    assert files(home) == full - {"workspace/large.bin"}, "what is deleted is gone, and in no trash"
    product.stop_server(bob)
    assert temporary_homes() == before

    config.unlink()
    (home / "workspace" / "jupyter_server_config.py").unlink()
    page = bob.get("/hub/spawn/bob").text
    assert (FULL in page, "<details" in page) == (False, True), page
    product.start_server(bob)  # without options: what the hub has kept
    model = bob.api("GET", "/users/bob").json()["servers"][""]
    assert model["user_options"] == KEPT
    assert (home / ".devplatform" / "python" / "pyvenv.cfg").is_file()
    assert "This is a safe start." not in bob.get("/hub/home").text
    starts = [line for line in audit(product)[begun:] if line[0] == "server.start"]
    assert starts == [
        ("server.start", "failed", "disk-full"),
        ("server.start", "allowed", "standard, safe start"),
        ("server.start", "allowed", "standard"),
    ]


def test_a_home_that_was_used_before_is_known_by_the_last_words_of_the_server(
    product: Product, bob: Visitor, home: Path
) -> None:
    """Everything of the platform is in it already, so that Jupyter itself is the first to find it full."""
    product.start_server(bob, ASKED)
    product.stop_server(bob)
    runtime = home / ".local" / "share" / "jupyter" / "runtime"
    (runtime / "jupyter_cookie_secret").unlink(missing_ok=True)
    fill_with_ballast(home / "large.bin")
    begun = time.monotonic()
    said = failed_start(bob)
    assert (FULL in said, "[disk-full]" in said) == (True, True), said
    assert time.monotonic() - begun < 20
    log = (product.data / "logs" / "server-bob.log").read_text("utf-8")
    assert "OSError: [Errno 28] No space left on device" in log
    product.start_server(bob, ASKED | {"safe": True})
    token = product.token(bob)
    in_terminal(product, token, "rm -v ../large.bin", "removed '../large.bin'")
    product.stop_server(bob)
    product.start_server(bob, ASKED)


@pytest.mark.parametrize("value", ["true", 1, None, [], {}])
def test_safe_is_true_or_false(product: Product, value: object) -> None:
    """The API names the option, and what is allowed."""
    answer = product.sign_in("alice").api("POST", "/users/alice/server", ASKED | {"safe": value})
    assert answer.status_code == 400, answer.text
    assert "safe must be true or false" in answer.json()["message"]


def test_a_link_and_the_form_ask_for_it_too(product: Product, bob: Visitor, home: Path) -> None:
    """Text of a link is understood; another text comes back to the form with what is wrong."""
    page = bob.get("/hub/spawn/bob?profile=standard&safe=perhaps").text
    assert "safe must be true or false" in page
    bob.get("/hub/spawn/bob?profile=standard&editor=vscode&safe=true")
    wait_until_ready(bob)
    assert "This is a safe start." in bob.get("/hub/home").text
    editor = bob.get("/user/bob/vscode/")
    assert (editor.status_code, "workbench" in editor.text) == (200, True), editor.text[:500]
    assert files(home) == set()
    product.stop_server(bob)
    bob.get("/hub/spawn/bob")
    fields = {"profile": "standard", "safe": "true", "_xsrf": bob.xsrf()}
    bob.http.post(f"{product.origin}/hub/spawn/bob?_xsrf={bob.xsrf()}", data=fields, timeout=60)
    wait_until_ready(bob)
    assert "This is a safe start." in bob.get("/hub/home").text


def wait_until_ready(bob: Visitor) -> None:
    """Bob's server answers."""
    deadline = time.monotonic() + SERVER_TIMEOUT
    while not bob.api("GET", "/users/bob").json()["servers"].get("", {}).get("ready"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
