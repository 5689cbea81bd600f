"""Administrators in other people's versions: which route opens to a visit, whose, until when, and who is told."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tornado import web

from devplatform_hub.core.errors import PublicError
from devplatform_hub.servicekit import audit
from devplatform_versions import cli, cli_output
from devplatform_versions.client import Endpoint, VersionsClient
from devplatform_versions.handlers import OwnedHandler
from devplatform_versions.model import Visit
from devplatform_versions.ports import StoreUnavailable
from devplatform_versions.visiting import Notices, Visits, checked_reason, notices_of
from tests.doubles.versions_service import Answer, Running, running
from tests.lab.audit_events import valid_events
from tests.unit.test_versions_access import methods_of, routes

REASON = "Ticket 4711: bob asked for help with a lost file"
READABLE = {
    "w/bob/folder",
    "w/bob/file",
    "w/bob/view",
    "w/bob/notebook",
    "w/bob/image",
    "w/bob/compare",
    "api/v1/w/bob/content",
}
"""Every route that a visit opens, and by GET alone."""


@dataclass
class Browser:
    """Somebody who has signed in at the service in a browser of their own, with the XSRF token of its pages."""

    service: Running
    token: str
    cookies: str = ""
    xsrf: str = ""

    async def get(self, path: str, **headers: str) -> Answer:
        cookie = self.cookies or self.service.cookie(self.token)
        asked = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Cookie": cookie, **headers}
        answer = await self.service.fetch("GET", path, "", headers=asked)
        found = re.search(r'data-xsrf="([^"]+)"', answer.body.decode("utf-8", "replace"))
        if found and "Set-Cookie" in answer.headers:
            self.xsrf, self.cookies = found[1], f"{cookie}; {answer.headers['Set-Cookie'].split(';')[0]}"
        return answer

    async def post(self, path: str, **fields: str) -> Answer:
        headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
        return await self.service.fetch(
            "POST", path, "", headers=headers | {"Cookie": self.cookies}, data={"_xsrf": self.xsrf, **fields}
        )

    async def visit(self, name: str = "bob", reason: str = REASON) -> Answer:
        """Say why and begin."""
        await self.get("admin/")
        return await self.post("admin/", name=name, reason=reason)


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setenv(audit.AUDIT_FILE_VARIABLE, str(tmp_path / "audit.jsonl"))
    async with running(tmp_path) as started:
        await started.local.put("carol", "c.txt", b"carol's")
        kept = await started.local.put("bob", "a.txt", b"bob's own words")
        started.query = f"path=a.txt&generation={kept.generation}&a={kept.generation}&b={kept.generation}"
        yield started


@pytest.fixture
def ada(service: Running) -> Browser:
    return Browser(service, "ada-token")


def events(folder: Path) -> list[tuple[str, ...]]:
    """What the audit says: action, actor, outcome, target, why."""
    file = folder / "audit.jsonl"
    found = valid_events(file.read_text("utf-8")) if file.exists() else []
    names = ("action", "actor", "outcome", "target", "why")
    return [tuple(str(event.get(name, "")) for name in names) for event in found]


def owned(service: Running) -> list[tuple[str, type[web.RequestHandler]]]:
    """The routes about bob's files."""
    found = [(path.replace("w/alice/", "w/bob/"), handler) for path, handler in routes(service)]
    return [(path, handler) for path, handler in found if issubclass(handler, OwnedHandler)]


async def closed(browser: Browser, service: Running) -> None:
    """No route about bob answers this browser, by any method, and none says more than that there is nothing."""
    for path, handler in owned(service):
        for method in methods_of(handler):
            there = f"{path}?{service.query}"
            answer = await browser.get(there) if method == "GET" else await browser.post(there)
            assert (answer.status, b"bob's own words" in answer.body) == (404, False), (method, path)
            assert b"not-found" in answer.body, (method, path)


# Which routes open.


async def test_a_visit_opens_these_routes_and_no_other(service: Running, ada: Browser, tmp_path: Path) -> None:
    """Looking, comparing and downloading; whatever changes something, and the API's listings, stay closed."""
    assert (await ada.visit()).status == 303
    await ada.get("admin/")
    opened = set()
    for path, handler in owned(service):
        for method in methods_of(handler):
            there = f"{path}?{service.query}"
            answer = await ada.get(there) if method == "GET" else await ada.post(there)
            if answer.status != 404:
                assert method == "GET", path
                opened.add(path)
            else:
                assert b"not-found" in answer.body, (method, path)
    assert opened == READABLE
    assert (await service.local.store.list_versions("bob", "a.txt")).items[1:] == ()


async def test_every_route_says_whether_a_visit_opens_it(service: Running) -> None:
    """A new route is closed until somebody opens it, here too."""
    assert {path for path, handler in owned(service) if handler.open_to_visits} == READABLE  # type: ignore[attr-defined]
    assert OwnedHandler.open_to_visits is False


async def test_closed_without_a_visit(service: Running, ada: Browser) -> None:
    await ada.get("admin/")
    await closed(ada, service)


async def test_closed_with_a_visit_to_somebody_else(service: Running, ada: Browser) -> None:
    await ada.visit("carol")
    assert (await ada.get("w/carol/folder")).status == 200
    await closed(ada, service)


async def test_closed_when_the_time_is_over(service: Running, ada: Browser, tmp_path: Path) -> None:
    """To the second; the end is in the audit and in the owner's list."""
    await ada.visit()
    service.local.clock.move(seconds=1799)
    assert (await ada.get("w/bob/folder")).status == 200
    service.local.clock.move(seconds=1)
    await closed(ada, service)
    await service.app.visits.sweep()
    assert events(tmp_path)[-1] == ("version.leave", "ada", "allowed", "bob", "its time is over")
    (visit,) = await service.local.local.visits("bob")
    assert visit.ended == visit.until


async def test_a_clock_that_is_set_back_gives_no_more_time(service: Running, ada: Browser) -> None:
    now = [0.0]
    service.app.visits.monotonic = lambda: now[0]
    await ada.visit()
    now[0] = 1800.0
    service.local.clock.move(hours=-5)
    await closed(ada, service)


@pytest.mark.parametrize("token", ["ben-token", "ada-second-token", "root-token", "carol-token"])
async def test_closed_to_everybody_elses_browser(service: Running, ada: Browser, token: str) -> None:
    """Another administrator, the same one in another browser, and who may not visit: the visit is one session's."""
    await ada.visit()
    other = Browser(service, token)
    if token == "carol-token":
        other.token = "alice-token"
    await other.get("w/alice/folder")
    await closed(other, service)
    assert (await ada.get("w/bob/folder")).status == 200


async def test_closed_to_api_tokens(service: Running, ada: Browser) -> None:
    """With all that ada may do, also beside the cookies of the visit; and tokens open none."""
    await ada.visit()
    for path in READABLE:
        for headers in ({}, {"Cookie": ada.cookies}):
            answer = await service.fetch("GET", f"{path}?{service.query}", "ada-token", headers=headers)
            assert (answer.status, answer.json["error"]["code"]) == (404, "not-found"), path
    fields = {"name": "bob", "reason": REASON}
    answer = await service.fetch("POST", "admin/", "ada-second-token", data=fields)
    assert (answer.status, answer.json["error"]["code"]) == (403, "browser-needed")


async def test_closed_when_the_hub_takes_the_right_away(service: Running, ada: Browser) -> None:
    """What counts is the hub's word at each request, not that of the beginning."""
    await ada.visit()
    sign_in: Any = service.app._server.request_callback.settings["hub_auth"]  # type: ignore[union-attr]
    sign_in._models["ada-token"] = {**sign_in._models["ada-token"], "scopes": ["access:services!service=versions"]}
    sign_in.cache.clear()
    await closed(ada, service)


async def test_ends_by_hand_and_with_the_next(service: Running, ada: Browser, tmp_path: Path) -> None:
    """One visit in a browser; the button ends it."""
    await ada.visit("carol")
    await ada.visit("bob")
    assert (await ada.get("w/carol/folder")).status == 404
    assert (await ada.get("w/bob/folder")).status == 200
    assert (await ada.post("admin/end")).status == 303
    await closed(ada, service)
    ends = [event[1:] for event in events(tmp_path) if event[0] == "version.leave"]
    assert ends == [
        ("ada", "allowed", "carol", "another visit was opened"),
        ("ada", "allowed", "bob", "by hand"),
    ]
    assert [visit.ended for visit in await service.local.local.visits("bob")] == [service.local.clock.now()]


async def test_ends_with_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in memory alone ends with it, said so; the owner's list is there afterwards."""
    monkeypatch.setenv(audit.AUDIT_FILE_VARIABLE, str(tmp_path / "audit.jsonl"))
    async with running(tmp_path) as service:
        await service.local.put("bob", "a.txt", b"1")
        await Browser(service, "ada-token").visit()
    assert events(tmp_path)[-1] == ("version.leave", "ada", "allowed", "bob", "the service ended")
    async with running(tmp_path) as again:
        assert (await Browser(again, "ada-token").get("w/bob/folder")).status == 404
        assert [visit.reason for visit in await again.local.local.visits("bob")] == [REASON]


# Opening.


@pytest.mark.parametrize("path", ["admin/", "admin/end"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a program with the cookie"),
        pytest.param({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"}, id="a form elsewhere"),
        pytest.param({"Sec-Fetch-Mode": "cors", "X-XSRFToken": "made-up"}, id="a made-up token"),
    ],
)
async def test_opening_and_ending_need_the_pages_token(
    service: Running, ada: Browser, path: str, headers: dict[str, str]
) -> None:
    """No other page makes an administrator visit somebody, or end a visit."""
    await ada.visit()
    before = await service.local.local.visits("bob")
    fields = {"name": "carol", "reason": REASON}
    answer = await service.fetch("POST", path, "", headers=headers | {"Cookie": ada.cookies}, data=fields)
    assert answer.status == 403
    assert (await service.local.local.visits("bob"), await service.local.local.visits("carol")) == (before, ())
    assert (await ada.get("w/bob/folder")).status == 200


@pytest.mark.parametrize("token", ["alice-token", "root-token"])
async def test_the_administrators_pages_are_nowhere_for_others(service: Running, tmp_path: Path, token: str) -> None:
    """Somebody without the scope, an administrator by the hub's flag alone too; each try is in the audit."""
    for path in ("admin/", "admin/end"):
        answer = await service.fetch("POST", path, token, data={"name": "bob", "reason": REASON})
        assert (answer.status, answer.json["error"]["code"]) == (404, "not-found")
    assert (await service.fetch("GET", "admin/", token)).status == 404
    actor, target = token.partition("-")[0], "/services/versions/admin/"
    refused = ("version.visit", actor, "refused")
    assert events(tmp_path) == [
        (*refused, target, "not an administrator"),
        (*refused, f"{target}end", "not an administrator"),
        (*refused, target, "not an administrator"),
    ]
    page = await service.page("w/alice/folder")
    assert "admin/" not in page.text


@pytest.mark.parametrize(
    ("name", "reason", "code", "status"),
    [
        pytest.param("bob", "", "reason-invalid", 400, id="no reason"),
        pytest.param("bob", "too short", "reason-invalid", 400, id="a short one"),
        pytest.param("bob", " " * 40 + "why" + "\n" * 40, "reason-invalid", 400, id="mostly spaces"),
        pytest.param("bob", "x" * 501, "reason-invalid", 400, id="an endless one"),
        pytest.param("", REASON, "owner-unknown", 404, id="nobody"),
        pytest.param("zoe", REASON, "owner-unknown", 404, id="without versions"),
        pytest.param("Bob", REASON, "owner-unknown", 404, id="another spelling"),
        pytest.param("../bob", REASON, "owner-unknown", 404, id="a path"),
        pytest.param("ada", REASON, "visit-own", 400, id="oneself"),
    ],
)
async def test_what_opens_no_visit(
    service: Running, ada: Browser, tmp_path: Path, name: str, reason: str, code: str, status: int
) -> None:
    """Said on the page, with what was typed still there; in the audit; and nothing is kept."""
    answer = await ada.visit(name, reason)
    assert (answer.status, f"<code>{code}</code>" in answer.text) == (status, True)
    assert events(tmp_path) == [("version.visit", "ada", "refused", name or "(nobody)", code)]
    assert await service.local.local.visits("bob") == ()
    await closed(ada, service)


async def test_a_visit_that_cannot_be_kept_does_not_begin(
    service: Running, ada: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner could never read of it."""

    async def full(*_: Any) -> None:
        raise StoreUnavailable("The version store could not write: the disk is full.")

    monkeypatch.setattr(service.local.local, "add_visit", full)
    assert (await ada.visit()).status == 503
    assert events(tmp_path) == [("version.visit", "ada", "failed", "bob", "store-unavailable")]
    await closed(ada, service)


async def test_over_a_store_without_a_book_nobody_visits(service: Running) -> None:
    """Such a store is as closed as if there were no administrators."""

    class WithoutBook:
        list_folder = service.local.store.list_folder

    visits = Visits(WithoutBook(), service.local.clock)  # type: ignore[arg-type]
    assert await notices_of(visits.store, "bob") == Notices((), 0)
    with pytest.raises(PublicError) as refused:
        _ = visits.book
    assert refused.value.code == "visits-not-kept"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  a reason\r\nin two lines ", "a reason in two lines"),
        ("a \u202egnp.exe reason", "a {U+202E}gnp.exe reason"),
        ("\x1b[2Ja reason", "{U+001B}[2Ja reason"),
        ("0123456789", "0123456789"),
        ("x" * 500, "x" * 500),
    ],
)
def test_reasons(text: str, kept: str) -> None:
    """One line, in which nothing hides or turns what follows."""
    assert checked_reason(text) == kept


# What is told.


async def test_the_audit_has_every_look(service: Running, ada: Browser, tmp_path: Path) -> None:
    """Beginning, each page about a file, each download, and refusals; the same page within a minute once."""
    seconds = [0.0]
    service.app.visits.monotonic = lambda: seconds[0]
    number = service.query.split("&")[1].removeprefix("generation=")
    await ada.visit()
    await ada.get("w/bob/folder")
    for _ in range(2):
        await ada.get(f"w/bob/view?path=a.txt&generation={number}")
    await ada.get(f"w/bob/compare?path=a.txt&a={number}&b={number}")
    content = await ada.get(f"api/v1/w/bob/content?path=a.txt&generation={number}")
    assert content.body == b"bob's own words"
    await ada.get(f"api/v1/w/bob/content?path=a.txt&generation={number}", Range="bytes=0-3")
    await ada.get(f"api/v1/w/bob/content?path=a.txt&generation={number}", **{"If-None-Match": content.headers["ETag"]})
    seconds[0] += 61
    await ada.get(f"w/bob/view?path=a.txt&generation={number}")
    await ada.get("w/carol/file?path=c.txt")
    look = ("version.look", "ada", "allowed")
    assert events(tmp_path) == [
        ("version.visit", "ada", "allowed", "bob", REASON),
        (*look, "bob/", REASON),
        (*look, f"{number} bob/a.txt", REASON),
        (*look, f"{number} {number} bob/a.txt", REASON),
        ("version.download", "ada", "allowed", f"{number} bob/a.txt", REASON),
        (*look, f"{number} bob/a.txt", REASON),
        ("version.access", "ada", "refused", "carol /services/versions/w/carol/file", "not the owner"),
    ]


async def test_a_visit_is_seen_on_every_page_of_it(service: Running, ada: Browser) -> None:
    """Whose files, why, until when, and a button to end it; nothing that would change something."""
    await service.local.put("bob", "a.txt", b"bob's newer words")
    hostile = 'why "not" <img src=x onerror=alert(1)>'
    await ada.visit(reason=hostile)
    for path in ("folder", f"file?{service.query}", f"view?{service.query}", f"compare?{service.query}"):
        page = (await ada.get(f"w/bob/{path}")).text
        assert "These are the files of <bdi>bob</bdi>, not yours." in page, path
        assert "why &#34;not&#34; &lt;img src=x onerror=alert(1)&gt;" in page, path
        assert "<img src=x" not in page
        assert 'datetime="2026-03-01T12:30:03Z"' in page, path
        assert re.findall(r'method="post" action="([^"]+)"', page) == ["/services/versions/admin/end"], path
        assert "restore" not in page.lower().replace("restored", ""), path
        assert "w/ada/" not in page, path


async def test_the_owner_reads_of_it(service: Running, ada: Browser) -> None:
    """On every page until it is put away, in the list for good, and through the API; administrators read none."""
    bob, alice = Browser(service, "bob-token"), Browser(service, "alice-token")
    assert "Nobody has looked" in (await bob.get("w/bob/visits")).text
    hostile = "a reason with <b>markup</b>"
    await ada.visit(reason=hostile)
    page = (await bob.get("w/bob/folder")).text
    assert "<bdi>ada</bdi> (administrator) looked at your file versions" in page
    assert "a reason with &lt;b&gt;markup&lt;/b&gt;" in page
    assert "(administrator)" not in (await alice.get("w/alice/folder")).text
    assert "(administrator)" not in (await ada.get("w/bob/folder")).text
    (visit,) = (await service.fetch("GET", "api/v1/w/bob/visits", "bob-token")).json["visits"]
    assert visit | {"id": ""} == {
        "id": "",
        "by": "ada",
        "reason": hostile,
        "opened": "2026-03-01T12:00:02Z",
        "until": "2026-03-01T12:30:02Z",
        "ended": None,
        "dismissed": False,
    }
    assert (await ada.post("w/bob/visits", id=visit["id"])).status == 404
    assert (await bob.post("w/bob/visits", id="made-up")).status == 404
    await alice.get("w/alice/folder")
    assert (await alice.post("w/alice/visits", id=visit["id"])).status == 404
    assert (await bob.post("w/bob/visits", id=visit["id"])).status == 303
    assert "(administrator)" not in (await bob.get("w/bob/folder")).text
    assert "a reason with &lt;b&gt;" in (await bob.get("w/bob/visits")).text
    (kept,) = (await service.fetch("GET", "api/v1/w/bob/visits", "bob-token")).json["visits"]
    assert kept == visit | {"dismissed": True}


async def test_the_client_reads_the_list(service: Running, ada: Browser) -> None:
    """As the command in a session does."""
    await ada.visit()
    kept = await service.local.local.visits("bob")
    endpoint = Endpoint(service.url, service.origin, "bob", "bob-token")
    async with VersionsClient(endpoint) as client:
        assert tuple(await client.visits()) == kept
        await ada.post("admin/end")
        assert [visit.ended for visit in await client.visits()] == [service.local.clock.now()]


async def test_of_many_visits_the_newest_are_told(service: Running) -> None:
    """Three, and how many more."""
    opened = service.local.clock.now()
    for number in range(5):
        visit = Visit(f"id{number}", "ada", f"reason number {number}", opened, opened + timedelta(minutes=30))
        await service.local.local.add_visit("bob", visit)
    found = await notices_of(service.local.store, "bob")
    assert ([visit.id for visit in found.shown], found.more) == (["id4", "id3", "id2"], 2)
    assert "There were 2 more visits" in (await Browser(service, "bob-token").get("w/bob/folder")).text


async def test_files_stay_usable_when_the_list_cannot_be_read(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the page does not claim that nobody was there."""

    async def broken(_: str) -> tuple[Visit, ...]:
        raise StoreUnavailable("The version store could not be read.")

    monkeypatch.setattr(service.local.local, "visits", broken)
    page = await Browser(service, "bob-token").get("w/bob/folder")
    assert (page.status, "cannot be read right now" in page.text) == (200, True)


def test_in_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and reasons cannot steer it; `--json` is what the API gave."""
    opened = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    visit = Visit("id", "ada\x1b[2J", "a \u202ereason", opened, opened + timedelta(minutes=30))
    cli_output.show_visits([visit, replace(visit, ended=opened)], opened)
    assert capsys.readouterr().out == (
        "2026-03-01 12:00:00Z  ada\\x1b[2J (administrator), may look until 2026-03-01 12:30:00Z\n"
        "  a \\u202ereason\n"
        "2026-03-01 12:00:00Z  ada\\x1b[2J (administrator), ended 2026-03-01 12:00:00Z\n"
        "  a \\u202ereason\n"
    )
    monkeypatch.setattr(cli, "ask_service", lambda _: [visit])
    answer = CliRunner().invoke(cli.versions, ["visits", "--json"])
    assert [item["by"] for item in json.loads(answer.output)] == ["ada\x1b[2J"]
    monkeypatch.setattr(cli, "ask_service", lambda _: [])
    assert CliRunner().invoke(cli.versions, ["visits"]).output == "Nobody has looked into your file versions.\n"
