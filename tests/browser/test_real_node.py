"""The main job on a cluster, in a browser, with servers that really run in containers of a real kubelet."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from devplatform_hub.core.names import session_names
from tests.browser.conftest import keep
from tests.browser.test_journey import EDITOR_TIMEOUT, wait_for
from tests.integration.product import PASSWORD, USERS_GROUP, devplatform
from tests.lab.cluster import Cluster
from tests.lab.cluster_hub import AT_ONCE, LOCAL_SIGN_IN, ClusterHub
from tests.lab.node import RealNode
from tests.lab.node_hub import home_of, node_hub

pytestmark = [
    pytest.mark.lab("chromium", "proxy", "cluster", "node"),
    pytest.mark.timeout(300),
    pytest.mark.parametrize("page", ["wide"], indirect=True),
]

PEOPLE = ("alice", "bob")
# One line without brackets, which JupyterLab would close: 600 MB, taken by the server itself in the eyes of the kernel.
TOO_MUCH = "!echo 1000 > /proc/1/oom_score_adj; tail -c 600M /dev/zero | tail > /dev/null"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterHub]:
    """A hub with its own sign-in, for alice and bob."""
    folder = tmp_path_factory.mktemp("node")
    for name in PEOPLE:
        person = (name, "--group", USERS_GROUP, "--password-stdin", "--data", str(folder / "data"))
        added = devplatform("user", "add", *person, stdin=PASSWORD + "\n")
        assert added.returncode == 0, added.stderr
    with Cluster(folder / "cluster") as cluster, RealNode(cluster, folder / "node") as node:
        namespace = cluster.namespace("browser")
        with node_hub(node, folder, namespace=namespace, groups={}, admins=(), config=LOCAL_SIGN_IN + AT_ONCE) as hub:
            yield hub


@pytest.fixture
def hub(running: ClusterHub) -> Iterator[ClusterHub]:
    """The hub of the module; nobody has a server afterwards."""
    yield running
    for name in PEOPLE:
        if running.api("GET", f"/users/{name}")[0] == 200 and running.server(name):
            running.stop_server(name)


def sign_in(page: Page, hub: ClusterHub, name: str) -> None:
    page.goto(hub.origin)
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password or one-time code").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/hub/login" not in url)


def start(page: Page, hub: ClusterHub, profile: str, editor: str, url: str) -> None:
    """Choose on the spawn page, read what goes on, and wait for the editor at this address below the server's."""
    page.goto(f"{hub.origin}/hub/spawn")
    page.get_by_role("radio", name=profile).check()
    page.get_by_role("radio", name=editor).and_(page.locator(":visible")).check()
    page.get_by_role("button", name="Start").click()
    told = page.get_by_text(re.compile("Attaching your home disk|Preparing the machine|Starting your server"))
    expect(told.first).to_be_visible(timeout=20_000)
    keep(page, f"node-starting-{editor}")
    page.wait_for_url(f"{hub.origin}/user/*/{url}**", timeout=EDITOR_TIMEOUT)


def open_notebook(page: Page) -> None:
    """A new one, with its kernel."""
    page.locator(".jp-LauncherCard[data-category='Notebook']").first.click(timeout=EDITOR_TIMEOUT)
    page.get_by_text("| Idle").wait_for(timeout=EDITOR_TIMEOUT)  # the notebook is drawn anew when its kernel is there


def run_cell(page: Page, code: str) -> None:
    page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
    page.keyboard.type(code)
    page.keyboard.press("Shift+Enter")


def text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def test_a_file_of_jupyterlab_is_there_in_vs_code(page: Page, hub: ClusterHub) -> None:
    """Start, run a cell, stop on the home page; start VS Code, which has the file, and run a command in it."""
    sign_in(page, hub, "alice")
    start(page, hub, "Standard", "JupyterLab", "lab")
    open_notebook(page)
    run_cell(page, "!hostname > from-jupyterlab.txt")
    pod, home = session_names("alice", "").pod, home_of(hub, "alice")
    wait_for("the file of the cell", lambda: text(home / "from-jupyterlab.txt") == f"{pod}\n")
    keep(page, "node-jupyterlab")
    page.goto(f"{hub.origin}/hub/home")
    page.get_by_role("button", name="Stop My Server").click()
    wait_for("the end of the server", lambda: not hub.server("alice"))
    assert hub.pods() == []

    start(page, hub, "Standard", "VS Code", "vscode")
    page.locator(".monaco-workbench").wait_for(timeout=EDITOR_TIMEOUT)
    page.keyboard.press("Control+P")
    page.locator(".quick-input-widget input").fill("from-jupyterlab.txt")
    page.locator(".quick-input-list .monaco-list-row").filter(has_text="from-jupyterlab.txt").first.wait_for()
    page.keyboard.press("Enter")
    expect(page.locator(".editor-instance .view-lines").first).to_contain_text(pod)
    page.keyboard.press("Control+Backquote")
    page.locator(".terminal .xterm-screen").first.wait_for()
    for _ in range(5):  # a shell that is not ready yet swallows what is typed
        page.locator(".terminal .xterm-screen").first.click(timeout=5_000, force=True)
        page.keyboard.type("hostname > from-vs-code.txt\n", delay=10)
        page.wait_for_timeout(2000)
        if text(home / "from-vs-code.txt"):
            break
    assert text(home / "from-vs-code.txt") == f"{pod}\n"
    keep(page, "node-vscode")


def test_the_home_page_says_that_memory_ran_out(page: Page, hub: ClusterHub) -> None:
    """A cell takes more than the profile gives, the server is gone, and its person is told why and what to do."""
    sign_in(page, hub, "bob")
    start(page, hub, "Small", "JupyterLab", "lab")
    open_notebook(page)
    run_cell(page, TOO_MUCH)
    hub.wait(lambda: not hub.server("bob"), 60, "the end of the server")
    page.goto(f"{hub.origin}/hub/home")
    told = page.get_by_role("status").filter(has_text="It used more memory than its 300 MB, so it was ended.")
    expect(told).to_contain_text("Choose a profile with more memory, or load less at a time.")
    keep(page, "node-out-of-memory")
