"""Paths that come from outside: what is accepted stays as it was typed, everything else is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.workspace import parse_path


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("report.ipynb", id="a file"),
        pytest.param("a/b/c.txt", id="folders"),
        pytest.param("<script>alert(1)</script>.txt".replace("/", "-"), id="HTML in a name"),
        pytest.param("with 'quotes\" and %2e%2e.txt", id="quotes and percent signs"),
        pytest.param("..data/...", id="names that only begin with dots"),
        pytest.param("a/.versions/b", id="a reserved name further down"),
        pytest.param("ü" * 127, id="254 bytes of UTF-8"),
        pytest.param("x" * 255, id="255 bytes"),
        pytest.param("back\\slash", id="a backslash is a letter here"),
        pytest.param("tab\tname", id="a tab"),
    ],
)
def test_keeps_what_is_acceptable_as_it_was_typed(raw: str) -> None:
    """Nothing is normalised: NFC and NFD stay two files, as the file system has them."""
    assert parse_path(raw) == raw
    assert parse_path(raw.encode()) == raw


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param("/etc/passwd", "absolute", id="absolute"),
        pytest.param("//host/share", "absolute", id="a network path"),
        pytest.param("..", "'..'", id="the folder above"),
        pytest.param("a/../../b", "'..'", id="above, in the middle"),
        pytest.param("a/..", "'..'", id="above, at the end"),
        pytest.param("./a", "'.'", id="a dot"),
        pytest.param("a//b", "empty", id="an empty part"),
        pytest.param("a/", "empty", id="a slash at the end"),
        pytest.param("a\0b", "NUL", id="NUL"),
        pytest.param("a\nb", "line break", id="a line feed"),
        pytest.param("a\rb", "line break", id="a carriage return"),
        pytest.param(b"\xff\xfe", "UTF-8", id="bytes that are not UTF-8"),
        pytest.param("\udcff", "UTF-8", id="a lone surrogate"),
        pytest.param("x" * 256, "255 bytes", id="256 bytes"),
        pytest.param("ü" * 128, "255 bytes", id="256 bytes of UTF-8"),
        pytest.param("/".join(["x" * 100] * 10), "900 bytes", id="a long whole"),
        pytest.param(".versions/a", "belongs to the platform", id="the view of versions"),
        pytest.param(".devplatform", "belongs to the platform", id="the agent's own folder"),
    ],
)
def test_refuses_what_could_leave_the_workspace(raw: str | bytes, reason: str) -> None:
    """The refusal says which rule the path breaks, and does not repeat the path."""
    with pytest.raises(PublicError) as refusal:
        parse_path(raw)
    assert (refusal.value.code, refusal.value.status) == ("path-invalid", 400)
    assert reason in refusal.value.message


def test_accepts_the_workspace_itself_only_where_it_is_meant() -> None:
    """A folder listing may name the root; a file operation may not."""
    assert parse_path("", allow_root=True) == ""


@given(st.text(max_size=300))
def test_an_accepted_path_stays_inside(raw: str) -> None:
    """Whatever is typed: what comes back joins to a place under the workspace, or nothing comes back."""
    try:
        path = parse_path(raw)
    except PublicError:
        return
    parts = path.split("/")
    assert path == raw
    assert not path.startswith("/")
    assert ".." not in parts
    assert "\0" not in path
