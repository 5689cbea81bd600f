"""Passwords and one-time codes: what is accepted, what is kept, and the same work for everybody."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devplatform_hub.authenticators import passwords
from devplatform_hub.authenticators.passwords import Match, check_password_choice, hash_password, make_code, recognise
from devplatform_hub.core.errors import PublicError
from devplatform_hub.directory.local_users import LocalUser

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
GOOD = "correct horse battery"


@pytest.fixture(scope="module")
def alice() -> LocalUser:
    return LocalUser("alice", "a" * 8, password=hash_password(GOOD), code=make_code(NOW).kept)


@pytest.mark.parametrize(
    ("password", "again", "code"),
    [
        pytest.param(GOOD, GOOD + " ", "passwords-differ", id="differ"),
        pytest.param("", "", "password-short", id="empty"),
        pytest.param("123456789", "123456789", "password-short", id="nine characters"),
        pytest.param(" " * 12, " " * 12, "password-short", id="blanks"),
        pytest.param("x" * 257, "x" * 257, "password-long", id="endless"),
        pytest.param("aaaaaaaaaaaa", "aaaaaaaaaaaa", "password-weak", id="one character"),
        pytest.param("Alice12345", "Alice12345", "password-weak", id="the name and little else"),
        pytest.param("ABCD-EFGH-JKMN-PQRS", "ABCD-EFGH-JKMN-PQRS", "password-weak", id="like a code"),
    ],
)
def test_choices_that_are_refused(password: str, again: str, code: str) -> None:
    """Empty, weak and mistyped passwords are refused with what would be right."""
    with pytest.raises(PublicError) as refused:
        check_password_choice("alice", password, again)
    assert refused.value.code == code
    assert refused.value.hint
    assert not password.strip() or password not in str(refused.value)


def test_choices_that_are_fine() -> None:
    """Ten characters of any script will do."""
    for password in (GOOD, "0123456789", "пароль-из-слов", "a1b2c3d4e5"):
        check_password_choice("a", password, password)


def test_codes_are_random_and_kept_as_digests() -> None:
    """80 bits in groups of four, never twice, and nothing that is kept shows them."""
    codes = [make_code(NOW) for _ in range(1000)]
    assert len({code.text for code in codes}) == 1000
    code = codes[0]
    assert [len(part) for part in code.text.split("-")] == [4, 4, 4, 4]
    assert code.kept.expires == NOW + timedelta(hours=24)
    assert code.text.replace("-", "") not in repr(code.kept)
    assert code.kept.digest not in repr(code.kept)


def test_what_is_recognised(alice: LocalUser) -> None:
    """The password, the code however it is typed, and nothing else."""
    code = make_code(NOW)
    person = replace(alice, code=code.kept)
    typed = code.text.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert recognise(person, GOOD, NOW) is Match.PASSWORD
    assert recognise(person, code.text, NOW) is Match.CODE
    assert recognise(person, f" {typed} ", NOW) is Match.CODE
    for wrong in (
        "",
        " ",
        "x",
        GOOD + " ",
        "\x00",
        "x" * 100_000,
        make_code(NOW).text,
        person.password or "",
        "\ud800",
    ):
        assert recognise(person, wrong, NOW) is Match.NOTHING, wrong[:20]


def test_what_is_over_is_not_recognised(alice: LocalUser) -> None:
    """An expired code, a disabled person, a person without either, and nobody at all."""
    code = make_code(NOW)
    person = replace(alice, code=code.kept)
    assert recognise(person, code.text, NOW + timedelta(hours=24)) is Match.NOTHING
    disabled = replace(person, disabled=True)
    assert recognise(disabled, GOOD, NOW) is Match.NOTHING
    assert recognise(disabled, code.text, NOW) is Match.NOTHING
    assert recognise(LocalUser("bob", "b" * 8), "", NOW) is Match.NOTHING
    assert recognise(None, "", NOW) is Match.NOTHING
    assert recognise(replace(alice, password="$argon2id$broken"), GOOD, NOW) is Match.NOTHING


def test_the_work_is_the_same_for_everybody(alice: LocalUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known or not, with a password or not, disabled or not: exactly one argon2 verification at the same cost."""
    verified: list[str] = []
    real = passwords._hasher.verify

    class Counting:
        def verify(self, kept: str, secret: bytes) -> Any:
            verified.append(kept.rsplit("$", 2)[0])
            return real(kept, secret)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    people = [alice, None, replace(alice, password=None), replace(alice, disabled=True), replace(alice, code=None)]
    for person in people:
        recognise(person, "guess", NOW)
    assert len(verified) == len(people)
    assert len(set(verified)) == 1


def test_a_password_is_the_same_from_every_keyboard() -> None:
    """Composed and decomposed letters are one password."""
    person = LocalUser("alice", "a" * 8, password=hash_password("gr\u00fcner Apfelbaum"))
    assert recognise(person, "gru\u0308ner Apfelbaum", NOW) is Match.PASSWORD
