"""The base of every hub service: who gets in, what an error looks like, what never reaches a log."""

import inspect
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit.app import Route, ServiceApp
from devplatform_hub.servicekit.handlers import PageHandler, PublicHandler, ServiceHandler
from devplatform_hub.servicekit.identity import BoundedAnswers
from devplatform_mlflow_proxy.app import MlflowProxyApp
from devplatform_versions.app import VersionsApp
from tests.doubles.hub_sign_in import TableSignIn, user_model

PREFIX = "/services/sample/"
HOSTILE = "<script>alert(1)</script>"


class Echo(ServiceHandler):
    def get(self) -> None:
        self.send_json({"name": self.person.name, "slug": self.person.slug, "admin": self.person.admin})

    def post(self) -> None:
        self.send_json(self.json_body())


class Broken(ServiceHandler):
    def get(self) -> None:
        raise RuntimeError("the secret reason")


class Refusing(PageHandler):
    def get(self) -> None:
        raise PublicError(f"{HOSTILE} was not found.", code="sample-missing", hint="Look elsewhere.", status=404)


class SampleApp(ServiceApp):
    name = "sample"

    def routes(self) -> list[Route]:
        return [("api/echo", Echo), ("api/broken", Broken), ("page", Refusing)]


@pytest.fixture
async def service() -> AsyncIterator[str]:
    app = SampleApp(url="http://127.0.0.1:0", prefix=PREFIX)
    models = {
        "good": user_model("alice@example.com", service="sample"),
        "noscope": user_model("bob", service=""),
        "machine": user_model("robot", service="sample", kind="service"),
    }
    port = await app.listen(TableSignIn(models, service="sample", prefix=PREFIX))
    yield f"http://127.0.0.1:{port}{PREFIX}"
    await app.close()


async def fetch(method: str, url: str, token: str = "", **options: Any) -> tuple[int, dict[str, str], str]:
    headers = options.pop("headers", {}) | ({"Authorization": f"token {token}"} if token else {})
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, allow_redirects=False, **options) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.text()


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        pytest.param("", 403, "sign-in-needed", id="no credentials"),
        pytest.param("wrong", 403, "sign-in-needed", id="a token the hub does not know"),
        pytest.param("noscope", 403, "scope-missing", id="a token without the scope"),
        pytest.param("machine", 403, "not-a-person", id="a service's token"),
    ],
)
async def test_refuses_whoever_is_not_a_person_with_the_scope(service: str, token: str, status: int, code: str) -> None:
    """Every route is closed unless the hub says that this person may use this service."""
    answer = await fetch("GET", f"{service}api/echo", token)
    assert answer[0] == status
    assert f'"code": "{code}"' in answer[2]


async def test_knows_the_person_of_a_token(service: str) -> None:
    """A token with the scope gives its owner's name, slug and rank."""
    status, headers, body = await fetch("GET", f"{service}api/echo", "good")
    assert (status, body) == (
        200,
        '{"name": "alice@example.com", "slug": "alice-example-com---ff8d9819", "admin": false}',
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self'" in headers["Content-Security-Policy"]


async def test_sends_a_stranger_with_a_browser_to_the_hub(service: str) -> None:
    """A page redirects to the hub's OAuth, with state and PKCE."""
    status, headers, _ = await fetch("GET", f"{service}page", headers={"Accept": "text/html"})
    assert status == 302
    assert headers["Location"].startswith("/hub/api/oauth2/authorize?client_id=service-sample")
    assert "state=" in headers["Location"]


async def test_escapes_what_a_person_named_in_an_error_page(service: str) -> None:
    """An error page says message, hint and code, and runs nothing."""
    status, _, body = await fetch("GET", f"{service}page", "good", headers={"Accept": "text/html"})
    assert status == 404
    assert HOSTILE not in body
    assert "&lt;script&gt;" in body
    assert "Look elsewhere." in body
    assert "sample-missing" in body


async def test_keeps_the_trace_in_the_log(service: str, caplog: pytest.LogCaptureFixture) -> None:
    """An internal error shows a reference; the log has the trace and the same reference."""
    with caplog.at_level(logging.ERROR):
        status, _, body = await fetch("GET", f"{service}api/broken", "good")
    assert status == 500
    assert "secret reason" not in body
    assert '"code": "internal-error"' in body
    assert "the secret reason" in caplog.text


async def test_refuses_a_body_that_is_not_an_object(service: str) -> None:
    """Broken JSON is the caller's fault and says so."""
    status, _, body = await fetch("POST", f"{service}api/echo", "good", data=b"[1")
    assert (status, '"code": "json-invalid"' in body) == (400, True)


async def test_logs_no_query_string_and_no_control_characters(service: str, caplog: pytest.LogCaptureFixture) -> None:
    """Codes and tokens travel in query strings, and names can hold line breaks: neither reaches the log."""
    with caplog.at_level(logging.DEBUG):
        await fetch("GET", f"{service}api/none%0Aforged?code=hunter2", "good")
    lines = [record.getMessage() for record in caplog.records if record.name == "devplatform.service"]
    assert lines
    assert "hunter2" not in "".join(lines)
    assert "\nforged" not in "".join(lines)


@pytest.mark.parametrize("name", ["state", "code", "error", "error_description", "anything"])
async def test_the_end_of_a_sign_in_logs_nothing_endless(
    service: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """CVE-2026-54338 (anchors, row 12): what a stranger adds to the callback is refused or short in the log."""
    query = {"code": "x", "state": "y"} | {name: "A" * 5000 + "\nforged"}
    with caplog.at_level(logging.DEBUG):
        status, _, _ = await fetch("GET", f"{service}oauth_callback", params=query)
    assert status == 400
    assert caplog.records
    assert max(len(record.getMessage()) for record in caplog.records) < 1000
    assert "\nforged" not in "".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("app", [VersionsApp, MlflowProxyApp])
def test_every_service_signs_people_in_by_this_base(app: type[ServiceApp]) -> None:
    """No service with pages has a callback or a memory of sign-ins of its own: what is tested here is theirs."""
    assert app.make_hub_auth is ServiceApp.make_hub_auth
    package = Path(inspect.getfile(app)).parent
    own = [path.name for path in package.rglob("*.py") if "oauth_callback" in path.read_text("utf-8")]
    assert own == []


def test_a_public_route_must_say_why() -> None:
    """Nobody makes a public route by accident."""
    with pytest.raises(TypeError, match="must say why"):
        type("Careless", (PublicHandler,), {})


def test_forgets_the_oldest_answer() -> None:
    """Wrong tokens cannot fill the memory."""
    answers = BoundedAnswers(60)
    for number in range(10_500):
        answers[str(number)] = None
    assert len(answers.values) == 10_000
    assert "10499" in answers.values
    assert "0" not in answers.values
