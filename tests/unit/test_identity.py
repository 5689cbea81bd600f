"""User names and group names: one spelling each, and the domain never gets lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import GroupName, display_group, fold_username, parse_group, parse_username


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("data-team", "data-team@local", id="bare name gets the domain"),
        pytest.param("Data-Team@Example.COM", "data-team@example.com", id="lower case"),
        pytest.param(" ops ", "ops@local", id="surrounding blanks"),
        pytest.param("\uff4f\uff50\uff53", "ops@local", id="compatibility characters"),
    ],
)
def test_groups_have_one_spelling(text: str, expected: str) -> None:
    """Every way to write a group gives the same whole name."""
    assert parse_group(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "@", "ops@", "@example.com", "a b", "ops@a@b", "<b>", "ops\n", "-ops", "o" * 65, "ops@exa mple", "ops/../x"],
)
def test_what_is_no_group(text: str) -> None:
    """Anything else is refused; a line break at the end is only a blank."""
    if text == "ops\n":
        assert parse_group(text) == "ops@local"
        return
    with pytest.raises(PublicError) as refused:
        parse_group(text)
    assert refused.value.code == "group-name-invalid"


def test_look_alike_groups_of_two_domains_differ() -> None:
    """admins of a partner are not our admins, also when shown."""
    ours, theirs = parse_group("admins"), parse_group("admins@partner.com")
    assert ours != theirs
    assert (display_group(ours), display_group(theirs)) == ("admins", "admins@partner.com")


@given(st.text(max_size=40))
def test_groups_read_back(text: str) -> None:
    """A whole name parses to itself and its display to the same group."""
    try:
        group = parse_group(text)
    except PublicError:
        return
    assert parse_group(group) == group
    assert parse_group(display_group(group)) == group
    assert isinstance(GroupName(group), str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("alice", "alice", id="plain"),
        pytest.param("ALICE", "alice", id="upper case"),
        pytest.param("  alice ", "alice", id="blanks"),
        pytest.param("\uff41lice", "alice", id="full width"),
        pytest.param("alice@example.com", "alice@example.com", id="address"),
        pytest.param("\u212aim", "kim", id="kelvin sign"),
    ],
)
def test_user_names_have_one_spelling(text: str, expected: str) -> None:
    """No spelling gives a second account of the same name."""
    assert parse_username(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "../a",
        "a\x00b",
        "a\nb",
        "<script>",
        "a" * 65,
        "-rf",
        "al\u0131ce",
        "\u0430lice",
        "a b",
    ],
)
def test_what_is_no_user_name(text: str) -> None:
    """Paths, markup, control characters and letters of other scripts are refused."""
    with pytest.raises(PublicError) as refused:
        parse_username(text)
    assert refused.value.code == "username-invalid"
    assert text not in refused.value.message or len(text) < 2


@given(st.text(max_size=80))
def test_folding_is_final(text: str) -> None:
    """A name that was parsed is spelt as it stays."""
    try:
        name = parse_username(text)
    except PublicError:
        return
    assert fold_username(name) == name == parse_username(name)
