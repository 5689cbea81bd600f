"""The versions service in this process, over the real local store, with people from a table of tokens."""

import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from tornado import web
from yarl import URL

from devplatform_hub.core.group_roles import VISIT_VERSIONS
from devplatform_versions.app import VersionsApp
from devplatform_versions.ports import UploadReceiver
from devplatform_versions.rendering.client import Renderer
from devplatform_versions.service import VersionsService
from tests.contracts.version_stores import KINDS
from tests.doubles.hub_sign_in import TableSignIn, user_model

PREFIX = "/services/versions/"
MODELS = {
    "alice-token": user_model("alice"),
    "bob-token": user_model("bob"),
    "root-token": user_model("root", admin=True),
    "ada-token": user_model("ada", admin=True, scopes=(VISIT_VERSIONS,)),
    "ada-second-token": user_model("ada", admin=True, scopes=(VISIT_VERSIONS,)),
    "ben-token": user_model("ben", admin=True, scopes=(VISIT_VERSIONS,)),
    "noscope-token": user_model("alice", service=""),
}


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Running:
    """A service that listens on a random port, and a store to put things into."""

    app: VersionsApp
    local: Any
    """The store: `StoreUnderTest` of tests/contracts."""
    origin: str
    session: aiohttp.ClientSession = field(repr=False)
    query: str = ""

    @property
    def url(self) -> str:
        return self.origin + PREFIX

    @property
    def is_receiver(self) -> bool:
        """Whether granted addresses lead back to the service."""
        return isinstance(self.local.store, UploadReceiver)

    async def fetch(self, method: str, path: str, token: str = "alice-token", **options: Any) -> Answer:
        """One request; `path` is relative to the service unless it starts with a slash."""
        url: Any = self.origin + path if path.startswith("/") else self.url + path
        if path.startswith("http"):  # a granted address of a bucket
            url = URL(path, encoded=True)
        if isinstance(options.get("data"), bytes):
            options["data"] = io.BytesIO(options["data"])  # aiohttp warns of large bodies in one piece
        headers = options.pop("headers", {}) | ({"Authorization": f"token {token}"} if token else {})
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **options) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    def cookie(self, token: str) -> str:
        """The `Cookie` header of a browser that has signed in: what HubOAuth sets at the end of its round trip."""
        settings: Any = self.app._server.request_callback.settings  # type: ignore[union-attr]
        name = settings["hub_auth"].cookie_name
        value = web.create_signed_value(settings["cookie_secret"], name, token).decode()
        return f"{name}={value}"

    async def page(self, path: str, **options: Any) -> Answer:
        """A page, as a browser asks for it."""
        headers = {"Accept": "text/html"} | options.pop("headers", {})
        return await self.fetch("GET", path, headers=headers, **options)


@contextlib.asynccontextmanager
async def running(folder: Path, kind: str = "local") -> AsyncIterator[Running]:
    """Start it over a store of this kind, and stop it in the end."""
    local: Any = KINDS[kind](folder)
    await local.open()
    if kind == "local":
        local.local.upload_url = f"{PREFIX}local-upload/"
    app = VersionsApp(url="http://127.0.0.1:0", prefix=PREFIX, clock=local.clock)
    app.service = VersionsService(local.store, local.clock, Renderer())
    port = await app.listen(TableSignIn(MODELS, prefix=PREFIX))
    try:
        async with aiohttp.ClientSession() as session:
            yield Running(app, local, f"http://127.0.0.1:{port}", session)
    finally:
        await app.close()
        await local.shut()
