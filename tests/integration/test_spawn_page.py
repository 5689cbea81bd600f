"""The page to choose from and the page that shows a start, on the really started product."""

import html
import json
import re

import pytest

from tests.integration.product import Product

pytestmark = [pytest.mark.lab("proxy", "session", "mlflow"), pytest.mark.timeout(300)]


def test_a_start_is_told_sentence_by_sentence(product: Product) -> None:
    """From the request to the ready server, in the hub's own event stream, with the editor's name."""
    alice = product.sign_in("alice")
    product.stop_server(alice)
    alice.get("/hub/spawn")
    form = {"profile": "standard", "profile-option-standard--editor": "jupyterlab"}
    address = f"{product.origin}/hub/spawn?_xsrf={alice.xsrf()}"
    answer = alice.http.post(address, data=form, allow_redirects=False, timeout=30)
    assert "/hub/spawn-pending/alice" in answer.headers["Location"], answer.text
    stream = alice.http.get(
        f"{product.origin}/hub/api/users/alice/server/progress",
        headers={"X-XSRFToken": alice.xsrf(), "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"},
        stream=True,
        timeout=60,
    )
    assert stream.status_code == 200, stream.text
    events = [json.loads(line.removeprefix(b"data:")) for line in stream.iter_lines() if line.startswith(b"data:")]
    told = [event["message"] for event in events if not event.get("ready")]
    assert told[:2] == ["Server requested", "Preparing your workspace."]
    assert re.fullmatch(r"Setting the limits of Standard: [\d.]+ CPU, [\d.]+ GB memory\.", told[2])
    assert told[3:5] == ["Starting JupyterLab.", "Waiting for JupyterLab to answer."]
    assert events[-1]["ready"] is True
    assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)
    product.stop_server(alice)


def test_the_last_choice_is_selected_and_a_refused_one_is_not(product: Product) -> None:
    """What was refused leaves no trace on the page, whatever it was called."""
    bob = product.sign_in("bob")
    product.start_server(bob, {"profile": "standard", "editor": "jupyterlab"})
    product.stop_server(bob)
    evil = '"><script>alert(1)</script>'
    answer = bob.api("POST", "/users/bob/server", {"profile": evil})
    assert (answer.status_code, "[profile-unknown]" in answer.json()["message"]) == (400, True)
    page = bob.get("/hub/spawn").text
    assert re.search(r'id="dp\.standard" value="standard"\s+checked', page)
    assert "<script>alert(1)" not in page
    assert "any more" not in page


def test_a_refusal_is_shown_on_the_form(product: Product) -> None:
    """A form that was changed by hand comes back with the reason and the status of a refusal, and starts nothing."""
    bob = product.sign_in("bob")
    bob.get("/hub/spawn")
    answer = bob.http.post(
        f"{product.origin}/hub/spawn?_xsrf={bob.xsrf()}", data={"profile": "standard", "image": "evil"}, timeout=30
    )
    assert answer.status_code == 400
    assert "'image' is not an option of this platform" in html.unescape(answer.text)
    assert 'id="dp.standard"' in answer.text
    assert bob.api("GET", "/users/bob").json()["servers"] == {}


def test_profiles_that_an_edit_broke_are_one_sentence(product: Product) -> None:
    """For people; file and line are in the log, and mending the file is enough."""
    file = product.data / "profiles.yaml"
    before = file.read_text()
    bob = product.sign_in("bob")
    try:
        file.write_text(before.replace("memory: 8G", "memory: 8 apples"))
        answer = bob.get("/hub/spawn")
    finally:
        file.write_text(before)
    assert answer.status_code == 503
    assert "The list of profiles is broken." in answer.text
    assert "apples" not in answer.text
    assert "memory: '8 apples' is not a size; write it such as 8G, 512M or a number of bytes." in product.log()
    assert bob.get("/hub/spawn").status_code == 200
