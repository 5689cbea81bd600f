"""Passwords and one-time codes: how they are made, kept and recognised. Nothing here is ever logged."""

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from ..core.errors import PublicError
from ..directory.local_users import LocalUser, OneTimeCode

MIN_LENGTH = 10
MAX_LENGTH = 256
_BESIDES_NAME = 6
CODE_VALID_FOR = timedelta(hours=24)
# Crockford's alphabet: no letter that reads like a digit. 16 of 32 letters are 80 bits, too many to guess,
# so that a plain SHA-256 is enough to keep.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_CODE = re.compile(f"[{_ALPHABET}]{{16}}")
_hasher = PasswordHasher()  # RFC 9106, 64 MiB


def _hash_of_nothing() -> str:
    """Random bytes in the form of a hash: to verify it is the same work, and making it is none at each start."""
    parameters = f"m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_hasher.salt_len, _hasher.hash_len)
    )
    return f"$argon2id$v=19${parameters}${salt}${digest}"


# What is verified for a person who does not exist or has no password: the same work, never true.
_NOBODY = _hash_of_nothing()


class Match(Enum):
    """What a typed secret turned out to be."""

    NOTHING = "nothing"
    PASSWORD = "password"  # noqa: S105 - the name of an outcome
    CODE = "code"


@dataclass(frozen=True, slots=True)
class NewCode:
    """A one-time code for a person's eyes, and what is kept of it."""

    text: str
    kept: OneTimeCode


def make_code(now: datetime) -> NewCode:
    """A fresh code such as `7H2M-0QXD-9PTA-W4ZN`, valid for a day."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(16))
    text = "-".join(letters[start : start + 4] for start in range(0, 16, 4))
    return NewCode(text, OneTimeCode(_digest(letters), now + CODE_VALID_FOR))


def hash_password(password: str) -> str:
    """What is kept of a password. Takes about 50 ms and 64 MiB on purpose."""
    return _hasher.hash(_bytes(password))


def check_password_choice(name: str, password: str, again: str) -> None:
    """Raises `PublicError` saying what is wrong with a password that somebody chose."""
    if password != again:
        raise PublicError("The two passwords differ.", code="passwords-differ", hint="Type the same one twice.")
    if len(_normal(password).strip()) < MIN_LENGTH:
        raise PublicError(
            f"The password is shorter than {MIN_LENGTH} characters.",
            code="password-short",
            hint="A few words that only you would put together are easy to remember and hard to guess.",
        )
    if len(password) > MAX_LENGTH:
        raise PublicError(
            f"The password is longer than {MAX_LENGTH} characters.",
            code="password-long",
            hint="Use a shorter one.",
        )
    if len(set(password)) < 4 or len(password.casefold().replace(name, "")) < _BESIDES_NAME:
        raise PublicError(
            "The password is easy to guess.",
            code="password-weak",
            hint="Leave out your user name, and use more than a few different characters.",
        )
    if _code_letters(password):
        raise PublicError(
            "The password looks like a one-time code.",
            code="password-weak",
            hint="Choose a password of your own.",
        )


def recognise(user: LocalUser | None, secret: str, now: datetime) -> Match:
    """What `secret` is to `user`. The work is the same whoever it is and whatever they have."""
    if len(secret) > MAX_LENGTH:
        secret = ""  # no password is longer, and none is empty
    usable = user is not None and not user.disabled
    password = user.password if user and usable and user.password else None
    is_password = _verify(password or _NOBODY, secret) and password is not None
    code = user.code_at(now) if user and usable else None
    is_code = hmac.compare_digest(_digest(_code_letters(secret) or ""), code.digest if code else "")
    if is_password:
        return Match.PASSWORD
    return Match.CODE if is_code else Match.NOTHING


def _verify(kept: str, secret: str) -> bool:
    try:
        return _hasher.verify(kept, _bytes(secret))
    except (Argon2Error, InvalidHashError):
        return False


def _code_letters(text: str) -> str | None:
    letters = text.strip().upper().replace("-", "").replace(" ", "").translate(_READ_AS)
    return letters if _CODE.fullmatch(letters) else None


def _digest(letters: str) -> str:
    return hashlib.sha256(letters.encode()).hexdigest()


def _normal(password: str) -> str:
    """One spelling for what different keyboards send (RFC 8265 uses NFC for passwords)."""
    return unicodedata.normalize("NFC", password)


def _bytes(password: str) -> bytes:
    return _normal(password).encode("utf-8", "surrogatepass")  # a terminal may send what is no text
