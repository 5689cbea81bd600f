"""Names of folders, pods and prefixes: equal to kubespawner's, safe, and different for different people."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kubespawner.slugs import safe_slug

from devplatform_hub.core.names import slug

LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
NAMES = st.one_of(
    st.text(max_size=100),
    st.text(alphabet="ab-_.@AÄ9", max_size=70),
    st.from_regex(r"[a-z0-9-]{1,70}", fullmatch=True),
)


@given(NAMES)
@example("")
@example("alice--")
@example("a" * 63)
@example("a" * 64)
@example("9lives")
@example("--")
@example("alice\n")
@example("\u0000")
def test_is_the_slug_of_kubespawner(name: str) -> None:
    """The spawner and everything that finds a person's files agree on one name."""
    assert slug(name) == safe_slug(name)


@given(NAMES)
def test_is_a_dns_label(name: str) -> None:
    """Whatever the text, the name can be that of a pod, a folder and a prefix."""
    assert LABEL.fullmatch(slug(name))


@given(NAMES, NAMES)
@example("alice", "Alice")
@example("alice@example.com", "alice-example.com")
@example("a", "a---ca978112")
def test_different_people_have_different_names(one: str, other: str) -> None:
    """No crafted name becomes that of somebody else."""
    assert one == other or slug(one) != slug(other)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("alice", "alice", id="kept"),
        pytest.param("alice@example.com", "alice-example-com---ff8d9819", id="address"),
        pytest.param("Alice", "alice---3bc51062", id="upper case"),
        pytest.param("../../etc", "etc---74ccf3c5", id="path"),
    ],
)
def test_examples(name: str, expected: str) -> None:
    """What people see in a listing."""
    assert slug(name) == expected
