"""What every `GroupDirectory` promises. A directory joins by a subclass of `Source` in `SOURCES`."""

from pathlib import Path
from typing import Protocol

import pytest

from devplatform_hub.core.identity import Identity, parse_group
from devplatform_hub.directory.claims import ClaimsGroupDirectory
from devplatform_hub.directory.static import StaticGroupDirectory
from devplatform_hub.directory.users_file import UsersFile
from devplatform_hub.ports import DirectoryUnavailable, GroupDirectory

GROUP, OTHER, FOREIGN = parse_group("data-team"), parse_group("ops"), parse_group("data-team@partner.com")


class Source(Protocol):
    """A directory with the means to change what it knows, as an administrator of it would."""

    directory: GroupDirectory
    provider: str

    def __init__(self, folder: Path) -> None: ...
    def put(self, identity: Identity, *groups: str) -> None:
        """Make or change this person."""

    def remove(self, identity: Identity) -> None:
        """Remove this person."""

    def fail(self) -> None:
        """From now on the directory has no complete answer."""

    def heal(self) -> None:
        """It answers again, as before `fail`."""


class UsersYaml:
    """`users.yaml` of one machine."""

    provider = "local"

    def __init__(self, folder: Path) -> None:
        self._file = UsersFile(folder / "users.yaml")
        self._file.change(lambda users: users)
        self._before = b""
        self.directory: GroupDirectory = StaticGroupDirectory(self._file)

    def put(self, identity: Identity, *groups: str) -> None:
        wanted = [parse_group(group) for group in groups]
        known = self._file.read().find(identity.subject)
        if known:
            self._file.change(lambda users: users.set_groups(known.name, wanted))
        else:
            self._file.change(lambda users: users.add(identity.username, identity.subject, wanted))

    def remove(self, identity: Identity) -> None:
        self._file.change(lambda users: users.remove(identity.username))

    def fail(self) -> None:
        self._before = self._file.path.read_bytes()
        self._file.path.write_bytes(self._before[: len(self._before) // 2] + b"\n: [")

    def heal(self) -> None:
        self._file.path.write_bytes(self._before)


class VanishedUsersYaml(UsersYaml):
    """The same file, which fails by being gone."""

    def fail(self) -> None:
        self._before = self._file.path.read_bytes()
        self._file.path.unlink()


class ProviderClaims:
    """What an identity provider says of people in its userinfo."""

    provider = "https://sso.example.com"

    def __init__(self, folder: Path) -> None:
        self._people: dict[str, list[str]] = {}
        self._claim = "groups"
        self.directory: GroupDirectory = ClaimsGroupDirectory(
            claims_of=self._claims_of, provider=self.provider, group_domain="local"
        )

    async def _claims_of(self, identity: Identity) -> dict[str, object]:
        return {"sub": identity.subject, self._claim: self._people.get(identity.subject, [])}

    def put(self, identity: Identity, *groups: str) -> None:
        self._people[identity.subject] = list(groups)

    def remove(self, identity: Identity) -> None:
        del self._people[identity.subject]

    def fail(self) -> None:
        self._claim = "of-another-name"

    def heal(self) -> None:
        self._claim = "groups"


SOURCES: list[type[Source]] = [UsersYaml, VanishedUsersYaml, ProviderClaims]


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    made: Source = request.param(tmp_path)
    return made


@pytest.fixture
def alice(source: Source) -> Identity:
    return Identity(source.provider, "0123456789abcdef", "alice")


async def test_is_a_group_directory(source: Source) -> None:
    """It satisfies the port, which is how a setting is checked."""
    assert isinstance(source.directory, GroupDirectory)


async def test_gives_every_group_whole(source: Source, alice: Identity) -> None:
    """All groups, each with its domain: equal names of two domains stay two groups."""
    source.put(alice, "data-team", "ops", "data-team@partner.com")
    assert await source.directory.groups_of(alice) == frozenset({GROUP, OTHER, FOREIGN})


async def test_nobody_has_no_groups(source: Source, alice: Identity) -> None:
    """Somebody whom the directory does not know is in no group; that is an answer and no error."""
    assert await source.directory.groups_of(alice) == frozenset()


async def test_finds_people_by_subject(source: Source, alice: Identity) -> None:
    """A name proves nothing: another subject of the same name gets nothing, a renamed person keeps their groups."""
    source.put(alice, "data-team")
    same_name = Identity(source.provider, "fedcba9876543210", "alice")
    renamed = Identity(source.provider, alice.subject, "alice.married")
    assert await source.directory.groups_of(same_name) == frozenset()
    assert await source.directory.groups_of(renamed) == frozenset({GROUP})


async def test_knows_only_people_of_its_provider(source: Source, alice: Identity) -> None:
    """The same subject of another provider is another person."""
    source.put(alice, "data-team")
    stranger = Identity("elsewhere", alice.subject, alice.username)
    assert await source.directory.groups_of(stranger) == frozenset()


async def test_changes_are_seen(source: Source, alice: Identity) -> None:
    """A group that was left, and a person who was removed, count with the next question."""
    source.put(alice, "data-team", "ops")
    assert await source.directory.groups_of(alice) == frozenset({GROUP, OTHER})
    source.put(alice, "ops")
    assert await source.directory.groups_of(alice) == frozenset({OTHER})
    source.remove(alice)
    assert await source.directory.groups_of(alice) == frozenset()


async def test_unknown_is_never_empty(source: Source, alice: Identity) -> None:
    """Without a complete answer it says so, for people it knows and for others; then it recovers."""
    source.put(alice, "data-team")
    assert await source.directory.groups_of(alice) == frozenset({GROUP})
    source.fail()
    for identity in (alice, Identity(source.provider, "fedcba9876543210", "bob")):
        with pytest.raises(DirectoryUnavailable):
            await source.directory.groups_of(identity)
    source.heal()
    assert await source.directory.groups_of(alice) == frozenset({GROUP})
