"""The real MLflow service in this process: only the hub's answers about tokens come from a table."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from devplatform_mlflow_proxy.app import MlflowProxyApp
from tests.doubles.hub_sign_in import TableSignIn, user_model
from tests.lab.tools import mlflow_python

PREFIX = "/services/mlflow/"
TOKENS = {
    "alice-token": user_model("alice", service="mlflow"),
    "bob-token": user_model("bob", service="mlflow"),
    "root-token": user_model("root", service="mlflow", admin=True),
    "no-scope": user_model("carol", service=""),
}


@dataclass(frozen=True, slots=True)
class RunningProxy:
    """The service, where it listens, and a client."""

    app: MlflowProxyApp
    origin: str
    session: aiohttp.ClientSession

    @property
    def url(self) -> str:
        return self.origin + PREFIX

    async def call(
        self, method: str, path: str, token: str = "alice-token", **options: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body of one request."""
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        async with self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **options
        ) as answer:
            return answer.status, dict(answer.headers), await answer.read()

    async def api(self, method: str, path: str, token: str = "alice-token", **options: Any) -> dict[str, Any]:
        """The JSON of a request that must work."""
        kind = "params" if method == "GET" else "json"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.session.request(
            method, f"{self.url}api/2.0/mlflow/{path}", headers=headers, **{kind: options}
        ) as answer:
            assert answer.status == 200, await answer.text()
            value = await answer.json()
            assert isinstance(value, dict)
            return value


@asynccontextmanager
async def running_proxy(data: Path, *, wait: bool = True, **traits: Any) -> AsyncIterator[RunningProxy]:
    """The service on a free port with a real tracking server in `data`."""
    settings = {"mlflow_python": str(mlflow_python()), "hide_from_same_user": False, **traits}
    app = MlflowProxyApp(url="http://127.0.0.1:0", prefix=PREFIX, data_folder=str(data / "mlflow"), **settings)
    port = await app.listen(TableSignIn(TOKENS, service="mlflow", prefix=PREFIX))
    try:
        if wait:
            await app.service.server.wait_until_ready(90)
        async with aiohttp.ClientSession() as session:
            yield RunningProxy(app, f"http://127.0.0.1:{port}", session)
    finally:
        await app.close()
