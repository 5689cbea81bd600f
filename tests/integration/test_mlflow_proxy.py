"""The MLflow service with a real tracking server: who is who, what streams, what survives, what a browser gets."""

import asyncio
import contextlib
import hashlib
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
from yarl import URL

from devplatform_hub.core.errors import PublicError
from devplatform_mlflow_proxy.app import MlflowProxyApp
from tests.doubles.hub_sign_in import TableSignIn
from tests.doubles.mlflow_proxy import PREFIX, TOKENS, RunningProxy, running_proxy
from tests.lab.tools import mlflow_python

pytestmark = [pytest.mark.lab("mlflow"), pytest.mark.asyncio(loop_scope="module")]
MIB = 2**20

CLIENT = """
import json, sys, mlflow
with mlflow.start_run() as run:
    mlflow.log_param("p", 1)
    mlflow.log_metrics({"a": 1.0, "b": 2.0})
    mlflow.log_text("kept", "notes/a b.txt")
    mlflow.set_tag("k", "v")
got = mlflow.get_run(run.info.run_id)
text = mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/a b.txt")
@mlflow.trace
def double(x):
    return 2 * x
double(2)
mlflow.flush_trace_async_logging()
trace = mlflow.get_trace(mlflow.get_last_active_trace_id())
print(json.dumps({"user": got.info.user_id, "tag": got.data.tags["mlflow.user"], "metrics": got.data.metrics,
    "text": text, "experiment": got.info.experiment_id, "trace": trace.info.trace_metadata["mlflow.user"],
    "spans": len(trace.data.spans)}))
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningProxy]:
    async with running_proxy(tmp_path_factory.mktemp("proxy")) as running:
        yield running


async def run_client(proxy: RunningProxy, person: str, code: str = CLIENT) -> tuple[int, str, str]:
    """MLflow's own client in a process of its own, with nothing set but what a session has."""
    environment = {
        "PATH": os.environ["PATH"],
        "USER": "somebody-else",
        "LOGNAME": "somebody-else",
        "MLFLOW_TRACKING_URI": proxy.url.rstrip("/"),
        "MLFLOW_TRACKING_TOKEN": f"{person}-token",
        "MLFLOW_EXPERIMENT_NAME": f"people/{person}",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await process.communicate()
    return process.returncode or 0, out.decode(), error.decode()


async def test_logs_as_the_person_without_configuration(proxy: RunningProxy) -> None:
    """`mlflow.start_run()` in a session: run, metrics, artifact and trace, as the hub's name; two people, four starts.

    Four clients at once also make the person's experiment at once: each of them gets the same one.
    """
    people = ["alice", "alice", "alice", "bob"]
    results = await asyncio.gather(*(run_client(proxy, person) for person in people))
    experiments: dict[str, set[str]] = {"alice": set(), "bob": set()}
    for person, (code, out, error) in zip(people, results, strict=True):
        assert code == 0, error
        got = json.loads(out.strip().splitlines()[-1])
        experiments[person].add(got.pop("experiment"))
        assert got == {
            "user": person,
            "tag": person,
            "metrics": {"a": 1.0, "b": 2.0},
            "text": "kept",
            "trace": person,
            "spans": 1,
        }
    assert [len(found) for found in experiments.values()] == [1, 1]


async def test_making_ones_own_experiment_twice_gives_the_same(proxy: RunningProxy) -> None:
    """Every loser of the race gets the winner's experiment; for other names MLflow's own error stays."""
    made = await asyncio.gather(
        *(proxy.api("POST", "experiments/create", "bob-token", name="people/bob") for _ in range(4))
    )
    assert len({answer["experiment_id"] for answer in made}) == 1
    await proxy.api("POST", "experiments/create", "bob-token", name="twice")
    status, _, body = await proxy.call(
        "POST", "api/2.0/mlflow/experiments/create", "alice-token", json={"name": "twice"}
    )
    assert (status, json.loads(body)["error_code"]) == (400, "RESOURCE_ALREADY_EXISTS")


async def test_tells_a_client_why_it_may_not(proxy: RunningProxy) -> None:
    """MLflow's client shows our sentence, not a page or a code alone."""
    made = await proxy.api("POST", "experiments/create", name="alice explains")
    code = f"import mlflow; mlflow.MlflowClient().create_run('{made['experiment_id']}')"
    status, _, error = await run_client(proxy, "bob", code)
    assert status != 0
    assert "PERMISSION_DENIED: This experiment belongs to alice: only they and administrators change it." in error


async def test_nobody_reaches_the_server_without_the_proxy(proxy: RunningProxy) -> None:
    """Every route of the server itself wants the secret of this start: a session can connect, and gets nothing."""
    server = proxy.app.service.server
    paths = [
        "/", "/health", "/version", f"{PREFIX}", f"{PREFIX}health", f"{PREFIX}api/2.0/mlflow/experiments/search",
        f"{PREFIX}ajax-api/3.0/mlflow/assistant/config", f"{PREFIX}ajax-api/3.0/jobs/", f"{PREFIX}v1/traces",
        "/api/2.0/mlflow-artifacts/artifacts/1/x", f"{PREFIX}static-files/x", f"{PREFIX}graphql",
    ]  # fmt: skip
    for path in paths:
        for method in ("GET", "POST", "PUT", "OPTIONS"):
            for secret in ({}, {"X-Devplatform-Secret": "0" * 64}, {"Authorization": "Bearer alice-token"}):
                async with proxy.session.request(method, server.url + path, headers=secret) as answer:
                    assert answer.status == 403, (method, path)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await proxy.session.ws_connect(server.url + PREFIX)


async def test_trusts_nobody_for_being_local(proxy: RunningProxy) -> None:
    """Behind the guard too, the assistant takes no request for a local one, whatever X-Forwarded-For says."""
    server = proxy.app.service.server
    headers = {"X-Devplatform-Secret": server.secret, "X-Forwarded-For": "127.0.0.1"}
    url = f"{server.url}{PREFIX}ajax-api/3.0/mlflow/assistant/config"
    async with proxy.session.put(url, headers=headers, json={}) as answer:
        assert answer.status == 403


async def test_keeps_the_secret_out_of_sight(proxy: RunningProxy) -> None:
    """Neither arguments nor environment of the server have it, nor anything of the hub's."""
    server = proxy.app.service.server
    process = psutil.Process(server.pid)
    seen = " ".join(process.cmdline()) + " ".join(process.environ().values())
    assert server.secret not in seen
    assert not [name for name in process.environ() if name.startswith("JUPYTERHUB_")]


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        pytest.param("get-artifact?run_id={run}&path=x.html", "alice-token", 200, id="the UI's download"),
        pytest.param("api/2.0/mlflow-artifacts/artifacts/{artifact}", "bob-token", 200, id="the client's download"),
        pytest.param("get-artifact?run_id={run}&path=../../x", "alice-token", 400, id="dot dot in an argument"),
        pytest.param("get-artifact?run_id={run}&path=%2fetc%2fpasswd", "alice-token", 400, id="an absolute argument"),
        pytest.param("get-artifact?run_id={run}&path=%252e%252e%252fx", "alice-token", 400, id="encoded twice"),
        pytest.param("api/2.0/mlflow-artifacts/artifacts/1/%2e%2e/x", "alice-token", 400, id="dots in the path"),
        pytest.param("api/2.0/mlflow/artifacts/list?run_id={run}&path=..", "alice-token", 400, id="listing dot dot"),
    ],
)
async def test_artifacts_are_downloads(
    proxy: RunningProxy, page: dict[str, str], path: str, token: str, status: int
) -> None:
    """A logged HTML page with a script is an attachment in a sandbox; paths that leave are refused here."""
    url = URL(proxy.url + path.format(**page), encoded=True)
    async with proxy.session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
        got, headers, body = answer.status, answer.headers, await answer.read()
    assert got == status, body
    if status == 200:
        assert body == b"<script>alert(1)</script>"
        assert headers["Content-Disposition"] == "attachment; filename*=UTF-8''x.html"
        assert headers["Content-Type"] == "application/octet-stream"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; sandbox")
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(proxy: RunningProxy) -> dict[str, str]:
    """A run of Alice's with a hostile page in it."""
    experiment = (await proxy.api("POST", "experiments/create", name="pages"))["experiment_id"]
    run = (await proxy.api("POST", "runs/create", experiment_id=experiment))["run"]["info"]["run_id"]
    artifact = f"{experiment}/{run}/artifacts/x.html"
    status, _, body = await proxy.call(
        "PUT", f"api/2.0/mlflow-artifacts/artifacts/{artifact}", data=b"<script>alert(1)</script>"
    )
    assert status == 200, body
    return {"run": run, "artifact": artifact}


async def test_the_ui_has_the_xsrf_script_and_a_policy(proxy: RunningProxy) -> None:
    """The page brings our script before any of its own, may not be framed, and sets no cookie of MLflow's."""
    status, headers, body = await proxy.call("GET", "", headers={"Accept": "text/html"})
    assert status == 200
    assert body.index(f'<script src="{PREFIX}static/hub.js">'.encode()) < body.index(b"static-files/static/js")
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert "Set-Cookie" not in headers
    status, headers, body = await proxy.call("GET", "static/hub.js", "")
    assert (status, b"X-XSRFToken" in body) == (200, True)


async def test_sends_strangers_with_a_browser_to_the_hub(proxy: RunningProxy) -> None:
    """The page redirects to sign in; nothing else does."""
    status, headers, _ = await proxy.call("GET", "", "", headers={"Accept": "text/html"})
    assert (status, headers["Location"].partition("?")[0]) == (302, "/hub/api/oauth2/authorize")
    status, _, _ = await proxy.call("GET", "get-artifact", "", headers={"Accept": "text/html"})
    assert status == 403


@pytest.mark.parametrize("token", ["", "alice-token"])
async def test_refuses_websockets(proxy: RunningProxy, token: str) -> None:
    """CVE-2024-28179: an upgrade is not a way around the checks, with or without a credential."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for path in ("", "api/2.0/mlflow/runs/get", "ajax-api/3.0/mlflow/assistant/message"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await proxy.session.ws_connect(proxy.url + path, headers=headers)
        assert caught.value.status in (302, 403)


async def test_refuses_a_body_that_is_too_large(proxy: RunningProxy) -> None:
    """Requests other than artifacts have a limit, announced or not."""
    large = io.BytesIO(b'{"name": "' + b"x" * (33 * MIB) + b'"}')
    status, _, body = await proxy.call("POST", "api/2.0/mlflow/experiments/create", data=large)
    assert (status, json.loads(body)["error"]["code"]) == (413, "mlflow-too-large")


async def test_goes_on_with_the_connection_after_a_refusal(proxy: RunningProxy) -> None:
    """A refused request with a body does not cost a client its connection."""
    connector = aiohttp.TCPConnector(limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(3):
            async with session.post(proxy.url + "api/2.0/mlflow/runs/create", data=b"x" * MIB) as answer:
                assert answer.status == 403
                assert answer.headers.get("Connection") != "close"


async def test_answers_503_while_the_server_is_away_and_comes_back(proxy: RunningProxy) -> None:
    """A killed tracking server: a plain page and Retry-After meanwhile, then a new one with the same data."""
    server = proxy.app.service.server
    old = server.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(5):
        while server.ready:
            await asyncio.sleep(0.01)
    status, headers, body = await proxy.call("GET", "api/2.0/mlflow/experiments/search?max_results=5")
    assert (status, "Retry-After" in headers) == (503, True)
    assert json.loads(body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    status, headers, body = await proxy.call("GET", "", headers={"Accept": "text/html"})
    assert (status, headers["Retry-After"]) == (503, "3")
    assert b"MLflow is starting" in body
    await server.wait_until_ready(60)
    assert server.pid != old
    assert (await proxy.api("GET", "experiments/get-by-name", experiment_name="pages"))["experiment"]["name"] == "pages"


async def pieces(count: int, digest: Any) -> AsyncIterator[bytes]:
    """`count` MiB that differ."""
    for number in range(count):
        piece = number.to_bytes(4, "big") * (MIB // 4)
        digest.update(piece)
        yield piece


@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "chunked"])
async def test_streams_artifacts_both_ways(proxy: RunningProxy, page: dict[str, str], announced: bool) -> None:
    """256 MiB up and down arrive whole while this process, client included, grows by less than 64 MiB."""
    size, digest = 256, hashlib.sha256()
    path = f"api/2.0/mlflow-artifacts/artifacts/{page['artifact']}.{announced}.bin"
    before = psutil.Process().memory_info().rss
    headers = {"Content-Length": str(size * MIB)} if announced else {}
    status, _, body = await proxy.call("PUT", path, data=pieces(size, digest), headers=headers)
    assert status == 200, body
    received = hashlib.sha256()
    async with proxy.session.get(proxy.url + path, headers={"Authorization": "Bearer bob-token"}) as answer:
        assert answer.headers["Content-Length"] == str(size * MIB)
        async for chunk in answer.content.iter_chunked(MIB):
            received.update(chunk)
    assert received.hexdigest() == digest.hexdigest()
    assert psutil.Process().memory_info().rss - before < 64 * MIB


async def test_a_slow_reader_holds_the_server_back(proxy: RunningProxy, page: dict[str, str]) -> None:
    """Who downloads and does not read costs no memory."""
    path = f"api/2.0/mlflow-artifacts/artifacts/{page['artifact']}.slow.bin"
    status, _, _ = await proxy.call("PUT", path, data=pieces(200, hashlib.sha256()))
    assert status == 200
    before = psutil.Process().memory_info().rss
    async with proxy.session.get(proxy.url + path, headers={"Authorization": "Bearer bob-token"}) as answer:
        await answer.content.readexactly(1000)
        await asyncio.sleep(1)
        assert psutil.Process().memory_info().rss - before < 32 * MIB


async def test_an_upload_that_breaks_off_leaves_nothing_behind(proxy: RunningProxy, page: dict[str, str]) -> None:
    """A client that dies in the middle: no half artifact, and the proxy goes on."""
    path = f"api/2.0/mlflow-artifacts/artifacts/{page['artifact']}.half.bin"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.origin.rpartition(":")[2]))
    headers = "Host: x\r\nAuthorization: Bearer alice-token\r\nContent-Length: 9000000\r\n\r\n"
    writer.write(f"PUT {PREFIX}{path} HTTP/1.1\r\n{headers}".encode() + b"x" * MIB)
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await reader.read()
    await asyncio.sleep(0.5)
    status, _, _ = await proxy.call("GET", path)
    assert status == 404
    assert (await proxy.call("GET", "health"))[0] == 200


async def test_with_private_reading_people_see_their_own_only(tmp_path: Path) -> None:
    """Searches, lists, runs, artifacts, models and GraphQL: an id or a name of somebody else's shows nothing."""
    async with running_proxy(tmp_path, readable_by="owner") as proxy:
        experiment = (await proxy.api("POST", "experiments/create", name="secret"))["experiment_id"]
        run = (await proxy.api("POST", "runs/create", experiment_id=experiment))["run"]["info"]["run_id"]
        await proxy.api("POST", "registered-models/create", name="secret model")
        await proxy.api("POST", "model-versions/create", name="secret model", source=f"runs:/{run}/m", run_id=run)
        own = await proxy.api("POST", "experiments/create", "bob-token", name="own")
        found = await proxy.api("GET", "experiments/search", "bob-token", max_results="50")
        assert [item["name"] for item in found["experiments"]] == ["own"]
        for listing in ("registered-models", "model-versions"):
            found = await proxy.api("GET", f"{listing}/search", "bob-token", max_results="50")
            assert list(found.values()) == [[]]
        query = "query q($d: MlflowGetRunInput!) { mlflowGetRun(input: $d) { run { info { runId } } } }"
        graphql = {"query": query, "variables": {"d": {"runId": run}}, "operationName": "q"}
        literal = {"query": f'{{ mlflowGetRun(input: {{runId: "{run}"}}) {{ run {{ info {{ runId }} }} }} }}'}
        requests: list[tuple[str, str, dict[str, Any]]] = [
            ("GET", f"api/2.0/mlflow/runs/get?run_id={run}", {}),
            ("GET", f"api/2.0/mlflow/runs/get?run_id={run}&run_uuid={run}", {}),
            ("GET", "api/2.0/mlflow/experiments/get-by-name?experiment_name=secret", {}),
            ("GET", f"api/2.0/mlflow/artifacts/list?run_id={run}", {}),
            ("GET", "api/2.0/mlflow-artifacts/artifacts", {}),
            ("GET", f"api/2.0/mlflow-artifacts/artifacts?path={experiment}", {}),
            ("GET", f"api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/x", {}),
            ("GET", "api/2.0/mlflow/registered-models/get?name=secret%20model", {}),
            ("GET", "model-versions/get-artifact?name=secret%20model&version=1&path=x", {}),
            ("POST", "api/2.0/mlflow/runs/search", {"json": {"experiment_ids": [own["experiment_id"], experiment]}}),
            ("POST", "api/2.0/mlflow/runs/search", {"json": {}}),
            ("POST", "api/2.0/mlflow/logged-models/search", {"json": {"experimentIds": [experiment]}}),
            ("POST", "graphql", {"json": graphql}),
            ("POST", "graphql", {"json": literal}),
            ("GET", "api/3.0/mlflow/scorers/list", {}),
        ]
        for method, path, options in requests:
            status, _, body = await proxy.call(method, path, "bob-token", **options)
            assert status == 403, (path, body)
            assert json.loads(body)["error"]["code"] == "mlflow-private"
        status, _, body = await proxy.call("POST", "graphql", json=graphql)
        assert json.loads(body)["data"]["mlflowGetRun"]["run"]["info"]["runId"] == run
        own_source = {"name": "secret copy", "source": f"runs:/{run}/m", "run_id": run}
        await proxy.api("POST", "registered-models/create", "bob-token", name="secret copy")
        status, _, _ = await proxy.call("POST", "api/2.0/mlflow/model-versions/create", "bob-token", json=own_source)
        assert status == 403


async def test_starting_does_not_wait_for_the_server(tmp_path: Path) -> None:
    """The service listens at once, so that the hub's start is not MLflow's."""
    async with asyncio.timeout(2), running_proxy(tmp_path, wait=False) as proxy:
        status, headers, _ = await proxy.call("GET", "version")
        assert (status, "Retry-After" in headers) == (503, True)


async def test_says_when_the_environment_is_missing(tmp_path: Path) -> None:
    """No environment, no folder: one sentence each, before anything listens."""
    for traits, code in (
        ({"mlflow_python": str(tmp_path / "none")}, "mlflow-environment-missing"),
        ({"mlflow_python": sys.executable, "data_folder": "/proc/nowhere"}, "mlflow-folder-unusable"),
    ):
        app = MlflowProxyApp(url="http://127.0.0.1:0", prefix=PREFIX, hide_from_same_user=False, **traits)
        with pytest.raises(PublicError) as caught:
            await app.listen(TableSignIn(TOKENS, service="mlflow", prefix=PREFIX))
        assert caught.value.code == code
        await app.service.upstream.close()


async def test_the_server_dies_with_the_proxy(tmp_path: Path) -> None:
    """`kill -9` of the service leaves no tracking server behind."""
    environment = {
        "PATH": os.environ["PATH"], "JUPYTERHUB_API_TOKEN": "x", "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
        "JUPYTERHUB_SERVICE_NAME": "mlflow", "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX, "JUPYTERHUB_CLIENT_ID": "service-mlflow", "JUPYTERHUB_BASE_URL": "/",
    }  # fmt: skip
    arguments = [f"--MlflowProxyApp.mlflow_python={mlflow_python()}", f"--MlflowProxyApp.data_folder={tmp_path}/m"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "devplatform_mlflow_proxy", *arguments, env=environment,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"The tracking server answers" not in (line := await process.stderr.readline()):
            assert line, "the service ended"
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 1
    process.kill()
    await process.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 5)
    assert alive == []
