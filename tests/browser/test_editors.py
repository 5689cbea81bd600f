"""Both editors in a real browser on a real hub: open, edit, save, run a command, and be told from a forgotten tab."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.integration.real_hub import RealHub, running_hub

pytestmark = [pytest.mark.lab("proxy", "chromium", "code-server"), pytest.mark.timeout(420)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    traits = {"EmbeddedSpawner": {"environment": {"JUPYTERHUB_ACTIVITY_INTERVAL": "1"}}}
    with running_hub(tmp_path_factory.mktemp("hub"), traits) as hub:
        yield hub


@pytest.fixture
def page(hub: RealHub, browser: Browser) -> Iterator[Page]:
    """A page of alice, who is signed in; her server is stopped afterwards."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(f"{hub.origin}/hub/login")
    page.fill("#username_input", "alice")
    page.fill("#password_input", "any")
    page.click("#login_submit")
    page.wait_for_url("**/hub/spawn**")
    yield page
    context.close()
    if hub.server("alice"):
        hub.stop_server("alice")


@pytest.fixture
def workspace(hub: RealHub) -> Path:
    return hub.data / "people" / "alice" / "workspace"


def wait(condition: Callable[[], object], within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def idle_seconds(hub: RealHub) -> float:
    return time.time() - datetime.fromisoformat(hub.server("alice")["last_activity"]).timestamp()


def choose(page: Page, hub: RealHub, editor: str) -> None:
    """Start a server with this editor on the real spawn page."""
    page.check(f"input[name='profile-option-standard--editor'][value='{editor}']", force=True)
    page.click("#spawn_form [type=submit]")  # a button in JupyterHub 6, an input in 5


def test_vscode_edits_saves_runs_and_rests(hub: RealHub, page: Page, workspace: Path) -> None:
    """The workbench opens on the workspace; a file is saved; the terminal has one's tools; an idle tab is idle."""
    choose(page, hub, "vscode")
    page.wait_for_url("**/user/alice/vscode/**", timeout=60_000)
    page.wait_for_selector(".monaco-workbench .explorer-folders-view", timeout=90_000)
    (workspace / "hello.txt").write_text("one\n", "utf-8")
    page.get_by_role("treeitem", name="hello.txt").dblclick(timeout=30_000)
    page.wait_for_selector(".editor-instance .view-lines")
    for _ in range(5):  # an editor that is still loading swallows what is typed
        page.locator(".editor-instance .view-lines").first.click()
        page.keyboard.press("Control+A")
        page.keyboard.type("two from VS Code", delay=10)
        page.keyboard.press("Control+S")
        time.sleep(3)
        if text(workspace / "hello.txt") == "two from VS Code":
            break
    assert text(workspace / "hello.txt") == "two from VS Code"
    page.keyboard.press("Control+Backquote")
    page.wait_for_selector(".terminal .xterm-screen", timeout=30_000)
    for _ in range(10):  # a shell that is not ready yet swallows what is typed
        page.locator(".terminal .xterm-screen").first.click(timeout=5_000, force=True)  # it may not have the focus yet
        page.keyboard.type("which pip > ran.txt; pwd >> ran.txt\n", delay=10)
        time.sleep(3)
        if text(workspace / "ran.txt").count("\n") == 2:
            break
    overlay = hub.data / "people" / "alice" / ".devplatform" / "python" / "bin" / "pip"
    assert text(workspace / "ran.txt").split() == [str(overlay), str(workspace)]
    assert idle_seconds(hub) < 5
    wait(lambda: idle_seconds(hub) > 8, within=120)  # VS Code needs a minute to see that nobody is there
    page.keyboard.press("ArrowUp")
    wait(lambda: idle_seconds(hub) < 3)


def test_jupyterlab_edits_saves_runs_and_rests(hub: RealHub, page: Page, workspace: Path) -> None:
    """A notebook cell runs and is saved; `.versions` would be shown; an open tab alone keeps nothing alive."""
    choose(page, hub, "jupyterlab")
    page.wait_for_url("**/user/alice/lab**", timeout=60_000)
    page.wait_for_selector(".jp-Launcher", timeout=60_000)
    workspace.joinpath(".hidden-but-shown").touch()
    page.get_by_role("listitem", name=".hidden-but-shown").wait_for(timeout=30_000)
    page.click(".jp-LauncherCard[data-category='Notebook'] >> nth=0")
    cell = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    page.get_by_text("| Idle").wait_for(timeout=60_000)  # the notebook is drawn anew when its kernel is there
    cell.click()
    page.keyboard.type("!pwd > ran-in-lab.txt")  # no brackets, which JupyterLab would close
    page.keyboard.press("Shift+Enter")
    wait(lambda: text(workspace / "ran-in-lab.txt").strip() == str(workspace))
    page.keyboard.press("Control+S")
    page.click(".jp-Dialog .jp-mod-accept")  # JupyterLab asks for a name at the first save
    wait(lambda: "ran-in-lab" in text(workspace / "Untitled.ipynb"))
    wait(lambda: idle_seconds(hub) > 15, within=60)  # longer than every polling interval of JupyterLab
