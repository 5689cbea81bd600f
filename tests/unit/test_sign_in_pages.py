"""What the pages of every sign-in share: where they lead, and which cookies they read."""

from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.handlers.base import BaseHandler

from devplatform_hub.authenticators.pages import SignInPages, cookies_called, host_cookie


@pytest.mark.parametrize(
    ("of_jupyterhub", "expected"),
    [
        pytest.param("/hub/spawn", "/hub/spawn", id="a path"),
        pytest.param(
            "https://alice.hub.example/user/alice/", "https://alice.hub.example/user/alice/", id="a subdomain"
        ),
        pytest.param("//evil.example", "/hub/", id="a host"),
        pytest.param("/\t/evil.example", "/hub/", id="a host to a browser"),
        pytest.param("/\\evil.example", "/hub/", id="a host to some browsers"),
    ],
)
def test_where_a_sign_in_leads(monkeypatch: pytest.MonkeyPatch, of_jupyterhub: str, expected: str) -> None:
    """CVE-2026-33709 (anchors, row 14): JupyterHub's word, unless a browser would read it otherwise."""
    monkeypatch.setattr(BaseHandler, "get_next_url", lambda *_: of_jupyterhub)
    handler: Any = object.__new__(SignInPages)
    handler.application = SimpleNamespace(settings={"hub": SimpleNamespace(base_url="/hub/")})
    assert handler.get_next_url() == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("other=1", []),
        ("a=1", ["1"]),
        ("a=1; b=2; a=3", ["1", "3"]),
        (' a="x=|y" ;a=', ["x=|y", ""]),
        ("ab=1; =2; a; ;a=3=4", ["3=4"]),
    ],
)
def test_every_value_of_a_cookie(header: str, expected: list[str]) -> None:
    """CVE-2024-28233 (anchors, row 17): not the last alone, which whoever sets cookies for this host can choose."""
    assert cookies_called("a", SimpleNamespace(headers={"Cookie": header} if header else {})) == expected


def test_the_name_of_a_cookie() -> None:
    """`__Host-` needs https."""
    names = [host_cookie("a", SimpleNamespace(protocol=protocol)) for protocol in ("http", "https")]
    assert names == ["a", "__Host-a"]
