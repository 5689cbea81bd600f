"""Settings of the sign-in at a provider that would let in everybody, or nobody, are refused when the hub starts."""

from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub.crypto import CryptKeeper
from traitlets import TraitError
from traitlets.config import Config

from devplatform_hub.authenticators.oidc import OidcAuthenticator
from devplatform_hub.authenticators.sessions import Arrivals, Binding
from devplatform_hub.core.identity import Identity

GOOD = {
    "issuer": "https://sso.example.com",
    "client_id": "devplatform",
    "client_secret": "s",
    "group_domain": "example.com",
}


@pytest.fixture(autouse=True)
def crypt_keys() -> Iterator[None]:
    CryptKeeper.clear_instance()
    CryptKeeper.instance(keys=[b"0" * 32], n_threads=1)
    yield
    CryptKeeper.clear_instance()


def make(**traits: Any) -> OidcAuthenticator:
    config = Config()
    for name, value in (GOOD | traits).items():
        if value is None:
            continue
        setattr(config.OidcAuthenticator, name, value)
    authenticator = OidcAuthenticator(config=config)
    authenticator.check_allow_config()
    return authenticator


async def test_the_defaults_let_nobody_in_by_themselves() -> None:
    """Groups of the domain decide, tokens are kept to ask again, PKCE is on, and stale tokens are refused."""
    made = make()
    assert (made.rules.users_group, made.rules.admins_group) == (
        "developer-platform-users@example.com",
        "developer-platform-admins@example.com",
    )
    assert (made.allow_all, made.manage_groups, made.enable_auth_state, made.enable_pkce) == (False, True, True, True)
    assert made.scope == ["openid", "email", "profile"]
    assert made.check_allowed("alice", None) is False
    assert made.check_allowed("alice", {"name": "alice", "admin": True, "auth_state": {}}) is False


async def test_the_domain_of_groups_is_the_providers() -> None:
    """Unless it is said."""
    assert make(group_domain=None).rules.users_group == "developer-platform-users@sso.example.com"


@pytest.mark.parametrize(
    ("traits", "said"),
    [
        pytest.param({"allow_all": True}, "allow_all has no place here", id="allow_all"),
        pytest.param({"allowed_users": {"eve"}}, "allowed_users has no place here", id="allowed_users"),
        pytest.param({"admin_users": {"eve"}}, "admin_users has no place here", id="admin_users"),
        pytest.param({"allow_existing_users": True}, "allow_existing_users has no place here", id="existing"),
        pytest.param({"allowed_groups": {"g"}}, "allowed_groups has no place here", id="allowed_groups"),
        pytest.param({"admin_groups": {"g"}}, "admin_groups has no place here", id="admin_groups"),
        pytest.param({"allowed_scopes": ["openid"]}, "allowed_scopes has no place here", id="allowed_scopes"),
        pytest.param({"auth_state_groups_key": "g"}, "auth_state_groups_key has no effect", id="groups key"),
        pytest.param({"refresh_user_hook": print}, "refresh_user_hook has no effect", id="refresh hook"),
        pytest.param({"userdata_from_id_token": True}, "userdata_from_id_token has no effect", id="id token alone"),
        pytest.param({"client_id": ""}, "client_id is needed", id="no client"),
        pytest.param({"client_secret": ""}, "client_secret is needed", id="no secret"),
        pytest.param({"issuer": ""}, "issuer is needed", id="no issuer"),
        pytest.param({"issuer": "http://sso.example.com"}, "issuer has to be an address with https", id="no TLS"),
        pytest.param({"issuer": "sso.example.com"}, "issuer has to be an address with https", id="no scheme"),
        pytest.param({"issuer": "https://sso.example.com?x"}, "issuer: it has neither", id="a query"),
        pytest.param(
            {"token_url": "http://sso.example.com/t"}, "token_url has to be an address", id="token without TLS"
        ),
        pytest.param({"scope": ["email"]}, "scope has to contain openid", id="no openid"),
        pytest.param({"enable_pkce": False}, "enable_pkce has to be true", id="no PKCE"),
        pytest.param({"validate_server_cert": False}, "validate_server_cert has to be true", id="no certificate"),
        pytest.param({"enable_auth_state": False}, "enable_auth_state has to be true", id="no tokens"),
        pytest.param({"manage_groups": False}, "manage_groups has to be true", id="no hub groups"),
        pytest.param({"auth_refresh_age": 0}, "auth_refresh_age has to be above 0", id="no refresh"),
        pytest.param({"username_claim": print}, "username_claim has to be the name", id="a function for names"),
        pytest.param({"require_verified_email": False}, "require_verified_email has to be true", id="unverified"),
        pytest.param({"group_domain": "a b"}, "group_domain: 'a b' is no domain", id="group domain"),
        pytest.param({"group_domain": ""}, "group_domain is needed", id="no group domain"),
        pytest.param({"users_group": ""}, "users_group: '' is not a group name", id="empty users group"),
        pytest.param({"admins_group": "a b@example.com"}, "admins_group: 'a b@example.com' is not", id="admins group"),
        pytest.param({"admins_group": "developer-platform-users"}, "use two groups", id="everybody an administrator"),
        pytest.param(
            {"user_group": "staff"},
            r"OidcAuthenticator\.user_group is no setting\. Did you mean users_group\?",
            id="misspelt",
        ),
        pytest.param({"xyzzy": 1}, r"OidcAuthenticator\.xyzzy is no setting\.$", id="unknown"),
        pytest.param({"directory_class": "builtins.dict"}, "directory_class", id="no directory"),
    ],
)
async def test_settings_that_are_refused(traits: dict[str, Any], said: str) -> None:
    """CVE-2024-37300 (anchors, row 6): no setting lets people in past what restricts them; the trait is named."""
    with pytest.raises((TraitError, ValueError), match=said):
        make(**traits)


async def test_tokens_need_a_key_to_be_kept_with() -> None:
    """Without one every sign-in would fail."""
    CryptKeeper.clear_instance()
    CryptKeeper.instance(keys=[])
    with pytest.raises(ValueError, match=r"CryptKeeper\.keys or \$JUPYTERHUB_CRYPT_KEY"):
        make()


def test_two_people_who_arrive_at_once_under_one_name() -> None:
    """Only the first is let through, for a minute or until the hub has made their user."""
    now = 0.0
    arrivals = Arrivals(lambda: now)
    first = Binding.of(Identity("p", "1", "alice"), "")
    second = Binding.of(Identity("p", "2", "alice"), "")
    assert arrivals.put("alice", first)
    assert arrivals.put("alice", first)
    assert not arrivals.put("alice", second)
    assert arrivals.pop("alice") == first
    assert arrivals.pop("alice") is None
    assert arrivals.put("alice", second)
    now = 61.0
    assert arrivals.put("alice", first)
