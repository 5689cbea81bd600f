"""The directories that the contract of `GroupDirectory` is run over, each with the means to change what it knows."""

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from unittest import mock

from devplatform_hub.core.identity import GroupName, Identity, parse_group
from devplatform_hub.directory.claims import ClaimsGroupDirectory
from devplatform_hub.directory.github import GitHubGroupDirectory
from devplatform_hub.directory.google import GoogleGroupDirectory
from devplatform_hub.directory.keycloak import KeycloakGroupDirectory
from devplatform_hub.directory.static import StaticGroupDirectory
from devplatform_hub.directory.users_file import UsersFile
from devplatform_hub.ports import GroupDirectory
from tests.doubles.api_server import ApiServer, Fault
from tests.doubles.github_server import APP_TOKEN, GitHubServer
from tests.doubles.google_server import ADMIN, SERVICE_ACCOUNT, GoogleServer
from tests.doubles.keycloak_server import CLIENT, REALM, SECRET, KeycloakServer, Person

ELSEWHERE = "elsewhere:"
"""Before a group's name: a group of the same name in another domain, organisation or branch of this directory."""


class Source(Protocol):
    """A directory with the means to change what it knows, as an administrator of it would."""

    directory: GroupDirectory
    nests = False
    """Whether groups can be members of groups."""
    is_remote = False
    """Whether answers are kept for a moment, and calls can be counted."""

    def person(self, number: int, name: str) -> Identity:
        """The identity of somebody, as a sign-in would give it."""

    def put(self, identity: Identity, *groups: str) -> None:
        """Make or change this person."""

    def remove(self, identity: Identity) -> None:
        """Remove this person, or where the provider has people of its own, take them out of every group."""

    def expected(self, *groups: str) -> frozenset[GroupName]:
        """These groups under the names they have on the platform."""

    def fail(self) -> None:
        """From now on the directory has no complete answer."""

    def heal(self) -> None:
        """It answers again, as before `fail`."""

    def later(self) -> None:
        """Time passes: what was kept for a moment is asked anew."""


class UsersYaml:
    """`users.yaml` of one machine."""

    nests = is_remote = False

    def __init__(self, folder: Path) -> None:
        self._file = UsersFile(folder / "users.yaml")
        self._file.change(lambda users: users)
        self._before = b""
        self.directory: GroupDirectory = StaticGroupDirectory(self._file)

    def person(self, number: int, name: str) -> Identity:
        return Identity("local", f"{number:016x}", name.lower())

    def put(self, identity: Identity, *groups: str) -> None:
        wanted = self.expected(*groups)
        known = self._file.read().find(identity.subject)
        if known:
            self._file.change(lambda users: users.set_groups(known.name, wanted))
        else:
            self._file.change(lambda users: users.add(identity.username, identity.subject, wanted))

    def remove(self, identity: Identity) -> None:
        self._file.change(lambda users: users.remove(identity.username))

    def expected(self, *groups: str) -> frozenset[GroupName]:
        return frozenset(parse_group(_whole(group, "local", "partner.com")) for group in groups)

    def fail(self) -> None:
        self._before = self._file.path.read_bytes()
        self._file.path.write_bytes(self._before[: len(self._before) // 2] + b"\n: [")

    def heal(self) -> None:
        self._file.path.write_bytes(self._before)

    def later(self) -> None:
        """Nothing is kept."""


class VanishedUsersYaml(UsersYaml):
    """The same file, which fails by being gone."""

    def fail(self) -> None:
        self._before = self._file.path.read_bytes()
        self._file.path.unlink()


class ProviderClaims:
    """What an identity provider says of people in its userinfo."""

    nests = is_remote = False
    _PROVIDER = "https://sso.example.com"

    def __init__(self, folder: Path) -> None:
        self._people: dict[str, list[str]] = {}
        self._claim = "groups"
        self.directory: GroupDirectory = ClaimsGroupDirectory(
            claims_of=self._claims_of, provider=self._PROVIDER, group_domain="example.com"
        )

    async def _claims_of(self, identity: Identity) -> dict[str, object]:
        return {"sub": identity.subject, self._claim: self._people.get(identity.subject, [])}

    def person(self, number: int, name: str) -> Identity:
        return Identity(self._PROVIDER, f"{number:016x}", name.lower())

    def put(self, identity: Identity, *groups: str) -> None:
        self._people[identity.subject] = [_whole(group, "example.com", "partner.com") for group in groups]

    def remove(self, identity: Identity) -> None:
        del self._people[identity.subject]

    def expected(self, *groups: str) -> frozenset[GroupName]:
        return frozenset(parse_group(_whole(group, "example.com", "partner.com")) for group in groups)

    def fail(self) -> None:
        self._claim = "of-another-name"

    def heal(self) -> None:
        self._claim = "groups"

    def later(self) -> None:
        pass


class Remote:
    """What the directories behind a server share."""

    nests = is_remote = True
    server: ApiServer
    directory: Any

    def __init__(self) -> None:
        self._shift = 0.0

    async def prepare(self) -> None:
        """What comes before the first question."""

    def now(self) -> float:
        """The directory's clock."""
        return time.monotonic() + self._shift

    def later(self) -> None:
        self._shift += 3600

    def fail(self) -> None:
        self.server.faults.append(Fault(503, "the backend is out of order"))

    def heal(self) -> None:
        self.server.faults.clear()
        self.later()


Made = TypeVar("Made", bound=Remote)


class Google(Remote):
    """Google, whose groups are searched by Cloud Identity."""

    def __init__(self, server: GoogleServer, **settings: Any) -> None:
        super().__init__()
        self.server: GoogleServer = server
        self.directory = google_directory(server, clock=self.now, **settings)

    def person(self, number: int, name: str) -> Identity:
        return Identity("google", str(1000 + number), name, f"{name}@example.com")

    def put(self, identity: Identity, *groups: str) -> None:
        assert identity.email
        self.server.put(
            identity.subject, identity.email, (_whole(group, "example.com", "partner.com") for group in groups)
        )

    def remove(self, identity: Identity) -> None:
        self.server.put(identity.subject, str(identity.email), ())
        del self.server.accounts[identity.subject]

    def nest(self, inner: str, outer: str) -> None:
        self.server.nest(f"{inner}@example.com", f"{outer}@example.com")

    def expected(self, *groups: str) -> frozenset[GroupName]:
        return frozenset(parse_group(_whole(group, "example.com", "partner.com")) for group in groups)


class Keycloak(Remote):
    """Keycloak, asked by its Admin API. A group "inside" another is its subgroup."""

    source = "admin"

    def __init__(self, server: KeycloakServer) -> None:
        super().__init__()
        self.server: KeycloakServer = server
        self._above: dict[str, str] = {}
        self.directory = KeycloakGroupDirectory(
            server_url=server.url,
            realm=REALM,
            source=self.source,
            client_id=CLIENT,
            client_secret=SECRET,
            group_domain="acme.example",
            clock=self.now,
            token_of=self._token_of,
            tries=2,
        )

    async def _token_of(self, identity: Identity) -> str:
        self.server.people.setdefault(identity.subject, Person(identity.subject))
        return f"of-{identity.subject}"

    def person(self, number: int, name: str) -> Identity:
        return Identity("keycloak", f"00000000-0000-0000-0000-{number:012}", name, f"{name}@example.com")

    def put(self, identity: Identity, *groups: str) -> None:
        paths = {self._path(group) for group in groups}
        self.server.people[identity.subject] = Person(
            identity.subject, paths, username=identity.username.lower(), email=str(identity.email)
        )

    def remove(self, identity: Identity) -> None:
        del self.server.people[identity.subject]

    def nest(self, inner: str, outer: str) -> None:
        self._above[inner] = outer
        for person in self.server.people.values():
            person.paths = {self._path(path.rpartition("/")[2]) for path in person.paths}

    def expected(self, *groups: str) -> frozenset[GroupName]:
        paths = [self._path(group) for group in groups]
        names = set(paths) | {"/partner" for path in paths if path.startswith("/partner/")}
        return frozenset(parse_group(path[1:].replace("/", "+") + "@acme.example") for path in names)

    def _path(self, group: str) -> str:
        if group.startswith(ELSEWHERE):
            return f"/partner/{group.removeprefix(ELSEWHERE)}"
        return f"{self._path(self._above[group])}/{group}" if group in self._above else f"/{group}"


class KeycloakClaims(Keycloak):
    """Keycloak, by the claims of the person."""

    source = "userinfo"


class Keycloak22Claims(KeycloakClaims):
    """The same since version 22: somebody in no group has no claim."""

    def __init__(self, server: KeycloakServer) -> None:
        super().__init__(server)
        server.gives_empty_lists = False

    async def prepare(self) -> None:
        """Somebody who is in a group has been here: there is a mapper."""
        other = self.person(99, "other")
        self.put(other, "other")
        await self.directory.groups_of(other)
        self.server.calls.clear()


class GitHub(Remote):
    """GitHub, by the token of the person. A group "inside" another is a child team."""

    app_token = ""

    def __init__(self, server: GitHubServer) -> None:
        super().__init__()
        self.server: GitHubServer = server
        self.directory = GitHubGroupDirectory(
            api_root=server.url,
            app_token=self.app_token,
            organizations=["Acme", "Partner"] if self.app_token else [],
            patience=60,  # hundreds of calls, on a machine with other work
            clock=self.now,
            token_of=self._token_of,
            tries=2,
        )

    async def _token_of(self, identity: Identity) -> str:
        self.server.logins.setdefault(identity.subject, f"login-{identity.subject}")
        return f"gho_{identity.subject}"

    def person(self, number: int, name: str) -> Identity:
        return Identity("github", str(583231 + number), name)

    def put(self, identity: Identity, *groups: str) -> None:
        self.server.logins[identity.subject] = f"Login-{identity.subject}"
        self.remove(identity)
        for group in groups:
            organization = "partner" if group.startswith(ELSEWHERE) else "acme"
            slug = group.removeprefix(ELSEWHERE).lower()
            self.server.team(organization, slug).members.add(identity.subject)
            self.server.organizations[organization].add(identity.subject)

    def remove(self, identity: Identity) -> None:
        for members in self.server.organizations.values():
            members.discard(identity.subject)
        for teams in self.server.teams.values():
            for team in teams.values():
                team.members.discard(identity.subject)

    def nest(self, inner: str, outer: str) -> None:
        self.server.team("acme", outer)
        self.server.team("acme", inner).parent = outer

    def expected(self, *groups: str) -> frozenset[GroupName]:
        whole = [_whole(group, "acme", "partner") for group in groups]
        everybody = {f"all.members@{group.rpartition('@')[2]}" for group in whole}
        return frozenset(parse_group(group) for group in {*whole, *everybody})


class GitHubApp(GitHub):
    """GitHub, by the token of an app."""

    app_token = APP_TOKEN


def google_directory(server: GoogleServer, **settings: Any) -> GoogleGroupDirectory:
    """The adapter, turned to the double."""
    roots = dict.fromkeys(("admin_api_root", "cloud_identity_root", "token_root", "iam_credentials_root"), server.url)
    given = {"service_account": SERVICE_ACCOUNT, "admin_subject": ADMIN, "tries": 2, **roots}
    return GoogleGroupDirectory(**{**given, **settings})


@asynccontextmanager
async def google(folder: Path, **settings: Any) -> AsyncIterator[Google]:
    """A `Google` whose program has an identity and no key."""
    async with GoogleServer() as server:
        environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(server.credentials_file(folder))}
        with mock.patch.dict(os.environ, environment):
            source = Google(server, **settings)
            try:
                yield source
            finally:
                await source.directory.close()


def _google(**settings: Any) -> Callable[[Path], AbstractAsyncContextManager[Source]]:
    return lambda folder: google(folder, **settings)


@asynccontextmanager
async def at_double(kind: Callable[[Any], Made], server: type[ApiServer]) -> AsyncIterator[Made]:
    """A source of this kind at a double of its own; both are ended afterwards."""
    async with server() as running:
        made = kind(running)
        try:
            await made.prepare()
            yield made
        finally:
            await made.directory.close()


def _at(kind: Callable[[Any], Made], server: type[ApiServer]) -> Callable[[Path], AbstractAsyncContextManager[Any]]:
    return lambda _folder: at_double(kind, server)


def _local(source: Callable[[Path], Source]) -> Callable[[Path], AbstractAsyncContextManager[Source]]:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Source]:
        yield source(folder)

    return opened


SOURCES: dict[str, Callable[[Path], AbstractAsyncContextManager[Source]]] = {
    "users.yaml": _local(UsersYaml),
    "vanished users.yaml": _local(VanishedUsersYaml),
    "claims of a provider": _local(ProviderClaims),
    "google, searched": _google(transitive_search="always"),
    "google, walked": _google(transitive_search="never"),
    "google, accounts unread": _google(transitive_search="never", check_accounts=False),
    "keycloak, admin": _at(Keycloak, KeycloakServer),
    "keycloak, userinfo": _at(KeycloakClaims, KeycloakServer),
    "keycloak 22, userinfo": _at(Keycloak22Claims, KeycloakServer),
    "github, person": _at(GitHub, GitHubServer),
    "github, app": _at(GitHubApp, GitHubServer),
}
_LOCAL = ("users.yaml", "vanished users.yaml", "claims of a provider")
REMOTE = [name for name in SOURCES if name not in _LOCAL]


def _whole(group: str, domain: str, other: str) -> str:
    return f"{group.removeprefix(ELSEWHERE)}@{other if group.startswith(ELSEWHERE) else domain}"
