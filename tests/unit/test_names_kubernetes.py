"""Names of pods, disks, accounts, roles and prefixes: kubespawner's own, valid, and of one person's one server."""

import itertools
import re
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from kubespawner import KubeSpawner
from kubespawner.slugs import is_valid_label, safe_slug

from devplatform_hub.core.names import SessionNames, label_value, server_slug, session_names

LABEL = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
PREFIX = re.compile(r"users/[a-z0-9-]+")
LONG = "christopher.anderson1@example.com"

HOSTILE = [
    "alice",
    "Alice",
    "ALICE",
    "alice@example.com",
    "alice+b@example.com",
    "alice-example-com",
    "alice@example-com",
    "alice---3bc51062",  # what `Alice` becomes
    "alice--b",
    "alice-",
    "-alice",
    "--",
    "---",
    "a",
    "a-b",
    "b",
    "b-c",
    "a--b",
    "c",
    "x",
    "x-1",
    "1",
    "1a",
    "9lives",
    "a" * 17,
    "a" * 46,
    "a" * 47,
    "a" * 48,
    "a" * 49,
    "a" * 63,
    "a" * 64,
    "a" * 200,
    "A" * 200,
    "b" * 200,
    "a" * 199 + "b",
    LONG,
    "christopher.anderson2@example.com",
    unicodedata.normalize("NFC", "josé"),
    unicodedata.normalize("NFD", "josé"),
    "ÅNGSTRÖM",
    "\u212bngstrom",
    "用户",
    "用户名",
    "🦊",
    "🦊🦊",
    "\u202eecila",
    "alice\u200b",
    "bo\u017fs",
    "al\u212aa",
    "alice\n",
    "alice\u0000",
    "alice b",
    "../../alice",
    "{user}",
    "admin",
    "scheduler",
    "default",
    "system:masters",
    "ß",
    "ss",
    "İ",
    "i\u0307",
]
SERVERS = ["", *HOSTILE]
NAMES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=80),
    st.text(alphabet="ab-_.@AÄ9", max_size=60),
    st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True),
)


def expanded(template: str, user: str, server: str) -> str:
    """What KubeSpawner makes of a template."""
    spawner = SimpleNamespace(
        slug_scheme="safe", name=server, user=SimpleNamespace(name=user, id=1), _namespace_default=lambda: "x"
    )
    return str(KubeSpawner._expand_user_properties(spawner, template))


@given(NAMES, st.one_of(st.just(""), NAMES))
@example("a" * 48, "")
@example("a" * 49, "")
@example("a" * 23, "b" * 23)
@example("a" * 23, "b" * 24)
@example(LONG, "training")
@example("", "")
def test_are_those_of_kubespawners_templates(user: str, server: str) -> None:
    """The Role names the very pod and claim that the spawner makes."""
    names = session_names(user, server)
    assert names.pod == expanded("jupyter-{user_server}", user, server)
    assert names.claim == expanded("claim-{username}", user, server)
    assert names.account == expanded("person-{username}", user, server)
    assert names.role == expanded("person-{user_server}", user, server)
    assert names.prefix == f"users/{safe_slug(user)}"


@given(NAMES, st.one_of(st.just(""), NAMES))
def test_are_valid(user: str, server: str) -> None:
    """DNS labels of at most 63 characters, whatever the texts."""
    names = session_names(user, server)
    for name in (names.pod, names.claim, names.account, names.role):
        assert LABEL.fullmatch(name), name
    assert PREFIX.fullmatch(names.prefix)


def test_no_two_of_the_hostile_table_share_a_name() -> None:
    """Every pair of every person and server: their own pod and role; every person their own disk, account, prefix."""
    assert len(set(HOSTILE)) == len(HOSTILE)
    pairs = list(itertools.product(HOSTILE, SERVERS))
    for field in ("pod", "role"):
        assert len({getattr(session_names(*pair), field) for pair in pairs}) == len(pairs), field
    for field in ("claim", "account", "prefix"):
        assert len({getattr(session_names(user, ""), field) for user in HOSTILE}) == len(HOSTILE), field


@given(NAMES, st.one_of(st.just(""), NAMES), NAMES, st.one_of(st.just(""), NAMES))
@example("a-b", "c", "a", "b-c")
@example("a", "b", "a--b", "")
@example("a", "B", "a", "b---df7e70e5")
def test_no_two_share_a_name(user: str, server: str, other: str, others: str) -> None:
    """The class of CVE-2020-15110: nobody meets the pod, disk, rights or files of somebody else by their names."""
    one, two = session_names(user, server), session_names(other, others)
    if (user, server) != (other, others):
        assert one.pod != two.pod
        assert one.role != two.role
    if user != other:
        assert not {one.claim, one.account, one.role, one.prefix} & {two.claim, two.account, two.role, two.prefix}


def test_a_crafted_pair_is_what_32_bits_cannot_tell_apart() -> None:
    """Valid names for which kubespawner makes the same pod: why objects are compared by their verbatim names too.

    Found in a second among 16,000 names. `is_ours` in `kube.user_access` is what keeps these two people apart.
    """
    one = (LONG, "quarterly-report-7266")
    two = ("christopher.anderson2@example.com", "quarterly-report-8160")
    assert expanded("jupyter-{user_server}", *one) == expanded("jupyter-{user_server}", *two)
    assert server_slug(*one) == server_slug(*two)
    assert session_names(*one).account != session_names(*two).account


@pytest.mark.parametrize(
    ("user", "server", "expected"),
    [
        pytest.param(
            "alice",
            "",
            SessionNames("jupyter-alice", "claim-alice", "person-alice", "person-alice", "users/alice"),
            id="kept",
        ),
        pytest.param(
            "alice@example.com",
            "gpu",
            SessionNames(
                "jupyter-alice-example-com---ff8d9819--gpu",
                "claim-alice-example-com---ff8d9819",
                "person-alice-example-com---ff8d9819",
                "person-alice-example-com---ff8d9819--gpu",
                "users/alice-example-com---ff8d9819",
            ),
            id="address",
        ),
        pytest.param(
            LONG,
            "training",
            SessionNames(
                "jupyter-christopher-ander--training---f66d2888",
                "claim-christopher-anderson1-example-com---c41ff8d0",
                "person-christopher-anderson1-example-com---c41ff8d0",
                "person-christopher-ander--training---f66d2888",
                "users/christopher-anderson1---c41ff8d0",
            ),
            id="long address",
        ),
        pytest.param(
            "用户",
            "🦊",
            SessionNames(
                "jupyter-x---0d0e1a86--x---0a9f72e8",
                "claim-x---0d0e1a86",
                "person-x---0d0e1a86",
                "person-x---0d0e1a86--x---0a9f72e8",
                "users/x---0d0e1a86",
            ),
            id="no Latin letter",
        ),
        pytest.param(
            "a" * 200,
            "",
            SessionNames(
                "jupyter-" + "a" * 17 + "--x---0ad794ac",
                "claim-" + "a" * 37 + "---c2a908d9",
                "person-" + "a" * 37 + "---c2a908d9",
                "person-" + "a" * 17 + "--x---0ad794ac",
                "users/" + "a" * 21 + "---c2a908d9",
            ),
            id="200 characters",
        ),
    ],
)
def test_never_change(user: str, server: str, expected: SessionNames) -> None:
    """People's disks and files are found by these names after every upgrade."""
    assert session_names(user, server) == expected


@given(NAMES)
@example("")
@example("Alice.B_c")
@example("a--b")
@example("a" * 63)
@example("a" * 64)
def test_label_values_are_kubespawners(text: str) -> None:
    """One value finds a person's pods and everything else of theirs."""
    if not {"\u017f", "\u212a"} & set(text):
        assert label_value(text) == safe_slug(text, is_valid=is_valid_label)


@pytest.mark.parametrize("text", ["bo\u017fs", "al\u212aa"])
def test_label_values_are_valid_where_kubespawners_are_not(text: str) -> None:
    """A long s and a Kelvin sign fold to ASCII letters, and kubespawner lets them through."""
    assert safe_slug(text, is_valid=is_valid_label) == text
    assert re.fullmatch(r"[a-z0-9-]+", label_value(text))
