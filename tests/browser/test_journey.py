"""The main job from end to end, as a person does it: sign in, start, edit, save, look back, restore, log, sign out."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.conftest import keep
from tests.integration.product import PASSWORD, Product

pytestmark = [pytest.mark.lab("chromium", "proxy", "session", "mlflow"), pytest.mark.timeout(300)]

EDITOR_TIMEOUT = 90_000
LOG_A_RUN = """import mlflow
with mlflow.start_run(run_name="from-notebook") as run:
    mlflow.log_metric("loss", 0.5)
print("logged in", run.info.experiment_id)"""


def sign_in(page: Page, product: Product, name: str) -> None:
    page.goto(product.origin)
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password or one-time code").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/hub/login" not in url)


def start(page: Page, product: Product, editor: str, url: str) -> None:
    """Choose the standard profile and this editor, and wait for it."""
    page.goto(f"{product.origin}/hub/spawn")
    page.get_by_role("radio", name="Standard").check()
    page.get_by_role("radio", name=editor).and_(page.locator(":visible")).check()
    keep(page, "spawn")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(f"{product.origin}/user/**/{url}**", timeout=EDITOR_TIMEOUT)


def write_notebook(path: Path, source: str) -> None:
    """A notebook with one cell, as somebody else's tool would leave it."""
    cell = {
        "cell_type": "code",
        "id": "first",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def notebook_source(path: Path) -> str:
    source = json.loads(path.read_text())["cells"][0]["source"]
    return source if isinstance(source, str) else "".join(source)


def wait_for(what: str, holds: Callable[[], bool], timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def open_notebook(page: Page, product: Product, name: str) -> None:
    """The notebook alone, with its kernel connected: on a narrow page JupyterLab's side bar would cover it.

    JupyterLab sometimes stays at "Connecting" on a loaded machine; a person reloads the page then, and so does this.
    """
    alice = product.sign_in("alice")
    headers = {"Authorization": f"token {product.token(alice, ['access:servers!user=alice'])}"}
    kernels = f"{product.origin}/user/alice/api/kernels"

    def is_connected() -> bool:
        found = requests.get(kernels, headers=headers, timeout=10).json()
        return any(kernel["connections"] > 0 and kernel["execution_state"] == "idle" for kernel in found)

    for _ in range(3):
        page.goto(f"{product.origin}/user/alice/{'lab' if _is_wide(page) else 'doc'}/tree/{name}?reset")
        page.locator(".jp-Notebook .jp-Cell .cm-content").first.wait_for(timeout=EDITOR_TIMEOUT)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if is_connected():
                page.wait_for_timeout(1000)  # the page still has to hear of it
                return
            page.wait_for_timeout(200)
    raise AssertionError(f"no kernel for {name}")


def _is_wide(page: Page) -> bool:
    return (page.viewport_size or {"width": 0})["width"] > 1000


def edit_first_cell(page: Page, notebook: Path, text: str) -> None:
    """Replace the first cell's text and save, by keyboard as a person would."""
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(text, delay=20)
    page.keyboard.press("Control+S")
    wait_for(f"{text!r} to be saved", lambda: notebook_source(notebook) == text)


@pytest.fixture
def workspace(product: Product) -> Iterator[Path]:
    """Alice's workspace; her server is stopped afterwards, also when the test failed."""
    yield product.data / "people" / "alice" / "workspace"
    alice = product.sign_in("alice")
    if alice.api("GET", "/users/alice").json()["servers"]:
        product.stop_server(alice)


def test_edits_a_notebook_and_brings_an_old_version_back(page: Page, product: Product, workspace: Path) -> None:
    """Sign in, start JupyterLab, save twice, restore the first version: the file is as it was, and nothing is lost."""
    sign_in(page, product, "alice")
    start(page, product, "JupyterLab", "lab")
    notebook = workspace / "report.ipynb"
    write_notebook(notebook, "draft = 0")
    open_notebook(page, product, "report.ipynb")
    edit_first_cell(page, notebook, "answer = 41")
    time.sleep(2)
    edit_first_cell(page, notebook, "answer = 42")
    keep(page, "jupyterlab")
    expect(page.get_by_text(".devplatform", exact=True)).to_have_count(0)  # the agent's own folder is nobody's business
    time.sleep(2)

    page.goto(f"{product.origin}/services/versions/")
    keep(page, "versions-folder")
    page.get_by_role("link", name="report.ipynb").first.click()
    expect(page.get_by_role("heading", name="report.ipynb")).to_be_visible()
    keep(page, "versions-file")
    wanted = _generation_of(product, workspace, "answer = 41")
    row = page.get_by_role("row").filter(has=page.locator(f"input[value='{wanted}']"))
    row.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("status")).to_contain_text("Restored")
    wait_for("the restored file", lambda: notebook_source(notebook) == "answer = 41")
    keep(page, "versions-restored")
    names = sorted(path.name for path in (workspace / ".versions").iterdir())
    assert [name for name in names if name.startswith("report_") and name.endswith(".ipynb")] != []


def _generation_of(product: Product, workspace: Path, text: str) -> str:
    """The generation of the newest version that has this text, asked as a person's script would."""
    token = product.token(product.sign_in("alice"), ["access:services!service=versions"])
    base = f"{product.origin}/services/versions/api/v1/w/alice"
    headers = {"Authorization": f"token {token}"}
    path = {"path": "report.ipynb"}
    versions = requests.get(f"{base}/versions", params=path, headers=headers, timeout=10).json()["versions"]
    for version in versions:
        query = path | {"generation": version["generation"]}
        if text in requests.get(f"{base}/content", params=query, headers=headers, timeout=10).text:
            return str(version["generation"])
    raise AssertionError(f"no version has {text!r}: {versions}")


@pytest.mark.lab("code-server")
def test_edits_a_file_and_runs_a_command_in_vs_code(page: Page, product: Product, workspace: Path) -> None:
    """Start VS Code, type into a file, save it, and run a command in its terminal."""
    sign_in(page, product, "alice")
    workspace.mkdir(parents=True, exist_ok=True)
    script = workspace / "hello.py"
    script.write_text("")
    start(page, product, "VS Code", "vscode")
    page.locator(".monaco-workbench").wait_for(timeout=EDITOR_TIMEOUT)
    page.keyboard.press("Control+P")
    page.locator(".quick-input-widget input").fill("hello.py")
    page.locator(".quick-input-list .monaco-list-row").filter(has_text="hello.py").first.wait_for()
    page.keyboard.press("Enter")
    page.locator(".editor-instance .view-lines").first.wait_for()
    page.wait_for_timeout(500)
    for _ in range(5):  # an editor that is still loading swallows what is typed
        page.keyboard.press("Control+A")
        page.keyboard.type("print('from VS Code')", delay=10)
        page.keyboard.press("Control+S")
        page.wait_for_timeout(2000)
        if script.read_text() == "print('from VS Code')":
            break
    assert script.read_text() == "print('from VS Code')"
    page.keyboard.press("Control+Backquote")
    page.locator(".terminal .xterm-screen").first.wait_for()
    page.wait_for_timeout(2000)
    out = workspace / "out.txt"
    out.unlink(missing_ok=True)
    for _ in range(5):  # a shell that is not ready yet swallows what is typed
        page.locator(".terminal .xterm-screen").first.click(timeout=5_000, force=True)
        page.keyboard.type("python hello.py > out.txt; pwd >> out.txt\n", delay=10)
        page.wait_for_timeout(3000)
        if out.exists() and len(out.read_text().splitlines()) == 2:
            break
    assert out.read_text().splitlines() == ["from VS Code", str(workspace)]
    keep(page, "vscode")


def test_logs_to_mlflow_from_a_notebook_and_signs_out(page: Page, product: Product, workspace: Path) -> None:
    """A run needs no configuration, is the person's own, and is on MLflow's page; after signing out nothing opens."""
    sign_in(page, product, "alice")
    start(page, product, "JupyterLab", "lab")
    write_notebook(workspace / "train.ipynb", LOG_A_RUN)
    open_notebook(page, product, "train.ipynb")
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output").filter(has_text="logged in")
    output.first.wait_for(timeout=EDITOR_TIMEOUT)
    keep(page, "notebook-mlflow")
    experiment = output.first.inner_text().split()[-1]
    page.goto(f"{product.origin}/services/mlflow/#/experiments/{experiment}/runs")
    expect(page.get_by_text("from-notebook").first).to_be_visible(timeout=EDITOR_TIMEOUT)
    keep(page, "mlflow")

    page.goto(f"{product.origin}/hub/logout")
    page.goto(f"{product.origin}/services/versions/")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    keep(page, "signed-out")


def test_an_administrator_sees_and_stops_servers(page: Page, product: Product) -> None:
    """JupyterHub's own admin panel shows who runs what since when, and stops it."""
    bob = product.sign_in("bob")
    product.start_server(bob, {"profile": "standard", "editor": "jupyterlab"})
    sign_in(page, product, "boss")
    page.goto(f"{product.origin}/hub/admin")
    row = page.get_by_role("row").filter(has_text="bob")
    expect(row.first).to_be_visible()
    keep(page, "admin")
    row.first.get_by_role("button", name="Stop Server").click()
    wait_for("the stopped server", lambda: not bob.api("GET", "/users/bob").json()["servers"], 60)
