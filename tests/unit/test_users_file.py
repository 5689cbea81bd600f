"""`users.yaml`: read, changed by one writer at a time, replaced whole, and never trusted when it is broken."""

import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devplatform_hub.core.errors import PublicError
from devplatform_hub.core.identity import parse_group
from devplatform_hub.directory import users_file
from devplatform_hub.directory.local_users import FormerUser, LocalUser, LocalUsers, OneTimeCode
from devplatform_hub.directory.users_file import UsersFile
from devplatform_hub.directory.users_text import UsersFileBroken, parse_users, render_users

USERS = parse_group("developer-platform-users")
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2g"
CODE = OneTimeCode("0" * 64, datetime(2026, 1, 31, 12, tzinfo=UTC))
NOW = datetime(2026, 1, 31, 11, tzinfo=UTC)
GOOD = """
schema: 1
users:
- name: alice
  subject: 0123456789abcdef
  groups:
  - developer-platform-users
  - data-team@example.com
  epoch: 3
  password: $argon2id$v=19$x
- name: bob
  subject: fedcba9876543210
  groups: []
  epoch: 1
  disabled: true
removed:
- name: carol
  subject: 00112233
  epoch: 7
"""
ALICE = LocalUser(
    "alice", "0123456789abcdef", frozenset({USERS, parse_group("data-team@example.com")}), "$argon2id$v=19$x", epoch=3
)
BOB = LocalUser("bob", "fedcba9876543210", disabled=True)


@pytest.fixture
def file(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "users.yaml")


def test_reads_what_is_written_there() -> None:
    """Every field, with whole group names."""
    assert parse_users(GOOD, "users.yaml") == LocalUsers(
        {"alice": ALICE, "bob": BOB}, {"carol": FormerUser("carol", "00112233", 7)}
    )


people = st.builds(
    LocalUser,
    name=st.from_regex(r"[a-z0-9]([a-z0-9._@+-]{0,20}[a-z0-9])?", fullmatch=True),
    subject=st.from_regex(r"[0-9a-f]{8,64}", fullmatch=True),
    groups=st.frozensets(st.sampled_from([USERS, parse_group("no"), parse_group("1e3"), parse_group("a@b.com")])),
    password=st.one_of(st.none(), st.just(HASH)),
    code=st.one_of(st.none(), st.just(CODE)),
    disabled=st.booleans(),
    epoch=st.integers(1, 10**9 - 1),
)


@settings(max_examples=50)
@given(st.lists(people, max_size=5, unique_by=(lambda user: user.name, lambda user: user.subject)))
def test_reads_back_what_it_writes(listed: list[LocalUser]) -> None:
    """No name, group or subject changes on the way through YAML, not even `no`, `1e3` or `00`."""
    users = LocalUsers({user.name: user for user in listed})
    assert parse_users(render_users(users), "users.yaml") == users


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param(
            "schema: 1",
            "schema: 2",
            "users.yaml:2: this is not a schema that this release reads; schema is 1.",
            id="schema",
        ),
        pytest.param(
            "  epoch: 3", "  epok: 3", "users.yaml:9: a user has no key 'epok'; did you mean 'epoch'?", id="unknown key"
        ),
        pytest.param(
            "disabled: true",
            "disabled: maybe",
            "users.yaml:15: disabled is neither true nor false; write disabled: true.",
            id="not a flag",
        ),
        pytest.param(
            "name: bob",
            "name: alice",
            "users.yaml:11: a second user is named 'alice'; rename it: the user in line 4 has that name.",
            id="name twice",
        ),
        pytest.param(
            "name: carol",
            "name: bob",
            "users.yaml:17: a second user is named 'bob'; rename it: the user in line 11 has that name.",
            id="name of a removed person",
        ),
        pytest.param(
            "fedcba9876543210",
            "0123456789abcdef",
            "users.yaml:11: a second subject is named '0123456789abcdef'; rename it: the subject in line 4 ",
            id="subject twice",
        ),
        pytest.param(
            "$argon2id$v=19$x",
            "secret",
            "users.yaml:10: this is not a password hash; use devplatform user reset-password NAME.",
            id="a password in clear",
        ),
        pytest.param(
            "$argon2id$v=19$x",
            "''",
            "users.yaml:10: this is not a password hash; use devplatform user reset-password NAME.",
            id="an empty password",
        ),
        pytest.param(
            "name: bob",
            "name: ../bob",
            "users.yaml:11: name: '../bob' is not a user name; Use 1 to 64 letters, ",
            id="a path for a name",
        ),
        pytest.param(
            "name: bob", "name: Bob", "users.yaml:11: name: 'Bob' is not in lower case; write bob.", id="upper case"
        ),
        pytest.param(
            "- data-team@example.com",
            "- data team",
            "users.yaml:8: 'data team' is not a group name; Use letters, digits, ",
            id="group",
        ),
        pytest.param("users:", "users: [", "users.yaml:4: this is not YAML", id="not YAML"),
        pytest.param(
            GOOD,
            "",
            "users.yaml:1: the file is empty; put back a copy, or delete it to begin without anybody.",
            id="empty",
        ),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_line(old: str, new: str, message: str) -> None:
    """What is wrong, in which line, and what would be right; a flag or key that is misspelt is never passed over."""
    with pytest.raises(UsersFileBroken) as broken:
        parse_users(GOOD.replace(old, new, 1), "users.yaml")
    assert broken.value.message.startswith(message)
    assert "secret" not in broken.value.message


@pytest.mark.parametrize("content", [b"schema: 1\nusers: [", b"\xff\xfe", b"", b"- 1", b"a: &a [*a]", b"[" * 5000])
def test_nothing_is_lost_when_the_file_is_broken(file: UsersFile, content: bytes) -> None:
    """No change is made to a file that cannot be trusted: it keeps every byte."""
    file.path.write_bytes(content)
    with pytest.raises(PublicError) as broken:
        file.change(lambda users: users.add("eve", "e" * 16, []))
    assert broken.value.code == "users-file-broken"
    assert str(file.path) in broken.value.message
    assert file.path.read_bytes() == content
    assert sorted(os.listdir(file.path.parent)) == [".users.yaml.lock", "users.yaml"]


def test_is_for_its_owner_only(file: UsersFile) -> None:
    """Mode 0600 from the first byte on, whatever the umask or the mode was."""
    file.change(lambda users: users.add("alice", "a" * 16, [USERS]))
    file.path.chmod(0o666)
    file.change(lambda users: users.add("bob", "b" * 16, [USERS]))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file(file: UsersFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is one sentence; the old content and no leftover stay."""
    file.change(lambda users: users.add("alice", "a" * 16, [USERS]))
    before = file.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(users_file.os, "fsync", full)
    with pytest.raises(PublicError, match="cannot be written: No space left on device") as failed:
        file.change(lambda users: users.add("bob", "b" * 16, [USERS]))
    assert failed.value.code == "users-file-unwritable"
    assert file.path.read_bytes() == before
    assert sorted(os.listdir(file.path.parent)) == [".users.yaml.lock", "users.yaml"]


def test_an_edit_by_hand_is_seen_at_once(file: UsersFile) -> None:
    """Also one that keeps the size."""
    file.path.write_text(GOOD)
    assert "alice" in file.read().users
    file.path.write_text(GOOD.replace("alice", "alica"))
    assert "alica" in file.read().users


def test_no_file_is_nobody_only_where_that_is_asked_for(file: UsersFile) -> None:
    """A file that went missing under a running hub is not an empty one."""
    assert file.read_or_nobody() == LocalUsers()
    with pytest.raises(FileNotFoundError):
        file.read()


def test_a_writer_that_hangs_is_named(file: UsersFile) -> None:
    """A second writer gives up after a while and changes nothing."""
    impatient = UsersFile(file.path, lock_timeout=0.1)

    def meanwhile(users: LocalUsers) -> LocalUsers:
        with pytest.raises(PublicError) as busy:
            impatient.change(lambda users: users.add("bob", "b" * 16, []))
        assert busy.value.code == "users-file-busy"
        return users.add("alice", "a" * 16, [])

    file.change(meanwhile)
    assert list(file.read().users) == ["alice"]


def _add_ten(path: Path, start: int) -> None:
    file = UsersFile(path)
    for number in range(start, start + 10):
        file.change(lambda users, number=number: users.add(f"user{number}", f"{number:016x}", [USERS]))  # type: ignore[misc]


def test_writers_do_not_lose_each_others_changes(file: UsersFile) -> None:
    """Three processes and threads, ten people each: thirty people, and a reader sees whole files all the time."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add_ten, args=(file.path, start)) for start in (0, 10)]
    thread = threading.Thread(target=_add_ten, args=(file.path, 20))
    for process in processes:
        process.start()
    thread.start()
    while any(process.is_alive() for process in processes) or thread.is_alive():
        file.read_or_nobody()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    thread.join()
    assert len(file.read().users) == 30


def test_changes_that_end_sessions() -> None:
    """A new password, a code, disabling and restoring raise the epoch; groups do not; the subject never changes."""
    users = parse_users(GOOD, "users.yaml")
    changed = {
        "password": users.set_password("alice", HASH).users["alice"],
        "code": users.set_code("alice", CODE).users["alice"],
        "disabled": users.set_disabled("alice", True).users["alice"],
        "groups": users.set_groups("alice", []).users["alice"],
        "back": users.remove("alice").restore("alice", [USERS]).users["alice"],
    }
    assert {key: user.epoch for key, user in changed.items()} == {
        "password": 4,
        "code": 4,
        "disabled": 4,
        "groups": 3,
        "back": 4,
    }
    assert {user.subject for user in changed.values()} == {ALICE.subject}
    assert changed["code"] == replace(ALICE, password=None, code=CODE, epoch=4)
    assert changed["back"] == LocalUser("alice", ALICE.subject, frozenset({USERS}), epoch=4)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda users: users.add("alice", "a" * 16, []), "user-exists", id="add twice"),
        pytest.param(lambda users: users.add("carol", "a" * 16, []), "name-was-used", id="name of a removed person"),
        pytest.param(lambda users: users.restore("dave", []), "user-unknown", id="restore nobody"),
        pytest.param(lambda users: users.remove("dave"), "user-unknown", id="remove nobody"),
        pytest.param(lambda users: users.set_groups("carol", []), "user-unknown", id="groups of a removed person"),
        pytest.param(lambda users: users.set_password("alice", HASH, spending="0" * 64), "code-spent", id="no code"),
        pytest.param(
            lambda users: users.set_code("bob", CODE).set_password("bob", HASH, spending=CODE.digest),
            "code-spent",
            id="disabled",
        ),
    ],
)
def test_changes_that_are_refused(change: Callable[[LocalUsers], LocalUsers], code: str) -> None:
    """Each with a stable code and what to do."""
    with pytest.raises(PublicError) as refused:
        change(parse_users(GOOD, "users.yaml"))
    assert (refused.value.code, bool(refused.value.hint)) == (code, True)


def test_a_code_is_spent_once() -> None:
    """The second password for the same code is refused."""
    users = parse_users(GOOD, "users.yaml").set_code("alice", CODE)
    assert users.users["alice"].code_at(NOW) == CODE
    assert users.users["alice"].code_at(CODE.expires) is None
    spent = users.set_password("alice", HASH, spending=CODE.digest)
    assert spent.users["alice"].code is None
    with pytest.raises(PublicError) as refused:
        spent.set_password("alice", HASH, spending=CODE.digest)
    assert refused.value.code == "code-spent"


def test_secrets_are_not_in_the_representation() -> None:
    """A person in a traceback or a log shows neither hash nor digest."""
    text = repr(parse_users(GOOD, "users.yaml").set_code("alice", CODE).set_password("bob", HASH))
    assert "argon2" not in text
    assert CODE.digest not in text
