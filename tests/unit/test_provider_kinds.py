"""Google, Keycloak and GitHub: what each adds to the sign-in at a provider, and which settings each refuses."""

from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub.crypto import CryptKeeper
from traitlets import TraitError
from traitlets.config import Config

from devplatform_hub.authenticators.github import GitHubAuthenticator
from devplatform_hub.authenticators.google import GoogleAuthenticator
from devplatform_hub.authenticators.keycloak import KeycloakAuthenticator
from devplatform_hub.core.claims import identity_of
from devplatform_hub.core.identity import GroupName, Identity
from devplatform_hub.ports import DirectoryUnavailable

CLIENT = {"client_id": "devplatform", "client_secret": "s"}
GOOD: dict[Any, dict[str, Any]] = {
    GoogleAuthenticator: {"hosted_domain": ["example.com"]},
    KeycloakAuthenticator: {"server_url": "https://sso.example.com/", "realm": "the staff"},
    GitHubAuthenticator: {"group_domain": "acme"},
}


class NoGroups:
    """A directory of nobody."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent

    async def groups_of(self, identity: Identity) -> frozenset[GroupName]:
        return frozenset()


@pytest.fixture(autouse=True)
def crypt_keys() -> Iterator[None]:
    CryptKeeper.clear_instance()
    CryptKeeper.instance(keys=[b"0" * 32], n_threads=1)
    yield
    CryptKeeper.clear_instance()


def make(kind: Any, directory: Any = NoGroups, of_directory: Any = None, **traits: Any) -> Any:
    config = Config(of_directory or {})
    given = CLIENT | GOOD[kind] | traits
    if directory:
        given["directory_class"] = directory
    for name, value in given.items():
        setattr(config[kind.__name__], name, value)
    made = kind(config=config)
    made.check_allow_config()
    return made


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param(
            GoogleAuthenticator,
            ("google", "https://accounts.google.com", "example.com", ["openid", "email", "profile"], True),
            id="Google",
        ),
        pytest.param(
            KeycloakAuthenticator,
            (
                "https://sso.example.com/realms/the%20staff",
                "https://sso.example.com/realms/the%20staff",
                "sso.example.com",
                ["openid", "email", "profile"],
                True,
            ),
            id="Keycloak",
        ),
        pytest.param(GitHubAuthenticator, ("github", "", "acme", ["read:org"], False), id="GitHub"),
    ],
)
async def test_defaults(kind: Any, expected: Any) -> None:
    """Who vouches, where, which domain groups have, what is asked for, and whether a refresh token is needed."""
    made = make(kind)
    issuer = getattr(made, "issuer", "")
    assert (made.provider, issuer, made.group_domain, made.scope, made.require_refresh_token) == expected
    assert made.rules.users_group == f"developer-platform-users@{expected[2]}"
    assert made.rules.admins_group == f"developer-platform-admins@{expected[2]}"
    assert (made.enable_pkce, made.manage_groups, made.enable_auth_state) == (True, True, True)
    assert made.check_allowed("eve", {"name": "eve", "admin": True, "auth_state": {}}) is False
    assert made.check_blocked_users("eve", {"name": "eve"}) is True


@pytest.mark.parametrize(
    ("kind", "traits", "said"),
    [
        pytest.param(GoogleAuthenticator, {"hosted_domain": []}, "hosted_domain|group_domain", id="every account"),
        pytest.param(
            GoogleAuthenticator,
            {"hosted_domain": [], "group_domain": "example.com"},
            "hosted_domain is needed",
            id="every account, with groups",
        ),
        pytest.param(
            GoogleAuthenticator, {"hosted_domain": ["a.com", "b.com"]}, "group_domain is needed", id="two domains"
        ),
        pytest.param(
            GoogleAuthenticator,
            {"allowed_google_groups": {"example.com": {"g"}}},
            "allowed_google_groups has no place",
            id="google groups",
        ),
        pytest.param(
            GoogleAuthenticator,
            {"admin_google_groups": {"example.com": {"g"}}},
            "admin_google_groups has no place",
            id="google admins",
        ),
        pytest.param(GoogleAuthenticator, {"strip_domain": True}, "strip_domain has no effect", id="strip_domain"),
        pytest.param(
            GoogleAuthenticator,
            {"google_service_account_keys": {"example.com": "/k"}},
            "google_service_account_keys has no effect",
            id="keys",
        ),
        pytest.param(GoogleAuthenticator, {"allow_all": True}, "allow_all has no place", id="Google: all"),
        pytest.param(KeycloakAuthenticator, {"realm": ""}, "realm is needed", id="no realm"),
        pytest.param(KeycloakAuthenticator, {"server_url": ""}, "server_url is needed|group_domain", id="no server"),
        pytest.param(
            KeycloakAuthenticator, {"server_url": "http://sso.example.com"}, "issuer has to be an address", id="no TLS"
        ),
        pytest.param(GitHubAuthenticator, {"group_domain": ""}, "group_domain is needed", id="no organisation"),
        pytest.param(
            GitHubAuthenticator,
            {"allowed_organizations": {"acme"}},
            "allowed_organizations has no place",
            id="organisations",
        ),
        pytest.param(GitHubAuthenticator, {"username_claim": "email"}, "username_claim cannot be email", id="address"),
        pytest.param(GitHubAuthenticator, {"github_url": "http://git.acme.com"}, "github_url has to be", id="no TLS"),
    ],
)
async def test_settings_that_are_refused(kind: Any, traits: dict[str, Any], said: str) -> None:
    """The trait is named."""
    with pytest.raises((TraitError, ValueError), match=said):
        make(kind, **traits)


async def test_google_wants_the_organisation_by_googles_own_word() -> None:
    """CVE-2024-29033: an address of the domain is no account of it. Users of two domains keep whole names."""
    rules = make(GoogleAuthenticator).claim_rules
    assert (rules.hosted_domains, rules.verified_email) == (frozenset({"example.com"}), True)
    made = make(GoogleAuthenticator, hosted_domain=["Example.com", "partner.com"], group_domain="example.com")
    assert made.claim_rules.hosted_domains == frozenset({"example.com", "partner.com"})
    assert made.extra_authorize_params == {"access_type": "offline", "prompt": "consent", "hd": "*"}
    assert made.issuers == ("https://accounts.google.com", "accounts.google.com")


async def test_a_github_account_is_its_number() -> None:
    """The name can be given to another person; an address is not looked at."""
    made = make(GitHubAuthenticator)
    claims = made.claims_of_userinfo({"id": 7, "login": "Alice-X", "email": None, "node_id": "x"})
    assert identity_of(claims, made.claim_rules) == Identity("github", "7", "alice-x", None)
    own = make(GitHubAuthenticator, github_url="https://git.acme.com")
    assert identity_of(claims, own.claim_rules).provider == "https://git.acme.com"
    for answer in ({"id": "7", "login": "a"}, {"id": True, "login": "a"}, {"id": 7}, {}):
        with pytest.raises(DirectoryUnavailable):
            made.claims_of_userinfo(answer)


@pytest.mark.parametrize(
    ("kind", "traits", "of_directory", "name"),
    [
        pytest.param(
            GoogleAuthenticator,
            {},
            {"service_account": "d@p.iam.gserviceaccount.com", "admin_subject": "admin@example.com"},
            "GoogleGroupDirectory",
            id="Google",
        ),
        pytest.param(KeycloakAuthenticator, {}, {}, "KeycloakGroupDirectory", id="Keycloak"),
        pytest.param(GitHubAuthenticator, {}, {}, "GitHubGroupDirectory", id="GitHub"),
    ],
)
async def test_each_has_its_own_directory(
    kind: Any, traits: dict[str, Any], of_directory: dict[str, Any], name: str
) -> None:
    """Without a word about it, configured under its own name, and it knows the people of this sign-in."""
    pytest.importorskip(f"devplatform_hub.directory.{name.removesuffix('GroupDirectory').lower()}")
    made = make(kind, directory=None, of_directory={name: of_directory}, **traits)
    directory = made.group_directory
    assert (type(directory).__name__, directory.provider) == (name, made.provider)
    for trait, value in of_directory.items():
        assert getattr(directory, trait) == value


async def test_keycloaks_directory_is_of_the_same_realm() -> None:
    """And asks by the same client, unless it is given one of its own."""
    pytest.importorskip("devplatform_hub.directory.keycloak")
    same = make(KeycloakAuthenticator, directory=None).group_directory
    assert (same.server_url, same.realm, same.client_id, same.client_secret, same.group_domain) == (
        "https://sso.example.com",
        "the staff",
        "devplatform",
        "s",
        "sso.example.com",
    )
    own = {"KeycloakGroupDirectory": {"client_id": "directory", "client_secret": "d"}}
    other = make(KeycloakAuthenticator, directory=None, of_directory=own).group_directory
    assert (other.client_id, other.client_secret, other.realm) == ("directory", "d", "the staff")


async def test_a_directory_that_cannot_work_is_said_at_the_start() -> None:
    """With its own trait's name."""
    pytest.importorskip("devplatform_hub.directory.google")
    with pytest.raises(TraitError, match=r"GoogleGroupDirectory\.\w+"):
        make(GoogleAuthenticator, directory=None)
