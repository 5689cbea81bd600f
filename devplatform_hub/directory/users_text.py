"""`users.yaml` as text: written from the people of a machine, and read back with the line of every mistake."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from types import MappingProxyType
from typing import Any

import yaml

from ..core.errors import PublicError
from ..core.identity import GroupName, display_group, parse_group, parse_username
from ..core.yaml_fields import Field, FieldReader, line_of
from .local_users import FormerUser, LocalUser, LocalUsers, OneTimeCode

_SCHEMA = "1"
_HEADER = "# Written by `devplatform user`; edits are read at once, comments are not kept.\n"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUBJECT = re.compile(r"[0-9a-f]{8,64}")


class UsersFileBroken(PublicError):
    """The file cannot be trusted as it is; it has not been changed."""

    def __init__(self, problems: list[str]) -> None:
        more = f" ({len(problems) - 1} more like it)" if len(problems) > 1 else ""
        super().__init__(
            problems[0] + more,
            code="users-file-broken",
            hint="The file was not changed. Until it is right, people who are signed in stay so for a while.",
            status=503,
        )


def parse_users(text: str, source: str) -> LocalUsers:
    """The people that this text describes. Raises `UsersFileBroken` naming file, line, what is wrong and right."""
    reader = _Reader(source)
    users = reader.read(text)
    if reader.problems:
        raise UsersFileBroken(reader.problems)
    return users


def render_users(users: LocalUsers) -> str:
    """The text of `users.yaml`, which `parse_users` reads back to an equal value."""
    document = {
        "schema": int(_SCHEMA),
        "users": [_user_entry(user) for _, user in sorted(users.users.items())],
        "removed": [
            {"name": former.name, "subject": former.subject, "epoch": former.epoch}
            for _, former in sorted(users.former.items())
        ],
    }
    return _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=200)


def _user_entry(user: LocalUser) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": user.name, "subject": user.subject}
    entry["groups"] = sorted(display_group(group) for group in user.groups)
    entry["epoch"] = user.epoch
    if user.disabled:
        entry["disabled"] = True
    if user.password:
        entry["password"] = user.password
    if user.code:
        entry["code"] = {"digest": user.code.digest, "expires": user.code.expires.isoformat()}
    return entry


class _Reader(FieldReader):
    max_bytes = 4 * 2**20
    when_too_large = "a directory service suits so many people better"
    when_empty = "put back a copy, or delete it to begin without anybody"

    def read(self, text: str) -> LocalUsers:
        root = self.compose(text)
        if root is None:
            return LocalUsers()
        fields = self.fields(root, ("schema", "users", "removed"), "users.yaml")
        if "schema" not in fields or self.text(fields, "schema") != _SCHEMA:
            self.problem(line_of(root), "this is not a schema that this release reads", f"schema is {_SCHEMA}")
        nodes = list(self.items(fields["users"].node, "users")) if "users" in fields else []
        former_nodes = list(self.items(fields["removed"].node, "removed")) if "removed" in fields else []
        users = [(node, user) for node in nodes if (user := self._user(node))]
        former = [(node, gone) for node in former_nodes if (gone := self._former(node))]
        everybody = [(node, user.name) for node, user in users] + [(node, user.name) for node, user in former]
        self.unique(everybody, "user")
        subjects = [(node, user.subject) for node, user in users] + [(node, user.subject) for node, user in former]
        self.unique(subjects, "subject")
        return LocalUsers(
            MappingProxyType({user.name: user for _, user in users}),
            MappingProxyType({user.name: user for _, user in former}),
        )

    def _user(self, node: yaml.Node) -> LocalUser | None:
        known = ("name", "subject", "groups", "epoch", "disabled", "password", "code")
        fields = self.fields(node, known, "a user")
        name, subject, epoch = self._who(node, fields)
        groups = self._groups(fields["groups"]) if "groups" in fields else frozenset()
        password = self.text(fields, "password")
        if "password" in fields and not (password or "").startswith("$argon2"):
            self.problem(
                fields["password"].line, "this is not a password hash", "use devplatform user reset-password NAME"
            )
        code = self._code(fields["code"].node) if "code" in fields else None
        disabled = self.flag(fields, "disabled")
        if name is None or subject is None:
            return None
        return LocalUser(name, subject, groups, password, code, disabled, epoch)

    def _former(self, node: yaml.Node) -> FormerUser | None:
        name, subject, epoch = self._who(node, self.fields(node, ("name", "subject", "epoch"), "a removed user"))
        return FormerUser(name, subject, epoch) if name and subject else None

    def _who(self, node: yaml.Node, fields: Mapping[str, Field]) -> tuple[str | None, str | None, int]:
        for key in ("name", "subject"):
            if key not in fields:
                self.problem(line_of(node), f"a user without {key}", "use devplatform user add NAME")
        name = self.amount(fields, "name", _exact_username)
        subject = self.amount(fields, "subject", _subject)
        return name, subject, self.amount(fields, "epoch", _positive) or 1

    def _groups(self, listed: Field) -> frozenset[GroupName]:
        groups = set()
        for line, text in self.texts(listed, "groups"):
            try:
                groups.add(parse_group(text))
            except PublicError as error:
                self.problem(line, error.message.removesuffix("."), error.hint.removesuffix("."))
        return frozenset(groups)

    def _code(self, node: yaml.Node) -> OneTimeCode | None:
        fields = self.fields(node, ("digest", "expires"), "a one-time code")
        digest = self.amount(fields, "digest", _digest)
        expires = self.amount(fields, "expires", _moment)
        if digest is None or expires is None:
            if not {"digest", "expires"} <= set(fields):
                self.problem(line_of(node), "half a one-time code", "use devplatform user reset-password NAME")
            return None
        return OneTimeCode(digest, expires)


def _exact_username(text: str) -> str:
    try:
        name = parse_username(text)
    except PublicError as error:
        raise ValueError(f"{text[:64]!r} is not a user name; {error.hint.removesuffix('.')}") from None
    if name != text:
        raise ValueError(f"{text[:64]!r} is not in lower case; write {name}")
    return name


def _subject(text: str) -> str:
    if not _SUBJECT.fullmatch(text):
        raise ValueError("not 8 to 64 of 0-9 and a-f; use devplatform user add NAME, which makes one")
    return text


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise ValueError("not a SHA-256; use devplatform user reset-password NAME")
    return text


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise ValueError("not a whole number above 0; write epoch: 1")
    return int(text)


def _moment(text: str) -> datetime:
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment
    raise ValueError("not a time with its zone; write such as 2026-01-31T12:00:00+00:00")
