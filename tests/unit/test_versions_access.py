"""Every route of the versions service, walked from its route table: who gets in, by which method, with which token."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tornado import web

from devplatform_hub.servicekit.handlers import PublicHandler
from devplatform_versions.handlers import OwnedHandler
from tests.doubles.versions_service import PREFIX, Running, running

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
_OF_THE_KIT = {"oauth_callback", "healthz", r"kit/(.*)", r"static/(.*)"}


@pytest.fixture(params=["local", "gcs"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, request.param) as started:
        kept = await started.local.put("alice", "a.txt", b"1")
        started.query = f"path=a.txt&generation={kept.generation}&a={kept.generation}&b={kept.generation}"
        yield started


def routes(service: Running) -> list[tuple[str, type[web.RequestHandler]]]:
    """The service's own routes: path for alice, handler."""
    found = []
    for pattern, handler, _ in service.app.routes():  # type: ignore[misc]
        path = re.sub(r"\(\?P<owner>[^)]*\)", "alice", pattern)
        found.append((re.sub(r"\(\?P<token>[^)]*\)", "made-up", path), handler))
    return found


def methods_of(handler: type[web.RequestHandler]) -> set[str]:
    """The methods that a handler answers."""
    return {m for m in METHODS if getattr(handler, m.lower()) is not getattr(web.RequestHandler, m.lower())}


async def test_the_walk_covers_every_route(service: Running) -> None:
    """What listens is the table that these tests walk, and the parts of servicekit that it tests itself."""
    application: Any = service.app._server.request_callback
    listening = {rule.matcher.regex.pattern for rule in application.wildcard_router.rules}
    table = {f"{PREFIX}{pattern}$" for pattern, *_ in service.app.routes()}
    assert listening == table | {f"{PREFIX}{pattern}$" for pattern in _OF_THE_KIT}
    assert len(routes(service)) == (25 if service.is_receiver else 24)


async def test_is_closed_without_credentials(service: Running) -> None:
    """No route answers a stranger or a wrong token, by any method; a page sends a browser to the hub."""
    for path, handler in routes(service):
        for method in methods_of(handler):
            for token in ("", "made-up"):
                answer = await service.fetch(method, path, token)
                assert answer.status == 403, (method, path, token)
            if method == "GET" and not path.startswith("api/"):
                browser = await service.page(path, token="")
                assert browser.status == (302 if not path.endswith(("notebook", "image")) else 403), path
        if issubclass(handler, PublicHandler):
            assert handler.public_reason


async def test_is_closed_to_a_token_without_the_scope(service: Running) -> None:
    """A token of the right person that may not use this service opens nothing."""
    for path, handler in routes(service):
        if issubclass(handler, PublicHandler):
            continue
        for method in methods_of(handler):
            answer = await service.fetch(method, path, "noscope-token")
            assert (answer.status, answer.json["error"]["code"]) == (403, "scope-missing"), (method, path)


@pytest.mark.parametrize("token", ["bob-token", "root-token", "ada-token"])
async def test_hides_everybody_elses_files(service: Running, token: str) -> None:
    """Another person, an administrator without a visit too, gets the same 404 for what is there and what is not."""
    owned = [(path, handler) for path, handler in routes(service) if issubclass(handler, OwnedHandler)]
    assert len(owned) == 20
    for path, handler in owned:
        for method in methods_of(handler):
            there = await service.fetch(method, f"{path}?{service.query}", token)
            missing = await service.fetch(method, f"{path}?path=never.txt", token)
            assert (there.status, there.json["error"]["code"]) == (404, "not-found"), (method, path)
            assert there.body == missing.body
    assert [v["size"] for v in (await service.fetch("GET", "api/v1/w/alice/versions?path=a.txt")).json["versions"]]


async def test_refuses_every_other_method(service: Running) -> None:
    """What a route does not do is 405, and changes nothing."""
    for path, handler in routes(service):
        token = "ada-token" if path.startswith("admin/") else "alice-token"
        for method in set(METHODS) - methods_of(handler):
            answer = await service.fetch(method, f"{path}?{service.query}", token)
            assert answer.status == 405, (method, path)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a program with the cookie"),
        pytest.param({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}, id="a form elsewhere"),
        pytest.param({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"}, id="no-cors (CVE-2026-40864)"),
        pytest.param({"Sec-Fetch-Mode": "cors", "X-XSRFToken": "made-up"}, id="a made-up token"),
    ],
)
async def test_needs_the_xsrf_token_with_a_cookie(service: Running, headers: dict[str, str]) -> None:
    """Everything that changes something is refused to a cookie alone, and allowed with the token of the page."""
    cookie = service.cookie("alice-token")
    posts = [path for path, handler in routes(service) if "POST" in methods_of(handler)]
    assert len(posts) == 9
    for path in posts:
        answer = await service.fetch(
            "POST", f"{path}?{service.query}", "", headers=headers | {"Cookie": cookie}, json={}
        )
        assert answer.status == 403, path
    page = await service.page("w/alice/file?path=a.txt", token="", headers={"Cookie": cookie})
    found = re.search(r'data-xsrf="([^"]+)"', page.text)
    assert page.status == 200
    assert found
    both = f"{cookie}; {page.headers['Set-Cookie'].split(';')[0]}"
    good = {"Cookie": both, "X-XSRFToken": found[1], "Sec-Fetch-Mode": "cors"}
    answer = await service.fetch("POST", "api/v1/w/alice/deletions", "", headers=good, json={"items": []})
    assert (answer.status, answer.json) == (200, {"results": []})


async def test_sends_strict_headers_with_everything(service: Running) -> None:
    """No answer may be sniffed, run inline script or be framed elsewhere; what people made is sandboxed."""
    for path, handler in routes(service):
        for method in methods_of(handler):
            answer = await service.fetch(method, f"{path}?{service.query}", headers={"Accept": "text/html"})
            policy = answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy or "script-src" not in policy
            if path.endswith(("content", "notebook")):
                assert "sandbox" in policy
