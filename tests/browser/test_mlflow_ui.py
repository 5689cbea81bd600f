"""MLflow's pages with the hub's sign-in: a person sees a run, and the page works without a single refused request."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.lab.mlflow_hub import MlflowHub, mlflow_hub

pytestmark = pytest.mark.lab("mlflow", "proxy", "chromium")

LOG_A_RUN = """
import json, mlflow
with mlflow.start_run(run_name="first-look") as run:
    mlflow.log_param("depth", 3)
    for step in range(20):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text("<script>document.title = 'owned'</script><h1>kept page</h1>", "page.html")
    mlflow.log_text("kept text", "note.txt")
print(json.dumps({"run": run.info.run_id, "experiment": run.info.experiment_id}))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowHub]:
    with mlflow_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def run(hub: MlflowHub) -> dict[str, str]:
    """A run that Alice's own token logged, with MLflow's client and nothing but a session's settings."""
    token = hub.token_of("alice")
    hub.wait_until_ready(token)
    environment = {
        "PATH": os.environ["PATH"],
        "MLFLOW_TRACKING_URI": hub.url,
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_EXPERIMENT_NAME": "people/alice",
    }
    out = subprocess.run([sys.executable, "-c", LOG_A_RUN], env=environment, capture_output=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


@pytest.fixture
def problems() -> list[str]:
    """Refused requests and violations of the policy that the page has met."""
    return []


@pytest.fixture
def page(browser: Browser, hub: MlflowHub, problems: list[str]) -> Iterator[Page]:
    """A signed-in page of Alice's; at the end there must have been no refusal and no violation of the policy."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    opened = context.new_page()
    opened.on("response", lambda answer: problems.append(f"{answer.status} {answer.url}") if _is_bad(answer) else None)
    opened.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    opened.goto(f"{hub.url}/")
    opened.get_by_label("Username").fill("alice")
    opened.get_by_label("Password").fill("x")
    opened.get_by_role("button", name="Sign in").click()
    opened.wait_for_url(f"{hub.url}/**")
    yield opened
    assert problems == []
    context.close()


def _is_bad(answer: object) -> bool:
    status, url = getattr(answer, "status", 0), getattr(answer, "url", "")
    # What the platform switches off on purpose; the page copes.
    switched_off = ("/assistant/", "/gateway/", "/users/current", "/ui-telemetry", "/webhooks", "/demo/")
    return status >= 400 and not any(part in url for part in switched_off)


@pytest.mark.parametrize("width", [1280, 400])
def test_shows_a_run_after_signing_in(page: Page, hub: MlflowHub, run: dict[str, str], width: int) -> None:
    """The experiment's table, the run with its parameter, and its metric's chart."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"{hub.url}/#/experiments/{run['experiment']}/runs")
    expect(page.get_by_text("first-look").first).to_be_visible(timeout=30_000)
    _keep(page, f"runs-{width}")
    page.goto(f"{hub.url}/#/experiments/{run['experiment']}/runs/{run['run']}")
    expect(page.get_by_text("depth").first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("alice").first).to_be_visible()
    expect(page.get_by_text("Assistant").first).not_to_be_visible()
    expect(page.get_by_text("PERMISSION_DENIED").first).not_to_be_visible()
    _keep(page, f"run-{width}")


def test_shows_an_artifact_without_running_it(
    page: Page, hub: MlflowHub, run: dict[str, str], problems: list[str]
) -> None:
    """A text is previewed by the page; a logged page with a script does not get to run as ours."""
    page.goto(f"{hub.url}/#/experiments/{run['experiment']}/runs/{run['run']}/artifacts/note.txt")
    expect(page.get_by_text("kept text").first).to_be_visible(timeout=30_000)
    page.get_by_text("page.html").click()
    frame = page.frame_locator("iframe").first
    expect(frame.get_by_text("kept page")).to_be_visible(timeout=30_000)
    _keep(page, "artifact-1280")
    assert "owned" not in page.title()
    inside = next(inner for inner in page.frames if inner is not page.main_frame)
    reach = "() => { try { return window.parent.document.title } catch (error) { return 'apart' } }"
    assert inside.evaluate(reach) == "apart"
    assert ["inline script violates" in problem for problem in problems] == [True]
    problems.clear()


def test_changes_a_run_from_the_page(page: Page, hub: MlflowHub, run: dict[str, str]) -> None:
    """A change made in the page carries the XSRF token by itself; without it the same cookie is refused."""
    page.goto(f"{hub.url}/#/experiments/{run['experiment']}/runs/{run['run']}")
    expect(page.get_by_text("depth").first).to_be_visible(timeout=30_000)
    body = {"run_id": run["run"], "key": "from-page", "value": "yes"}
    url = "ajax-api/2.0/mlflow/runs/set-tag"
    script = """([url, body]) => fetch(url, {method: "POST", body: JSON.stringify(body),
        headers: {"Content-Type": "application/json"}}).then((answer) => answer.status)"""
    assert page.evaluate(script, [url, body]) == 200
    cookies = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies(f"{hub.url}/"))
    headers = {"Cookie": cookies, "Content-Type": "application/json", "Origin": "https://evil.example"}
    answer = page.context.request.post(f"{hub.url}/{url}", data=json.dumps(body), headers=headers)
    assert answer.status == 403


def _keep(page: Page, name: str) -> None:
    """A screenshot, where $SCREENSHOTS names a folder."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"mlflow-{name}.png")
