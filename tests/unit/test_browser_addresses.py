"""The tests' own browser: an address that leads away is seen to."""

import pytest

from devplatform_hub.core.next_page import is_path_here
from tests.integration.browser_addresses import ELSEWHERE, as_user_name, host_of

_BASE = "http://hub.example:8000/hub/login"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/hub/home", "hub.example:8000"),
        ("spawn?next=//evil.example", "hub.example:8000"),
        ("//evil.example/x", "evil.example"),
        ("///evil.example", "evil.example"),
        ("/\\evil.example", "evil.example"),
        ("/\t/evil.example", "evil.example"),
        ("http://hub.example:8000@evil.example/", "evil.example"),
        ("http:/hub", "hub.example:8000"),
        ("https:evil.example", "evil.example"),
        ("javascript:alert(1)", "javascript:"),
        ("/%09/evil.example", "hub.example:8000"),
    ],
)
def test_where_a_browser_goes(location: str, expected: str) -> None:
    """As WHATWG's parser has it."""
    assert host_of(location, _BASE) == expected


@pytest.mark.parametrize("text", [*ELSEWHERE.values(), *as_user_name(_BASE).values(), "", "hub/home", "/" + "a" * 9000])
def test_what_is_a_path_here_leads_nowhere_else(text: str) -> None:
    """CVE-2026-33709 and CVE-2019-10255 (anchors, rows 14 and 15): whatever passes stays on the host."""
    assert not is_path_here(text) or host_of(text, _BASE) == "hub.example:8000"


@pytest.mark.parametrize(
    "text", ["/hub/home", "/user/a%40b/lab/tree/My Notebook.ipynb?x=1#y", "/", "/hub/spawn?next=%2F%2Fevil.example"]
)
def test_paths_of_the_hub_pass(text: str) -> None:
    """With queries, fragments and blanks inside."""
    assert is_path_here(text)
